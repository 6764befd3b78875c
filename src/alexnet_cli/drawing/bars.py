"""Strips of bars, one bar per layer: the size of its output, its parameters and its MACs."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.drawing.content import Plan
from alexnet_cli.drawing.page import Body, Sheet
from alexnet_cli.graphics.scene import Box, Item, Label, Line, Mark
from alexnet_cli.graphics.text import sans, shorten, text_width

TALL, BETWEEN = 7.0, 2.6
"""In em: the height of a strip, and the room above it for its title."""
FILL, WIDEST = 0.72, 3.0
"""The width of a bar as a fraction of its slot, and at most, in em."""
NAMES, LEAST_SLOT = 13.0, 1.12
"""In em: the longest names, and the narrowest slots that have names."""
_DECADES = 3


class Strip(Struct, frozen=True):
    """A title, the height of each bar as a fraction of the strip, and the values of the lines across it."""

    title: str
    heights: tuple[float, ...]
    lines: tuple[tuple[float, str], ...]


def draw(plan: Plan, sheet: Sheet) -> Body:
    """Lay out three strips, one above the other, with the names below."""
    bars, em = plan.bars, sheet.em
    strips = (
        _sizes([bar.elements for _, bar in bars]),
        _shares("parameters", [bar.params for _, bar in bars]),
        _shares("MACs", [bar.macs for _, bar in bars]),
    )
    axis = max(text_width(text, em) for strip in strips for _, text in strip.lines) + 0.8 * em
    slot = (sheet.width - axis) / len(bars)
    width = min(FILL * slot, WIDEST * em)
    bases = [(i + 1) * (TALL + BETWEEN) * em - 0.6 * em for i in range(len(strips))]
    marks = [_strip(strip, base, axis, sheet) for strip, base in zip(strips, bases, strict=True)]
    named = slot >= LEAST_SLOT * em
    names = [shorten(bar.name, NAMES * em, measure=sans(em)) if named else "" for _, bar in bars]
    for number, (node, _) in enumerate(bars):
        middle = axis + (number + 0.5) * slot
        heights = [strip.heights[number] * TALL * em for strip in strips]
        items: list[Item] = [
            Box(middle - width / 2, base - height, width, height, "bar")
            for base, height in zip(bases, heights, strict=True)
            if height
        ]
        if named:
            items.append(Label(middle + 0.3 * em, bases[-1] + 0.6 * em, names[number], em, "end", turned=True))
        marks.append(Mark(tuple(items), "layer", node.family, node.paths, node.told))
    below = max(text_width(name, em) for name in names)
    return Body(tuple(marks), sheet.width, bases[-1] + 0.8 * em + below)


def _sizes(sizes: Sequence[int | None]) -> Strip:
    decades = max(_DECADES, *(ceil(log10(size)) for size in sizes if size), 0)
    heights = tuple(0.0 if size is None else log10(max(size, 1)) / decades for size in sizes)
    lines = ((decade / decades, units.si(10**decade)) for decade in range(0, decades + 1, ceil(decades / 4)))
    return Strip("output", heights, tuple(lines))


def _shares(title: str, values: Sequence[int | None]) -> Strip:
    most = max((value for value in values if value), default=0)
    heights = tuple((value or 0) / max(most, 1) for value in values)
    return Strip(title, heights, ((0.0, "0"), (1.0, units.si(most))) if most else ((0.0, "0"),))


def _strip(strip: Strip, base: float, axis: float, sheet: Sheet) -> Mark:
    em = sheet.em
    items: list[Item] = [Label(axis, base - (TALL + 0.7) * em, strip.title, em, bold=True)]
    for part, text in strip.lines:
        y = base - part * TALL * em
        items.append(Line(((axis, y), (sheet.width, y)), "axis"))
        items.append(Label(axis - 0.5 * em, y + 0.35 * em, text, em, "end", dim=True))
    return Mark(tuple(items), "text")
