"""Chooses the sizes of one dimension at which to run a model, and finds the steps that its sizes inside go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from alexnet_cli.analyses.scale.fit import divisor_of, offsets_of
from alexnet_cli.analyses.scale.polynomial import Step
from alexnet_cli.analyses.scale.runs import Expected, Runs, plateau

_LARGE, _PERIOD, _SMALL_PERIOD = 16, 64, 4
"""From the size `_LARGE` on, the second run is a `_PERIOD` away: the strides of most networks multiply to a factor."""
_OTHER_PERIODS = (960, 6720)
"""Multiples of other strides too: 960 = 2⁶·3·5, 6720 = 2⁶·3·5·7."""
_NEARER = 3
"""If a model does other operators at the second size, so many nearer ones are tried."""
_MOST_RUNS = 24
_SHORT = 2
"""So far is the second run from the first, where a run is as long as its sizes are large."""


@dataclass(frozen=True)
class Axis:
    """The sizes of a dimension at which the model ran, the base first, and the steps that describe sizes inside it.

    It is `alike` if all these runs did the same operators.
    """

    dimension: int
    name: str
    sizes: tuple[int, ...]
    steps: tuple[Step, ...]
    alike: bool = True


def explore(runs: Runs, dimension: int, expected: Expected | None = None, *, unrolled: bool = False) -> Axis:
    """Run a model at sizes of one dimension, until all steps between sizes inside it are known.

    `unrolled` tells that a run seems to be as long as its sizes are large.
    """
    base, name = runs.base[dimension], runs.names[dimension]
    runs.first()
    wanted = [base + _SHORT] if unrolled else [*_known(runs, dimension), *_far_from(base)]
    if expected is not None and runs.at(runs.moved(dimension, wanted[0])) is None:
        likely = plateau(expected, base)
        wanted = sorted(wanted, key=lambda size: size not in likely)
    found = list(islice(runs.running(dimension, wanted), 1))
    if found and not runs.alike(runs.moved(dimension, found[0])) and not _goes_through(runs, dimension, found[0]):
        found += islice(runs.running(dimension, [size for size in _far_from(base) if size != found[0]]), _NEARER)
    far = next((size for size in found if runs.alike(runs.moved(dimension, size))), next(iter(found), None))
    sizes = (base,) if far is None else (base, far)
    alike = all(runs.alike(runs.moved(dimension, size)) for size in sizes)
    axis = Axis(dimension, name, sizes, (Step(name),), alike)
    return _with_steps(runs, axis, far, expected) if alike and far is not None else axis


def _known(runs: Runs, dimension: int) -> list[int]:
    """Return the sizes at which the model is known to do the same operators as at the base, the farthest first."""
    base = runs.base[dimension]
    found = {sizes[dimension] for sizes in runs.samples if runs.alike(sizes) and sizes != runs.base}
    alone = (size for size in found if runs.moved(dimension, size) in runs.samples and size != base)
    return sorted(alone, key=lambda size: -abs(size - base))


def _goes_through(runs: Runs, dimension: int, size: int) -> bool:
    """Tell whether each further element of a dimension takes one or more operators of its own."""
    more = runs.samples[runs.moved(dimension, size)].operators - runs.first().operators
    return more / (size - runs.base[dimension]) >= 1


def _far_from(base: int) -> list[int]:
    periods = [_PERIOD >> halved for halved in range(7)] if base >= _LARGE else [_SMALL_PERIOD, 2, 1]
    return [size for period in periods for size in (base + period, base - period)]


def _with_steps(runs: Runs, axis: Axis, far: int, expected: Expected | None) -> Axis:
    """Narrow the offsets of all steps by further runs, each at a size where the least known step may move on."""
    period = abs(far - axis.sizes[0])
    if _is_uneven(runs, axis, period):
        axis, period = _at_other_periods(runs, axis, period)
    tried = set(axis.sizes)
    while len(axis.sizes) < _MOST_RUNS:
        widest = max(_offsets(runs, axis, period).items(), key=lambda each: len(each[1]), default=None)
        if widest is None or len(widest[1]) <= 1:
            break
        guess = None if expected is None else _guess(axis, widest[0], expected)
        wanted = [size for size in _splitting(axis.sizes[0], *widest, guess) if size not in tried]
        size = next(runs.running(axis.dimension, wanted), None)
        tried.update(wanted if size is None else wanted[: wanted.index(size) + 1])
        if size is None or runs.alike(runs.moved(axis.dimension, size)) is None:
            break
        axis = replace(axis, sizes=(*axis.sizes, size))
    known = {step for step, offsets in _offsets(runs, axis, period).items() if len(offsets) == 1}
    offsets = _offsets(runs, axis, period)
    steps = sorted({Step(axis.name, divisor, offsets[divisor, values][0]) for divisor, values in known})
    return replace(axis, steps=(Step(axis.name), *steps))


def _columns(runs: Runs, axis: Axis) -> set[tuple[int, ...]]:
    """Return the different ways in which sizes inside the model go with those of the dimension."""
    entries = [runs.samples[runs.moved(axis.dimension, size)].entries for size in axis.sizes]
    return {column for column in zip(*entries, strict=True) if len(set(column)) > 1}


def _offsets(runs: Runs, axis: Axis, period: int) -> dict[tuple[int, tuple[int, ...]], range]:
    """Return the possible offsets of each step, by its divisor and its values."""
    found = {}
    for values in _columns(runs, axis):
        divisor = divisor_of(axis.sizes, values, period)
        if divisor is not None and divisor > 1:
            found[divisor, values] = offsets_of(divisor, axis.sizes, values)
    return {step: offsets for step, offsets in found.items() if offsets}


def _guess(axis: Axis, step: tuple[int, tuple[int, ...]], expected: Expected) -> int | None:
    """Return the offset that a step is expected to have: that of a size inside with its values, None if none has."""
    divisor, values = step
    at = next((at for at, column in enumerate(zip(*map(expected, axis.sizes), strict=True)) if column == values), None)
    ahead = range(axis.sizes[0] + 1, axis.sizes[0] + divisor + 1)
    moved = (size for size in ahead if at is not None and expected(size)[at] > values[0])
    return next((divisor * (values[0] + 1) - size for size in moved), None)


def _splitting(base: int, step: tuple[int, tuple[int, ...]], offsets: range, guess: int | None) -> list[int]:
    """Return sizes at which some offsets have moved on and the others have not: one half, or the guess and those above.

    Where it is the least that there may be, those above have and it has not.
    """
    divisor, middle = step[0], offsets[len(offsets) // 2]
    if guess is not None and guess in offsets:
        middle = max(guess, offsets[1])
    least = base + (-base - middle) % divisor
    return [size for size in (least, least - divisor, least + divisor, least + 2 * divisor) if size > 0]


def _is_uneven(runs: Runs, axis: Axis, period: int) -> bool:
    """Tell whether some size inside grows in steps of which the period is no multiple."""
    grown = {abs(values[1] - values[0]) for values in _columns(runs, axis)}
    return any(period % each for each in grown if 0 < each < period)


def _at_other_periods(runs: Runs, axis: Axis, period: int) -> tuple[Axis, int]:
    for other in _OTHER_PERIODS:
        size = axis.sizes[0] + other
        if runs.alike(runs.moved(axis.dimension, size)) is not None:
            axis = replace(axis, sizes=(*axis.sizes, size))
            grown = {values[-1] - values[0] for values in _columns(runs, axis)}
            if not any(other % each for each in grown if 0 < each < other):
                return axis, other
    return axis, period


def product_of(axes: Sequence[Axis]) -> list[tuple[int, ...]]:
    """Return the sizes of all runs along the axes: the base, and the base with one dimension changed."""
    base = tuple(axis.sizes[0] for axis in axes)
    others = ((*base[: axis.dimension], size, *base[axis.dimension + 1 :]) for axis in axes for size in axis.sizes[1:])
    return [base, *others]
