"""A chain with nested skip connections as a U: down on the left, up on the right, the connections straight across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from msgspec import Struct

from alexnet_cli.drawing.lanes import Tie
from alexnet_cli.drawing.region import Part, Placed
from alexnet_cli.graphics.scene import Line, Mark, Point

GAP = 2.2
ACROSS = 7.0
TURN = 1.4
FEWEST = 2
"""In em: between two parts, between the two sides, below the lowest part. The fewest connections of a U."""


class Nest(Struct, frozen=True):
    """Skip connections from `left` to `right`, the outermost first, each around the next."""

    left: tuple[int, ...]
    right: tuple[int, ...]


def nest_of(parts: int, ties: Sequence[Tie]) -> Nest | None:
    """Return the skip connections of a chain if they are nested; None for any other graph."""
    steps = {(tie.source, tie.target) for tie in ties}
    chain = {(part, part + 1) for part in range(parts - 1)}
    arcs = sorted(steps - chain)
    left, right = tuple(a for a, _ in arcs), tuple(b for _, b in arcs)
    falling = all(a > b for a, b in pairwise(right))
    if not chain <= steps or len(arcs) < FEWEST or len(set(left)) < len(left) or not falling or left[-1] >= right[-1]:
        return None
    return Nest(left, right)


def place_u(parts: Sequence[Part], nest: Nest, em: float) -> Placed:
    """Place the parts of a chain around its nested connections."""
    return _U(parts, nest, em).placed()


@dataclass
class _U:
    parts: Sequence[Part]
    nest: Nest
    em: float
    left: list[int] = field(init=False)
    middle: int | None = field(init=False)
    right: list[int] = field(init=False)
    tops: dict[int, float] = field(default_factory=dict)
    axes: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Split the chain into the side that goes down, the part at the bottom, and the side that goes up."""
        below = range(self.nest.left[-1] + 1, self.nest.right[-1])
        half, odd = divmod(len(below), 2)
        self.left = [*range(self.nest.left[-1] + 1), *below[:half]]
        self.middle = below[half] if odd else None
        self.right = [*below[half + odd :], *range(self.nest.right[-1], len(self.parts))]

    def placed(self) -> Placed:
        """Return the parts and the lines between them."""
        self._set_tops()
        self._set_axes()
        corners = [self._corner(part) for part in range(len(self.parts))]
        low = max(self._foot(part)[1] for part in range(len(self.parts)))
        across = [self._across(a, b) for a, b in zip(self.nest.left, self.nest.right, strict=True)]
        marks = [Mark((line,), "edge") for line in (*self._down_and_up(), *self._bottom(), *across)]
        for part, (x, y) in zip(self.parts, corners, strict=True):
            marks += [mark.moved(x, y) for mark in part.marks]
        width = max(x + part.width for part, (x, _) in zip(self.parts, corners, strict=True))
        return Placed(tuple(marks), width, low + (TURN * self.em if self.middle is None else 0), tuple(corners))

    def _set_tops(self) -> None:
        """Set both ends of each connection at one height, and spread the parts between two connections evenly."""
        y = 0.0
        previous: tuple[int | None, int | None] = (None, None)
        for a, b in zip(self.nest.left, self.nest.right, strict=True):
            above = _between(self.left, previous[0], a), _between(self.right, b, previous[1])[::-1]
            start = y if previous == (None, None) else y + GAP * self.em
            room = max(map(self._height, above))
            for stack in above:
                self._stack(stack, start, room)
            y = start + room
            tall = max(self.parts[a].height, self.parts[b].height)
            for end in (a, b):
                self.tops[end] = y + (tall - self.parts[end].height) / 2
            y += tall
            previous = (a, b)
        below = _between(self.left, self.nest.left[-1], None), _between(self.right, None, self.nest.right[-1])[::-1]
        for stack in below:
            self._stack(stack, y + GAP * self.em, self._height(stack))
        if self.middle is not None:
            ends = self.left[-1], self.right[0]
            self.tops[self.middle] = max(self.tops[end] + self.parts[end].height for end in ends) + TURN * self.em

    def _height(self, stack: Sequence[int]) -> float:
        return sum(self.parts[part].height + GAP * self.em for part in stack)

    def _stack(self, stack: Sequence[int], top: float, room: float) -> None:
        """Set parts one below the other, spread over the height that the taller side needs."""
        spare = (room - self._height(stack)) / (len(stack) + 1)
        y = top
        for part in stack:
            y += spare
            self.tops[part] = y
            y += self.parts[part].height + GAP * self.em

    def _set_axes(self) -> None:
        west = max(self.parts[part].axis for part in self.left)
        inner = max(self.parts[part].width - self.parts[part].axis for part in self.left)
        inner += max(self.parts[part].axis for part in self.right)
        half = 0.0 if self.middle is None else self.parts[self.middle].width / 2
        east = west + max(inner + ACROSS * self.em, 2 * half + 4 * TURN * self.em)
        self.axes = dict.fromkeys(self.left, west) | dict.fromkeys(self.right, east)
        if self.middle is not None:
            self.axes[self.middle] = (west + east) / 2

    def _down_and_up(self) -> list[Line]:
        down = [(self._foot(a), self._head(b)) for a, b in pairwise(self.left)]
        up = [(self._head(a), self._foot(b)) for a, b in pairwise(self.right)]
        return [Line(points, arrow=True) for points in (*down, *up)]

    def _bottom(self) -> list[Line]:
        """Lead from the left side to the right one, through the part at the bottom."""
        down, up = self._foot(self.left[-1]), self._foot(self.right[0])
        if self.middle is None:
            low = max(down[1], up[1]) + TURN * self.em
            return [Line((down, (down[0], low), (up[0], low), up), arrow=True)]
        x, y = self._corner(self.middle)
        part = self.parts[self.middle]
        level = y + part.height / 2
        into = Line((down, (down[0], level), (x, level)), arrow=True)
        return [into, Line(((x + part.width, level), (up[0], level), up), arrow=True)]

    def _across(self, source: int, target: int) -> Line:
        x, y = self._corner(source)
        level = y + self.parts[source].height / 2
        return Line(((x + self.parts[source].width, level), (self._corner(target)[0], level)), arrow=True)

    def _corner(self, part: int) -> Point:
        return self.axes[part] - self.parts[part].axis, self.tops[part]

    def _head(self, part: int) -> Point:
        return self.axes[part], self.tops[part]

    def _foot(self, part: int) -> Point:
        return self.axes[part], self.tops[part] + self.parts[part].height


def _between(side: Sequence[int], after: int | None, before: int | None) -> list[int]:
    return [part for part in side if (after is None or part > after) and (before is None or part < before)]
