"""The largest of several polynomials, over whole numbers: which one it is from where to where, exactly.

Between neighbouring zeros of its derivative a polynomial rises or falls, so that bisection finds where it changes its
sign; the zeros of the derivative are found in the same way. Where sizes go by steps, stretches are halved instead. Only
whole numbers are asked, in exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import groupby, pairwise, zip_longest
from math import ceil, lcm, prod
from operator import ge, mul, sub

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


def leading(several: Sequence[Polynomial], sizes: range, *, smallest: bool = False) -> list[tuple[int, int]]:
    """Return which polynomial in steps of a size is the largest, or the smallest: `(from, which)`, in rising order.

    Of equal ones it is the first.

    No step falls as the size grows, nor does a product of steps that are not negative. So over a stretch of sizes a
    polynomial is at least its value with the products at the beginning where coefficients are positive, and with those
    at the end where they are negative. Stretches in which this does not tell which polynomial leads are halved.
    """
    signed = [each.times(-1) for each in several] if smallest else list(several)
    found = _Stretches(signed).of(sizes.start, sizes.stop - 1) if sizes else iter(())
    return [next(same) for _, same in groupby(found, key=lambda piece: piece[1])]


class _Stretches:
    def __init__(self, several: Sequence[Polynomial]) -> None:
        self.steps = {step for each in several for step in each.steps}
        self.monomials = list(dict.fromkeys(monomial for each in several for monomial in each.terms))
        common = lcm(*(each.denominator for one in several for each in one.terms.values()))
        self.rows = [[int(each.terms.get(one, 0) * common) for one in self.monomials] for each in several]
        self.known: dict[int, list[int]] = {}

    def of(self, least: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield which one leads, from `least` to `most`, both included."""
        later = [(least, most)]
        while later:
            low, high = later.pop()
            first = self.leader(low)
            if low == high or self.leads(first, low, high):
                yield low, first
            else:
                middle = (low + high) // 2
                later += [(middle + 1, high), (low, middle)]

    def leader(self, size: int) -> int:
        values = [sum(map(mul, row, self.products(size))) for row in self.rows]
        return values.index(max(values))

    def leads(self, which: int, least: int, most: int) -> bool:
        """Tell whether one is sure to be the largest at all sizes of a stretch, and the first of those."""
        if any(step.at(least) < 0 for step in self.steps):
            return False
        ends, own = list(zip(self.products(least), self.products(most), strict=True)), self.rows[which]
        for at, row in enumerate(self.rows):
            more = map(sub, own, row)
            if at != which and sum(each * end[each < 0] for each, end in zip(more, ends, strict=True)) < (at < which):
                return False
        return True

    def products(self, size: int) -> list[int]:
        if size not in self.known:
            values = {step: step.at(size) for step in self.steps}
            self.known[size] = [prod(values[step] ** power for step, power in each) for each in self.monomials]
        return self.known[size]


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
