"""Polynomials with rational coefficients in the sizes of inputs, and in the whole-number steps of those sizes.

A window of k elements that moves s at a time over n + 2p elements stops ⌊(n + 2p − k) / s⌋ + 1 times, and floors of
floors are floors again (Graham, Knuth, Patashnik, "Concrete Mathematics", 3.11). So every size along an axis of a
convolution net is one `Step` of the input's size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import lcm, prod

from msgspec import Struct


class Step(Struct, frozen=True, order=True):
    """⌊(n + offset) / divisor⌋ of the size n of a dimension; n itself by default."""

    dimension: str
    divisor: int = 1
    offset: int = 0

    def at(self, size: int) -> int:
        """Return its value at a size."""
        return (size + self.offset) // self.divisor

    @property
    def is_size(self) -> bool:
        """Tell whether it is the size itself."""
        return (self.divisor, self.offset) == (1, 0)


Monomial = tuple[tuple[Step, int], ...]
"""The powers of the steps in a product, in their order; empty for 1."""


@dataclass(frozen=True)
class Polynomial:
    """A sum of monomials with coefficients; none of these is zero."""

    terms: Mapping[Monomial, Fraction]

    @staticmethod
    def of(terms: Iterable[tuple[Monomial, Fraction | int]]) -> Polynomial:
        """Sum up terms."""
        found: dict[Monomial, Fraction | int] = {}
        for monomial, coefficient in terms:  # a whole number is added much more quickly than a fraction
            whole = coefficient.numerator if coefficient.denominator == 1 else coefficient
            found[monomial] = found[monomial] + whole if monomial in found else whole
        return Polynomial({monomial: Fraction(each) for monomial, each in found.items() if each})

    @staticmethod
    def constant(number: Fraction | int) -> Polynomial:
        """Return a polynomial of degree zero."""
        return Polynomial.of([((), Fraction(number))])

    @staticmethod
    def in_step(step: Step, coefficients: Iterable[Fraction | int]) -> Polynomial:
        """Return the polynomial in one step with these coefficients, the constant first."""
        return Polynomial.of(((((step, power),) if power else ()), each) for power, each in enumerate(coefficients))

    @cached_property
    def key(self) -> frozenset[tuple[Monomial, Fraction]]:
        """Return what equal polynomials have alike."""
        return frozenset(self.terms.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __add__(self, other: Polynomial) -> Polynomial:
        return Polynomial.of((*self.terms.items(), *other.terms.items()))

    def __mul__(self, other: Polynomial) -> Polynomial:
        pairs = ((one, two) for one in self.terms.items() for two in other.terms.items())
        return Polynomial.of((_product(first, second), a * b) for (first, a), (second, b) in pairs)

    def times(self, number: Fraction | int) -> Polynomial:
        """Return the polynomial multiplied by a number."""
        return Polynomial.of((monomial, each * number) for monomial, each in self.terms.items())

    def at(self, sizes: Mapping[str, int]) -> Fraction:
        """Return the value at the sizes of all its dimensions."""
        values = {step: step.at(sizes[step.dimension]) for step in self.steps}
        denominator, terms = self._in_whole_numbers
        total = sum(each * prod(values[step] ** power for step, power in monomial) for monomial, each in terms)
        return Fraction(total, denominator)

    @cached_property
    def _in_whole_numbers(self) -> tuple[int, list[tuple[Monomial, int]]]:
        """Return a denominator of all coefficients, and the terms multiplied by it: whole numbers are quick."""
        common = lcm(*(each.denominator for each in self.terms.values()))
        return common, [(monomial, int(each * common)) for monomial, each in self.terms.items()]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Return the steps that it depends on, in their order."""
        return tuple(sorted({step for monomial in self.terms for step, _ in monomial}))

    def replaced(self, by: Mapping[Step, Polynomial]) -> Polynomial:
        """Return the polynomial with another one in place of each step."""
        found = Polynomial.constant(0)
        for monomial, each in self.terms.items():
            product = Polynomial.constant(each)
            for step in (step for step, power in monomial for _ in range(power)):
                product = product * by[step]
            found += product
        return found

    def coefficients(self) -> list[Fraction]:
        """Return the coefficients of a polynomial in one step, the constant first."""
        degree = max((power for monomial in self.terms for _, power in monomial), default=0)
        found = [Fraction(0)] * (degree + 1)
        for monomial, each in self.terms.items():
            found[monomial[0][1] if monomial else 0] += each
        return found


def _product(one: Monomial, two: Monomial) -> Monomial:
    powers: dict[Step, int] = dict(one)
    for step, power in two:
        powers[step] = powers.get(step, 0) + power
    return tuple(sorted(powers.items()))
