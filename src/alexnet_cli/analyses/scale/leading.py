"""Which of several polynomials in steps is the largest from which size on, exactly.

No step falls as the size grows, nor does a product of steps that are not negative. So over a stretch of sizes a
polynomial is at least its value with the products at the beginning where coefficients are positive, and with those at
the end where they are negative. Stretches in which this does not tell which polynomial leads are halved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import lcm, prod
from operator import mul, sub

from alexnet_cli.analyses.scale.polynomial import Polynomial


def leading(several: Sequence[Polynomial], sizes: range, *, smallest: bool = False) -> list[tuple[int, int]]:
    """Return which polynomial in one dimension is the largest, or the smallest: `(from, which)`, in rising order.

    Of equal ones it is the first.
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
