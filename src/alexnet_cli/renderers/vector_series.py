"""The series and marks of a vector plot, placed in its frame."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import groupby, pairwise

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.document import Axis, Mark, Series
from alexnet_cli.graphics.lines import of_bar
from alexnet_cli.graphics.text import Style, clean, shorten, width_of
from alexnet_cli.renderers.plot_data import Drawable, Shown, Stack, tallest
from alexnet_cli.renderers.plot_tables import number
from alexnet_cli.renderers.vector_shapes import CHAR, Run, marker, polyline, px, ring, sensed, steps, words

_COLUMN = 1.5
_COINCIDENT = 3.0
_MOST_NAMES = 6
_LEAST_WORD = 8
_ASIDE = 9
_FADED = (1.0, 0.6, 0.35)


class Frame(Struct, frozen=True):
    """Where a plot's axes stand in its picture, in pixels, y downward, and the style it is written in."""

    found: Drawable
    style: Style
    left: float
    top: float
    width: float
    height: float

    def x(self, value: float) -> float:
        """Return where a number stands from the picture's left."""
        return self.left + min(max(self.found.x.place(value), 0.0), 1.0) * self.width

    def y(self, value: float) -> float:
        """Return where a number stands from the picture's top; what a log axis has no place for is at its foot."""
        if self.found.y.log and value <= 0:
            return self.top + self.height
        return self.top + (1 - min(max(self.found.y.place(value), 0.0), 1.0)) * self.height

    @property
    def columns(self) -> int:
        """How many steps areas may have before they are thinned."""
        return int(self.width / _COLUMN)


def hue(series: Series) -> str:
    """Return the colour of a series."""
    color = of_bar(series.family).color
    return color.name if color else "#808080"


def opacities(stack: Stack) -> list[float]:
    """Let areas of one colour fade from each to the next, so that they can be told apart."""
    met: Counter[str] = Counter()
    found = []
    for series in stack.series:
        found.append(_FADED[min(met[hue(series)], len(_FADED) - 1)])
        met[hue(series)] += 1
    return found


def series_drawn(frame: Frame) -> Iterator[str]:
    """Draw areas, lines over them, points over these, and marks over all."""
    found = frame.found
    if found.stack:
        yield from _areas(found.stack, frame)
    for index, shown in enumerate(found.lines):
        if shown.points:
            places = [(frame.x(x), frame.y(y)) for x, y in shown.points]
            yield polyline(index, places, hue(shown.series), told=clean(shown.series.label, frame.style))
    yield from _points(frame)
    for mark in found.marks:
        yield from _mark(mark, frame)


def _areas(stack: Stack, frame: Frame) -> Iterator[str]:
    spans = list(_spans(stack, frame))
    for place, (series, opacity) in enumerate(zip(stack.series, opacities(stack), strict=True)):
        runs: list[Run] = [
            (left, right, frame.y(stack.tops[index][place]), frame.y(stack.tops[index][place - 1] if place else 0.0))
            for index, left, right in spans
        ]
        if path := steps(runs, hue(series), opacity):
            yield path
    for index, left, right in spans:
        yield sensed(left, frame.top, right - left, frame.height, _told_of_place(stack, index, frame))


def _spans(stack: Stack, frame: Frame) -> Iterator[tuple[int, float, float]]:
    """Yield which place of the stack is drawn from where to where: each as it is, or the highest of a column."""
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


def _told_of_place(stack: Stack, index: int, frame: Frame) -> str:
    plot, tops = frame.found.plot, stack.tops[index]
    where = f"{clean(plot.x.label, frame.style)} {_written(stack.x[index], plot.x)}".strip()
    lines = [where, clean(stack.names[index], frame.style), _written(tops[-1], plot.y)]
    for series, bottom, top in zip(stack.series, (0.0, *tops), tops, strict=False):
        if top > bottom and len(stack.series) > 1:
            lines.append(f"{clean(series.label, frame.style)}: {_written(top - bottom, plot.y)}")
    return "\n".join(filter(None, lines))


def _points(frame: Frame) -> Iterator[str]:
    """Draw points; those of one series at one place once, and those of several as rings around one another."""
    at: defaultdict[tuple[str, str], dict[int, list[int]]] = defaultdict(dict)
    for series, shown in enumerate(frame.found.points):
        for index, (x, y) in enumerate(shown.points):
            at[px(frame.x(x)), px(frame.y(y))].setdefault(series, []).append(index)
    for series, shown in enumerate(frame.found.points):
        for (across, down), here in at.items():
            if series in here:
                above = sum(other > series for other in here)
                told = _told_of_points(shown, here[series], frame)
                bigger = _COINCIDENT * above
                yield marker(series, float(across), float(down), hue(shown.series), told=told, bigger=bigger)


def _told_of_points(shown: Shown, here: list[int], frame: Frame) -> str:
    names = [clean(name, frame.style) for name in (shown.names[index] for index in here) if name]
    listed = ", ".join(names[:_MOST_NAMES])
    if len(names) > _MOST_NAMES:
        listed += f" and {len(names) - _MOST_NAMES} more"
    x, y = shown.points[here[0]]
    label = clean(shown.series.label, frame.style)
    counted = f" ({len(here)})" if len(here) > 1 else ""
    where = f"{_written(x, frame.found.plot.x)}, {_written(y, frame.found.plot.y)}"
    return "\n".join(filter(None, (f"{label}{counted}", listed, where)))


def _mark(mark: Mark, frame: Frame) -> Iterator[str]:
    """Draw a ring, and its label on the side where it fits, shortened where it fits on neither."""
    x, y = frame.x(mark.x), frame.y(mark.y)
    text = clean(mark.label, frame.style)
    yield ring(x, y, text)
    after, before = frame.left + frame.width - x - _ASIDE, x - frame.left - _ASIDE
    right = width_of(text) * CHAR <= after or after >= before
    most = max(int((after if right else before) / CHAR), _LEAST_WORD)
    shown = shorten(text, most, unicode=frame.style.unicode)
    aside = _ASIDE if right else -_ASIDE
    yield words(shown, x + aside, y - _ASIDE, anchor="start" if right else "end", classes="said")


def _written(value: float, axis: Axis) -> str:
    return units.text(number(value), axis.unit)
