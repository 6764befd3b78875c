"""The largest of several polynomials, over whole numbers: which one it is from where to where, exactly.

Between neighbouring zeros of its derivative a polynomial rises or falls, so that bisection finds where it changes its
sign; the zeros of the derivative are found in the same way. Only whole numbers are asked, in exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise, zip_longest
from math import ceil, lcm
from operator import ge

from alexnet_cli.analyses.capacity import first_that
from alexnet_cli.analyses.scale.polynomial import Monomial, Polynomial, Step

Coefficients = Sequence[Fraction]
FARTHEST = 2**31 - 1
"""No dimension of a tensor is larger."""


def value(coefficients: Coefficients, at: int) -> Fraction:
    """Return a polynomial's value, by Horner's rule; the constant comes first."""
    found = Fraction(0)
    for each in reversed(coefficients):
        found = found * at + each
    return found


def turns(coefficients: Coefficients, least: int, most: int) -> list[int]:
    """Return numbers from `least` to `most`, both included, between which a polynomial does not change its sign.

    In each stretch from one to just before the next its values at whole numbers are all above zero, or all not.
    """
    if least >= most or len(coefficients) <= 1:
        return [least]
    slope = [power * each for power, each in enumerate(coefficients)][1:]
    bends = [at for turn in turns(slope, least, most) for at in (turn - 1, turn)]
    found = [least]
    for low, high in pairwise(sorted({least, most, *(at for at in bends if least <= at <= most)})):
        if (value(coefficients, low) > 0) != (value(coefficients, high) > 0):
            found.append(_change(coefficients, low, high))
    return sorted(set(found))


def _change(coefficients: Coefficients, low: int, high: int) -> int:
    """Return the first number above `low` at which the sign is that at `high`, of a polynomial that rises or falls."""
    wanted = value(coefficients, high) > 0
    return first_that(range(low + 1, high), lambda at: (value(coefficients, at) > 0) == wanted)


def bound(coefficients: Coefficients) -> int:
    """Return a number above which a polynomial has no zero (Cauchy)."""
    *lower, leading = coefficients
    return 1 + ceil(max((abs(each / leading) for each in lower), default=Fraction(0)))


def first_above(coefficients: Coefficients, least: int, most: int) -> int | None:
    """Return the first whole number in a range at which a polynomial is above zero, None if there is none."""
    degree = max((at for at, each in enumerate(coefficients) if each), default=0)
    coefficients = coefficients[: degree + 1]
    last = min(most, max(bound(coefficients), least) + 1)
    return next((at for at in turns(coefficients, least, last) if value(coefficients, at) > 0), None)


def largest_of(several: Sequence[Coefficients], least: int, most: int = FARTHEST) -> list[tuple[int, int]]:
    """Return which of several polynomials is the largest: `(from, which)` in rising order, from `least` on.

    Of equal ones it is that which is larger later, or else the first.
    """
    at, pieces = least, list[tuple[int, int]]()
    while at <= most:
        now = max(range(len(several)), key=lambda each: ([value(several[each], at + n) for n in (0, 1, 2, 4)], -each))
        pieces.append((at, now))
        differences = ([a - b for a, b in zip_longest(other, several[now], fillvalue=Fraction(0))] for other in several)
        changes = (first_above(difference, at + 1, most) for difference in differences)
        after = min((change for change in changes if change is not None), default=None)
        if after is None:
            break
        at = after
    return pieces


def without_smaller(several: Sequence[Polynomial]) -> list[Polynomial]:
    """Leave out polynomials that are nowhere larger than another, by their coefficients, at sizes that can run."""
    kept = _uncovered(list(dict.fromkeys(several)), {each: each for each in several})
    return _uncovered(kept, {each: _in_slack(each) for each in kept})


def _uncovered(several: Sequence[Polynomial], seen_as: Mapping[Polynomial, Polynomial]) -> list[Polynomial]:
    rows, kept = _in_whole_numbers(seen_as), list[Polynomial]()
    for each in sorted(several, key=lambda one: sum(rows[one]), reverse=True):
        if not any(all(map(ge, rows[other], rows[each])) for other in kept):
            kept = [other for other in kept if not all(map(ge, rows[each], rows[other]))] + [each]
    return [each for each in several if each in set(kept)]


def _in_whole_numbers(seen_as: Mapping[Polynomial, Polynomial]) -> dict[Polynomial, list[int]]:
    """Return the coefficients of polynomials, all multiplied by one number, in one order of monomials."""
    monomials = list(dict.fromkeys(monomial for each in seen_as.values() for monomial in each.terms))
    common = lcm(*(each.denominator for one in seen_as.values() for each in one.terms.values()))
    return {
        own: [each.numerator * (common // each.denominator) if each else 0 for each in map(one.terms.get, monomials)]
        for own, one in seen_as.items()
    }


def covers(one: Polynomial, two: Polynomial) -> bool:
    """Tell whether a polynomial is nowhere below another, as no coefficient is: sizes are not negative."""
    return all(one.terms.get(key, 0) >= two.terms.get(key, 0) for key in one.terms.keys() | two.terms.keys())


def _in_slack(polynomial: Polynomial) -> Polynomial:
    """Write a polynomial in numbers that may be anything from zero up: by how much each step exceeds the least it can.

    Every step is at least 1, as no tensor that runs is empty, and a step u = ⌊(n + a)/p⌋ beside v = ⌊(n + b)/q⌋ is at
    least (q·v − b + a − p + 1)/p.
    """
    steps, terms = polynomial.steps, polynomial.terms.items()
    return Polynomial.of(
        (monomial, each * own) for one, own in terms for monomial, each in _expanded(one, steps).terms.items()
    )


@lru_cache(maxsize=4096)
def _expanded(monomial: Monomial, steps: tuple[Step, ...]) -> Polynomial:
    return Polynomial.of([(monomial, 1)]).replaced(_slack(steps))


@lru_cache(maxsize=256)
def _slack(steps: tuple[Step, ...]) -> dict[Step, Polynomial]:
    found: dict[Step, Polynomial] = {}
    for step in sorted(steps, key=lambda each: (each.dimension, -each.divisor, each.offset)):
        slack, coarser = Polynomial.in_step(step, [0, 1]), [each for each in found if each.dimension == step.dimension]
        if coarser:
            other = coarser[-1]
            offset = step.offset - other.offset - step.divisor + 1
            least = (found[other].times(other.divisor) + Polynomial.constant(offset)).times(Fraction(1, step.divisor))
        else:
            least = Polynomial.constant(1)
        found[step] = slack + least
    return found


def largest_size(of: Callable[[int], Fraction | int], capacity: int, least: int = 1, most: int = FARTHEST) -> int:
    """Return the largest whole number up to `most` at which a rising law is at most `capacity`; `least` − 1 if none."""
    fits, too_large = least - 1, least
    while too_large <= most and of(too_large) <= capacity:
        fits, too_large = too_large, 2 * too_large
    return first_that(range(fits + 1, min(too_large, most + 1)), lambda size: of(size) > capacity) - 1
