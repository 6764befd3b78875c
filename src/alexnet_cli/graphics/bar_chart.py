"""Rows of bars as SVG for a page: a row for each thing, a panel for each quantity, the amounts beside the bars."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.graphics.palette import Page, hue
from alexnet_cli.graphics.svg import Drawing, element, straight, tied, tooltip_of, words
from alexnet_cli.graphics.text import sans, shorten, text_width, visible

_FONT = 13
_HEAD, _STEP, _THICKNESS = 28, 22, 12
_BASE = 15.5
_GAP = 16
_BESIDE, _AFTER = 5, 8
"""Free space before and after the text beside a bar, in pixels."""
_LABELS_SHARE = 0.3
_LEAST_SHARE = 0.25


class BarRow(Struct, frozen=True):
    """A row: its name, its colour, and for each panel an amount and how it is written.

    `paths` are the layers that it stands for. `short` are the texts where there is little room, if they differ.
    """

    label: str
    family: str
    amounts: tuple[float, ...]
    texts: tuple[str, ...]
    tooltip: str = ""
    paths: tuple[str, ...] = ()
    short: tuple[str, ...] = ()


class Panel(Struct, frozen=True):
    """A column of bars; `limit` draws a line across it at this amount."""

    title: str
    limit: float | None = None


def rules(scope: str, page: Page) -> str:
    """Return the style rules of the rows inside `scope`, in the colours of a page."""
    sized = f"{scope} .head, {scope} .row text {{ font-size: {_FONT}px; }}\n{scope} .head {{ font-weight: 600; }}"
    return f"{sized}\n{scope} .limit {{ stroke: {page.ink}; stroke-dasharray: 4 3; }}"


def draw(rows: Sequence[BarRow], panels: Sequence[Panel], width: float, *, short: bool = False) -> Drawing:
    """Draw rows of bars, `width` pixels wide."""
    if short:
        rows = [replace(row, texts=row.short or row.texts) for row in rows]
    measure = sans(_FONT)
    labels = [shorten(visible(row.label), width * _LABELS_SHARE, measure=measure) for row in rows]
    left = max(map(measure, labels), default=0.0)
    room = (width - left) / len(panels) - _GAP
    starts = [left + _GAP + n * (room + _GAP) for n in range(len(panels))]
    scales = [_scale(rows, n, panel, room) for n, panel in enumerate(panels)]
    foot = _HEAD + _STEP * len(rows)
    drawn = []
    for panel, x, scale in zip(panels, starts, scales, strict=True):
        drawn += [words(panel.title, x, 16, class_="head"), straight(x, _HEAD, x, foot, "grid")]
        if panel.limit is not None:
            at = x + panel.limit * scale
            drawn.append(straight(at, _HEAD, at, foot, "limit"))
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        y = _HEAD + number * _STEP
        area = {"x": 0.0, "y": y, "width": width, "height": _STEP}
        hit = element("rect", tooltip_of(row.tooltip), class_="hit", **area, **tied(row.paths))
        parts = [hit, words(label, left, y + _BASE, text_anchor="end")]
        for x, scale, amount, text in zip(starts, scales, row.amounts, row.texts, strict=True):
            size = {"x": x, "y": y + (_STEP - _THICKNESS) / 2, "width": amount * scale, "height": _THICKNESS}
            parts.append(element("rect", fill=hue(row.family), **size))
            parts.append(words(text, x + amount * scale + _BESIDE, y + _BASE))
        drawn.append(element("g", *parts, class_="row"))
    return Drawing(width, foot + 2, tuple(drawn))


def _scale(rows: Sequence[BarRow], number: int, panel: Panel, room: float) -> float:
    """Return the pixels of one in a column's amounts, so that the texts beside its bars fit."""
    most = max([*(row.amounts[number] for row in rows), panel.limit or 0]) or 1
    text = max((text_width(row.texts[number], _FONT) for row in rows), default=0.0) + _BESIDE + _AFTER
    return max(room - text, room * _LEAST_SHARE) / most
