"""Finds laws: from few runs, part by part where runs can be compared, and proves them at sizes held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from math import gcd

from alexnet_cli.analyses.scale.axes import Axis, explore, product_of
from alexnet_cli.analyses.scale.envelope import covers, without_smaller
from alexnet_cli.analyses.scale.fit import Sizes, on_grid, through
from alexnet_cli.analyses.scale.parts import law_of_part
from alexnet_cli.analyses.scale.polynomial import Polynomial
from alexnet_cli.analyses.scale.runs import Runs
from alexnet_cli.analyses.scale.samples import Part, Sample, Shares, Total, by_values, limit_of

_HELD_OUT = 2
"""Each law is proved at this many sizes or more, none of which it was found from."""
_ROUNDS = 3
_FAR = 8
_MOST_POINTS = 7


@dataclass(frozen=True)
class Law:
    """A total as a function of the sizes of dimensions: the largest of the `pieces`, or the `smallest` if so.

    Without pieces no law was found.

    `where` names the operator, and its layer, at which each piece of a peak is reached. The law is `proved_at` sizes
    that it was not found from; `except_at` has the values at sizes where it does not hold.
    """

    total: Total
    names: tuple[str, ...]
    pieces: tuple[Polynomial, ...]
    where: tuple[tuple[str | None, str | None], ...] = ()
    proved_at: tuple[Sizes, ...] = ()
    except_at: Mapping[Sizes, int] = field(default_factory=dict)
    smallest: bool = False

    def at(self, sizes: Sizes) -> Fraction:
        """Return the value at a size for each dimension."""
        if sizes in self.except_at:
            return Fraction(self.except_at[sizes])
        named = dict(zip(self.names, sizes, strict=True))
        return (min if self.smallest else max)(piece.at(named) for piece in self.pieces)


def find_number(names: Sequence[str], base: Sizes, measure: Callable[[Sizes], int]) -> Law:
    """Return the law of any number as a function of sizes, from `measure` alone; without pieces if none fits.

    `measure` raises `AlexnetError` at sizes for which there is no number.

    Raises:
        AlexnetError: there is none at the base.
    """
    runs = Runs(names, base, lambda sizes: Sample(0, {}, (), {("number", ""): measure(sizes)}))
    [law] = find(runs, [explore(runs, at) for at in range(len(names))])
    return law


def find(runs: Runs, axes: Sequence[Axis], shares: Shares | None = None) -> tuple[Law, ...]:
    """Return the laws of all totals, proved at sizes held out; `shares` tell which parts make which totals.

    Raises:
        AlexnetError: the model does not run at the base.
    """
    held: list[Sizes] = []
    for _ in range(_ROUNDS):
        by_parts = None if shares is None else _by_parts(runs, axes, shares)
        laws = by_parts or _by_totals(runs, axes, list(runs.first().totals))
        held = held_out(runs, axes)
        failed = next((sizes for sizes in held if not all(_holds(law, runs, sizes) for law in laws)), None)
        if failed is None or runs.alike(failed) is None:
            break
        axes = [_with(runs, axis, failed[axis.dimension]) for axis in axes]
    return tuple(_proved(law, runs, held) for law in laws)


def _holds(law: Law, runs: Runs, sizes: Sizes) -> bool:
    return not law.pieces or law.at(sizes) == runs.samples[sizes].totals.get(law.total, 0)


def _proved(law: Law, runs: Runs, held: Sequence[Sizes]) -> Law:
    """Note where a law was proved and where not; one that fails as often as it holds is none."""
    if not law.pieces:
        return law
    good = tuple(sizes for sizes in held if _holds(law, runs, sizes))
    bad = {sizes: runs.samples[sizes].totals.get(law.total, 0) for sizes in held if sizes not in good}
    return replace(law, proved_at=good, except_at=bad) if len(good) > len(bad) else replace(law, pieces=(), where=())


def _with(runs: Runs, axis: Axis, size: int) -> Axis:
    if size in axis.sizes or runs.alike(runs.moved(axis.dimension, size)) is None:
        return axis
    return replace(axis, sizes=(*axis.sizes, size))


def held_out(runs: Runs, axes: Sequence[Axis]) -> list[Sizes]:
    """Run at sizes that are not on the axes, smaller and larger ones, and return those at which the model runs."""
    known = set(product_of(axes))
    found = [runs.base] if runs.base not in known else []
    for sizes in zip(*(_others(runs, axis) for axis in axes), strict=False):
        if sizes not in known and sizes not in found and runs.may_run(sizes) and runs.at(sizes) is not None:
            found.append(sizes)
        if len(found) > _HELD_OUT:
            break
    return found


def _others(runs: Runs, axis: Axis) -> Iterator[int]:
    """Yield sizes that are not on an axis: in between, farther on, small ones; then those in the same residue class."""
    least, most = min(axis.sizes), max(axis.sizes)
    apart = gcd(*(size - axis.sizes[0] for size in axis.sizes)) or 1
    far = [_FAR * most - 1] if axis.alike else []  # otherwise a run is as long as its sizes are large
    any_size = [(least + most) // 2 - 1, *far, least - 1, most + (most - least) // 2 + 1, least // 2, 1]
    in_class = [axis.sizes[0] + apart * times for times in (5, 3, -1, 7, 2, -2, 9, -3)]
    refused = any(axis.dimension == _only_change(runs, sizes) for sizes in runs.refused)
    wanted = [*in_class, *any_size] if refused and apart > 1 else [*any_size, *in_class]
    yield from (size for size in dict.fromkeys(wanted) if size > 0 and size not in axis.sizes)


def _only_change(runs: Runs, sizes: Sizes) -> int | None:
    changed = [at for at, (size, base) in enumerate(zip(sizes, runs.base, strict=True)) if size != base]
    return changed[0] if len(changed) == 1 else None


def _by_parts(runs: Runs, axes: Sequence[Axis], shares: Shares) -> tuple[Law, ...] | None:
    """Return the laws of all totals as sums of those of their parts; None if runs cannot be compared part by part."""
    samples = [runs.alike(sizes) for sizes in product_of(axes)] if all(axis.alike for axis in axes) else [None]
    compared = [sample for sample in samples if sample is not None]
    if len(compared) < len(samples):
        return None
    of_part: dict[Part, Polynomial] = {}
    for values, parts in by_values(compared).items():
        law = law_of_part(axes, values)
        if law is None:
            return None
        of_part |= dict.fromkeys(parts, law)
    laws = [_total(runs, total, parts, of_part) for total, parts in shares.sums.items()]
    return (*laws, _peak(runs, shares, of_part))


def _total(runs: Runs, total: Total, parts: Sequence[Part], of_part: Mapping[Part, Polynomial]) -> Law:
    """Return a sum of parts; where some grow beyond their limits, the smallest of the sums with and without these."""
    sure: list[Polynomial] = []
    limited: Counter[tuple[Polynomial, Polynomial]] = Counter()
    for part in parts:
        law, limit = of_part[part], limit_of(part)
        if limit is None or covers(of_part[limit], law):
            sure.append(law)
        elif covers(law, of_part[limit]):
            sure.append(of_part[limit])
        else:
            limited[law, of_part[limit]] += 1
    sums = [_sum(sure)]
    for pair, times in limited.items():
        sums = [one + law.times(times) for one in sums for law in pair]
    return Law(total, runs.names, tuple(dict.fromkeys(sums)), smallest=len(sums) > 1)


def _sum(several: Iterable[Polynomial]) -> Polynomial:
    return Polynomial.of(term for each in several for term in each.terms.items())


def _peak(runs: Runs, shares: Shares, of_part: Mapping[Part, Polynomial]) -> Law:
    """Return a peak as the largest of the polynomials of all moments."""
    live, moments = Polynomial.constant(0), dict[Polynomial, tuple[str | None, str | None]]()
    for changes, where in zip(shares.moments, shares.where, strict=True):
        live = _sum([live, *(of_part[part].times(sign) for part, sign in changes)])
        moments.setdefault(live, where)
    pieces = without_smaller(list(moments))
    return Law((shares.peak, ""), runs.names, tuple(pieces), tuple(moments[piece] for piece in pieces))


def _by_totals(runs: Runs, axes: Sequence[Axis], totals: Sequence[Total]) -> tuple[Law, ...]:
    """Return the laws of totals as they are, from runs at all combinations of as many sizes as their degrees take."""
    lines = [_line(runs, axis, totals) for axis in axes]
    grid = list(product(*(sizes for sizes, _ in lines)))
    samples = {sizes: runs.at(sizes) for sizes in grid}
    if any(sample is None for sample in samples.values()):
        return tuple(Law(total, runs.names, ()) for total in totals)
    return tuple(_of_total(runs, total, grid, all(total in found for _, found in lines)) for total in totals)


def _of_total(runs: Runs, total: Total, grid: Sequence[Sizes], known: bool) -> Law:  # noqa: FBT001
    if not known:
        return Law(total, runs.names, ())
    points = {sizes: runs.samples[sizes].totals.get(total, 0) for sizes in grid}
    return Law(total, runs.names, (on_grid(runs.names, points),))


def _line(runs: Runs, axis: Axis, totals: Sequence[Total]) -> tuple[tuple[int, ...], set[Total]]:
    """Return as many sizes of a dimension as the degrees of totals along it take, and which totals have one."""
    sizes, more = list(axis.sizes), _others(runs, axis)
    while True:
        values = {
            total: [runs.samples[runs.moved(axis.dimension, size)].totals.get(total, 0) for size in sizes]
            for total in totals
        }
        degrees = {total: len(through(sizes, each)) - 1 for total, each in values.items()}
        sure = {total: degree for total, degree in degrees.items() if degree + 1 < len(sizes)}
        another = None if len(sure) == len(totals) or len(sizes) >= _MOST_POINTS else next(more, None)
        if another is None:
            return tuple(sizes[: max(sure.values(), default=0) + 1]), set(sure)
        sizes += list(runs.running(axis.dimension, [another]))
