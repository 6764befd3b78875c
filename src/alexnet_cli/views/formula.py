"""Polynomials as people write them: `256⋅b⋅s² + 98,304⋅b⋅s`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from alexnet_cli.analyses.scale.laws import StepOf, Term

_POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_PLACES = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_USUAL = {"batch": "b", "sequence": "s", "image": "n", "context": "c"}
_OTHERS = "uvwxyzpqrt"
MINUS, TIMES = "−", "⋅"


def symbols(dimensions: Sequence[str], steps: Sequence[StepOf]) -> dict[str, str]:
    """Return a letter for each dimension, and with the divisor below it, for each step; dashes tell steps apart."""
    letters: dict[str, str] = {}
    for name in dimensions:
        free = [letter for letter in _OTHERS if letter not in letters.values()]
        letters[name] = _USUAL.get(name) or next(iter(free), name)
    found = dict(letters)
    for step in steps:
        symbol = letters[step.dimension] + str(step.divisor).translate(_PLACES)
        while symbol in found.values():
            symbol += "′"
        found[step.name] = symbol
    return found


def polynomial(terms: Sequence[Term], names: Mapping[str, str]) -> str:
    """Write a polynomial, `names` having the symbol of each dimension and step."""
    written = ""
    for term in terms:
        coefficient = Fraction(term.coefficient)
        sign = MINUS if coefficient < 0 else "+"
        shown = _term(abs(coefficient), term.powers, names)
        written += f" {sign} {shown}" if written else f"{MINUS if sign == MINUS else ''}{shown}"
    return written or "0"


def step(of: StepOf, letter: str) -> str:
    """Write what a step is: `⌊(n − 7) / 4⌋`."""
    sign = MINUS if of.offset < 0 else "+"
    inside = f"({letter} {sign} {abs(of.offset):,})" if of.offset else letter
    return f"⌊{inside} / {of.divisor:,}⌋"


def _term(coefficient: Fraction, powers: Mapping[str, int], names: Mapping[str, str]) -> str:
    factors = [names[name] + (str(power).translate(_POWERS) if power > 1 else "") for name, power in powers.items()]
    return TIMES.join(factors if coefficient == 1 and factors else [_number(coefficient), *factors])


def _number(number: Fraction) -> str:
    whole = f"{number.numerator:,}"
    return whole if number.denominator == 1 else f"{whole}/{number.denominator:,}"
