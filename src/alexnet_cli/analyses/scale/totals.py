"""Laws of totals as they are, where runs at different sizes do different operators, as loops over time do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import lcm, prod
from operator import mul

from alexnet_cli.analyses.scale.axes import Axis
from alexnet_cli.analyses.scale.envelope import without_smaller
from alexnet_cli.analyses.scale.fit import Sizes, on_grid, through
from alexnet_cli.analyses.scale.held_out import others
from alexnet_cli.analyses.scale.law import Law
from alexnet_cli.analyses.scale.polynomial import Polynomial
from alexnet_cli.analyses.scale.runs import Runs
from alexnet_cli.analyses.scale.samples import Moment, Quantity, Sample, Total

_MOST_POINTS = 7

Lines = Sequence[tuple[tuple[int, ...], set[Total]]]


def by_totals(runs: Runs, axes: Sequence[Axis], peak: Quantity | None) -> tuple[tuple[Law, ...], list[Sizes]]:
    """Return the laws of totals, and the sizes that they are from, all combinations of as many as degrees take.

    A peak is the largest of the laws of the moments at which it may be. Totals that have no law come without pieces.
    """
    totals = list(runs.first().totals)
    lines = [_line(runs, axis, [total for total in totals if total[0] != peak]) for axis in axes]
    grid = {sizes: runs.at(sizes) for sizes in product(*(sizes for sizes, _ in lines))}
    samples = {sizes: sample for sizes, sample in grid.items() if sample is not None}
    if len(samples) < len(grid):
        return tuple(Law(total, runs.names, ()) for total in totals), list(samples)
    laws = (_peak(runs, total, samples) if total[0] == peak else _of(runs, total, lines, samples) for total in totals)
    return tuple(laws), list(samples)


def _of(runs: Runs, total: Total, lines: Lines, samples: Mapping[Sizes, Sample]) -> Law:
    if not all(total in found for _, found in lines):
        return Law(total, runs.names, ())
    points = {sizes: sample.totals.get(total, 0) for sizes, sample in samples.items()}
    return Law(total, runs.names, (on_grid(runs.names, points),))


def _peak(runs: Runs, total: Total, samples: Mapping[Sizes, Sample]) -> Law:
    """Return the largest of the laws of moments, if it is the peak at all sizes that ran; else none.

    A moment that some runs do not have, such as one in the fifth turn of a loop, is left out, and so is one that has
    another value in some run than its law says.
    """
    grid, every = _Grid(runs.names, list(samples)), list(runs.samples.items())
    places, values = [grid.monomials_at(sizes) for sizes, _ in every], [sample.moments for _, sample in every]
    where: dict[tuple[int, ...], Moment] = {}
    for key in runs.first().moments:
        if all(key in moments for moments in values):
            live = grid.coefficients([sample.moments[key] for sample in samples.values()])
            if live not in where and all(
                sum(map(mul, live, place)) == moments[key] * grid.denominator
                for place, moments in zip(places, values, strict=True)
            ):
                where[live] = key
    laws = {grid.polynomial(live): key for live, key in where.items()}
    pieces = without_smaller(list(laws))
    law = Law(total, runs.names, tuple(pieces), tuple(laws[piece][2:] for piece in pieces))
    holds = all(law.at(sizes) == sample.totals[total] for sizes, sample in runs.samples.items()) if pieces else False
    return law if holds else Law(total, runs.names, ())


class _Grid:
    """Polynomials through the points of one grid, as whole coefficients over one `denominator`: quick for many."""

    def __init__(self, names: Sequence[str], points: Sequence[Sizes]) -> None:
        self.names = names
        basis = [on_grid(names, {point: int(point == one) for point in points}) for one in points]
        self.monomials = list(dict.fromkeys(monomial for each in basis for monomial in each.terms))
        self.denominator = lcm(*(each.denominator for one in basis for each in one.terms.values()))
        self.rows = [[int(one.terms.get(key, 0) * self.denominator) for one in basis] for key in self.monomials]

    def coefficients(self, values: Sequence[int]) -> tuple[int, ...]:
        """Return the coefficients of the polynomial with these values at the points, in the order of `monomials`."""
        return tuple(sum(map(mul, row, values)) for row in self.rows)

    def monomials_at(self, sizes: Sizes) -> list[int]:
        named = dict(zip(self.names, sizes, strict=True))
        return [prod(step.at(named[step.dimension]) ** power for step, power in each) for each in self.monomials]

    def polynomial(self, coefficients: Sequence[int]) -> Polynomial:
        pairs = zip(self.monomials, coefficients, strict=True)
        return Polynomial.of((monomial, Fraction(each, self.denominator)) for monomial, each in pairs)


def _line(runs: Runs, axis: Axis, needed: Sequence[Total]) -> tuple[tuple[int, ...], set[Total]]:
    """Return as many sizes of a dimension as the degrees of totals along it take, and what has a law along it."""
    sizes, more = list(runs.running(axis.dimension, axis.sizes)), others(runs, axis)
    while True:
        lines = [runs.samples[runs.moved(axis.dimension, size)].totals for size in sizes]
        degrees = {key: len(through(sizes, [line.get(key, 0) for line in lines])) - 1 for key in needed}
        sure = {key: degree for key, degree in degrees.items() if degree + 1 < len(sizes)}
        another = None if len(sure) == len(needed) or len(sizes) >= _MOST_POINTS else next(more, None)
        if another is None:
            degree = max(sure.values(), default=1)
            return tuple(sizes[: max(degree, 1) + 1]), set(sure)
        sizes += list(runs.running(axis.dimension, [another]))
