"""A graph as lines of characters: nodes one below the other, the data flow as rails beside them.

A rail leads from one node to one or more others. Where a line from another rail meets it there is a crossing with
arms; where it only passes there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

UNICODE = "●│─├┤┼╭╮┬╰╯┴"
ASCII = "*|-||+/\\+\\/+"

Tracks = list[frozenset[int]]
"""For each column the nodes that its rail still leads to."""


class Signs(Struct, frozen=True):
    """The characters that rails are drawn with; a line meets a rail at its left end, its right end, or in between.

    The rail goes `on` there, it `begins` below the line, or it `ends` above it.
    """

    node: str
    down: str
    across: str
    on: str
    begins: str
    ends: str

    def at(self, column: int, first: int, last: int, kind: str) -> str:
        """Return the character where a line from one column to another meets a rail."""
        return kind[0 if column == first else 1 if column == last else 2]


class Rails(Struct, frozen=True):
    """The rails of a node: `before` pass by before it, `above` lead into it, `at` has it on it, `below` lead away."""

    before: str
    above: tuple[str, ...]
    at: str
    below: tuple[str, ...]


def signs(*, unicode: bool) -> Signs:
    """Return the characters for a page."""
    chars = UNICODE if unicode else ASCII
    return Signs(chars[0], chars[1], chars[2], chars[3:6], chars[6:9], chars[9:])


def rails_of(successors: Sequence[Sequence[int]], draw: Signs) -> list[Rails]:
    """Draw the rails of each node; edges lead from a lower to a higher position."""
    tracks: Tracks = []
    rails = []
    for node, targets in enumerate(successors):
        before = _line(tracks, {}, draw)
        own, above = _arrive(tracks, node, draw)
        at = _line(tracks, {own: draw.node}, draw)
        below = _leave(tracks, own, targets, draw)
        while tracks and not tracks[-1]:
            tracks.pop()
        rails.append(Rails(before, above, at, below))
    return rails


def _arrive(tracks: Tracks, node: int, draw: Signs) -> tuple[int, tuple[str, ...]]:
    """Lead rails into a node; return its column, which is that of a rail that ends there if one does."""
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
    return own, (_line(passing, _marks(kinds, draw), draw),)


def _leave(tracks: Tracks, own: int, targets: Sequence[int], draw: Signs) -> tuple[str, ...]:
    """Lead from a node to the first of others in its own column, and to the rest in a free one on its right."""
    if targets:
        tracks[own] = frozenset(targets[:1])
    if len(targets) <= 1:
        return ()
    passing = list(tracks)
    column = _free(tracks, own + 1)
    tracks[column] = frozenset(targets[1:])
    return (_line(passing, _marks({own: draw.on, column: draw.begins}, draw), draw),)


def _marks(kinds: dict[int, str], draw: Signs) -> dict[int, str]:
    return {column: draw.at(column, min(kinds), max(kinds), kind) for column, kind in kinds.items()}


def _free(tracks: Tracks, start: int) -> int:
    """Return the first free column from `start` on, made if there is none."""
    while len(tracks) <= start:
        tracks.append(frozenset())
    for column in range(start, len(tracks)):
        if not tracks[column]:
            return column
    tracks.append(frozenset())
    return len(tracks) - 1


def _line(tracks: Sequence[frozenset[int]], marks: dict[int, str], draw: Signs) -> str:
    """Write a line: two characters a column, those between the marks joined."""
    text = ""
    for column in range(max([len(tracks), *(column + 1 for column in marks)])):
        joined = len(marks) > 1 and min(marks) <= column < max(marks)
        empty = draw.across if joined and column > min(marks) else " "
        rail = draw.down if column < len(tracks) and tracks[column] else empty
        text += marks.get(column, rail) + (draw.across if joined else " ")
    return text.rstrip()
