"""A plot as SVG: for pictures, and for pages, where its points and stretches of its x axis can stand for layers.

Hues are the same on light and dark pages; everything else takes its colours from the page, through classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from alexnet_cli.document import Plot
from alexnet_cli.graphics.palette import Page
from alexnet_cli.graphics.plot import drawable, left_out, thinned
from alexnet_cli.graphics.plot_marks import FONT, Band, Frame, filled, in_picture, marked, marker, polyline
from alexnet_cli.graphics.scale import Tick, fitting_ticks, ticks, title_of
from alexnet_cli.graphics.svg import Drawing, element, number, straight, words
from alexnet_cli.graphics.text import Style, Width, clean, fit, in_rows, wrap

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
    dividers: Sequence[tuple[float, str]] = (),
    measure: Width = in_picture,
) -> Drawing:
    """Draw a plot without its title, `width` pixels wide: the frame, the legend, and notes below.

    In a page, `layers` maps the points' names that are paths of layers to their tooltips, `dividers` are where phases
    begin, by x, with their names, and `measure` is that of the page's font.
    """
    found = drawable(plot)
    if found is None:
        foot, lines = _below(["no points", left_out(plot)], 12, width, measure)
        return Drawing(width, foot, lines)
    labels = ticks(found.y, _MOST_Y_TICKS)
    left = max(measure(tick.label) for tick in labels) + 8
    size = width - left - _RIGHT, min(HEIGHT, FLATTEST * width)
    frame = Frame(found, style, left, _TOP, *size, bands, layers or {}, measure)
    heads = _heads(dividers, frame)
    frame = replace(frame, top=_TOP + _ROW * (max((row for *_, row in heads), default=-1) + 1))
    foot, legend = _legend(frame, width, frame.foot + (2 if title_of(plot.x) else 1) * _LINE)
    notes = [thinned(found.stack, frame.columns), left_out(plot)]
    height, said = _below(notes, foot + _LINE + 6, width, measure)
    return Drawing(width, height, (*_axes(frame, labels), *marked(frame, _dividers(heads, frame)), *legend, *said))


def described(plot: Plot, style: Style) -> str:
    """Describe a plot in words, for screen readers."""
    kinds = {"points": "points", "line": "a line", "area": "a stacked area"}
    axes = (f"{way}: {title_of(axis)}" for way, axis in (("x", plot.x), ("y", plot.y)) if title_of(axis))
    series = (f"{series.label}, {kinds[series.kind]}" for series in plot.series)
    marks = (f"marked: {mark.label}" for mark in plot.marks)
    title = plot.title or plot.name.replace("_", " ").capitalize()
    return clean("; ".join((title, *axes, *series, *marks)), style)


def _axes(frame: Frame, labels: Sequence[Tick]) -> Iterator[str]:
    plot, style, measure = frame.found.plot, frame.style, frame.measure
    yield from _title(title_of(plot.y), 0, 12, frame)
    for tick in labels:
        y = frame.y(tick.value)
        yield straight(frame.left, y, frame.right, y, "grid")
        yield words(tick.label, frame.left - 8, y + 4, text_anchor="end", class_="d")
    for tick in fitting_ticks(frame.found.x, frame.width, measure, _GAP):
        x, half = frame.x(tick.value), measure(tick.label) / 2
        yield straight(x, frame.top, x, frame.foot, "grid")
        middle = min(x, frame.right + _RIGHT - half)
        yield words(tick.label, middle, frame.foot + _LINE, text_anchor="middle", class_="d")
    yield straight(frame.left, frame.top, frame.left, frame.foot, "axis")
    yield straight(frame.left, frame.foot, frame.right, frame.foot, "axis")
    half = min(measure(clean(title_of(plot.x), style)), frame.width) / 2
    yield from _title(title_of(plot.x), frame.left + frame.width / 2 - half, frame.foot + 2 * _LINE, frame)


def _title(text: str, x: float, y: float, frame: Frame) -> Iterator[str]:
    if shown := fit(text, frame.right - x, frame.style, frame.measure):
        yield words(shown, x, y)


def _heads(dividers: Sequence[tuple[float, str]], frame: Frame) -> list[tuple[float, str, bool, int]]:
    """Return of each divider its x, its label, whether this stands before the line, and the lowest row with room."""
    ends: list[float] = []
    heads = []
    for start_of, name in dividers:
        x, label = frame.x(start_of), clean(name, frame.style)
        length = frame.measure(label) + 8
        before = x + length > frame.right
        start = x - length if before else x
        row = next((row for row, end in enumerate(ends) if end <= start), len(ends))
        ends[row : row + 1] = [start + length]
        heads.append((x, label, before, row))
    return heads


def _dividers(heads: Sequence[tuple[float, str, bool, int]], frame: Frame) -> Iterator[str]:
    for x, label, before, row in heads:
        y = frame.top - 6 - row * _ROW
        yield straight(x, frame.top, x, frame.foot, "divider")
        yield words(label, x - 4 if before else x + 4, y, text_anchor="end" if before else "", class_="d")


def _items(frame: Frame) -> Iterator[tuple[str, str]]:
    """Yield the swatch of each series, drawn around (0, 0), and its label."""
    for place, series, note in frame.found.legend():
        if series.kind == "line":
            swatch = polyline(place, [(1, 0), (_SWATCH - 1, 0)], series)
        elif series.kind == "area" and frame.found.stack:
            swatch = element("rect", x=0, y=-5, width=_SWATCH, height=10, **filled(frame.found.stack, place))
        else:
            swatch = marker(place, _SWATCH / 2, 0, series)
        yield swatch, fit(series.label, frame.width * _LABEL, frame.style, frame.measure) + note


def _legend(frame: Frame, width: float, y: float) -> tuple[float, list[str]]:
    """Draw the legend in rows below `y`; return also the base line of the last."""

    def size(item: tuple[str, str]) -> float:
        return _SWATCH + 6 + frame.measure(item[1])

    drawn = []
    for row in in_rows(_items(frame), size, width, _GAP):
        x, y = 0.0, y + _LINE + 2
        for swatch, label in row:
            place = f"translate({number(x)} {number(y)})"
            drawn.append(element("g", swatch, words(label, _SWATCH + 6, 4), class_="legend", transform=place))
            x += size((swatch, label)) + _GAP
    return y, drawn


def _below(texts: Sequence[str], y: float, width: float, measure: Width) -> tuple[float, tuple[str, ...]]:
    """Write sentences, the first on the base line `y`; return also where the picture ends."""
    lines = [part for text in texts if text for part in wrap(text, width, measure)]
    drawn = tuple(words(text, 0, y + number * _LINE, class_="d") for number, text in enumerate(lines))
    return y + (len(lines) - 1) * _LINE + 8, drawn
