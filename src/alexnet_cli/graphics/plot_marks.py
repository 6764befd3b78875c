"""What an SVG plot draws inside its frame: areas, lines, points and marks, with their tooltips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.document import Axis, Mark, Series
from alexnet_cli.graphics.palette import hue
from alexnet_cli.graphics.plot import Drawable, Stack, tallest, whole
from alexnet_cli.graphics.svg import element, number, tied, tooltip_of, words
from alexnet_cli.graphics.text import Style, Width, clean, sans, shorten, width_of

FONT = 12
CHAR = 7.3
"""The most that a character of a monospaced font of that size is wide, in pixels."""

_RADIUS = 4.0
_COLUMN = 1.5
_COINCIDENT = 3.0
_MOST_NAMES = 6
_LEAST_WORD = 60
_ASIDE = 9
_FADED = (0.6, 0.35)
_SHAPES = (
    "M-{r} 0a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z",  # circle
    "M0 -{w}L{w} {r}H-{w}z",  # triangle
    "M-{s} -{s}H{s}V{s}H-{s}z",  # square
    "M0 -{w}L{w} 0L0 {w}L-{w} 0z",  # diamond
    "M0 {w}L{w} -{r}H-{w}z",  # triangle, point down
    "M-{w} -{t}H-{t}V-{w}H{t}V-{t}H{w}V{t}H{t}V{w}H-{t}V{t}H-{w}z",  # cross
)
_DASHES = ("", "7 4", "2 4")

Run = tuple[float, float, float, float]
"""A piece of an area: its left, right, top and bottom edge."""


def in_picture(text: str) -> float:
    """Measure a plot's text in a picture, whose font is monospaced."""
    return width_of(text) * CHAR


in_page = sans(FONT)
"""Measures a text of a plot in a page."""


class Band(Struct, frozen=True):
    """A stretch of the x axis during which the layer `path` runs."""

    path: str
    tooltip: str
    start: float
    end: float


class Frame(Struct, frozen=True):
    """A plot's frame in its picture, in pixels; in a page, `bands` and points named in `layers` stand for layers."""

    found: Drawable
    style: Style
    left: float
    top: float
    width: float
    height: float
    bands: Sequence[Band] = ()
    layers: Mapping[str, str] = {}
    measure: Width = in_picture

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def foot(self) -> float:
        """The bottom edge, where the x axis is."""
        return self.top + self.height

    @property
    def columns(self) -> int:
        """The most steps an area has before it is thinned."""
        return int(self.width / _COLUMN)

    def x(self, value: float) -> float:
        """Return the x coordinate of a number."""
        return self.left + self.found.x.within(value) * self.width

    def y(self, value: float) -> float:
        """Return the y coordinate of a number; numbers that a log axis cannot show stand at its foot."""
        if self.found.y.log and value <= 0:
            return self.foot
        return self.top + (1 - self.found.y.within(value)) * self.height


def marked(frame: Frame, between: Iterable[str]) -> Iterator[str]:
    """Draw areas, the elements `between`, then lines, points and marks on top."""
    found = frame.found
    if found.stack:
        yield from _areas(found.stack, frame)
    yield from between
    for index, series in enumerate(found.lines):
        if series.points:
            places = [(frame.x(x), frame.y(y)) for x, y in series.points]
            yield polyline(index, places, series, tooltip=clean(series.label, frame.style))
    for band in frame.bands:
        left, right = frame.x(band.start), frame.x(band.end)
        yield _pointed("hit", left, right, frame, band.tooltip, **tied([band.path]))
    yield from _points(frame)
    for mark in found.marks:
        yield from _mark(mark, frame)


def filled(stack: Stack, place: int) -> dict[str, str]:
    """Return the attributes of an area's fill; areas of one colour fade from each to the next, so that they differ."""
    color = hue(stack.series[place].family)
    met = sum(hue(series.family) == color for series in stack.series[:place])
    return {"fill": color, **({"fill_opacity": f"{_FADED[min(met, len(_FADED)) - 1]:g}"} if met else {})}


def marker(
    index: int, x: float, y: float, series: Series, *, tooltip: str = "", bigger: float = 0.0, paths: Sequence[str] = ()
) -> str:
    """Draw a point of the index-th series; `paths` are the layers that it stands for."""
    r = _RADIUS + bigger
    sizes = {"r": r, "d": 2 * r, "w": 1.25 * r, "s": 0.9 * r, "t": 0.4 * r}
    written = {name: number(size) for name, size in sizes.items()}
    shape = element("path", d=_SHAPES[index % len(_SHAPES)].format(**written))
    place = {"transform": f"translate({number(x)} {number(y)})", "fill": hue(series.family)}
    return element("g", tooltip_of(tooltip), shape, class_="point hit" if paths else "point", **place, **tied(paths))


def polyline(index: int, places: Sequence[tuple[float, float]], series: Series, *, tooltip: str = "") -> str:
    """Draw the index-th line; a line of one place is a dot."""
    d = "L".join(f"{number(x)} {number(y)}" for x, y in places)
    look = {"stroke": hue(series.family), "stroke_dasharray": _DASHES[index % len(_DASHES)]}
    return element("path", tooltip_of(tooltip), class_="line", **look, d=f"M{d}{'h0' if len(places) == 1 else ''}")


def _areas(stack: Stack, frame: Frame) -> Iterator[str]:
    spans = list(_spans(stack, frame))
    for place in range(len(stack.series)):
        runs: list[Run] = [
            (left, right, frame.y(stack.tops[index][place]), frame.y(stack.tops[index][place - 1] if place else 0.0))
            for index, left, right in spans
        ]
        if d := _steps(runs):
            yield element("path", class_="area", **filled(stack, place), d=d)
    if not frame.bands:
        for index, left, right in spans:
            yield _pointed("pointed", left, right, frame, _place_tooltip(stack, index, frame))


