"""All laws of a model over some dimensions of its inputs, from runs of its forward and of a training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from alexnet_cli.analyses.scale.axes import Axis, explore
from alexnet_cli.analyses.scale.dimensions import Dimension
from alexnet_cli.analyses.scale.find import find
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.law import Law, joined
from alexnet_cli.analyses.scale.runs import EVERY, LARGEST, Runs
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

    def law(self, quantity: str) -> Law | None:
        """Return the law of a quantity of the whole model, None if there is none."""
        return next((law for law in self.laws if law.total == (quantity, "") and law.pieces), None)


def scaling(dimensions: Sequence[Dimension], run: Run, train: Run | None) -> Scaling:
    """Return the laws of a model over dimensions; `train` runs a training step, None if there is none.

    Over one dimension the model may do other things from a size on, as with windows: there other laws follow.

    Raises:
        AlexnetError: the model does not run near its own sizes.
    """
    base = tuple(max(dimension.size, _LEAST) for dimension in dimensions)
    found = _scaling(dimensions, base, run, train)
    if len(dimensions) > 1 or not found.axes[0].alike:
        return found
    for larger in (True, False):
        size = _other_structure(found, larger=larger)
        if size is not None and larger:
            found = _followed(found, size, _scaling(dimensions, (size,), run, train, range(size, LARGEST)), found)
        elif size is not None and size >= _LEAST:
            smaller = _scaling(dimensions, ((size + _LEAST) // 2,), run, train, range(1, size + 1))
            found = _followed(smaller, size + 1, found, found)
    return found


def _scaling(
    dimensions: Sequence[Dimension], base: Sizes, run: Run, train: Run | None, within: range = EVERY
) -> Scaling:
    names = [dimension.name for dimension in dimensions]
    forward = _Watched(names, base, run, of_forward, shares_of_forward)
    forward.runs.within = within
    axes = tuple(explore(forward.runs, at) for at in range(len(names)))
    for axis in axes if within == EVERY else ():
        forward.runs.find_limits(axis.dimension)
    laws = find(forward.runs, axes, forward.shares())
    if train is None:
        return Scaling(tuple(dimensions), axes, forward.runs, None, laws)
    training = _Watched(names, base, train, of_training, shares_of_training, other=forward.runs)
    training.runs.within = within
    laws += find(training.runs, axes, training.shares())
    return Scaling(tuple(dimensions), axes, forward.runs, training.runs, laws)


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
