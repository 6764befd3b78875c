"""A plot as a vector picture: for the SVG page, and inside the HTML page.

Hues are the same on light and dark pages; all else takes its colours from the page, through classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from alexnet_cli.document import Plot
from alexnet_cli.graphics.text import Style, clean, shorten, width_of, wrap
from alexnet_cli.renderers.plot_data import drawable, left_out, thinned
from alexnet_cli.renderers.plot_scale import Tick, fitting_ticks, ticks, title_of
from alexnet_cli.renderers.vector_series import Frame, hue, opacities, series_drawn
from alexnet_cli.renderers.vector_shapes import CHAR, marker, polyline, straight, swatch, words

HEIGHT = 288
_TOP = 24
_RIGHT = 12
_LINE = 18
_GAP = 16
_SWATCH = 16
_MOST_Y_TICKS = 7


class Drawing(Struct, frozen=True):
    """A picture's height in pixels, and its elements."""

    height: float
    elements: tuple[str, ...]


class _Item(Struct, frozen=True):
    """An entry of the legend: an element drawn around (0, 0), and what it stands for."""

    swatch: str
    label: str

    @property
    def width(self) -> float:
        return _SWATCH + 6 + width_of(self.label) * CHAR


def rules(scope: str, *, ink: str, faint: str, rule: str, page: str) -> str:
    """Return the style rules of the plots inside `scope`, in the colours of a page."""
    declared = {
        "text": f"fill: {ink}; font-size: 12px;",
        ".d": f"fill: {faint};",
        ".grid": f"stroke: {rule};",
        ".axis": f"stroke: {faint};",
        ".line": "fill: none; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round;",
        ".point": f"stroke: {page}; stroke-width: 0.75;",
        ".ring": f"fill: none; stroke: {ink}; stroke-width: 1.5;",
        ".said": f"stroke: {page}; stroke-width: 4; stroke-linejoin: round; paint-order: stroke;",
        ".sensed": "fill-opacity: 0;",
    }
    return "\n".join(f"{scope} {selector} {{ {text} }}" for selector, text in declared.items())


def draw(plot: Plot, width: float, style: Style) -> Drawing:
    """Draw a plot without its title, `width` pixels wide: the frame, the legend, and what is to be said of it."""
    found = drawable(plot)
    if found is None:
        return Drawing(*_below(["no points", left_out(plot)], 12, width))
    labels = ticks(found.y, _MOST_Y_TICKS)
    left = max(width_of(tick.label) for tick in labels) * CHAR + 8
    frame = Frame(found, style, left, _TOP, width - left - _RIGHT, HEIGHT)
    foot = _TOP + HEIGHT + (2 if title_of(plot.x) else 1) * _LINE
    rows = _rows(_items(frame), width)
    legend = [element for row, items in enumerate(rows, 1) for element in _row(items, foot + row * (_LINE + 2))]
    foot += len(rows) * (_LINE + 2) + _LINE + 6
    height, notes = _below([thinned(found.stack, frame.columns), found.left_out], foot, width)
    return Drawing(height, (*_axes(frame, labels), *series_drawn(frame), *legend, *notes))


def described(plot: Plot, style: Style) -> str:
    """Say in words what a plot shows, for those who do not see it."""
    kinds = {"points": "points", "line": "a line", "area": "a stacked area"}
    axes = (f"{way}: {title_of(axis)}" for way, axis in (("x", plot.x), ("y", plot.y)) if title_of(axis))
    series = (f"{series.label}, {kinds[series.kind]}" for series in plot.series)
    marks = (f"marked: {mark.label}" for mark in plot.marks)
    title = plot.title or plot.name.replace("_", " ").capitalize()
    return clean("; ".join((title, *axes, *series, *marks)), style)


def _axes(frame: Frame, labels: Sequence[Tick]) -> Iterator[str]:
    """Draw the grid, the two axes, and what is written at them."""
    plot, style = frame.found.plot, frame.style
    right, foot = frame.left + frame.width, frame.top + frame.height
    yield from _title(clean(title_of(plot.y), style), 0, 12, frame)
    for tick in labels:
        y = frame.y(tick.value)
        yield straight(frame.left, y, right, y, "grid")
        yield words(tick.label, frame.left - 8, y + 4, anchor="end", classes="d")
    for tick in fitting_ticks(frame.found.x, frame.width, lambda text: width_of(text) * CHAR, _GAP):
        x, half = frame.x(tick.value), width_of(tick.label) * CHAR / 2
        yield straight(x, frame.top, x, foot, "grid")
        yield words(tick.label, min(x, right + _RIGHT - half), foot + _LINE, anchor="middle", classes="d")
    yield straight(frame.left, frame.top, frame.left, foot, "axis")
    yield straight(frame.left, foot, right, foot, "axis")
    title = clean(title_of(plot.x), style)
    half = min(width_of(title) * CHAR, frame.width) / 2
    yield from _title(title, frame.left + frame.width / 2 - half, foot + 2 * _LINE, frame)


def _title(text: str, x: float, y: float, frame: Frame) -> Iterator[str]:
    if text:
        most = int((frame.left + frame.width - x) / CHAR)
        yield words(shorten(text, most, unicode=frame.style.unicode), x, y)


def _items(frame: Frame) -> Iterator[_Item]:
    """Yield the legend: areas from the lowest up, lines, points with their number."""
    found = frame.found
    most = int(frame.width / CHAR / 2)

    def label(text: str) -> str:
        return shorten(clean(text, frame.style), most, unicode=frame.style.unicode)

    if found.stack:
        for series, opacity in zip(found.stack.series, opacities(found.stack), strict=True):
            yield _Item(swatch(_SWATCH, 10, hue(series), opacity), label(series.label))
    for index, shown in enumerate(found.lines):
        yield _Item(polyline(index, [(1, 0), (_SWATCH - 1, 0)], hue(shown.series)), label(shown.series.label))
    for index, shown in enumerate(found.points):
        said = f"{label(shown.series.label)} ({len(shown.points)})"
        yield _Item(marker(index, _SWATCH / 2, 0, hue(shown.series)), said)


def _rows(items: Iterator[_Item], width: float) -> list[list[_Item]]:
    """Break the legend into rows."""
    rows: list[list[_Item]] = []
    room = 0.0
    for item in items:
        if not rows or item.width > room:
            rows.append([])
            room = width
        rows[-1].append(item)
        room -= item.width + _GAP
    return rows


def _row(items: Sequence[_Item], y: float) -> Iterator[str]:
    x = 0.0
    for item in items:
        yield f'<g class="legend" transform="translate({x:.10g} {y:.10g})">{item.swatch}'
        yield f"{words(item.label, _SWATCH + 6, 4)}</g>"
        x += round(item.width + _GAP, 2)


def _below(texts: Sequence[str], y: float, width: float) -> tuple[float, tuple[str, ...]]:
    """Write sentences from a base line on; return also where the picture ends."""
    lines = [part for text in texts if text for part in wrap(text, int(width / CHAR))]
    drawn = tuple(words(text, 0, y + number * _LINE, classes="d") for number, text in enumerate(lines))
    return y + (len(lines) - 1) * _LINE + 8, drawn
