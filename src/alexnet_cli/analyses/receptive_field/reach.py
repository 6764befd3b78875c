"""The stretch of one input axis that the units of a value see, as a function of their place.

A unit is one place of a map. Along an input axis it sees an interval of pixels; the first pixel is 0, and pixels
before it and beyond the last are those that padding stands for. Units that a stride apart see intervals that are a
stride apart; after upsampling that is true only every few units. So a `Reach` holds the intervals of one period of
units, and how far all of them move on with the next period:

    unit q * period + r  sees  spans[r] moved by q * advance

That is closed under all that convolutions, poolings and interpolations do, and exact. A plain stack of convolutions has
period 1: one interval and the jump. See Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural
Networks", Distill 2019, for the case of period 1 over graphs, which is where the names size, jump and start come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from math import gcd, lcm

from msgspec import Struct

Span = tuple[int, int]
"""The first and the last pixel."""

MOST_PHASES = 4096
"""Longer periods are not followed: what sees so irregularly is taken to see the whole axis."""


class Reach(Struct, frozen=True):
    """What the units of an axis see; a span None is that of a unit that sees nothing.

    `tight`: the spans are what is seen, not only bounds of it.
    """

    spans: tuple[Span | None, ...]
    advance: int
    tight: bool = True

    @property
    def period(self) -> int:
        """After how many units the spans repeat, moved on."""
        return len(self.spans)

    def at(self, unit: int) -> Span | None:
        """Return what a unit sees; units before the first and after the last are those that padding stands for."""
        turns, phase = divmod(unit, self.period)
        return moved(self.spans[phase], turns * self.advance)

    def over(self, units: Iterable[int]) -> Span | None:
        """Return what several units see together."""
        return hull(self.at(unit) for unit in units)

    def widest(self) -> int:
        """Return how many pixels the unit that sees most sees, from the first to the last."""
        return max((span[1] - span[0] + 1 for span in self.spans if span is not None), default=0)

    def loosened(self) -> Reach:
        """Return the same as a mere bound."""
        return Reach(self.spans, self.advance, tight=False)

    def through(self, taps: Callable[[int], Iterable[int]], units: int = 1, moved: int = 1) -> Reach | None:
        """Return what new units see that read old ones: `taps` gives the old units that a new unit reads.

        `units` new units further on, the same old units are read but `moved` further on. None: too irregular.
        """
        rounds = self.period // gcd(self.period, moved)
        if units * rounds > MOST_PHASES:
            return None
        spans = tuple(self.over(taps(unit)) for unit in range(units * rounds))
        return _shortest(spans, self.advance * moved * rounds // self.period, tight=self.tight)

    def through_map(self, taps: Callable[[int], Iterable[int]], rate: Fraction, size: int) -> Reach | None:
        """Do so for a map of some new units, where what they see repeats too late; `rate` is old units for a new one.

        The map itself is then the period. What is beyond it is padding, and there this is but about right.
        """
        if size > MOST_PHASES:
            return None
        advance = round(rate * size * self.advance / self.period)
        return Reach(tuple(self.over(taps(unit)) for unit in range(size)), advance, tight=False)

    def joined(self, other: Reach, units: int) -> Reach | None:
        """Return what units see that see both; `units` is how many of them there are. None: too irregular.

        Where the two do not move on equally fast the result bounds what those units see.
        """
        if self.advance * other.period != other.advance * self.period:
            fitted = None if 0 in (self.advance, other.advance) else other.fitted(self, units)
            return None if fitted is None else self.joined(fitted, units)
        period = lcm(self.period, other.period)
        if period > MOST_PHASES:
            return None
        spans = tuple(hull((self.at(unit), other.at(unit))) for unit in range(period))
        return _shortest(spans, self.advance * period // self.period, tight=self.tight and other.tight)

    def fitted(self, model: Reach, units: int) -> Reach | None:
        """Bound what the first `units` units see by spans that move on as those of `model` do."""
        if units > MOST_PHASES:
            return None
        found: list[Span | None] = [None] * model.period
        for unit in range(units):
            turns, phase = divmod(unit, model.period)
            found[phase] = hull((found[phase], moved(self.at(unit), -turns * model.advance)))
        return Reach(tuple(found), model.advance, tight=False)


def moved(span: Span | None, by: int) -> Span | None:
    """Return the same interval further on."""
    return None if span is None else (span[0] + by, span[1] + by)


def fixed(span: Span | None, *, tight: bool) -> Reach:
    """Return what units see that all see the same."""
    return Reach((span,), 0, tight)


def hull(spans: Iterable[Span | None]) -> Span | None:
    """Return the smallest interval that holds all."""
    known = [span for span in spans if span is not None]
    return (min(span[0] for span in known), max(span[1] for span in known)) if known else None


def _shortest(spans: tuple[Span | None, ...], advance: int, *, tight: bool) -> Reach:
    """Return the reach with the shortest period that says the same."""
    whole = Reach(spans, advance, tight)
    for period in range(1, len(spans)):
        if len(spans) % period or (advance * period) % len(spans):
            continue
        part = Reach(spans[:period], advance * period // len(spans), tight)
        if all(part.at(unit) == span for unit, span in enumerate(spans)):
            return part
    return whole
