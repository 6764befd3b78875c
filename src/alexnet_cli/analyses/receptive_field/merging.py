"""Values that meet: what units see that read units of two values at once."""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import reduce

from msgspec.structs import replace

from alexnet_cli.analyses.receptive_field.moves import placed
from alexnet_cli.analyses.receptive_field.reach import Reach
from alexnet_cli.analyses.receptive_field.reshaping import cut, expanded
from alexnet_cli.analyses.receptive_field.seen import (
    Axis,
    Factor,
    Seen,
    everything,
    is_uneven,
    loosened,
    plain,
    settled,
    spread,
    stepping,
    with_axis,
)
from alexnet_cli.tape import Shape

Pair = tuple[Factor, Factor]


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """Return the shape to which shapes are broadcast."""
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True))


def merged(values: Sequence[Seen], shape: Shape) -> Seen:
    """Return what units see that read the units at the same place in all values, broadcast to a shape."""
    return reduce(_merged, [expanded(seen, shape) for seen in values])


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
    even = len(known) == len(values) and len({_beside(seen, place, along) for seen, _ in known}) == 1
    if along:
        joined = merged([placed(seen, before, whole, place=place) for seen, before in known], shape)
        return with_axis(loosened(joined, along), place, _marked_uneven(joined.axes[place], even=even))
    return merged([with_axis(seen, place, plain(whole, uneven=not even)) for seen, _ in known], shape)


def _beside(seen: Seen, place: int, along: Container[int]) -> tuple[object, ...]:
    """Return what is seen along the other axes of the input, and whether units of the axis differ in that."""
    return (*(reach for k, reach in enumerate(seen.reaches) if k not in along), is_uneven(seen.axes[place]))


def _marked_uneven(axis: Axis, *, even: bool) -> Axis:
    return tuple(replace(factor, uneven=factor.uneven or not even) for factor in axis)


def _merged(left: Seen, right: Seen) -> Seen:
    if left == right:
        return left
    pairs = [_paired(*axes) for axes in zip(left.axes, right.axes, strict=True)]
    known = [axis for axis in pairs if axis is not None]
    if len(known) < len(pairs):
        return everything(left.shape, left.sizes)
    # An axis of size 1 that one of them has no step for is no place that differs.
    left = settled(replace(left, axes=tuple(tuple(a for a, _ in axis) for axis in known)))
    right = settled(replace(right, axes=tuple(tuple(b for _, b in axis) for axis in known)))
    for along in range(len(left.reaches)):
        left, right = _corresponding(left, right, along), _corresponding(right, left, along)
    reaches = tuple(_reach(left, right, along) for along in range(len(left.reaches)))
    axes = zip(left.axes, right.axes, strict=True)
    joined = tuple(tuple(_factor(a, b) for a, b in zip(*axis, strict=True)) for axis in axes)
    return settled(Seen(joined, reaches, left.sizes))


def _paired(left: Axis, right: Axis) -> list[Pair] | None:
    """Cut the factors of two axes of one size until they match; None where they cannot."""
    if left and right and left[0].size == right[0].size == 1:
        return [(left[0], right[0])]
    ours, theirs = ([factor for factor in axis if factor.size != 1] for axis in (left, right))
    pairs: list[Pair] = []
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
    kept = {place for place, step in ours.items() if theirs.get(place) == step}
    return loosened(spread(seen, along, kept), {along})


def _reach(left: Seen, right: Seen, along: int) -> Reach | None:
    """Join what both see along an axis of the input."""
    one, other = left.reaches[along], right.reaches[along]
    return None if one is None or other is None else one.joined(other, left.units(along))


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
