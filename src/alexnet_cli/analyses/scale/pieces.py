"""Laws over dimensions of a model's inputs with the runs that they are from, and where one law gives way to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from alexnet_cli.analyses.scale.axes import Axis
from alexnet_cli.analyses.scale.dimensions import Dimension
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.law import Law, joined
from alexnet_cli.analyses.scale.polynomial import Polynomial
from alexnet_cli.analyses.scale.runs import Runs
from alexnet_cli.analyses.scale.samples import Total

_LEAST = 2
"""At a size of 1 torch leaves out copies that it makes at all others: no piece is looked for there."""
_MOST_KINKS = 3


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


def cuts(found: Scaling) -> list[int]:
    """Return the sizes of one dimension from which on a model does other things than just before, in rising order.

    It does other operators there, or the same on tensors that stop to grow, as behind the end of a window. None where
    the laws hold at all sizes that ran.
    """
    if not found.axes[0].alike:
        return []
    larger, smaller = (_other_structure(found, larger=larger) for larger in (True, False))
    edges = [*([] if smaller is None or smaller < _LEAST else [smaller + 1]), *([] if larger is None else [larger])]
    if edges or all(law.pieces for law in found.laws):
        return edges
    return [each for each in _kinks(found.forward) if each in found.forward.within][:_MOST_KINKS]


def _other_structure(found: Scaling, *, larger: bool) -> int | None:
    """Return the first size beyond, or below, those on the axis at which the model does other operators.

    None where laws hold at the sizes that ran there. Tried first are sizes where a window may end: one of this length
    is inside the model on one side and not on the other.
    """
    runs, sizes = found.forward, found.axes[0].sizes
    last, sign = (max(sizes), 1) if larger else (min(sizes), -1)
    failed = [size for law in found.laws for (size,) in law.except_at]
    if not all(law.pieces for law in found.laws):
        failed += [size for (size,) in runs.samples if not runs.alike((size,))]
    failed = [size for size in failed if size >= _LEAST and (size - last) * sign > 0]
    if not failed:
        return None
    other = min(failed, key=lambda size: abs(size - last))
    likely = _windows(runs, last, other)
    while abs(other - last) > 1:
        between = range(min(last, other) + 1, max(last, other))
        middle = next((size for size in likely if size in between), (last + other) // 2)
        if runs.at((middle,)) is None:
            return None
        last, other = (middle, other) if runs.alike((middle,)) else (last, middle)
    return other


def _windows(runs: Runs, one: int, two: int) -> list[int]:
    """Return sizes between two that ran which tensors have at the larger of them alone, each with its neighbours."""
    few, many = (set(runs.samples[size,].entries) for size in sorted((one, two)))
    lengths = sorted(size for size in many - few if min(one, two) < size < max(one, two))
    return [size + ahead for size in lengths for ahead in (0, 1, -1)]


def _kinks(runs: Runs) -> list[int]:
    """Return from which sizes on tensors stop to grow, or begin to, where the same operators run on both sides.

    That is where min(n + a, w), or max(n + a, w), changes from one to the other.
    """
    samples = [(size, sample) for (size,), sample in sorted(runs.samples.items()) if runs.alike((size,))]
    sizes = [size for size, _ in samples]
    columns = set(zip(*(sample.entries for _, sample in samples), strict=True))
    return sorted({kink for column in columns for kink in _kinks_of(sizes, column)})


def _kinks_of(sizes: Sequence[int], column: Sequence[int]) -> Iterator[int]:
    ahead = {value - size for size, value in zip(sizes, column, strict=True)}
    for window in (column[0], column[-1]):
        growing = {value - size for size, value in zip(sizes, column, strict=True) if value != window}
        if len(growing) == 1 and len(ahead) > 1 and column.count(window) > 1:
            yield window - growing.pop() + 1


def base_in(runs: Runs, within: range) -> int:
    """Return the size from which laws within others are looked for.

    That is one that ran, with the structure that most have there, in the middle of them.
    """
    known = [(size, sample.structure) for (size,), sample in runs.samples.items() if size in within and size >= _LEAST]
    if not known:
        return max((within.start + min(within.stop, 2 * within.start + 2)) // 2, _LEAST)
    often, middle = Counter(structure for _, structure in known), sum(size for size, _ in known) / len(known)
    return min(known, key=lambda each: (-often[each[1]], abs(each[0] - middle)))[0]


def at_each(found: Scaling, within: range) -> Scaling:
    """Return what was found, with the values at those of a few sizes where its laws do not hold."""
    return replace(found, laws=tuple(_noted(found, law, within) for law in found.laws))


def _noted(found: Scaling, law: Law, within: range) -> Law:
    of_step = found.training is not None and any(law.total in each.totals for each in found.training.samples.values())
    runs = found.training if of_step and found.training is not None else found.forward
    samples = {sizes: sample for size in within if (sample := runs.at(sizes := (size,))) is not None}
    ran: dict[Sizes, int] = {sizes: sample.totals.get(law.total, 0) for sizes, sample in samples.items()}
    others = {sizes: value for sizes, value in ran.items() if law.pieces and law.at(sizes) != value}
    return replace(law, except_at=others, proved_at=tuple(sizes for sizes in ran if sizes not in others))


def followed(found: Scaling, parts: Sequence[tuple[range, Scaling]]) -> Scaling:
    """Return laws that hold one after the other; `found` is what was found first.

    A total that has no law in some of the parts has none.
    """
    totals = dict.fromkeys(law.total for _, part in parts for law in part.laws)
    laws = tuple(_followed(total, found, parts) for total in totals)
    for _, part in parts:
        found.forward.take(part.forward)
        if found.training is not None and part.training is not None:
            found.training.take(part.training)
    return replace(found, laws=laws)


def _followed(total: Total, found: Scaling, parts: Sequence[tuple[range, Scaling]]) -> Law:
    names = found.forward.names
    none = Law(total, names, (Polynomial.constant(0),))
    laws = [(within, next((law for law in part.laws if law.total == total), none)) for within, part in parts]
    if not all(law.pieces for _, law in laws):
        return Law(total, names, ())
    law = laws[0][1]
    for within, later in laws[1:]:
        law = joined(law, within.start, later)
    return law
