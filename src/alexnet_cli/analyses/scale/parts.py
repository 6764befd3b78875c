"""The law of one part of a run: a product of polynomials, each in one step of one dimension."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations

from alexnet_cli.analyses.scale.axes import Axis
from alexnet_cli.analyses.scale.fit import along, is_sure
from alexnet_cli.analyses.scale.polynomial import Polynomial, Step

_ENOUGH = 3
"""With more points than these along an axis, a law that any points would have is the last resort."""
_HIGHEST = 4
"""Laws of a higher degree are not looked for."""


def law_of_part(axes: Sequence[Axis], values: Sequence[int]) -> Polynomial | None:
    """Return the law of a part with these values in the order of `product_of`, None if none is found."""
    first = values[0]
    if len(set(values)) == 1:
        return Polynomial.constant(first)
    if not first:
        return None
    found, start = Polynomial.constant(first), 1
    for axis in axes:
        line = (first, *values[start : start + len(axis.sizes) - 1])
        start += len(axis.sizes) - 1
        factor = _along_axis(axis, line)
        if factor is None:
            return None
        found = found * factor.times(Fraction(1, first))
    return found


def _along_axis(axis: Axis, values: Sequence[int]) -> Polynomial | None:
    if len(set(values)) == 1:
        return Polynomial.constant(values[0])
    power = next((found for step in axis.steps if (found := _as_power(step, axis.sizes, values))), None)
    if power is not None:
        return power
    drawn = ((step, along(step, axis.sizes, values)) for step in axis.steps)
    fits = [
        (not is_sure(coefficients, step, axis.sizes), len(coefficients), at, step, coefficients)
        for at, (step, coefficients) in enumerate(drawn)
        if coefficients is not None and len(coefficients) <= _HIGHEST + 1
    ]
    best = min(fits, default=None)
    if best is None or (best[0] and len(axis.sizes) > _ENOUGH):
        in_two = next(_in_two_steps(axis, values), None)
        if best is None or in_two is not None:
            return in_two
    return Polynomial.in_step(*best[3:])


def _as_power(step: Step, sizes: Sequence[int], values: Sequence[int]) -> Polynomial | None:
    """Return a multiple of a power of one step: what most parts are, and what takes the fewest points to tell."""
    places = [step.at(size) for size in sizes]
    if len(set(places)) == 1 or not all(places):
        return None
    for power in range(1, _HIGHEST + 1):
        ratio = Fraction(values[0], places[0] ** power)
        if all(ratio * place**power == value for place, value in zip(places, values, strict=True)):
            return Polynomial.in_step(step, [0] * power + [ratio])
    return None


def _in_two_steps(axis: Axis, values: Sequence[int]) -> Iterator[Polynomial]:
    """Yield a·u·v + b·u + c·v + d for two steps u and v, where that has these values."""
    for one, two in combinations(axis.steps, 2):
        rows = [(one.at(size) * two.at(size), one.at(size), two.at(size), 1) for size in axis.sizes]
        found = _solved(rows, values)
        if found is not None:
            products = (((one, 1), (two, 1)), ((one, 1),), ((two, 1),), ())
            yield Polynomial.of(zip(products, found, strict=True))


def _solved(rows: Sequence[Sequence[int]], values: Sequence[int]) -> list[Fraction] | None:
    """Solve linear equations of which there are more than unknowns, by elimination; None if they have no one answer."""
    unknowns = len(rows[0])
    matrix = [[*map(Fraction, row), Fraction(value)] for row, value in zip(rows, values, strict=True)]
    if len(matrix) <= unknowns:
        return None
    for column in range(unknowns):
        pivot = next((at for at in range(column, len(matrix)) if matrix[at][column]), None)
        if pivot is None:
            return None
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        matrix[column] = [each / matrix[column][column] for each in matrix[column]]
        for at, row in enumerate(matrix):
            if at != column and row[column]:
                matrix[at] = [each - row[column] * own for each, own in zip(row, matrix[column], strict=True)]
    if any(row[-1] for row in matrix[unknowns:]):
        return None
    return [row[-1] for row in matrix[:unknowns]]
