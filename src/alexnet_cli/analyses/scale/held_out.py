"""Chooses the sizes at which laws are proved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alexnet_cli.analyses.scale.axes import Axis, product_of
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.runs import Runs

_HELD_OUT = 2
"""Each law is proved at more sizes than these, where the model runs at as many."""
_MOST = 5
"""So many sizes are tried, where the model does other operators at some of them."""
_FAR = 8


def held_out(runs: Runs, axes: Sequence[Axis]) -> list[Sizes]:
    """Run at sizes that are not on the axes, smaller and larger ones, and return those at which the model runs."""
    known, most = set(product_of(axes)), _MOST if all(axis.alike for axis in axes) else _HELD_OUT + 1
    found = [runs.base] if runs.base not in known else []
    for sizes in zip(*(others(runs, axis) for axis in axes), strict=False):
        if sizes not in known and sizes not in found and runs.may_run(sizes) and runs.at(sizes) is not None:
            found.append(sizes)
        if sum(runs.alike(sizes) is not None for sizes in found) > _HELD_OUT or len(found) >= most:
            break
    return found


def others(runs: Runs, axis: Axis) -> Iterator[int]:
    """Yield sizes that are not on an axis: in between, farther on, small ones; then those in the same residue class."""
    least, most = min(axis.sizes), max(axis.sizes)
    apart = runs.apart(axis.dimension)
    far = [_FAR * most - 1] if axis.alike else []  # otherwise a run is as long as its sizes are large
    any_size = [(least + most) // 2 - 1, *far, least - 1, most + (most - least) // 2 + 1, least // 2, 1]
    in_class = [axis.sizes[0] + apart * times for times in (5, 3, -1, 7, 2, -2, 9, -3)]
    refused = any(axis.dimension == _only_change(runs, sizes) for sizes in runs.refused)
    wanted = [*in_class, *any_size] if refused and apart > 1 else [*any_size, *in_class]
    yield from (size for size in dict.fromkeys(wanted) if size > 0 and size not in axis.sizes)


def _only_change(runs: Runs, sizes: Sizes) -> int | None:
    changed = [at for at, (size, base) in enumerate(zip(sizes, runs.base, strict=True)) if size != base]
    return changed[0] if len(changed) == 1 else None
