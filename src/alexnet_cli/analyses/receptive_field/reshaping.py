"""Views: the factors of a value's axes, divided among other axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from msgspec.structs import replace

from alexnet_cli.analyses.receptive_field.seen import Axis, Factor, Seen, everything, plain, settled, without_axis
from alexnet_cli.tape import Shape


def permuted(seen: Seen, order: Sequence[int]) -> Seen:
    """Put the axes in another order."""
    return replace(seen, axes=tuple(seen.axes[place] for place in order))


def inserted(seen: Seen, place: int, axis: Axis = ()) -> Seen:
    """Put an axis that does not matter to what is seen before the one at `place`."""
    return replace(seen, axes=(*seen.axes[:place], axis, *seen.axes[place:]))


def squeezed(seen: Seen, places: Iterable[int]) -> Seen:
    """Leave out axes of size 1."""
    for place in sorted(places, reverse=True):
        seen = without_axis(seen, place)
    return seen


def expanded(seen: Seen, shape: Shape) -> Seen:
    """Repeat axes of size 1, and put new ones in front, until the value has a shape."""
    axes: tuple[Axis, ...] = ((),) * (len(shape) - len(seen.axes)) + seen.axes
    sizes = (1,) * (len(shape) - len(seen.axes)) + seen.shape
    repeated = tuple(
        plain(wanted) if size == 1 and wanted != 1 else axis
        for axis, size, wanted in zip(axes, sizes, shape, strict=True)
    )
    return settled(replace(seen, axes=repeated))


def regrouped(seen: Seen, shape: Shape) -> Seen:
    """Divide the elements among other axes, in the same order.

    A cut that goes across a factor unevenly leaves nothing to follow: units then may see all of the input.
    """
    if 0 in shape:
        return everything(shape, seen.sizes)
    left = _fused([factor for axis in seen.axes for factor in axis if factor.size != 1])
    axes: list[Axis] = []
    for size in reversed(shape):  # the minor factors are the last ones
        taken = _take(left, size)
        if taken is None:
            return everything(shape, seen.sizes)
        axes.append(tuple(_fused(taken)))
    return settled(replace(seen, axes=tuple(reversed(axes))))


def _take(left: list[Factor], size: int) -> list[Factor] | None:
    """Take factors off the end that make up a size; the last one may be cut in two."""
    taken: list[Factor] = []
    while (wanted := size // prod(factor.size for factor in taken)) != 1:
        if not left:
            return None
        factor = left.pop()
        if factor.size > wanted:
            if factor.size % wanted:
                return None
            major, factor = cut(factor, wanted)
            left.append(major)
        elif wanted % factor.size:
            return None
        taken.insert(0, factor)
    return taken


def cut(factor: Factor, minor: int) -> tuple[Factor, Factor]:
    """Cut a factor into a major one and a minor one of a size."""
    major = replace(factor, size=factor.size // minor, step=factor.step * minor)
    return major, replace(factor, size=minor)


def _fused(factors: Sequence[Factor]) -> list[Factor]:
    """Join neighbours that step on as one."""
    found: list[Factor] = []
    for factor in factors:
        before = found[-1] if found else None
        if before is not None and before.along == factor.along and _go_on(before, factor):
            uneven = before.uneven or factor.uneven
            found[-1] = replace(factor, size=before.size * factor.size, uneven=uneven)
        else:
            found.append(factor)
    return found


def _go_on(major: Factor, minor: Factor) -> bool:
    return major.along is None or major.step == minor.step * minor.size
