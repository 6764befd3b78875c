"""The largest batch whose peak memory stays within a capacity."""

from __future__ import annotations

from collections.abc import Callable

MOST = 2**20
"""Larger batches are not tried."""

_STRAIGHT = 12
"""So many tries follow the line; where memory is far from linear, halving the range then ends the search."""


def largest_batch(peak: Callable[[int], int], capacity: int, most: int = MOST) -> int:
    """Return the largest batch size up to `most` whose `peak` in bytes is at most `capacity`; 0 where 1 is too many.

    `peak` must not shrink as batches grow. It is close to linear, so a line through two sizes that were tried tells
    where to look next; the answer and the size above it are always tried themselves.
    """
    tried: dict[int, int] = {}
    fits, too_large = 0, most + 1
    guess = 1
    while too_large - fits > 1:
        tried[guess] = peak(guess)
        if tried[guess] <= capacity:
            fits = guess
        else:
            too_large = guess
        line = _on_the_line(tried, capacity) if len(tried) < _STRAIGHT else (fits + too_large) // 2
        guess = min(max(line, fits + 1), too_large - 1)
    return fits


def _on_the_line(tried: dict[int, int], capacity: int) -> int:
    """Return the batch at which the line through the two last tries reaches the capacity."""
    if len(tried) == 1:
        return 2
    (first, low), (second, high) = list(tried.items())[-2:]
    slope = (high - low) / (second - first)
    return int(second + (capacity - high) / slope) if slope > 0 else MOST
