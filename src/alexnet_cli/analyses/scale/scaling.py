"""All laws of a model over some dimensions of its inputs, from runs of its forward and of a training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from alexnet_cli.analyses.scale.axes import Axis, explore
from alexnet_cli.analyses.scale.dimensions import BATCH, Dimension
from alexnet_cli.analyses.scale.find import find, find_by_forms
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.held_out import elsewhere
from alexnet_cli.analyses.scale.law import Law, joined
from alexnet_cli.analyses.scale.runs import EVERY, LARGEST, Expected, Runs
from alexnet_cli.analyses.scale.samples import (
    Sample,
    Shares,
    of_forward,
    of_training,
    shares_of_forward,
    shares_of_training,
)
from alexnet_cli.report import Report

Run = Callable[[Sizes], Report]
"""Runs a model at the sizes of dimensions; raises `AlexnetError` where it does not run."""

_LEAST = 2
"""At a size of 1 torch leaves out copies that it makes at all others, so laws are looked for from here on."""
_SMALL = 5
"""Where operators run in a loop over a dimension, the search begins at this size."""


@dataclass(frozen=True)
class Scaling:
    """Laws, and the runs that they are from; `training` is None if there is nothing to train."""

    dimensions: tuple[Dimension, ...]
    axes: tuple[Axis, ...]
    forward: Runs
    training: Runs | None
    laws: tuple[Law, ...]

    @property
    def base(self) -> Sizes:
        """Return the sizes at which the model was run by its user."""
        return tuple(dimension.size for dimension in self.dimensions)

    def sizes(self, axis: Axis) -> range:
        """Return the sizes of a dimension that may run: where none was refused, and no tensor is empty."""
        limits = self.forward.limits(axis.dimension)
        return range(max(limits.start, *(step.divisor - step.offset for step in axis.steps)), limits.stop)

    def law(self, quantity: str) -> Law | None:
        """Return the law of a quantity of the whole model, None if there is none."""
        return next((law for law in self.laws if law.total == (quantity, "") and law.pieces), None)


def scaling(
    dimensions: Sequence[Dimension],
    run: Run,
    train: Run | None,
    expected: Mapping[str, Expected] | None = None,
    unrolls: Callable[[int], bool] = lambda _: False,
) -> Scaling:
    """Return the laws of a model over dimensions; `train` runs a training step, None if there is none.

    What is `expected` along a dimension, by its name, makes for fewer runs. `unrolls` tells whether some layer runs one
    operator as often as a size: then runs at small sizes are much shorter.
    Over one dimension the model may do other things from a size on, as with windows: there other laws follow.

    Raises:
        AlexnetError: the model does not run near its own sizes.
    """
    base = tuple(_base(dimension, unrolls) for dimension in dimensions)
    found = _scaling(dimensions, base, run, train, expected=expected or {})
    if len(dimensions) > 1 or not found.axes[0].alike:
        return found
    for larger in (True, False):
        size = _other_structure(found, larger=larger)
        if size is not None and larger:
            found = _followed(
                found, size, _scaling(dimensions, (size,), run, train, within=range(size, LARGEST)), found
            )
        elif size is not None and size >= _LEAST:
            smaller = _scaling(dimensions, ((size + _LEAST) // 2,), run, train, within=range(1, size + 1))
            found = _followed(smaller, size + 1, found, found)
    return found


def _base(dimension: Dimension, unrolls: Callable[[int], bool]) -> int:
    small = dimension.axes and dimension.name != BATCH and dimension.size > _SMALL and unrolls(dimension.size)
    return _SMALL if small else max(dimension.size, _LEAST)


def _scaling(
    dimensions: Sequence[Dimension],
    base: Sizes,
    run: Run,
    train: Run | None,
    *,
    within: range = EVERY,
    expected: Mapping[str, Expected] = MappingProxyType({}),
) -> Scaling:
    names = [dimension.name for dimension in dimensions]
    forward = _Watched(names, base, run, of_forward, shares_of_forward)
    forward.runs.within, forward.runs.seeks_limits = within, within == EVERY
    own = tuple(dimension.size for dimension in dimensions)
    if own != base and all(size in within and each.axes for size, each in zip(own, dimensions, strict=True)):
        forward.runs.given = (own,)
    axes = tuple(
        explore(forward.runs, at, expected.get(each.name), unrolled=base[at] == _SMALL < each.size)
        for at, each in enumerate(dimensions)
    )
    for axis in axes:
        forward.runs.find_limits(axis.dimension, expected.get(axis.name))
    found = find(forward.runs, axes, forward.shares())
    if train is None:
        return Scaling(tuple(dimensions), axes, forward.runs, None, found.laws)
    training = _Watched(names, base, train, of_training, shares_of_training, other=forward.runs)
    training.runs.within = within
    shares, forms, sizes = training.shares(), set(found.of_part.values()), elsewhere(forward.runs, axes)
    trained = find_by_forms(training.runs, shares, forms, sizes) if forms and shares is not None else None
    trained = trained or find(training.runs, axes, shares)
    return Scaling(tuple(dimensions), axes, forward.runs, training.runs, found.laws + trained.laws)


def _other_structure(found: Scaling, *, larger: bool) -> int | None:
    """Return the first size beyond, or below, those on the axis at which the model does other operators.

    None where laws hold at the sizes that ran there.
    """
    runs, sizes = found.forward, found.axes[0].sizes
    last, sign = (max(sizes), 1) if larger else (min(sizes), -1)
    failed = [size for law in found.laws for (size,) in law.except_at if (size - last) * sign > 0]
    if not failed:
        return None
    other = min(failed, key=lambda size: abs(size - last))
    while abs(other - last) > 1:
        middle = (last + other) // 2
        if runs.at((middle,)) is None:
            return None
        last, other = (middle, other) if runs.alike((middle,)) else (last, middle)
    return other


def _followed(before: Scaling, size: int, after: Scaling, found: Scaling) -> Scaling:
    """Return laws of which those that follow from a size on are other ones; `found` is what was found first."""
    first, then = ({law.total: law for law in each.laws if law.pieces} for each in (before, after))
    laws = tuple(
        joined(first[law.total], size, then[law.total]) if law.total in first and law.total in then else law
        for law in found.laws
    )
    pairs = ((before.forward, after.forward), (before.training, after.training))
    for own, (one, two) in zip((found.forward, found.training), pairs, strict=True):
        for runs in (one, two):
            if own is not None and runs is not None:
                own.samples.update(runs.samples)
    return replace(found, laws=laws)


class _Watched:
    """Runs, and which parts of the one at the base make which totals."""

    def __init__(
        self,
        names: Sequence[str],
        base: Sizes,
        run: Run,
        sample: Callable[[Report], Sample],
        shares: Callable[[Report], Shares],
        *,
        other: Runs | None = None,
    ) -> None:
        self._first: Shares | None = None

        def sampled(sizes: Sizes) -> Sample:
            report = run(sizes)
            if sizes == base:
                self._first = shares(report)
            return sample(report)

        self.runs = Runs(names, base, sampled, other)

    def shares(self) -> Shares | None:
        self.runs.first()
        return self._first
