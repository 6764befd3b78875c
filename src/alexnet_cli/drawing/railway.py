"""The data flow of a graph as rails made of characters, beside nodes that stand one below the other.

A rail leads from one node to one or more others. A line that joins another rail meets it with an arm; a line that only
passes crosses it without one.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

Tracks = list[frozenset[int]]
"""For each column, the nodes that its rail still leads to."""


class Signs(Struct, frozen=True):
    """The characters of rails. Where a line meets a rail, the rail goes `on`, `begins` below it or `ends` above it.

    Each of these three has a character for the left end of the line, its right end, and in between.
    """

    node: str
    down: str
    across: str
    on: str
    begins: str
    ends: str


UNICODE = Signs("●", "│", "─", "├┤┼", "╭╮┬", "╰╯┴")
ASCII = Signs("*", "|", "-", "||+", "/\\+", "\\/+")


class Rails(Struct, frozen=True):
    """The rails of a node: `before` pass above it, `above` lead into it, `at` has the node on it, `below` lead away."""

    before: str
    above: tuple[str, ...]
    at: str
    below: tuple[str, ...]


def rails_of(nodes: int, edges: Sequence[tuple[int, int]], draw: Signs) -> list[Rails]:
    """Draw the rails of each node; edges lead from a lower to a higher position."""
    tracks: Tracks = []
    rails = []
    for node in range(nodes):
        targets = [target for source, target in edges if source == node]
        before = _line(tracks, {}, draw)
        own, above = _arrive(tracks, node, draw)
        at = _line(tracks, {own: draw.node}, draw)
        below = _leave(tracks, own, targets, draw)
        while tracks and not tracks[-1]:
            tracks.pop()
        rails.append(Rails(before, above, at, below))
    return rails


def _arrive(tracks: Tracks, node: int, draw: Signs) -> tuple[int, tuple[str, ...]]:
    """Lead rails into a node; return its column: that of a rail that ends there, if one does."""
    arriving = [column for column, targets in enumerate(tracks) if node in targets]
    ending = [column for column in arriving if tracks[column] == {node}]
    passing = list(tracks)
    for column in arriving:
        tracks[column] -= {node}
    own = ending[0] if ending else _free(tracks, 0)
    if arriving in ([], [own]):
        return own, ()
    kinds = {column: draw.ends if column in ending else draw.on for column in arriving}
    kinds[own] = draw.on if ending else draw.begins
    return own, (_line(passing, _marks(kinds), draw),)


def _leave(tracks: Tracks, own: int, targets: Sequence[int], draw: Signs) -> tuple[str, ...]:
    """Lead from a node to its first target in its own column, and to the others in a free column on its right."""
    if targets:
        tracks[own] = frozenset(targets[:1])
    if len(targets) <= 1:
        return ()
    passing = list(tracks)
    column = _free(tracks, own + 1)
    tracks[column] = frozenset(targets[1:])
    return (_line(passing, _marks({own: draw.on, column: draw.begins}), draw),)


def _marks(kinds: dict[int, str]) -> dict[int, str]:
    """Return the characters where a line from the first column to the last meets rails."""
    ends = {min(kinds): 0, max(kinds): 1}
    return {column: kind[ends.get(column, 2)] for column, kind in kinds.items()}


def _free(tracks: Tracks, start: int) -> int:
    """Return the first free column from `start` on, a new one if none is free."""
    column = start
    while column < len(tracks) and tracks[column]:
        column += 1
    tracks += [frozenset()] * (column + 1 - len(tracks))
    return column


def _line(tracks: Sequence[frozenset[int]], marks: dict[int, str], draw: Signs) -> str:
    """Write a line of two characters per column, joined between the marks."""
    text = ""
    for column in range(max([len(tracks), *(column + 1 for column in marks)])):
        joined = len(marks) > 1 and min(marks) <= column < max(marks)
        empty = draw.across if joined and column > min(marks) else " "
        rail = draw.down if column < len(tracks) and tracks[column] else empty
        text += marks.get(column, rail) + (draw.across if joined else " ")
    return text.rstrip()
