"""A figure on its page: the title above it, the legend below, margins around."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.drawing import labels
from alexnet_cli.drawing.families import WORDS, legend_families
from alexnet_cli.drawing.plan import Plan
from alexnet_cli.graphics.scene import Box, Item, Label, Mark, Scene
from alexnet_cli.graphics.text import sans, shorten, text_width, visible, wrap
from alexnet_cli.report import Report

PAGE, SLIDE = 680, 1280
"""Widths in CSS pixels: of a page's text (18 cm), and of a slide of 16 by 9."""
LARGE = 1000
MARGIN = 1.2
LINE = 1.45


class Sheet(Struct, frozen=True):
    """The room of a figure inside its margins, and the size of its text, in pixels; `tall` is the height to aim at."""

    width: float
    tall: float
    em: float


class Body(Struct, frozen=True):
    """A drawing without title and legend, and the notes that explain it."""

    marks: tuple[Mark, ...]
    width: float
    height: float
    notes: tuple[str, ...] = ()


def sheet_for(width: int | Literal["page", "slide"]) -> tuple[Sheet, float]:
    """Return the room for a figure, and its whole width."""
    total = width if isinstance(width, int) else {"page": PAGE, "slide": SLIDE}[width]
    em = 9.0 if total < LARGE else 14.0
    inner = total - 2 * MARGIN * em
    return Sheet(inner, inner * (1.25 if total < LARGE else 0.45), em), float(total)


def compose(plan: Plan, body: Body, sheet: Sheet, shown_width: float) -> Scene:
    """Put title and legend around a drawing; where it is wider than its room, the whole figure is scaled down."""
    em, margin = sheet.em, MARGIN * sheet.em
    inner = max(sheet.width, body.width)
    head = _head(plan.report, inner, em)
    legend, legend_height = _legend(plan, body, inner, em)
    top = margin + 2.4 * em
    marks = [
        head.moved(margin, margin),
        *(mark.moved(margin + (inner - body.width) / 2, top) for mark in body.marks),
        *(mark.moved(margin, top + body.height + 1.2 * em) for mark in legend),
    ]
    height = top + body.height + 1.2 * em + legend_height + margin
    title = f"{visible(plan.report.model.class_name)}, {labels.summary(plan.report)}"
    return Scene(
        inner + 2 * margin, height, shown_width, title, _description(plan), tuple(marks), em, not plan.flow.recorded
    )


def _head(report: Report, width: float, em: float) -> Mark:
    facts = labels.summary(report)
    name = shorten(
        visible(report.model.class_name),
        width - text_width(facts, em) - 2 * em,
        measure=sans(1.3 * em, bold=True),
    )
    items = (Label(0, 1.1 * em, name, 1.3 * em, bold=True), Label(width, 1.1 * em, facts, em, "end", dim=True))
    return Mark(items, "text")


def _legend(plan: Plan, body: Body, width: float, em: float) -> tuple[list[Mark], float]:
    families = legend_families(mark.family for mark in body.marks if mark.role == "layer")
    marks, x, y = [], 0.0, em
    for family in families:
        room = 1.6 * em + text_width(WORDS[family], em)
        if x and x + room > width:
            x, y = 0.0, y + LINE * em
        items: tuple[Item, ...] = (
            Box(x, y - 0.8 * em, em, em, "swatch", 0.2 * em),
            Label(x + 1.5 * em, y, WORDS[family], em),
        )
        marks.append(Mark(items, "text", family))
        x += room + 1.4 * em
    y += 0.3 * em
    lines = wrap(" ".join((*body.notes, *_notes(plan))), width, sans(em))
    for line in lines:
        y += LINE * em
        marks.append(Mark((Label(0, y, line, em, dim=True),), "text"))
    return marks, y + 0.3 * em


def _notes(plan: Plan) -> Sequence[str]:
    """Say what the figure leaves out, and what it is not sure of."""
    report = plan.report
    notes = []
    run = report.run
    if run is not None and run.batch_size is not None:
        notes.append(f"Sizes are without the batch of {units.count(run.batch_size)}.")
    if any(node.count > 1 for node in plan.flow.nodes):
        shown = "their parameters and MACs in sum" if plan.style == "bars" else "one drawn"
        notes.append(f"×N: N that are alike, {shown}.")
    if not plan.flow.recorded:
        notes.append("The data flow was not recorded: layers are in the order they ran.")
    if report.error is not None:
        notes.append("The model failed: what ran until then.")
    return notes


def _description(plan: Plan) -> str:
    """Describe a figure in words for those who do not see it."""
    layers = plan.report.layers
    names = [
        f"{labels.what(layers[node.rows[0]])} to {labels.sizes_text(node.shapes, plan.report)}"
        + (f", {node.count} times" if node.count > 1 else "")
        for node in plan.flow.nodes
        if node.kind == "row"
    ]
    return "; ".join(names)
