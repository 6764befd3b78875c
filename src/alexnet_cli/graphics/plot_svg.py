"""A plot as SVG: for pictures, and for pages, where its points and stretches of its x axis can stand for layers.

Hues are the same on light and dark pages; everything else takes its colours from the page, through classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.document import Plot
from alexnet_cli.graphics.palette import Page
from alexnet_cli.graphics.plot import drawable, left_out, thinned
from alexnet_cli.graphics.plot_marks import (
    FONT,
    Band,
    Frame,
    filled,
    in_picture,
    marked,
    marker,
    opacities,
    polyline,
)
from alexnet_cli.graphics.scale import Tick, fitting_ticks, ticks, title_of
from alexnet_cli.graphics.svg import Drawing, element, number, straight, words
from alexnet_cli.graphics.text import Style, Width, clean, shorten, wrap

HEIGHT, FLATTEST = 288, 0.6
"""The height of a frame, and its most as a share of a narrow picture's width."""
_TOP = 24
_RIGHT = 12
_LINE = 18
_ROW = 16
_GAP = 16
_SWATCH = 16
_LABEL = 0.75  # the most of a frame that a label of the legend takes
_MOST_Y_TICKS = 7


class Divider(Struct, frozen=True):
    """A place on the x axis where a phase begins, and its name."""

    x: float
    label: str


class _Item(Struct, frozen=True):
    """A legend entry: a swatch drawn around (0, 0), its label, and the width of both."""

    swatch: str
    label: str
    width: float


def rules(scope: str, page: Page) -> str:
    """Return the style rules of the plots inside `scope`, in the colours of a page."""
    declared = {
        "text": f"fill: {page.ink}; font-size: {FONT}px;",
        ".d": f"fill: {page.dim};",
        ".grid": f"stroke: {page.faint};",
        ".axis": f"stroke: {page.dim};",
        ".divider": f"stroke: {page.dim}; stroke-dasharray: 4 3;",
        ".line": "fill: none; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round;",
        ".point": f"stroke: {page.background}; stroke-width: 0.75;",
        ".ring": f"fill: none; stroke: {page.ink}; stroke-width: 1.5;",
        ".said": f"stroke: {page.background}; stroke-width: 4; stroke-linejoin: round; paint-order: stroke;",
        ".pointed": "fill-opacity: 0;",
    }
    return "\n".join(f"{scope} {selector} {{ {text} }}" for selector, text in declared.items())


def draw(
    plot: Plot,
    width: float,
    style: Style,
    *,
    layers: Mapping[str, str] | None = None,
    bands: Sequence[Band] = (),
    dividers: Sequence[Divider] = (),
    measure: Width = in_picture,
) -> Drawing:
    """Draw a plot without its title, `width` pixels wide: the frame, the legend, and notes below.

    In a page, `layers` maps the points' names that are paths of layers to their tooltips, and `measure` is that of the
    page's font.
    """
    found = drawable(plot)
    if found is None:
        foot, lines = _below(["no points", left_out(plot)], 12, width, measure)
        return Drawing(width, foot, lines)
    labels = ticks(found.y, _MOST_Y_TICKS)
    left = max(measure(tick.label) for tick in labels) + 8
    size = width - left - _RIGHT, min(HEIGHT, FLATTEST * width)
    frame = Frame(found, style, left, _TOP, *size, bands, layers or {}, measure)
    rows = _divider_rows(dividers, frame)
    frame = replace(frame, top=_TOP + _ROW * (max(rows, default=-1) + 1))
    between = _dividers(dividers, rows, frame)
    foot = frame.foot + (2 if title_of(plot.x) else 1) * _LINE
    legend_rows = _rows(_items(frame), width)
    legend = [entry for row, items in enumerate(legend_rows, 1) for entry in _row(items, foot + row * (_LINE + 2))]
    foot += len(legend_rows) * (_LINE + 2) + _LINE + 6
    height, notes = _below([thinned(found.stack, frame.columns), found.left_out], foot, width, measure)
    return Drawing(width, height, (*_axes(frame, labels), *marked(frame, between), *legend, *notes))


def described(plot: Plot, style: Style) -> str:
    """Describe a plot in words, for screen readers."""
    kinds = {"points": "points", "line": "a line", "area": "a stacked area"}
    axes = (f"{way}: {title_of(axis)}" for way, axis in (("x", plot.x), ("y", plot.y)) if title_of(axis))
    series = (f"{series.label}, {kinds[series.kind]}" for series in plot.series)
    marks = (f"marked: {mark.label}" for mark in plot.marks)
    title = plot.title or plot.name.replace("_", " ").capitalize()
    return clean("; ".join((title, *axes, *series, *marks)), style)


