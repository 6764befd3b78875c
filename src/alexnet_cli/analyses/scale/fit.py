"""Polynomials through points, in exact arithmetic.

Newton's divided differences give the one polynomial of least degree through points at different places.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction

from alexnet_cli.analyses.scale.polynomial import Polynomial, Step

Sizes = tuple[int, ...]
"""A size for each dimension, in their order."""


def through(places: Sequence[int], values: Sequence[Fraction | int]) -> list[Fraction]:
    """Return the coefficients, the constant first, of the polynomial of least degree through points.

    Zeros at the end are left out; there are at most as many coefficients as points, whose places must differ.
    """
    newton = [Fraction(value) for value in values]
    for order in range(1, len(places)):
        for at in range(len(places) - 1, order - 1, -1):
            newton[at] = (newton[at] - newton[at - 1]) / (places[at] - places[at - order])
    found = [Fraction(0)]
    for at in range(len(places) - 1, -1, -1):  # Horner: found · (x − place) + newton[at]
        shifted = [Fraction(0), *found]
        found = [up - places[at] * here for up, here in zip(shifted, [*found, Fraction(0)], strict=True)]
        found[0] += newton[at]
    while len(found) > 1 and not found[-1]:
        found.pop()
    return found


def along(step: Step, sizes: Sequence[int], values: Sequence[int]) -> list[Fraction] | None:
    """Return the polynomial in one step through points, None if two values belong to one value of the step."""
    known: dict[int, int] = {}
    for size, value in zip(sizes, values, strict=True):
        if known.setdefault(step.at(size), value) != value:
            return None
    return through(list(known), list(known.values()))


def is_sure(coefficients: Sequence[Fraction], step: Step, sizes: Sequence[int]) -> bool:
    """Tell whether more points lie on a polynomial than it takes to draw one of its degree."""
    return len(coefficients) < len({step.at(size) for size in sizes})


def on_grid(names: Sequence[str], points: Mapping[Sizes, Fraction | int]) -> Polynomial:
    """Return the polynomial through the points of a full grid: each size of a dimension with each of the others."""
    if not names:
        return Polynomial.constant(points[()])
    *others, name = names
    drawn: dict[Sizes, dict[int, Fraction | int]] = defaultdict(dict)
    for sizes, value in points.items():
        drawn[sizes[:-1]][sizes[-1]] = value
    lines = {sizes: through(list(line), list(line.values())) for sizes, line in drawn.items()}
    found = Polynomial.constant(0)
    for power in range(max(map(len, lines.values()))):
        layer = {sizes: line[power] if power < len(line) else Fraction(0) for sizes, line in lines.items()}
        found += on_grid(others, layer) * Polynomial.in_step(Step(name), [0] * power + [1])
    return found


def offsets_of(divisor: int, sizes: Sequence[int], values: Sequence[int]) -> range:
    """Return the offsets with which ⌊(n + offset) / divisor⌋ has these values at these sizes, none perhaps."""
    pairs = list(zip(sizes, values, strict=True))
    least = max(divisor * value - size for size, value in pairs)
    most = min(divisor * (value + 1) - 1 - size for size, value in pairs)
    return range(least, most + 1)


def divisor_of(sizes: Sequence[int], values: Sequence[int], period: int) -> int | None:
    """Return over how many elements of the input the values grow by one, from two sizes that are a `period` apart."""
    at = dict(zip(sizes, values, strict=True))
    for size, value in at.items():
        grown = at.get(size + period, value) - value
        if grown > 0 and period % grown == 0:
            return period // grown
    return None
