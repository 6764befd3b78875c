"""Prepares a plot for drawing, in cells or as SVG: which of its points can be drawn, and on which scales."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.document import Axis, Mark, Plot, Series, Value
from alexnet_cli.graphics.scale import LARGEST, SMALLEST, Scale, spanning

_MARGIN = 0.04
_HEADROOM = 0.09
_NEAR = 1e-6
_EXACT = 2**53


class Shown(Struct, frozen=True):
    """A series of points or a line, with the points that can be drawn and their names."""

    series: Series
    points: tuple[tuple[float, float], ...]
    names: tuple[str, ...]


class Stack(Struct, frozen=True):
    """Stacked areas: at the i-th x, area k reaches `tops[i][k]`, from `edges[i]` to `edges[i+1]`.

    An area that has no point at some x adds nothing there.
    """

    series: tuple[Series, ...]
    x: tuple[float, ...]
    edges: tuple[float, ...]
    tops: tuple[tuple[float, ...], ...]
    names: tuple[str, ...]

    def total(self, index: int) -> float:
        """Return the height of all areas together."""
        return self.tops[index][-1]


class Drawable(Struct, frozen=True):
    """A plot without the points that cannot be drawn; `left_out` says which these were."""

    plot: Plot
    x: Scale
    y: Scale
    points: tuple[Shown, ...]
    lines: tuple[Shown, ...]
    stack: Stack | None
    marks: tuple[Mark, ...]
    left_out: str


def drawable(plot: Plot) -> Drawable | None:
    """Prepare a plot; return None if none of it can be drawn."""
    missing: Counter[str] = Counter()
    apart = [_shown(series, plot, missing) for series in plot.series if series.kind != "area"]
    stack = _stack([series for series in plot.series if series.kind == "area"], plot, missing)
    at_marks = [(mark.x, mark.y) for mark in plot.marks]
    marks = tuple(plot.marks[i] for i in _placed(at_marks, plot, missing))
    places = [point for shown in apart for point in shown.points]
    if not places and stack is None:
        return None
    places += [(mark.x, mark.y) for mark in marks]
    return Drawable(
        plot,
        _x_scale(plot.x, places, stack),
        _y_scale(plot.y, places, stack),
        tuple(shown for shown in apart if shown.series.kind == "points"),
        tuple(shown for shown in apart if shown.series.kind == "line"),
        stack,
        marks,
        _sentence(missing),
    )


def left_out(plot: Plot) -> str:
    """Say which points of a plot its axes cannot show."""
    missing: Counter[str] = Counter()
    for series in plot.series:
        list(_placed(series.points, plot, missing, area=series.kind == "area"))
    list(_placed([(mark.x, mark.y) for mark in plot.marks], plot, missing))
    return _sentence(missing)


def whole(value: float) -> Value:
    """Return a coordinate as a cell: whole numbers as such, None for what is not finite."""
    if not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() and abs(value) < _EXACT else value


def name_at(series: Series, index: int) -> str:
    """Return the name of a point, empty where it has none."""
    return series.names[index] if index < len(series.names) else ""


def tallest(stack: Stack, scale: Scale, columns: int) -> list[int | None]:
    """Divide the axis into columns of equal width; return the index in the stack that each column shows, or None.

    A column shows the highest stack that falls into it, the first of equals, so that no peak is lost.
    """
    found: list[int | None] = [None] * columns
    ends = [scale.place(edge) * columns for edge in stack.edges]
    for index, (start, end) in enumerate(pairwise(ends)):
        first = min(math.floor(start + _NEAR), columns - 1)
        last = min(max(math.ceil(end - _NEAR) - 1, first), columns - 1)
        for column in range(max(first, 0), last + 1):
            before = found[column]
            if before is None or stack.total(index) > stack.total(before):
                found[column] = index
    return found


def thinned(stack: Stack | None, columns: int) -> str:
    """Say so if areas have more points than the picture has columns."""
    if stack is None or len(stack.x) <= columns:
        return ""
    return f"{units.count(len(stack.x))} points in {units.count(columns)} columns: each column shows the highest"


def _x_scale(axis: Axis, places: Sequence[tuple[float, float]], stack: Stack | None) -> Scale:
    """Span all x. Areas reach both ends of the axis; points keep clear of the frame."""
    values = [x for x, _ in places]
    if stack is None:
        return spanning(axis, values, below=_MARGIN, above=_MARGIN)
    return spanning(axis, [*values, stack.edges[0], stack.edges[-1]])


def _y_scale(axis: Axis, places: Sequence[tuple[float, float]], stack: Stack | None) -> Scale:
    """Span all y. Areas stand on zero, with room above for the label of their peak."""
    values = [y for _, y in places]
    if stack is None:
        return spanning(axis, values, below=_MARGIN, above=_MARGIN)
    totals = [stack.total(index) for index in range(len(stack.x))]
    if axis.log:
        return spanning(axis, [*values, *filter(None, totals)], below=_HEADROOM, above=_HEADROOM)
    return spanning(axis, [*values, 0.0, *totals], above=_HEADROOM)


def _shown(series: Series, plot: Plot, missing: Counter[str]) -> Shown:
    kept = list(_placed(series.points, plot, missing))
    return Shown(series, tuple(series.points[i] for i in kept), tuple(name_at(series, i) for i in kept))


def _stack(areas: Sequence[Series], plot: Plot, missing: Counter[str]) -> Stack | None:
    heights: list[dict[float, float]] = []
    names: dict[float, str] = {}
    for series in areas:
        height: dict[float, float] = {}
        for index in _placed(series.points, plot, missing, area=True):
            x, y = series.points[index]
            height[x] = max(y, height.get(x, 0.0))
            names[x] = names.get(x) or name_at(series, index)
        heights.append(height)
    every = tuple(sorted(names))
    tops = tuple(tuple(accumulate(height.get(x, 0.0) for height in heights)) for x in every)
    if not any(top[-1] for top in tops) and (plot.y.log or not every):
        return None
    return Stack(tuple(areas), every, _edges(plot.x, every), tops, tuple(names[x] for x in every))


def _edges(axis: Axis, every: Sequence[float]) -> tuple[float, ...]:
    """Return where areas step from one x to the next: halfway, and as far beyond the first and the last."""
    scale = Scale(0.0, 0.0, axis.unit, axis.log)
    along = [scale.along(x) for x in every]
    between = [(left + right) / 2 for left, right in pairwise(along)]
    if not between:
        half = 0.5 if axis.log else max(abs(along[0]) / 1000, 0.5)
        return scale.back(along[0] - half), scale.back(along[0] + half)
    first, last = 2 * along[0] - between[0], 2 * along[-1] - between[-1]
    return tuple(scale.back(value) for value in (first, *between, last))


def _placed(
    points: Sequence[tuple[float, float]], plot: Plot, missing: Counter[str], *, area: bool = False
) -> Iterator[int]:
    """Yield the indexes of points that can be drawn; count the others by reason."""
    for index, (x, y) in enumerate(points):
        reason = _obstacle(x, log=plot.x.log) or _obstacle(y, log=plot.y.log and not (area and y == 0))
        if not reason and area and y < 0:
            reason = "negative in an area"
        if reason:
            missing[reason] += 1
        else:
            yield index


def _obstacle(value: float, *, log: bool) -> str:
    if not math.isfinite(value):
        return "not finite"
    if log and value <= 0:
        return "not positive on a log axis"
    if abs(value) > LARGEST or (log and value < SMALLEST):
        return "out of range"
    return ""


def _sentence(missing: Counter[str]) -> str:
    said = [f"{number} point{'' if number == 1 else 's'} {reason}" for reason, number in sorted(missing.items())]
    return f"not shown: {', '.join(said)}" if said else ""