def _axes(frame: Frame, labels: Sequence[Tick]) -> Iterator[str]:
    """Draw the grid, the axes, their ticks and titles."""
    plot, style, measure = frame.found.plot, frame.style, frame.measure
    yield from _title(clean(title_of(plot.y), style), 0, 12, frame)
    for tick in labels:
        y = frame.y(tick.value)
        yield straight(frame.left, y, frame.right, y, "grid")
        yield words(tick.label, frame.left - 8, y + 4, text_anchor="end", class_="d")
    for tick in fitting_ticks(frame.found.x, frame.width, measure, _GAP):
        x, half = frame.x(tick.value), measure(tick.label) / 2
        yield straight(x, frame.top, x, frame.foot, "grid")
        yield words(
            tick.label, min(x, frame.right + _RIGHT - half), frame.foot + _LINE, text_anchor="middle", class_="d"
        )
    yield straight(frame.left, frame.top, frame.left, frame.foot, "axis")
    yield straight(frame.left, frame.foot, frame.right, frame.foot, "axis")
    title = clean(title_of(plot.x), style)
    half = min(measure(title), frame.width) / 2
    yield from _title(title, frame.left + frame.width / 2 - half, frame.foot + 2 * _LINE, frame)


def _title(text: str, x: float, y: float, frame: Frame) -> Iterator[str]:
    if text:
        yield words(shorten(text, frame.right - x, unicode=frame.style.unicode, measure=frame.measure), x, y)


def _divider_rows(dividers: Sequence[Divider], frame: Frame) -> list[int]:
    """Return the row above the frame for each label: the lowest in which it does not overlap those before."""
    ends: list[float] = []
    rows = []
    for divider in dividers:
        length = frame.measure(divider.label) + 8
        x = frame.x(divider.x)
        start = x if x + length <= frame.right else x - length
        row = next((row for row, end in enumerate(ends) if end <= start), len(ends))
        ends[row : row + 1] = [start + length]
        rows.append(row)
    return rows


def _dividers(dividers: Sequence[Divider], rows: Sequence[int], frame: Frame) -> Iterator[str]:
    """Draw vertical lines with their labels above."""
    for divider, row in zip(dividers, rows, strict=True):
        x, label = frame.x(divider.x), clean(divider.label, frame.style)
        before = x + frame.measure(label) + 8 > frame.right
        y = frame.top - 6 - row * _ROW
        yield straight(x, frame.top, x, frame.foot, "divider")
        yield words(label, x - 4 if before else x + 4, y, text_anchor="end" if before else "", class_="d")


def _items(frame: Frame) -> Iterator[_Item]:
    """Yield the legend: areas from the lowest up, lines, and points with their count."""
    found = frame.found

    def item(swatch: str, text: str, note: str = "") -> _Item:
        shown = shorten(
            clean(text, frame.style), frame.width * _LABEL, unicode=frame.style.unicode, measure=frame.measure
        )
        return _Item(swatch, shown + note, _SWATCH + 6 + frame.measure(shown + note))

    if found.stack:
        for series, opacity in zip(found.stack.series, opacities(found.stack), strict=True):
            swatch = element("rect", x=0, y=-5, width=_SWATCH, height=10, **filled(series, opacity))
            yield item(swatch, series.label)
    for index, shown in enumerate(found.lines):
        yield item(polyline(index, [(1, 0), (_SWATCH - 1, 0)], shown.series), shown.series.label)
    for index, shown in enumerate(found.points):
        yield item(marker(index, _SWATCH / 2, 0, shown.series), shown.series.label, f" ({len(shown.points)})")


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
        place = f"translate({number(x)} {number(y)})"
        yield element("g", item.swatch, words(item.label, _SWATCH + 6, 4), class_="legend", transform=place)
        x += item.width + _GAP


def _below(texts: Sequence[str], y: float, width: float, measure: Width) -> tuple[float, tuple[str, ...]]:
    """Write sentences, the first on the base line `y`; return also where the picture ends."""
    lines = [part for text in texts if text for part in wrap(text, width, measure)]
    drawn = tuple(words(text, 0, y + number * _LINE, class_="d") for number, text in enumerate(lines))
    return y + (len(lines) - 1) * _LINE + 8, drawn
