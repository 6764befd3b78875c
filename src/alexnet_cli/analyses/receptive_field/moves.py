"""Moves along one axis (windows, resampling, slices, flips), and values that meet (arithmetic, concatenation)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import reduce
from math import prod

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.receptive_field.seen import Axis, Factor, Seen, cut, everything, is_uneven, plain, stepping
from alexnet_cli.tape import Shape


class Window(Struct, frozen=True):
    """How a convolution or pooling moves along an axis."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


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
    seen, places, taps = unrolled(seen, place, window, size)
    seen = seen.with_axis(place, places)
    if not stepping(taps):
        return seen
    (tap,) = taps
    along = tap.along or 0
    reach = seen.reaches[along]
    seen = seen.with_reach(along, reach and reach.through(lambda unit: (unit + step for step in tap.places)))
    if len(seen.stepping(along)) > 1 and (window.kernel > 1 or window.padding):
        seen = seen.loosened({along})  # a map cut into tiles: each tile has its own edges
    return seen.settled()


def unrolled(seen: Seen, place: int, window: Window, size: int) -> tuple[Seen, Axis, Axis]:
    """Return the two axes into which a window unrolls one, its `size` places and its taps, and what is seen there."""
    seen, factor = _one_factor(seen, place)
    if factor is None:
        uneven = is_uneven(seen.axes[place])
        return seen, plain(size, uneven=uneven), plain(window.kernel, uneven=uneven)
    along, step = factor.along or 0, factor.step
    seen = seen.moved(along, -window.padding * step)
    return seen, (Factor(size, along, step * window.stride),), (Factor(window.kernel, along, step * window.dilation),)


def resampled(seen: Seen, place: int, how: Resampling, size: int) -> Seen:
    """Replace the units of an axis by `size` others that read them."""
    seen, factor = _one_factor(seen, place)
    if factor is None:
        return seen.with_axis(place, plain(size, uneven=is_uneven(seen.axes[place])))
    along = factor.along or 0
    reach = seen.reaches[along]
    if len(seen.stepping(along)) > 1 or reach is None:
        return seen.mixed([place]).with_axis(place, plain(size))
    repeated = reach.through(how.taps, how.units, how.moved)
    if repeated is None:
        repeated = reach.through_map(how.taps, Fraction(how.moved, how.units), size)
    seen = seen.with_axis(place, (Factor(size, along),)).with_reach(along, repeated)
    if repeated is not None and None in repeated.spans:  # units that see nothing see nothing along any axis
        seen = seen.loosened()
    return (seen if how.tight else seen.loosened({along})).settled()


def _one_factor(seen: Seen, place: int) -> tuple[Seen, Factor | None]:
    """Join an axis; return the factor that steps along the input, None where none does."""
    seen = joined(seen, place)
    if not stepping(seen.axes[place]):
        return seen, None
    (factor,) = seen.axes[place]
    return seen.loosened() if factor.uneven else seen, factor


