"""A chain with nested skip connections as a U: down on the left, up on the right, the connections straight across."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from alexnet_cli.drawing.lanes import Tie
from alexnet_cli.drawing.region import Part, Placed
from alexnet_cli.graphics.scene import Line, Mark, Point

GAP = 2.2
ACROSS = 7.0
TURN = 1.4
FEWEST = 2
"""In em: between two parts, between the two sides, below the lowest part. The fewest connections of a U."""


def place_u(parts: Sequence[Part], ties: Sequence[Tie], em: float) -> Placed | None:
    """Place a chain around its skip connections if these are nested; return None for any other graph."""
    steps = {(tie.source, tie.target) for tie in ties}
    chain = {(part, part + 1) for part in range(len(parts) - 1)}
    arcs = sorted(steps - chain)
    nested = all(a < c and d < b for (a, b), (c, d) in pairwise(arcs))
    if not chain <= steps or len(arcs) < FEWEST or not nested or arcs[-1][0] >= arcs[-1][1]:
        return None
    return _U(parts, arcs, em).placed()


class _U:
    """The side that goes down, the part at the bottom, if the chain has an odd one there, and the side that goes up."""

    def __init__(self, parts: Sequence[Part], arcs: Sequence[tuple[int, int]], em: float) -> None:
        self.parts, self.arcs, self.em = parts, arcs, em
        inner, outer = arcs[-1]
        half, odd = divmod(outer - inner - 1, 2)
        self.left = range(inner + 1 + half)
        self.middle = self.left.stop if odd else None
        self.right = range(self.left.stop + odd, len(parts))
        self.tops: dict[int, float] = {}
        self.axes: dict[int, float] = {}

    def placed(self) -> Placed:
        """Return the parts and the lines between them."""
        self._set_tops()
        self._set_axes()
        every = range(len(self.parts))
        corners = [self._corner(part) for part in every]
        marks = [Mark((Line(points, arrow=True),), "edge") for points in self._lines()]
        for part, (x, y) in zip(self.parts, corners, strict=True):
            marks += [mark.moved(x, y) for mark in part.marks]
        width = max(x + part.width for part, (x, _) in zip(self.parts, corners, strict=True))
        low = max(self._foot(part)[1] for part in every)
        return Placed(tuple(marks), width, low + (TURN * self.em if self.middle is None else 0), tuple(corners))

    def _set_tops(self) -> None:
        """Set both ends of each connection at one height, and spread the parts between two connections evenly."""
        y = 0.0
        before = -1, len(self.parts)
        for a, b in self.arcs:
            above = range(before[0] + 1, a), range(b + 1, before[1])[::-1]
            y += GAP * self.em if before[0] >= 0 else 0
            room = max(map(self._height, above))
            for stack in above:
                self._stack(stack, y, room)
            y += room
            tall = max(self.parts[a].height, self.parts[b].height)
            for end in (a, b):
                self.tops[end] = y + (tall - self.parts[end].height) / 2
            y += tall
            before = a, b
        for stack in (range(before[0] + 1, self.left.stop), range(self.right.start, before[1])[::-1]):
            self._stack(stack, y + GAP * self.em, self._height(stack))
        if self.middle is not None:
            ends = self.left[-1], self.right[0]
            self.tops[self.middle] = max(self.tops[end] + self.parts[end].height for end in ends) + TURN * self.em

    def _height(self, stack: range) -> float:
        return sum(self.parts[part].height + GAP * self.em for part in stack)

    def _stack(self, stack: range, top: float, room: float) -> None:
        """Set parts one below the other, spread over the height that the taller side needs."""
        spare = (room - self._height(stack)) / (len(stack) + 1)
        y = top
        for part in stack:
            y += spare
            self.tops[part] = y
            y += self.parts[part].height + GAP * self.em

    def _set_axes(self) -> None:
        west = max(self.parts[part].axis for part in self.left)
        inner = max(self.parts[part].reach(1) for part in self.left) + max(self.parts[part].axis for part in self.right)
        half = 0.0 if self.middle is None else self.parts[self.middle].width / 2
        east = west + max(inner + ACROSS * self.em, 2 * half + 4 * TURN * self.em)
        self.axes = dict.fromkeys(self.left, west) | dict.fromkeys(self.right, east)
        if self.middle is not None:
            self.axes[self.middle] = (west + east) / 2

    def _lines(self) -> Iterator[tuple[Point, ...]]:
        """Yield the lines down, up, from the left to the right through the part at the bottom, and straight across."""
        yield from ((self._foot(a), self._head(b)) for a, b in pairwise(self.left))
        yield from ((self._head(a), self._foot(b)) for a, b in pairwise(self.right))
        down, up = self._foot(self.left[-1]), self._foot(self.right[0])
        if self.middle is None:
            low = max(down[1], up[1]) + TURN * self.em
            yield down, (down[0], low), (up[0], low), up
        else:
            (x, level), end = self._side(self.middle)
            yield down, (down[0], level), (x, level)
            yield (end, level), (up[0], level), up
        for source, target in self.arcs:
            (_, level), end = self._side(source)
            yield (end, level), (self._corner(target)[0], level)

    def _corner(self, part: int) -> Point:
        return self.axes[part] - self.parts[part].axis, self.tops[part]

    def _side(self, part: int) -> tuple[Point, float]:
        """Return the middle of a part's left side, and the x of its right side."""
        x, y = self._corner(part)
        return (x, y + self.parts[part].height / 2), x + self.parts[part].width

    def _head(self, part: int) -> Point:
        return self.axes[part], self.tops[part]

    def _foot(self, part: int) -> Point:
        return self.axes[part], self.tops[part] + self.parts[part].height
