"""A strip of bars, one a layer: how large its output is, and what it has of the parameters and of the work."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.analyses.dataflow import FlowNode
from alexnet_cli.drawing import labels
from alexnet_cli.drawing.families import family_of
from alexnet_cli.drawing.page import Body, Sheet
from alexnet_cli.drawing.plan import Plan
from alexnet_cli.graphics.scene import Box, Item, Label, Line, Mark
from alexnet_cli.graphics.text import sans, shorten, text_width, visible
from alexnet_cli.report import Report

TALL = 7.0
BETWEEN = 2.6
WIDEST = 3.0
FILL = 0.72
NAMES = 13.0
LEAST_SLOT = 1.12
"""In em: how tall a strip is, and the room above it for its title; how wide a bar is at most, and as a part of its
slot; how long names are; and how wide slots are at least to have names."""
NOTE = "Output: elements, on a logarithmic scale; parameters and MACs on linear ones."
SHARED_NOTE = "Shared parameters are shown once, at the layer that runs first."
_DECADES = 3


class Bar(Struct, frozen=True):
    """A layer's numbers; None where one is not known."""

    node: FlowNode
    name: str
    size: int | None
    params: int | None
    macs: int | None


class Strip(Struct, frozen=True):
    """A title, how high each bar is as a part of the strip, and what the lines across it are worth."""

    title: str
    heights: tuple[float | None, ...]
    lines: tuple[tuple[float, str], ...]


def draw(plan: Plan, sheet: Sheet) -> Body:
    """Lay out three strips, one above the other, with the names below."""
    bars = bars_of(plan)
    strips = (_sizes(bars), _shares("parameters", [b.params for b in bars]), _shares("MACs", [b.macs for b in bars]))
    em = sheet.em
    axis = max(text_width(text, em) for strip in strips for _, text in strip.lines) + 0.8 * em
    slot = (sheet.width - axis) / len(bars)
    width = min(FILL * slot, WIDEST * em)
    bases = [(i + 1) * (TALL + BETWEEN) * em - 0.6 * em for i in range(len(strips))]
    marks = [_strip(strip, base, axis, sheet) for strip, base in zip(strips, bases, strict=True)]
    named = slot >= LEAST_SLOT * em
    names = [shorten(bar.name, NAMES * em, measure=sans(em)) if named else "" for bar in bars]
    for number, bar in enumerate(bars):
        middle = axis + (number + 0.5) * slot
        items: list[Item] = []
        for strip, base in zip(strips, bases, strict=True):
            height = (strip.heights[number] or 0) * TALL * em
            items += [Box(middle - width / 2, base - height, width, height, "bar")] if height else []
        if named:
            items.append(Label(middle + 0.3 * em, bases[-1] + 0.6 * em, names[number], em, "end", turned=True))
        marks.append(_mark(plan.report, bar, items))
    below = max(text_width(name, em) for name in names)
    shared = any(row.reuses for bar in bars for row in labels.rows_of(bar.node, plan.report.layers))
    notes = (NOTE, SHARED_NOTE) if shared else (NOTE,)
    return Body(tuple(marks), sheet.width, bases[-1] + 0.8 * em + below, notes)


def bars_of(plan: Plan) -> list[Bar]:
    """Return the numbers of each node: the size of its first output, and what all that it stands for has."""
    return [_bar(node, plan.report) for node in plan.flow.nodes if node.kind in ("row", "gap")]


def _bar(node: FlowNode, report: Report) -> Bar:
    layers = report.layers
    rows = labels.rows_of(node, layers)
    head = layers[node.rows[0]]
    name = f"{units.count(len(node.rows))} layers" if node.kind == "gap" else visible(head.path or head.type)
    times = f" ×{units.count(node.count)}" if node.count > 1 else ""
    size = None
    if node.shapes:
        size = 1
        for length in labels.without_batch(node.shapes[0], report):
            size *= length
    return Bar(node, name + times, size, labels.total(rows, "params_total"), labels.total(rows, "macs_total"))


def _sizes(bars: Sequence[Bar]) -> Strip:
    decades = max(_DECADES, *(ceil(log10(bar.size)) for bar in bars if bar.size), 0)
    heights = tuple(None if bar.size is None else log10(max(bar.size, 1)) / decades for bar in bars)
    step = ceil(decades / 4)
    lines = tuple((decade / decades, units.si(10**decade)) for decade in range(0, decades + 1, step))
    return Strip("output", heights, lines)


def _shares(title: str, values: Sequence[int | None]) -> Strip:
    most = max((value for value in values if value), default=0)
    heights = tuple(None if value is None else value / max(most, 1) for value in values)
    return Strip(title, heights, ((0.0, "0"), (1.0, units.si(most))) if most else ((0.0, "0"),))


def _strip(strip: Strip, base: float, axis: float, sheet: Sheet) -> Mark:
    em = sheet.em
    items: list[Item] = [Label(axis, base - (TALL + 0.7) * em, strip.title, em, bold=True)]
    for part, text in strip.lines:
        y = base - part * TALL * em
        items.append(Line(((axis, y), (sheet.width, y)), "axis"))
        items.append(Label(axis - 0.5 * em, y + 0.35 * em, text, em, "end", dim=True))
    return Mark(tuple(items), "text")


def _mark(report: Report, bar: Bar, items: Sequence[Item]) -> Mark:
    paths = labels.paths_of(bar.node, report.layers)
    return Mark(tuple(items), "layer", family_of(bar.node, report.layers), paths, labels.told(bar.node, report))
