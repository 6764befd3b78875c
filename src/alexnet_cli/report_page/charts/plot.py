"""A document's plot as a chart of the page: points, lines and stacked areas on the scales that all formats share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from alexnet_cli.document import Plot
from alexnet_cli.renderers.plot_data import Drawable, Stack, drawable, tallest
from alexnet_cli.renderers.plot_scale import Scale, Tick, fitting_ticks, title_of
from alexnet_cli.report_page.charts.draw import Specification
from alexnet_cli.report_page.charts.look import CHARACTER, FAINT, FONT, HIT, INK, NARROW, PAGE, RULE, hue

_LEFT = 64
_RIGHT = 12
_HEIGHT, _LOW_HEIGHT = 320, 240
_PIXELS_A_STEP = 2
_LEFT_HALF = 0.5
_TICK_GAP, _TICK_ROOM = 24, 40
_LABEL_ROW = 16


class Band(Struct, frozen=True):
    """A stretch of the x axis that stands for a layer: `mark` is the key of its mark."""

    mark: str
    start: float
    end: float


class Divider(Struct, frozen=True):
    """A place on the x axis where something begins, and what."""

    x: float
    label: str


def plot_chart(
    plot: Plot, width: int, *, bands: Sequence[Band] = (), dividers: Sequence[Divider] = ()
) -> Specification | None:
    """Return the specification of the chart; None if nothing of the plot has a place on its axes.

    The name of a point is the key of its mark.
    """
    ready = drawable(plot)
    if ready is None:
        return None
    inner = width - _LEFT - _RIGHT
    height = _LOW_HEIGHT if width <= NARROW else _HEIGHT
    axes = _Axes(ready, inner, height)
    layers = [
        *_areas(ready.stack, axes),
        *_dividers(dividers, axes),
        *_lines(ready, axes),
        *_bands(bands, axes),
        *_points(ready, axes),
        *_marks(ready, axes),
    ]
    return Specification({"width": inner, "height": height, "layer": layers}, left=_LEFT)


class _Axes:
    """The two channels of place, the same for all layers of a chart."""

    def __init__(self, ready: Drawable, width: int, height: int) -> None:
        self.ready, self.width, self.height = ready, width, height
        across = fitting_ticks(ready.x, width, lambda text: len(text) * CHARACTER, _TICK_GAP)
        up = fitting_ticks(ready.y, height, lambda _: CHARACTER, _TICK_ROOM)
        fixed = {"minExtent": _LEFT - 14, "maxExtent": _LEFT - 14, "domain": False, "ticks": False}
        self.x_axis = _channel(ready.x, across, title_of(ready.plot.x), {"grid": ready.x.log})
        titled = {"titleAnchor": "end", "titleAngle": 0, "titleAlign": "left", "titleX": 14 - _LEFT, "titleY": -12}
        self.y_axis = _channel(ready.y, up, title_of(ready.plot.y), {**fixed, **titled, "grid": True})

    @property
    def x(self) -> dict[str, Any]:
        """The channel for the field `x`."""
        return {"x": {**self.x_axis, "field": "x"}}

    @property
    def xy(self) -> dict[str, Any]:
        """The channels for the fields `x` and `y`."""
        return {**self.x, "y": {**self.y_axis, "field": "y"}}


def _channel(scale: Scale, ticks: Sequence[Tick], title: str, axis: dict[str, Any]) -> dict[str, Any]:
    labels = json.dumps([tick.label for tick in ticks])
    last = max(len(ticks) - 1, 1)
    return {
        "type": "quantitative",
        "title": title,
        "scale": {
            "domain": [scale.low, scale.high],
            "type": "log" if scale.log else "linear",
            "nice": False,
            "zero": False,
        },
        "axis": {**axis, "values": [tick.value for tick in ticks], "labelExpr": f"{labels}[round(datum.index*{last})]"},
    }


def _areas(stack: Stack | None, axes: _Axes) -> Iterator[dict[str, Any]]:
    """Yield the areas, from the lowest; a step is as wide as can be seen, and as high as the highest within it."""
    if stack is None:
        return
    steps = _steps(stack, axes)
    for number, series in enumerate(stack.series):
        values = []
        for x, index in steps:
            tops = stack.tops[index]
            values.append({"x": x, "y": tops[number], "low": tops[number - 1] if number else 0.0})
        values.append({**values[-1], "x": axes.ready.x.high})
        if any(value["y"] > value["low"] for value in values):
            yield {
                "data": {"values": values},
                "mark": {"type": "area", "interpolate": "step-after", "fill": hue(series.family), "fillOpacity": 0.85},
                "encoding": {**axes.xy, "y2": {"field": "low"}},
            }


def _steps(stack: Stack, axes: _Axes) -> list[tuple[float, int]]:
    """Return where along the axis the areas change, and which place in the stack they show from there on."""
    scale = axes.ready.x
    columns = tallest(stack, scale, axes.width // _PIXELS_A_STEP)
    low, high = scale.along(scale.low), scale.along(scale.high)
    steps: list[tuple[float, int]] = []
    for place, index in enumerate(columns):
        if index is not None and (not steps or steps[-1][1] != index):
            steps.append((scale.back(low + (high - low) * place / len(columns)), index))
    return steps


def _lines(ready: Drawable, axes: _Axes) -> Iterator[dict[str, Any]]:
    for shown in ready.lines:
        yield {
            "data": {"values": [{"x": x, "y": y} for x, y in shown.points]},
            "mark": {"type": "line", "stroke": INK, "strokeWidth": 1.5},
            "encoding": axes.xy,
        }


def _points(ready: Drawable, axes: _Axes) -> Iterator[dict[str, Any]]:
    for shown in ready.points:
        named = zip(shown.points, shown.names, strict=True)
        yield {
            "data": {"values": [{"x": x, "y": y, "hit": HIT + name} for (x, y), name in named]},
            "mark": {"type": "circle", "size": 90, "opacity": 1, "fill": hue(shown.series.family), "stroke": PAGE},
            "encoding": {**axes.xy, "description": {"field": "hit"}},
        }


def _bands(bands: Sequence[Band], axes: _Axes) -> Iterator[dict[str, Any]]:
    if bands:
        yield {
            "data": {"values": [{"x": band.start, "end": band.end, "hit": HIT + band.mark} for band in bands]},
            "mark": {"type": "rect", "fill": "transparent", "y": 0, "y2": axes.height},
            "encoding": {**axes.x, "x2": {"field": "end"}, "description": {"field": "hit"}},
        }


def _dividers(dividers: Sequence[Divider], axes: _Axes) -> Iterator[dict[str, Any]]:
    """Yield lines across with their labels above, each in the lowest row in which it stands clear of those before."""
    ends: list[float] = []
    for divider in dividers:
        data = {"values": [{"x": divider.x, "label": divider.label}]}
        x, length = axes.ready.x.place(divider.x) * axes.width, len(divider.label) * CHARACTER
        before = axes.width - x < length
        start = x - length if before else x
        row = next((row for row, end in enumerate(ends) if end <= start), len(ends))
        ends[row : row + 1] = [start + length]
        text = {"type": "text", "y": -12 - row * _LABEL_ROW, "fontSize": FONT - 1, "fill": FAINT}
        text |= {"align": "right", "dx": -4} if before else {"align": "left", "dx": 4}
        yield {"data": data, "mark": {"type": "rule", "stroke": RULE, "strokeDash": [4, 3]}, "encoding": axes.x}
        yield {"data": data, "mark": text, "encoding": {**axes.x, "text": {"field": "label"}}}


def _marks(ready: Drawable, axes: _Axes) -> Iterator[dict[str, Any]]:
    for mark in ready.marks:
        leftward = ready.x.place(mark.x) > _LEFT_HALF
        data = {"values": [{"x": mark.x, "y": mark.y, "label": mark.label}]}
        yield {"data": data, "mark": {"type": "circle", "size": 50, "fill": INK, "opacity": 1}, "encoding": axes.xy}
        text = {"type": "text", "align": "right" if leftward else "left", "dx": -8 if leftward else 8, "dy": -10}
        yield {"data": data, "mark": {**text, "fontWeight": 600}, "encoding": {**axes.xy, "text": {"field": "label"}}}
