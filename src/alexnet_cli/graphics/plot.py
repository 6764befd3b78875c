"""Prepares a plot for drawing, in cells or as SVG: which of its points can be drawn, and on which scales."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli import units
from alexnet_cli.document import Axis, Mark, Plot, Series, Value
from alexnet_cli.graphics.scale import LARGEST, SMALLEST, Scale, spanning

_MARGIN = 0.04
_HEADROOM = 0.09
_NEAR = 1e-6
_EXACT = 2**53


class Stack(Struct, frozen=True):
    """Stacked areas: at the i-th x, from `edges[i]` to `edges[i+1]`, area k reaches `tops[i][k]`."""

    series: tuple[Series, ...]
    x: tuple[float, ...]
    edges: tuple[float, ...]
    tops: tuple[tuple[float, ...], ...]
    names: tuple[str, ...]

    def total(self, index: int) -> float:
        """Return the height of all areas together."""
        return self.tops[index][-1]


class Drawable(Struct, frozen=True):
    """What of a plot can be drawn, and on which scales."""

    plot: Plot
    x: Scale
    y: Scale
    points: tuple[Series, ...]
    lines: tuple[Series, ...]
    stack: Stack | None
    marks: tuple[Mark, ...]

    def legend(self) -> Iterator[tuple[int, Series, str]]:
        """Yield series by kind, areas from the lowest up, each with its place among its kind and a note."""
        for series in (self.stack.series if self.stack else (), self.lines, self.points):
            for place, one in enumerate(series):
                yield place, one, f" ({len(one.points)})" if one.kind == "points" else ""


def drawable(plot: Plot) -> Drawable | None:
    """Prepare a plot; return None if none of it can be drawn."""
    series = [_kept(series, plot) for series in plot.series]
    points, lines, areas = (tuple(s for s in series if s.kind == kind) for kind in ("points", "line", "area"))
    stack = _stack(areas, plot)
    marks = tuple(mark for mark in plot.marks if not _obstacle((mark.x, mark.y), plot))
    places = [place for series in (*points, *lines) for place in series.points]
    if not places and stack is None:
        return None
    places += [(mark.x, mark.y) for mark in marks]
    return Drawable(plot, *_scales(plot, places, stack), points, lines, stack, marks)


def left_out(plot: Plot) -> str:
    """Say which points of a plot its axes cannot show."""
    places = [(place, series.kind == "area") for series in plot.series for place in series.points]
    places += [((mark.x, mark.y), False) for mark in plot.marks]
    missing = Counter(_obstacle(place, plot, area=area) for place, area in places)
    said = [f"{n} point{'' if n == 1 else 's'} {reason}" for reason, n in sorted(missing.items()) if reason]
    return f"not shown: {', '.join(said)}" if said else ""


def whole(value: float) -> Value:
    """Return a coordinate as a cell: whole numbers as such, None for what is not finite."""
    if not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() and abs(value) < _EXACT else value


def name_at(series: Series, index: int) -> str:
    """Return the name of a point, empty where it has none."""
    return series.names[index] if index < len(series.names) else ""


def tallest(stack: Stack, scale: Scale, columns: int) -> list[int | None]:
    """Divide the axis into columns; return for each the index of the highest stack that falls into it, or None."""
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


def _scales(plot: Plot, places: Sequence[tuple[float, float]], stack: Stack | None) -> tuple[Scale, Scale]:
    """Span all points, clear of the frame; areas reach both ends of x, and stand on zero with room for a label."""
    xs, ys = [x for x, _ in places], [y for _, y in places]
    if stack is None:
        margin = {"below": _MARGIN, "above": _MARGIN}
        return spanning(plot.x, xs, **margin), spanning(plot.y, ys, **margin)
    totals = [stack.total(index) for index in range(len(stack.x))]
    ys += filter(None, totals) if plot.y.log else [0.0, *totals]
    y = spanning(plot.y, ys, below=_HEADROOM if plot.y.log else 0.0, above=_HEADROOM)
    return spanning(plot.x, [*xs, stack.edges[0], stack.edges[-1]]), y


def _kept(series: Series, plot: Plot) -> Series:
    """Leave out the points that cannot be drawn, and name the others."""
    kept = [i for i, place in enumerate(series.points) if not _obstacle(place, plot, area=series.kind == "area")]
    names = tuple(name_at(series, i) for i in kept)
    return replace(series, points=tuple(series.points[i] for i in kept), names=names)


def _stack(areas: tuple[Series, ...], plot: Plot) -> Stack | None:
    heights: list[dict[float, float]] = []
    names: dict[float, str] = {}
    for series in areas:
        height: dict[float, float] = {}
        for (x, y), name in zip(series.points, series.names, strict=True):
            height[x] = max(y, height.get(x, 0.0))
            names[x] = names.get(x) or name
        heights.append(height)
    every = tuple(sorted(names))
    tops = tuple(tuple(accumulate(height.get(x, 0.0) for height in heights)) for x in every)
    if not any(top[-1] for top in tops) and (plot.y.log or not every):
        return None
    return Stack(areas, every, _edges(plot.x, every), tops, tuple(names[x] for x in every))


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


def _obstacle(place: tuple[float, float], plot: Plot, *, area: bool = False) -> str:
    """Say why a point cannot be drawn, if it cannot."""
    x, y = place
    for value, log in ((x, plot.x.log), (y, plot.y.log and not (area and y == 0))):
        if not math.isfinite(value):
            return "not finite"
        if log and value <= 0:
            return "not positive on a log axis"
        if abs(value) > LARGEST or (log and value < SMALLEST):
            return "out of range"
    return "negative in an area" if area and y < 0 else ""
