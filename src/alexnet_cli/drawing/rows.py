"""Breaking a sequence into rows or columns of about the same length."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def split_rows(sizes: Sequence[float], gap: float, room: float) -> list[tuple[int, int]]:
    """Split into as few rows as fit the room, the longest of them as short as can be; ends are exclusive.

    What is longer than the room has a row of its own.
    """
    for count in range(1, len(sizes)):
        rows = balanced(sizes, gap, count)
        if max(length_of(sizes[a:b], gap) for a, b in rows) <= room:
            return rows
    return [(i, i + 1) for i in range(len(sizes))]


def balanced(sizes: Sequence[float], gap: float, count: int) -> list[tuple[int, int]]:
    """Split into `count` rows, the longest of them as short as can be: the classic linear partition."""
    total = len(sizes)
    best = [[0.0] * (total + 1) for _ in range(count + 1)]
    cut = [[0] * (total + 1) for _ in range(count + 1)]
    for end in range(1, total + 1):
        best[1][end] = length_of(sizes[:end], gap)
    for row in range(2, count + 1):
        for end in range(row, total + 1):
            tries = [
                (max(best[row - 1][start], length_of(sizes[start:end], gap)), start) for start in range(row - 1, end)
            ]
            best[row][end], cut[row][end] = min(tries)
    ends = [total]
    for row in range(count, 1, -1):
        ends.append(cut[row][ends[-1]])
    bounds = [0, *reversed(ends)]
    return list(pairwise(bounds))


def length_of(sizes: Sequence[float], gap: float) -> float:
    """Return how long a row is."""
    return sum(sizes) + gap * max(len(sizes) - 1, 0)
