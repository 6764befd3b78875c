"""Which image sizes a model runs on, found by trying."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

RADIUS = 64
LARGEST = 4096
USUAL = (28, 32, 64, 96, 112, 128, 160, 192, 224, 227, 256, 299, 320, 384, 448, 512, 640, 1024)
SECONDS = 5.0
"""The search gives up after this long; what it says by then was tried."""


@dataclass(frozen=True)
class Sides:
    """Square sizes that run: all from `low` to `high`, or from `low` upwards where `high` is None."""

    low: int
    high: int | None

    def __str__(self) -> str:
        if self.high is None:
            return f"square inputs from {self.low} upwards fit"
        if self.high == self.low:
            return f"a square input of {self.low} fits"
        return f"square inputs from {self.low} to {self.high} fit"


def fitting_sides(given: int, runs: Callable[[int], bool]) -> Sides | None:
    """Find the stretch of square sizes nearest to `given` on which `runs` is true, None if there is none at hand.

    Both ends of what is returned were tried, and so was every size between them up to `RADIUS` from the first hit.
    """
    deadline = time.monotonic() + SECONDS
    tried = cache(runs)
    for side in _candidates(given):
        if time.monotonic() > deadline:
            return None
        if tried(side):
            return Sides(_edge(side, -1, tried) or side, _edge(side, +1, tried))
    return None


def _candidates(given: int) -> Iterator[int]:
    for distance in range(1, RADIUS + 1):
        yield given + distance
        if given > distance:
            yield given - distance
    yield from sorted(USUAL, key=lambda side: abs(side - given))


def _edge(side: int, step: int, runs: Callable[[int], bool]) -> int | None:
    """Return the last size that runs, going from `side` by `step`; None if there is no end to be seen."""
    end = LARGEST if step > 0 else 1
    near = side
    while abs(near - side) < RADIUS:
        if near == end:
            return near
        if not runs(near + step):
            return near
        near += step
    if runs(end):
        return None if step > 0 else end
    far = end
    while abs(far - near) > 1:
        middle = (near + far) // 2
        near, far = (middle, far) if runs(middle) else (near, middle)
    return near
