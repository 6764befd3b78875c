"""Rows of bars: a row for each layer or type, a panel for each quantity, the amounts written beside the bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from alexnet_cli.report_page.charts.draw import Specification
from alexnet_cli.report_page.charts.look import CHARACTER, GAP, HIT, INK, RULE, clipped

STEP = 22
_THICKNESS = 12
_LABELS_SHARE = 0.3
_BESIDE, _AFTER = 5, 8
"""Left free before and after the text beside a bar, in pixels."""


class BarRow(Struct, frozen=True):
    """A row: its mark's key, its name, its colour, and for each panel an amount and how it is written."""

    mark: str
    label: str
    hue: str
    amounts: tuple[float, ...]
    texts: tuple[str, ...]


class Panel(Struct, frozen=True):
    """A column of bars; `limit` draws a line across it at this amount."""

    title: str
    limit: float | None = None


def row_bars(rows: Sequence[BarRow], panels: Sequence[Panel], width: int) -> Specification:
    """Return the specification of the chart, `width` pixels wide."""
    labels = [clipped(row.label, int(width * _LABELS_SHARE / CHARACTER)) for row in rows]
    label_width = round(max(map(len, labels), default=0) * CHARACTER)
    panel_width = (width - label_width - GAP * len(panels)) // len(panels)
    views = [_labels(rows, labels, label_width)]
    views += [_panel(rows, panel, place, panel_width) for place, panel in enumerate(panels)]
    return Specification({"hconcat": views, "spacing": GAP})


def _labels(rows: Sequence[BarRow], labels: Sequence[str], width: int) -> dict[str, Any]:
    data = [{**_keys(row), "label": label} for row, label in zip(rows, labels, strict=True)]
    text = {"mark": {"type": "text", "align": "right", "x": width}, "encoding": {"text": {"field": "label"}}}
    return _view(data, [text], width)


def _panel(rows: Sequence[BarRow], panel: Panel, place: int, width: int) -> dict[str, Any]:
    data = [{**_keys(row), "hue": row.hue, "amount": row.amounts[place], "text": row.texts[place]} for row in rows]
    most = max([*(row.amounts[place] for row in rows), panel.limit or 0])
    room = max((len(row.texts[place]) for row in rows), default=0) * CHARACTER + _BESIDE + _AFTER
    scale = {"domain": [0, (most or 1) * width / max(width - room, width / 4)]}
    amount = {"field": "amount", "type": "quantitative", "axis": None, "scale": scale}
    bar = {
        "mark": {"type": "bar", "height": _THICKNESS},
        "encoding": {"x": amount, "color": {"field": "hue", "scale": None}},
    }
    text = {
        "mark": {"type": "text", "align": "left", "dx": _BESIDE},
        "encoding": {"x": amount, "text": {"field": "text"}},
    }
    lines = [_line(0, RULE, scale), *([_line(panel.limit, INK, scale)] if panel.limit is not None else [])]
    return {**_view(data, [bar, *lines, text], width), "title": panel.title}


def _keys(row: BarRow) -> dict[str, Any]:
    return {"mark": row.mark, "hit": HIT + row.mark}


def _line(amount: float, colour: str, scale: dict[str, Any]) -> dict[str, Any]:
    """Return a line across all rows."""
    return {
        "data": {"values": [{"amount": amount}]},
        "mark": {"type": "rule", "stroke": colour, "strokeDash": [4, 3] if amount else [1, 0], "y": 0, "y2": "height"},
        "encoding": {
            "x": {"field": "amount", "type": "quantitative", "axis": None, "scale": scale},
            "y": None,
            "description": {"value": ""},
        },
    }


def _view(data: Sequence[dict[str, Any]], layers: Sequence[dict[str, Any]], width: int) -> dict[str, Any]:
    """Lay marks over bands as wide as the view, which light up with their row and take the pointer."""
    band = {
        "mark": {"type": "bar", "x": 0, "x2": width, "height": STEP, "color": "transparent"},
        "encoding": {"description": {"field": "hit"}},
    }
    y = {"field": "mark", "type": "ordinal", "sort": None, "axis": None, "scale": {"padding": 0}}
    return {
        "data": {"values": list(data)},
        "width": width,
        "height": STEP * len(data),
        "encoding": {"y": y, "description": {"field": "mark"}},
        "layer": [band, *layers],
    }
