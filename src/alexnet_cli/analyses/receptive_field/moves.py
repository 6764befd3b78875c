"""Moves along one axis: windows, resampling, slices, places in a larger axis."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from math import prod

from msgspec import Struct

from alexnet_cli.analyses.receptive_field.seen import (
    Axis,
    Factor,
    Seen,
    is_uneven,
    loosened,
    marked,
    mixed,
    moved,
    plain,
    settled,
    stepping,
    with_axis,
    with_reach,
    without_axis,
)


class Window(Struct, frozen=True):
    """How a convolution or pooling moves along an axis."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def taps(self, unit: int) -> Iterable[int]:
        """Return the places that a unit reads."""
        first = unit * self.stride - self.padding
        return range(first, first + self.kernel * self.dilation, self.dilation)


class Resampling(Struct, frozen=True):
    """How new units read old ones where there may be more new ones than old.

    `taps` gives the old places that a new unit reads; `units` new units on they are `moved` further on. Where not
    `tight`, it may read fewer.
    """

    taps: Callable[[int], Iterable[int]]
    units: int
    moved: int
    tight: bool = True


def windowed(seen: Seen, place: int, window: Window, size: int) -> Seen:
    """Slide a window along an axis, which then has `size` units."""
    seen = joined(seen, place)
    if not marked(seen.axes[place]):
        return with_axis(seen, place, plain(size, uneven=is_uneven(seen.axes[place])))
    (factor,) = seen.axes[place]
    seen = loosened(seen) if factor.uneven else seen
    along, step = factor.along or 0, factor.step
    reach = seen.reaches[along]
    if reach is not None:
        at_stride_1 = Window(window.kernel, 1, window.padding, window.dilation)
        reach = reach.through(lambda unit: (unit + step * tap for tap in at_stride_1.taps(0)))
        if len(seen.stepping(along)) > 1 and (window.kernel > 1 or window.padding):
            reach = reach and reach.loosened()  # a map cut into tiles: each tile has its own edges
    axis = (Factor(size, along, step * window.stride),)
    return settled(with_reach(with_axis(seen, place, axis), along, reach))


def resampled(seen: Seen, place: int, how: Resampling, size: int) -> Seen:
    """Replace the units of an axis by `size` others that read them."""
    seen = joined(seen, place)
    if not marked(seen.axes[place]):
        return with_axis(seen, place, plain(size, uneven=is_uneven(seen.axes[place])))
    (factor,) = seen.axes[place]
    seen = loosened(seen) if factor.uneven else seen
    along = factor.along or 0
    reach = seen.reaches[along]
    if len(seen.stepping(along)) > 1 or reach is None:
        return with_axis(mixed(seen, [place]), place, plain(size))
    repeated = reach.through(how.taps, how.units, how.moved)
    if repeated is None:
        repeated = reach.through_map(how.taps, Fraction(how.moved, how.units), size)
    seen = with_reach(with_axis(seen, place, (Factor(size, along),)), along, repeated)
    if repeated is not None and None in repeated.spans:  # units that see nothing see nothing along any axis
        seen = loosened(seen)
    return settled(seen if how.tight else loosened(seen, {along}))


def joined(seen: Seen, place: int) -> Seen:
    """Make an axis one factor that steps along the input, or several that do not; what is neither is mixed."""
    axis = seen.axes[place]
    steps = marked(axis)
    if not steps or len(axis) == 1:
        return seen
    major, *minors = axis
    repeats = prod(factor.size for factor in minors)
    reach = None if major.along is None else seen.reaches[major.along]
    if len(steps) > 1 or major.along is None or reach is None or len(seen.stepping(major.along)) > 1:
        return loosened(mixed(seen, [place]), stepping(axis))
    repeated = reach.through(lambda unit: (unit // repeats,), repeats, 1)
    seen = with_reach(with_axis(seen, place, (Factor(major.size * repeats, major.along),)), major.along, repeated)
    return settled(loosened(seen) if is_uneven(axis) else seen)


def sliced(seen: Seen, place: int, first: int, step: int, size: int) -> Seen:
    """Take `size` units of an axis from `first` on, each `step` after the one before."""
    axis = seen.axes[place]
    if not axis or (size == prod(factor.size for factor in axis) and step == 1):
        return seen
    major, *minors = axis
    inner = prod(factor.size for factor in minors)
    if not marked(axis):
        taken: Axis = plain(size, uneven=is_uneven(axis))
    elif inner == 1 or (step == 1 and first % inner == 0 and size % inner == 0):
        if major.along is not None:
            seen = moved(seen, major.along, first // inner * major.step)
        taken = (Factor(size // inner, major.along, major.step * step, major.uneven), *minors)
    else:
        return loosened(with_axis(mixed(seen, [place]), place, plain(size)), stepping(axis))
    seen = settled(with_axis(seen, place, taken))
    return loosened(seen) if major.uneven or (not marked(axis) and is_uneven(axis)) else seen


def selected(seen: Seen, place: int, index: int) -> Seen:
    """Take one unit of an axis, which is then gone."""
    one = sliced(seen, place, index, 1, 1)
    return without_axis(one, place)


def placed(seen: Seen, before: int, size: int, *, place: int) -> Seen:
    """Put the axis at a place into one of `size` units, `before` of them in front."""
    return windowed(seen, place, Window(1, padding=before), size)


def flipped(seen: Seen, place: int) -> Seen:
    """Turn an axis round."""
    size = seen.shape[place]
    return resampled(seen, place, Resampling(lambda unit: (size - 1 - unit,), 1, -1), size)


def unrolled(seen: Seen, place: int, window: Window, size: int) -> tuple[Seen, Axis, Axis]:
    """Return the two axes into which a window unrolls one, its `size` places and its taps, and what is seen there."""
    seen = joined(seen, place)
    axis = seen.axes[place]
    if not marked(axis):
        return seen, plain(size, uneven=is_uneven(axis)), plain(window.kernel, uneven=is_uneven(axis))
    (factor,) = axis
    seen = loosened(seen) if factor.uneven else seen
    seen = moved(seen, factor.along or 0, -window.padding * factor.step)
    places = Factor(size, factor.along, factor.step * window.stride)
    taps = Factor(window.kernel, factor.along, factor.step * window.dilation)
    return seen, (places,), (taps,)
