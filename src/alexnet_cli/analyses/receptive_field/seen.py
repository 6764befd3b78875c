"""What every unit of a value sees of the input, and how that changes as axes are viewed, moved, taken or summed over.

An axis of a value is a product of factors, major first, as views make them: after flattening, one axis holds channels,
rows and columns. A factor either steps along an axis of the input, or it does not matter to what a unit sees (as the
channels). Along input axis k a unit sees `reaches[k]` at the place that its factors add up to: the sum of index times
`step` over those with `along == k`. Where no factor is left that steps along k, all units see the same. A reach None is
the whole axis.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence
from itertools import product
from math import gcd, prod

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.receptive_field.reach import Reach, fixed, hull
from alexnet_cli.tape import Shape

_MOST_PLACES = 100_000


class Factor(Struct, frozen=True):
    """A factor of an axis; `step` is how far one index moves on along the input axis `along`.

    `uneven`: units of different index may see less than is said, which holds of all of them together.
    """

    size: int
    along: int | None = None
    step: int = 1
    uneven: bool = False

    @property
    def places(self) -> range:
        """Where its indices are, counted from the first."""
        return range(0, self.size * self.step, self.step)


Axis = tuple[Factor, ...]


class Seen(Struct, frozen=True):
    """What the units of a value see; `sizes` are those of the input's axes. Its methods return another one."""

    axes: tuple[Axis, ...]
    reaches: tuple[Reach | None, ...]
    sizes: Shape

    @property
    def shape(self) -> Shape:
        """The shape of the value."""
        return tuple(prod(factor.size for factor in axis) for axis in self.axes)

    def stepping(self, along: int) -> list[Factor]:
        """Return the factors that step along an axis of the input."""
        return [factor for axis in self.axes for factor in axis if factor.along == along]

    def units(self, along: int) -> int:
        """Return how many places there are along an axis of the input."""
        return 1 + sum((factor.size - 1) * abs(factor.step) for factor in self.stepping(along))

    def with_axis(self, place: int, axis: Axis) -> Seen:
        """Put another axis at a place."""
        return replace(self, axes=(*self.axes[:place], axis, *self.axes[place + 1 :]))

    def with_reach(self, along: int, reach: Reach | None) -> Seen:
        """Put another reach along an axis of the input."""
        return replace(self, reaches=(*self.reaches[:along], reach, *self.reaches[along + 1 :]))

    def taken(self, places: Iterable[int]) -> Seen:
        """Take some axes, in this order, and the first index of the others."""
        return replace(self, axes=tuple(self.axes[place] for place in places)).settled()

    def inserted(self, place: int, axis: Axis = ()) -> Seen:
        """Put an axis that does not matter to what is seen before the one at `place`."""
        return replace(self, axes=(*self.axes[:place], axis, *self.axes[place:]))

    def expanded(self, shape: Shape) -> Seen:
        """Repeat axes of size 1, and put new ones in front, until the value has a shape."""
        new = (1,) * (len(shape) - len(self.axes))
        sizes = zip(((),) * len(new) + self.axes, new + self.shape, shape, strict=True)
        axes = tuple(plain(wanted) if size == 1 and wanted != 1 else axis for axis, size, wanted in sizes)
        return replace(self, axes=axes).settled()

    def regrouped(self, shape: Shape) -> Seen:
        """Divide the elements among other axes, in the same order.

        A cut that goes across a factor unevenly leaves nothing to follow: units then may see all of the input.
        """
        if 0 in shape:
            return everything(shape, self.sizes)
        left = _fused([factor for axis in self.axes for factor in axis if factor.size != 1])
        axes: list[Axis] = []
        for size in reversed(shape):  # the minor factors are the last ones
            taken = _take(left, size)
            if taken is None:
                return everything(shape, self.sizes)
            axes.append(tuple(_fused(taken)))
        return replace(self, axes=tuple(reversed(axes))).settled()

    def loosened(self, along: Container[int] | None = None) -> Seen:
        """Make it a mere bound, along some axes of the input or all."""
        reaches = (
            reach and reach.loosened() if along is None or k in along else reach for k, reach in enumerate(self.reaches)
        )
        return replace(self, reaches=tuple(reaches))

    def moved(self, along: int, places: int) -> Seen:
        """Put every unit where the one `places` further on was."""
        reach = self.reaches[along]
        return self.with_reach(along, reach and reach.through(lambda unit: (unit + places,)))

    def mixed(self, places: Iterable[int]) -> Seen:
        """Let every unit see what all units along some axes see together."""
        seen = self
        for place in places:
            size = seen.shape[place]
            seen = seen.stopped([(place, number) for number in range(len(seen.axes[place]))])
            seen = seen.with_axis(place, plain(size))
        return seen.settled()

    def reduced(self, places: Iterable[int], *, keep: bool = False) -> Seen:
        """Sum over some axes, which are kept with size 1 or left out."""
        gone = set(places)
        seen = self.mixed(gone)
        axes = (() if place in gone else axis for place, axis in enumerate(seen.axes) if keep or place not in gone)
        return replace(seen, axes=tuple(axes))

    def stopped(self, gone: Collection[tuple[int, int]]) -> Seen:
        """Let every unit see what all indices of some factors see together; these no longer step.

        A factor is given by the place of its axis and its number there.
        """
        axes = tuple(
            tuple(_plain(factor) if (place, number) in gone else factor for number, factor in enumerate(axis))
            for place, axis in enumerate(self.axes)
        )
        rest, factors = replace(self, axes=axes), [self.axes[place][number] for place, number in gone]
        for along in stepping(factors):
            reach = self.reaches[along]
            steps = [factor.places for factor in factors if factor.along == along]
            rest = rest.with_reach(along, reach and _widened(reach, steps, rest, along))
        return rest

    def settled(self) -> Seen:
        """Bring into the one form: steps without a common divisor, and none along what is seen whole."""
        seen = self
        for along, reach in enumerate(self.reaches):
            stride = gcd(*(factor.step for factor in seen.stepping(along)))
            if reach is not None and stride == 0:
                seen = seen.with_reach(along, fixed(reach.at(0), tight=reach.tight))
            elif stride > 1 or (stride and reach is None):
                seen = _restepped(seen, along, stride)
        return seen


