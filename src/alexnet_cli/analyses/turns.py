"""Whether one model is faster than another, from runs of both in turns."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from statistics import mean, median, stdev

from msgspec import Struct

ROUNDS = 7
"""How often models are measured in turns."""
_STUDENT_T = 2.447
"""The two-sided 95 % quantile of Student's t with six degrees of freedom, for seven rounds."""


class TimedAgainst(Struct, frozen=True):
    """A model's time beside that of the first, both measured in turns.

    `ratio` is how many times that of the first it is: the geometric mean over `rounds` of the ratios of medians, with
    the 95 % interval from `low` to `high`; `differs` tells whether 1 lies outside of it. They are null for the first.
    """

    seconds: float
    rounds: int
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    differs: bool | None = None


def in_turns(rounds: Sequence[Sequence[float]]) -> tuple[TimedAgainst, ...]:
    """Compare models by their seconds in each of `ROUNDS` rounds; the first is what the others are compared with.

    The interval is that of the mean of the logarithms of the ratios, by Student's t: what slows a whole round down
    cancels out in its ratio.
    """
    firsts, *others = zip(*rounds, strict=True)
    found = [TimedAgainst(median(firsts), len(rounds))]
    for seconds in others:
        logs = [log(own / first) for own, first in zip(seconds, firsts, strict=True)]
        middle, half = mean(logs), _STUDENT_T * stdev(logs) / sqrt(len(logs))
        ratio, low, high = map(exp, (middle, middle - half, middle + half))
        found.append(TimedAgainst(median(seconds), len(rounds), ratio, low, high, differs=abs(middle) > half))
    return tuple(found)