def _spans(stack: Stack, frame: Frame) -> Iterator[tuple[int, float, float]]:
    """Yield indexes of the stack with their left and right edges; where there are many, the highest of each column."""
    if len(stack.x) <= frame.columns:
        for index, (start, end) in enumerate(pairwise(stack.edges)):
            yield index, frame.x(start), frame.x(end)
        return
    step = frame.width / frame.columns
    shown = enumerate(tallest(stack, frame.found.x, frame.columns))
    for index, group in groupby(shown, key=lambda pair: pair[1]):
        columns = [column for column, _ in group]
        if index is not None:
            yield index, frame.left + columns[0] * step, frame.left + (columns[-1] + 1) * step


def _steps(runs: Sequence[Run]) -> str:
    """Return the outline of an area that goes in steps; runs without height are left out."""
    d = ""
    for group in _touching(runs):
        d += f"M{number(group[0][0])} {number(group[0][3])}"
        d += "".join(f"V{number(top)}H{number(right)}" for _, right, top, _ in group)
        d += "".join(f"V{number(bottom)}H{number(left)}" for left, _, _, bottom in reversed(group)) + "z"
    return d


def _touching(runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs that touch; neighbours between the same heights become one."""
    groups: list[list[Run]] = []
    for left, right, top, bottom in runs:
        if bottom <= top:
            continue
        if not groups or number(groups[-1][-1][1]) != number(left):
            groups.append([(left, right, top, bottom)])
        elif groups[-1][-1][2:] == (top, bottom):
            groups[-1][-1] = (groups[-1][-1][0], right, top, bottom)
        else:
            groups[-1].append((left, right, top, bottom))
    return groups


def _pointed(class_: str, left: float, right: float, frame: Frame, tooltip: str, **tie: str) -> str:
    """Lay an invisible rectangle with a tooltip over a stretch of the x axis."""
    size = {"x": left, "y": frame.top, "width": right - left, "height": frame.height}
    return element("rect", tooltip_of(tooltip), class_=class_, **size, **tie)


def _place_tooltip(stack: Stack, index: int, frame: Frame) -> str:
    plot, tops = frame.found.plot, stack.tops[index]
    where = f"{clean(plot.x.label, frame.style)} {_written(stack.x[index], plot.x)}".strip()
    lines = [where, clean(stack.names[index], frame.style), _written(tops[-1], plot.y)]
    for series, bottom, top in zip(stack.series, (0.0, *tops), tops, strict=False):
        if top > bottom and len(stack.series) > 1:
            lines.append(f"{clean(series.label, frame.style)}: {_written(top - bottom, plot.y)}")
    return "\n".join(filter(None, lines))


def _points(frame: Frame) -> Iterator[str]:
    """Draw points: once for all of a series at one pixel, and those of several series as nested shapes."""
    at: defaultdict[tuple[int, int], dict[int, list[int]]] = defaultdict(dict)
    for place, series in enumerate(frame.found.points):
        for index, (x, y) in enumerate(series.points):
            at[round(frame.x(x)), round(frame.y(y))].setdefault(place, []).append(index)
    for place, series in enumerate(frame.found.points):
        for here in at.values():
            if place in here:
                first = next(iter(here))
                x, y = frame.found.points[first].points[here[first][0]]
                bigger = _COINCIDENT * sum(other > place for other in here)
                tooltip, paths = _points_tooltip(series, here[place], frame)
                yield marker(place, frame.x(x), frame.y(y), series, tooltip=tooltip, bigger=bigger, paths=paths)


def _points_tooltip(series: Series, here: list[int], frame: Frame) -> tuple[str, list[str]]:
    """Return the tooltip of points at one place, and the layers that they stand for."""
    names = [name for name in (series.names[index] for index in here) if name]
    if paths := [name for name in names if name in frame.layers]:
        more = f"; and {units.count(len(paths) - 1)} more here" if len(paths) > 1 else ""
        return frame.layers[paths[0]] + more, paths
    listed = ", ".join(clean(name, frame.style) for name in names[:_MOST_NAMES])
    if len(names) > _MOST_NAMES:
        listed += f" and {len(names) - _MOST_NAMES} more"
    x, y = series.points[here[0]]
    label = clean(series.label, frame.style)
    counted = f" ({len(here)})" if len(here) > 1 else ""
    where = f"{_written(x, frame.found.plot.x)}, {_written(y, frame.found.plot.y)}"
    return "\n".join(filter(None, (f"{label}{counted}", listed, where))), []


def _mark(mark: Mark, frame: Frame) -> Iterator[str]:
    """Draw a ring, and its label on the side where it fits, shortened where it fits on neither."""
    x, y = frame.x(mark.x), frame.y(mark.y)
    text = clean(mark.label, frame.style)
    yield element("circle", tooltip_of(text), class_="ring", cx=x, cy=y, r=5)
    after, before = frame.right - x - _ASIDE, x - frame.left - _ASIDE
    right = frame.measure(text) <= after or after >= before
    most = max(after if right else before, _LEAST_WORD)
    shown = shorten(text, most, unicode=frame.style.unicode, measure=frame.measure)
    aside, anchor = (_ASIDE, "") if right else (-_ASIDE, "end")
    yield words(shown, x + aside, y - _ASIDE, text_anchor=anchor, class_="said")


def _written(value: float, axis: Axis) -> str:
    return units.text(whole(value), axis.unit)