def start(shape: Shape, traced: Sequence[int]) -> Seen:
    """Return what the units of the input itself see, each its own pixel, along the axes that are traced."""
    place = {axis: number for number, axis in enumerate(traced)}
    axes = tuple((Factor(size, place[i]),) if i in place else plain(size) for i, size in enumerate(shape))
    return Seen(axes, tuple(Reach(((0, 0),), 1) for _ in traced), tuple(shape[axis] for axis in traced))


def everything(shape: Shape, sizes: Shape) -> Seen:
    """Return units that see all of the input."""
    return Seen(tuple(plain(size) for size in shape), (None,) * len(sizes), sizes)


def plain(size: int, *, uneven: bool = False) -> Axis:
    """Return an axis that does not matter to what a unit sees."""
    return (Factor(size, uneven=uneven),) if size != 1 else ()


def is_uneven(axis: Axis) -> bool:
    """Tell whether units of an axis may see less than all of them together."""
    return any(factor.uneven for factor in axis)


def stepping(axis: Iterable[Factor]) -> frozenset[int]:
    """Return along which axes of the input an axis steps."""
    return frozenset(factor.along for factor in axis if factor.along is not None)


def cut(factor: Factor, minor: int) -> tuple[Factor, Factor]:
    """Cut a factor into a major one and a minor one of a size."""
    major = replace(factor, size=factor.size // minor, step=factor.step * minor)
    return major, replace(factor, size=minor)


def _widened(reach: Reach, steps: Sequence[range], rest: Seen, along: int) -> Reach | None:
    """Return what units see that see all places to which the steps of some factors lead."""
    if prod(map(len, steps)) > _MOST_PLACES:
        return None
    places = sorted(map(sum, product(*steps)))
    if rest.stepping(along):
        return reach.through(lambda unit: (unit + place for place in places))
    # Units may be all that a map has: one more at either end would see beyond the input.
    ends = sorted((reach.at(places[0] - 1) or (0, 0), reach.at(places[-1] + 1) or (0, 0)))
    if len(places) > 1 and ends[0][0] < 0 and ends[1][1] >= rest.sizes[along]:
        return None
    return fixed(hull(map(reach.at, places)), tight=reach.tight)


def _restepped(seen: Seen, along: int, stride: int) -> Seen:
    """Divide the steps along an input axis by their common divisor; where all of it is seen, they end."""
    reach = seen.reaches[along]
    taken = reach and reach.through(lambda unit: (unit * stride,), 1, stride)

    def changed(factor: Factor) -> Factor:
        if factor.along != along:
            return factor
        return _plain(factor) if taken is None else replace(factor, step=factor.step // stride)

    axes = tuple(tuple(map(changed, axis)) for axis in seen.axes)
    return replace(seen, axes=axes).with_reach(along, taken)


def _plain(factor: Factor) -> Factor:
    return Factor(factor.size, uneven=factor.uneven)


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


def _fused(factors: Sequence[Factor]) -> list[Factor]:
    """Join neighbours that step on as one."""
    found = list(factors[:1])
    for minor in factors[1:]:
        major = found[-1]
        if major.along == minor.along and (minor.along is None or major.step == minor.step * minor.size):
            found[-1] = replace(minor, size=major.size * minor.size, uneven=major.uneven or minor.uneven)
        else:
            found.append(minor)
    return found