def joined(seen: Seen, place: int) -> Seen:
    """Make an axis one factor that steps along the input, or several that do not; what is neither is mixed."""
    axis = seen.axes[place]
    if not stepping(axis) or len(axis) == 1:
        return seen
    major, *minors = axis
    reach = None if major.along is None else seen.reaches[major.along]
    if major.along is None or reach is None or stepping(minors) or len(seen.stepping(major.along)) > 1:
        return seen.mixed([place]).loosened(stepping(axis))
    repeats = prod(factor.size for factor in minors)
    repeated = reach.through(lambda unit: (unit // repeats,), repeats, 1)
    seen = seen.with_axis(place, (Factor(major.size * repeats, major.along),)).with_reach(major.along, repeated)
    return (seen.loosened() if is_uneven(axis) else seen).settled()


def sliced(seen: Seen, place: int, first: int, step: int, size: int) -> Seen:
    """Take `size` units of an axis from `first` on, each `step` after the one before."""
    axis = seen.axes[place]
    if not axis or (size == prod(factor.size for factor in axis) and step == 1):
        return seen
    major, *minors = axis
    inner = prod(factor.size for factor in minors)
    if not stepping(axis):
        taken: Axis = plain(size, uneven=is_uneven(axis))
    elif inner == 1 or (step == 1 and first % inner == 0 and size % inner == 0):
        if major.along is not None:
            seen = seen.moved(major.along, first // inner * major.step)
        taken = (Factor(size // inner, major.along, major.step * step, major.uneven), *minors)
    else:
        return seen.mixed([place]).with_axis(place, plain(size)).loosened(stepping(axis))
    seen = seen.with_axis(place, taken).settled()
    return seen.loosened() if major.uneven or (not stepping(axis) and is_uneven(axis)) else seen


def selected(seen: Seen, place: int, index: int) -> Seen:
    """Take one unit of an axis, which is then gone."""
    return sliced(seen, place, index, 1, 1).taken(other for other in range(len(seen.axes)) if other != place)


def placed(seen: Seen, before: int, size: int, *, place: int) -> Seen:
    """Put the axis at a place into one of `size` units, `before` of them in front."""
    return windowed(seen, place, Window(1, padding=before), size)


def flipped(seen: Seen, place: int) -> Seen:
    """Turn an axis round."""
    size = seen.shape[place]
    return resampled(seen, place, Resampling(lambda unit: (size - 1 - unit,), 1, -1), size)


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """Return the shape to which shapes are broadcast."""
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True))


def merged(values: Sequence[Seen], shape: Shape) -> Seen:
    """Return what units see that read the units at the same place in all values, broadcast to a shape."""
    return reduce(_merged, [seen.expanded(shape) for seen in values])


def concatenated(values: Sequence[Seen | None], sizes: Sequence[int], place: int) -> Seen | None:
    """Return what is seen by values one after the other along an axis, of `sizes`; None sees nothing of the input.

    Where that axis does not step along the input, as channels do not, all its units together see what any of them
    sees. Where it does, a value beside one that sees nothing is as if padded; two that see something are bounded.
    """
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    known = [(seen, before) for seen, before in zip(values, starts, strict=True) if seen is not None]
    if not known:
        return None
    whole = sum(sizes)
    shape = tuple(whole if axis == place else size for axis, size in enumerate(known[0][0].shape))
    along = frozenset[int]().union(*(stepping(seen.axes[place]) for seen, _ in known))
    if along and len(known) == 1:
        return placed(*known[0], whole, place=place)
    beside = {
        (*(reach for k, reach in enumerate(seen.reaches) if k not in along), is_uneven(seen.axes[place]))
        for seen, _ in known
    }
    even = len(known) == len(values) and len(beside) == 1  # nothing differs along the other axes of the input
    if not along:
        return merged([seen.with_axis(place, plain(whole, uneven=not even)) for seen, _ in known], shape)
    joined = merged([placed(seen, before, whole, place=place) for seen, before in known], shape)
    axis = tuple(replace(factor, uneven=factor.uneven or not even) for factor in joined.axes[place])
    return joined.loosened(along).with_axis(place, axis)


def _merged(left: Seen, right: Seen) -> Seen:
    if left == right:
        return left
    pairs = [_paired(*axes) for axes in zip(left.axes, right.axes, strict=True)]
    known = [axis for axis in pairs if axis is not None]
    if len(known) < len(pairs):
        return everything(left.shape, left.sizes)
    # An axis of size 1 that one of them has no step for is no place that differs.
    left = replace(left, axes=tuple(tuple(a for a, _ in axis) for axis in known)).settled()
    right = replace(right, axes=tuple(tuple(b for _, b in axis) for axis in known)).settled()
    for along in range(len(left.reaches)):
        left, right = _corresponding(left, right, along), _corresponding(right, left, along)
    reaches = tuple(
        one and other and one.joined(other, left.units(along))
        for along, (one, other) in enumerate(zip(left.reaches, right.reaches, strict=True))
    )
    axes = tuple(tuple(map(_factor, *axis)) for axis in zip(left.axes, right.axes, strict=True))
    return Seen(axes, reaches, left.sizes).settled()


def _paired(left: Axis, right: Axis) -> list[tuple[Factor, Factor]] | None:
    """Cut the factors of two axes of one size until they match; None where they cannot."""
    if left and right and left[0].size == right[0].size == 1:
        return [(left[0], right[0])]
    ours, theirs = ([factor for factor in axis if factor.size != 1] for axis in (left, right))
    pairs: list[tuple[Factor, Factor]] = []
    while ours and theirs:
        one, other = ours.pop(), theirs.pop()
        if one.size % other.size == 0:
            major, one = cut(one, other.size)
            ours += [major] if major.size != 1 else []
        elif other.size % one.size == 0:
            major, other = cut(other, one.size)
            theirs.append(major)
        else:
            return None
        pairs.insert(0, (one, other))
    return pairs


def _corresponding(seen: Seen, other: Seen, along: int) -> Seen:
    """Let only those factors step along an axis of the input that do so in the other value too.

    Scores of attention within windows have an axis of queries and one of keys: both see their window.
    """
    theirs, ours = _steps(other, along), _steps(seen, along)
    if theirs == ours:
        return seen
    return seen.stopped([place for place, step in ours.items() if theirs.get(place) != step]).loosened({along})


def _steps(seen: Seen, along: int) -> dict[tuple[int, int], int]:
    """Return where the factors are that step along an axis of the input, and how far."""
    return {
        (place, number): factor.step
        for place, axis in enumerate(seen.axes)
        for number, factor in enumerate(axis)
        if factor.along == along
    }


def _factor(one: Factor, other: Factor) -> Factor:
    stepping = one if one.along is not None else other
    return replace(stepping, uneven=one.uneven or other.uneven)
