"""A figure on its page: how much room it has, how rows break, and the title and legend around it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from alexnet_cli.drawing.content import Plan
from alexnet_cli.graphics.scene import Box, Label, Mark, Scene
from alexnet_cli.graphics.text import sans, shorten, text_width, visible, wrap

Width = int | Literal["page", "slide"]
PAGE, SLIDE = 680, 1280
"""Widths in CSS pixels: of a page's text (18 cm), and of a slide of 16 by 9."""
LARGE = 1000
MARGIN = 1.2
LINE = 1.45


class Sheet(Struct, frozen=True):
    """The room inside a figure's margins, the height to aim at, the text size and the width with margins, in pixels."""

    width: float
    tall: float
    em: float
    outer: float


class Body(Struct, frozen=True):
    """A drawing without title and legend."""

    marks: tuple[Mark, ...]
    width: float
    height: float


def sheet_for(width: Width) -> Sheet:
    """Return the room for a figure of this width."""
    outer = width if isinstance(width, int) else {"page": PAGE, "slide": SLIDE}[width]
    em = 9.0 if outer < LARGE else 14.0
    inner = outer - 2 * MARGIN * em
    return Sheet(inner, inner * (1.25 if outer < LARGE else 0.45), em, float(outer))


def compose(plan: Plan, body: Body, sheet: Sheet) -> Scene:
    """Put title and legend around a drawing; if it is wider than its room, the whole figure is scaled down."""
    em, margin = sheet.em, MARGIN * sheet.em
    inner = max(sheet.width, body.width)
    legend, legend_height = _legend(plan, inner, em)
    top = margin + 2.4 * em
    below = top + body.height + 1.2 * em
    marks = (
        _head(plan, inner, em).moved(margin, margin),
        *(mark.moved(margin + (inner - body.width) / 2, top) for mark in body.marks),
        *(mark.moved(margin, below) for mark in legend),
    )
    return Scene(
        inner + 2 * margin,
        below + legend_height + margin,
        sheet.outer,
        f"{visible(plan.model)}, {plan.summary}",
        plan.description,
        marks,
        em,
        not plan.recorded,
    )


def _head(plan: Plan, width: float, em: float) -> Mark:
    room = width - text_width(plan.summary, em) - 2 * em
    name = shorten(visible(plan.model), room, measure=sans(1.3 * em, bold=True))
    items = (Label(0, 1.1 * em, name, 1.3 * em, bold=True), Label(width, 1.1 * em, plan.summary, em, "end", dim=True))
    return Mark(items, "text")


def _legend(plan: Plan, width: float, em: float) -> tuple[list[Mark], float]:
    marks, x, y = [], 0.0, em
    for family, name in plan.legend:
        room = 1.6 * em + text_width(name, em)
        if x and x + room > width:
            x, y = 0.0, y + LINE * em
        swatch = Box(x, y - 0.8 * em, em, em, "swatch", 0.2 * em)
        marks.append(Mark((swatch, Label(x + 1.5 * em, y, name, em)), "text", family))
        x += room + 1.4 * em
    y += 0.3 * em
    for line in wrap(" ".join(plan.notes), width, sans(em)):
        y += LINE * em
        marks.append(Mark((Label(0, y, line, em, dim=True),), "text"))
    return marks, y + 0.3 * em


def split_rows(sizes: Sequence[float], gap: float, room: float) -> list[tuple[int, int]]:
    """Split a sequence into as few rows as fit the room; an item longer than the room has a row of its own."""
    for count in range(1, len(sizes)):
        rows = balanced(sizes, gap, count)
        if max(_length(sizes[a:b], gap) for a, b in rows) <= room:
            return rows
    return [(i, i + 1) for i in range(len(sizes))]


def balanced(sizes: Sequence[float], gap: float, count: int) -> list[tuple[int, int]]:
    """Split a sequence into `count` rows, the longest as short as possible: the classic linear partition."""

    @cache
    def best(rows: int, end: int) -> tuple[float, tuple[int, ...]]:
        if rows == 1:
            return _length(sizes[:end], gap), (0,)
        starts = range(rows - 1, end)
        longest, start = min((max(best(rows - 1, at)[0], _length(sizes[at:end], gap)), at) for at in starts)
        return longest, (*best(rows - 1, start)[1], start)

    return list(pairwise((*best(count, len(sizes))[1], len(sizes))))


def _length(sizes: Sequence[float], gap: float) -> float:
    return sum(sizes) + gap * max(len(sizes) - 1, 0)
