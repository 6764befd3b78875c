"""Chooses the sizes of one dimension at which to run a model, and finds the steps that its sizes inside go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from alexnet_cli.analyses.scale.fit import divisor_of, offsets_of
from alexnet_cli.analyses.scale.polynomial import Step
from alexnet_cli.analyses.scale.runs import Runs

_LARGE, _PERIOD, _SMALL_PERIOD = 16, 64, 4
"""From the size `_LARGE` on, the second run is a `_PERIOD` away: the strides of most networks multiply to a factor."""
_OTHER_PERIODS = (960, 6720)
"""Multiples of other strides too: 960 = 2⁶·3·5, 6720 = 2⁶·3·5·7."""
_NEARER = 3
"""If a model does other operators at the second size, so many nearer ones are tried."""
_MOST_RUNS = 24
_DIFFERENT = 4


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


def explore(runs: Runs, dimension: int) -> Axis:
    """Run a model at sizes of one dimension, until all steps between sizes inside it are known."""
    base, name = runs.base[dimension], runs.names[dimension]
    runs.first()
    found = list(islice(runs.running(dimension, _far_from(base)), 1))
    if found and not runs.alike(runs.moved(dimension, found[0])):
        found += islice(runs.running(dimension, [size for size in _far_from(base) if size != found[0]]), _NEARER)
    far = next((size for size in found if runs.alike(runs.moved(dimension, size))), next(iter(found), None))
    near = None if far is None else next(runs.running(dimension, _between(base, far)), None)
    sizes = tuple(size for size in (base, far, near) if size is not None)
    alike = all(runs.alike(runs.moved(dimension, size)) for size in sizes)
    axis = Axis(dimension, name, sizes, (Step(name),), alike)
    return _with_steps(runs, axis, far) if alike and far is not None else axis


def _far_from(base: int) -> list[int]:
    periods = [_PERIOD >> halved for halved in range(7)] if base >= _LARGE else [_SMALL_PERIOD, 2, 1]
    return [size for period in periods for size in (base + period, base - period)]


def _between(base: int, far: int) -> list[int]:
    """Return further sizes, those in between first and odd distances before even ones."""
    half = (far - base) // 2
    wanted = [base + half + 1, base + half - 1, base + half, base + half // 2, base + 2 * (far - base)]
    return [size for size in dict.fromkeys([*wanted, base - (far - base), base + 1]) if size not in (base, far)]


def _with_steps(runs: Runs, axis: Axis, far: int) -> Axis:
    """Narrow the offsets of all steps by further runs, each at a size where the least known step may move on."""
    period = abs(far - axis.sizes[0])
    if _is_uneven(runs, axis, period):
        axis, period = _at_other_periods(runs, axis, period)
    tried = set(axis.sizes)
    while len(axis.sizes) < _MOST_RUNS:
        widest = max(_offsets(runs, axis, period).items(), key=lambda each: len(each[1]), default=None)
        if widest is None or len(widest[1]) <= 1:
            break
        wanted = [size for size in _splitting(axis.sizes[0], *widest) if size not in tried]
        size = next(runs.running(axis.dimension, wanted), None)
        tried.update(wanted if size is None else wanted[: wanted.index(size) + 1])
        if size is None or runs.alike(runs.moved(axis.dimension, size)) is None:
            break
        axis = replace(axis, sizes=(*axis.sizes, size))
    known = {step for step, offsets in _offsets(runs, axis, period).items() if len(offsets) == 1}
    offsets = _offsets(runs, axis, period)
    steps = sorted({Step(axis.name, divisor, offsets[divisor, values][0]) for divisor, values in known})
    return _farther(runs, replace(axis, steps=(Step(axis.name), *steps)))


def _farther(runs: Runs, axis: Axis) -> Axis:
    """Run at larger sizes too, until each step has taken enough values to tell a square from a line."""
    divisor = max(step.divisor for step in axis.steps)
    for times in range(1, _DIFFERENT) if divisor > 1 else ():
        if all(len({step.at(size) for size in axis.sizes}) >= _DIFFERENT for step in axis.steps):
            break
        wanted = [axis.sizes[0] + divisor * (2 * times + 1) + times]
        ran = runs.running(axis.dimension, wanted)
        more = [size for size in ran if runs.alike(runs.moved(axis.dimension, size)) and size not in axis.sizes]
        axis = replace(axis, sizes=(*axis.sizes, *more))
    return axis


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


def _splitting(base: int, step: tuple[int, tuple[int, ...]], offsets: range) -> list[int]:
    """Return sizes at which one half of the offsets has moved on and the other has not."""
    divisor, middle = step[0], offsets[len(offsets) // 2]
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
