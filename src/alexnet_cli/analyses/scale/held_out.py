"""Chooses the sizes at which laws are proved."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from alexnet_cli.analyses.scale.axes import Axis
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.runs import Runs

_MORE = 2
"""So many more sizes are tried, where the model does other operators at some of them."""
_FAR = 8
_FEW = 2
"""No less: at a size of 1 torch leaves out copies that it makes at all others."""


def held_out(runs: Runs, axes: Sequence[Axis], known: Collection[Sizes], least: int) -> list[Sizes]:
    """Return sizes at which the model runs and which are not `known`, at least so many if it does run at those.

    Those that ran already are among them, and so are the ends. At one or more the model does the same operators as at
    the base, if it can.
    """
    most = least + _MORE if all(axis.alike for axis in axes) else least
    for sizes in runs.given:
        runs.at(sizes)
    ends = max(len(_ends(runs, axis)) for axis in axes) if all(axis.alike for axis in axes) else 0
    for tried, sizes in enumerate(zip(*(others(runs, axis) for axis in axes), strict=False)):
        if len(axes) == 1:
            runs.find_limits(axes[0].dimension)  # the last size that runs is one more
        found = [each for each in runs.samples if each not in known]
        enough = len(found) >= most or (len(found) >= least and any(runs.alike(each) for each in found))
        if enough and tried >= ends:
            break
        if runs.may_run(sizes):
            runs.at(sizes)
    return [each for each in runs.samples if each not in known]


def elsewhere(runs: Runs, axes: Sequence[Axis]) -> Iterator[Sizes]:
    """Yield sizes that all differ from the base: the second on the axes, those that ran last, others close by.

    Those with a size of 1 come last of them: there torch leaves out copies, more so in a training step.
    """
    near = range(1, 2 * max(step.divisor for axis in axes for step in axis.steps) + 3)
    apart = [runs.apart(axis.dimension) for axis in axes]
    ran = [sizes for sizes in reversed(runs.samples) if runs.alike(sizes) is not None]
    second = zip(*(axis.sizes[1:2] for axis in axes), strict=False)
    more = (tuple(size + each * times for size, each in zip(runs.base, apart, strict=True)) for times in near)
    ran.sort(key=lambda sizes: 1 in sizes)
    for sizes in dict.fromkeys((*second, *ran, *more)):
        if all(one != other for one, other in zip(sizes, runs.base, strict=True)) and runs.may_run(sizes):
            yield sizes


def others(runs: Runs, axis: Axis) -> Iterator[int]:
    """Yield sizes that are not on an axis: the ends, those in between; then those in the same residue class."""
    least, most = min(axis.sizes), max(axis.sizes)
    apart = runs.apart(axis.dimension)
    above = most + (most - least) // 2 + 1
    near = [above, least - 1] if axis.alike else [least - 1, above]  # otherwise a run is as long as its sizes are large
    any_size = [*_ends(runs, axis), (least + most) // 2 - 1, *near, least // 2, 1]
    in_class = [axis.sizes[0] + apart * times for times in (5, 3, -1, 7, 2, -2, 9, -3)]
    refused = any(axis.dimension == _only_change(runs, sizes) for sizes in runs.refused)
    wanted = [*in_class, *any_size] if refused and apart > 1 else [*any_size, *in_class]
    yield from (size for size in dict.fromkeys(wanted) if size > 0 and size not in axis.sizes)


def _ends(runs: Runs, axis: Axis) -> list[int]:
    """Return a size far above those on an axis, and the least that is usual: laws between them hold in between.

    The least is that at which no tensor has less than a few elements along an axis. Without the two, a window that ends
    above or below is not seen.
    """
    if not axis.alike:
        return []
    small = max(runs.within.start, *(_FEW * step.divisor - step.offset for step in axis.steps))
    small += (small - axis.sizes[0]) % 2 == 0  # an odd distance tells that not even sizes alone run
    return [min(_FAR * max(axis.sizes[:2]) - 1, runs.within.stop - 1), *([small] if small < min(axis.sizes) else [])]


def _only_change(runs: Runs, sizes: Sizes) -> int | None:
    changed = [at for at, (size, base) in enumerate(zip(sizes, runs.base, strict=True)) if size != base]
    return changed[0] if len(changed) == 1 else None
