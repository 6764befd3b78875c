"""Chooses the sizes at which laws are proved."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from alexnet_cli.analyses.scale.axes import Axis
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.runs import Runs

_MORE = 2
"""So many more sizes are tried, where the model does other operators at some of them."""
_FAR = 8


def held_out(runs: Runs, axes: Sequence[Axis], known: Collection[Sizes], least: int) -> list[Sizes]:
    """Return sizes at which the model runs and which are not `known`, at least so many if it does run at those.

    Those that ran already are among them. At one or more it does the same operators as at the base, if it can.
    """
    most = least + _MORE if all(axis.alike for axis in axes) else least
    for sizes in runs.given:
        runs.at(sizes)
    for sizes in zip(*(others(runs, axis) for axis in axes), strict=False):
        if len(axes) == 1:
            runs.find_limits(axes[0].dimension)  # the last size that runs is one more
        found = [each for each in runs.samples if each not in known]
        if len(found) >= most or (len(found) >= least and any(runs.alike(each) for each in found)):
            break
        if runs.may_run(sizes):
            runs.at(sizes)
    return [each for each in runs.samples if each not in known]


def elsewhere(runs: Runs, axes: Sequence[Axis]) -> Iterator[Sizes]:
    """Yield sizes that all differ from the base: the second on the axes, those that ran last, others close by."""
    near = range(1, 2 * max(step.divisor for axis in axes for step in axis.steps) + 3)
    apart = [runs.apart(axis.dimension) for axis in axes]
    ran = [sizes for sizes in reversed(runs.samples) if runs.alike(sizes) is not None]
    second = zip(*(axis.sizes[1:2] for axis in axes), strict=False)
    more = (tuple(size + each * times for size, each in zip(runs.base, apart, strict=True)) for times in near)
    for sizes in dict.fromkeys((*second, *ran, *more)):
        if all(one != other for one, other in zip(sizes, runs.base, strict=True)) and runs.may_run(sizes):
            yield sizes


def others(runs: Runs, axis: Axis) -> Iterator[int]:
    """Yield sizes that are not on an axis: in between, farther on, small ones; then those in the same residue class."""
    least, most = min(axis.sizes), max(axis.sizes)
    apart = runs.apart(axis.dimension)
    far = [_FAR * most - 1] if axis.alike else []  # otherwise a run is as long as its sizes are large
    any_size = [*far, (least + most) // 2 - 1, least - 1, most + (most - least) // 2 + 1, least // 2, 1]
    in_class = [axis.sizes[0] + apart * times for times in (5, 3, -1, 7, 2, -2, 9, -3)]
    refused = any(axis.dimension == _only_change(runs, sizes) for sizes in runs.refused)
    wanted = [*in_class, *any_size] if refused and apart > 1 else [*any_size, *in_class]
    yield from (size for size in dict.fromkeys(wanted) if size > 0 and size not in axis.sizes)


def _only_change(runs: Runs, sizes: Sizes) -> int | None:
    changed = [at for at, (size, base) in enumerate(zip(sizes, runs.base, strict=True)) if size != base]
    return changed[0] if len(changed) == 1 else None
