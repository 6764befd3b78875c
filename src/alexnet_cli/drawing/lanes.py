"""Where the parts of a graph go, in whole numbers: ranks from top to bottom, lanes side by side.

Networks are nearly chains, so the longest path is lane 0 from top to bottom, and each branch beside it reserves a lane
from where it leaves until it joins again. An edge that is no step to the next rank and has no free lane, such as a
skip connection, runs in a track outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from msgspec import Struct


class Tie(Struct, frozen=True):
    """An edge between parts, by their positions; `key` is the node whose output it carries, which has its own port."""

    source: int
    target: int
    key: int


Route = Literal["direct", "source lane", "target lane", "track"]


class Chain(Struct, frozen=True):
    """Parts one below the other in a lane, which is reserved from rank `first` to rank `last`."""

    parts: tuple[int, ...]
    lane: int
    first: int
    last: int


class Lanes(Struct, frozen=True):
    """The rank and the lane of each part, the chains that they form, and the route of each tie."""

    ranks: tuple[int, ...]
    lanes: tuple[int, ...]
    chains: tuple[Chain, ...]
    routes: tuple[Route, ...]


def assign(parts: int, ties: Sequence[Tie], ports: tuple[int, int] = (0, 0)) -> Lanes:
    """Assign ranks and lanes to a number of parts, whose ties lead from a lower to a higher position.

    `ports` says how many parts at the beginning come above all others, and how many at the end below.
    """
    return _Assignment(parts, ties, ports).lanes()


@dataclass
class _Assignment:
    parts: int
    ties: Sequence[Tie]
    ports: tuple[int, int]
    before: list[list[int]] = field(init=False)
    after: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.before = [[] for _ in range(self.parts)]
        self.after = [[] for _ in range(self.parts)]
        for source, target in sorted({(tie.source, tie.target) for tie in self.ties}):
            self.after[source].append(target)
            self.before[target].append(source)

    def lanes(self) -> Lanes:
        """Return ranks, lanes and routes."""
        ranks = self._ranks()
        chains = self._chains(ranks)
        lane_of = {part: chain.lane for chain in chains for part in chain.parts}
        lanes = [lane_of[part] for part in range(self.parts)]
        taken = set(zip(lanes, ranks, strict=True))
        routes = tuple(_route(tie, ranks, lanes, taken) for tie in self.ties)
        return Lanes(tuple(ranks), tuple(lanes), tuple(chains), routes)

    def _ranks(self) -> list[int]:
        """Put each part below all that it reads from, and a part that reads nothing right above its first reader."""
        into, out = self.ports
        ranks = [0] * self.parts
        for part in range(into, self.parts):
            ranks[part] = max((ranks[source] + 1 for source in self.before[part]), default=int(into > 0))
        for part in range(into, self.parts):
            if not self.before[part] and self.after[part]:
                ranks[part] = min(ranks[target] for target in self.after[part]) - 1
        bottom = max(ranks[: self.parts - out], default=0) + 1
        return [*ranks[: self.parts - out], *[bottom] * out]

    def _chains(self, ranks: Sequence[int]) -> list[Chain]:
        lengths = [1] * self.parts
        for part in range(self.parts - 1, -1, -1):
            lengths[part] = 1 + max((lengths[target] for target in self.after[part]), default=0)
        free = set(range(self.parts))
        kept: dict[int, list[tuple[int, int]]] = {}
        chains: list[Chain] = []
        start = max(range(self.parts), key=lambda part: (lengths[part], -part), default=0)
        for part in (start, *range(self.parts)):
            if part in free:
                path = self._path(part, lengths, free)
                free -= set(path)
                reach = self._reach(path, ranks)
                lane = _free_lane(kept, reach) if chains else 0
                chains.append(Chain(tuple(path), lane, *reach))
        return chains

    def _path(self, start: int, lengths: Sequence[int], free: set[int]) -> list[int]:
        """Follow the longest path from a part through parts that have no lane yet."""
        path = [start]
        while onward := [part for part in self.after[path[-1]] if part in free]:
            path.append(max(onward, key=lambda part: (lengths[part], -part)))
        return path

    def _reach(self, path: Sequence[int], ranks: Sequence[int]) -> tuple[int, int]:
        """Return the ranks that a path takes, including the way from its source and to its target."""
        top = min((ranks[part] + 1 for part in self.before[path[0]]), default=ranks[path[0]])
        bottom = max((ranks[part] - 1 for part in self.after[path[-1]]), default=ranks[path[-1]])
        return min(top, ranks[path[0]]), max(bottom, ranks[path[-1]])


def _free_lane(kept: dict[int, list[tuple[int, int]]], reach: tuple[int, int]) -> int:
    """Reserve the nearest lane that is free over some ranks, trying the right side first."""
    outward = (lane for distance in count(1) for lane in (distance, -distance))
    free = (lane for lane in outward if all(reach[1] < a or b < reach[0] for a, b in kept.setdefault(lane, [])))
    lane = next(free)
    kept[lane].append(reach)
    return lane


def _route(tie: Tie, ranks: Sequence[int], lanes: Sequence[int], taken: set[tuple[int, int]]) -> Route:
    between = range(ranks[tie.source] + 1, ranks[tie.target])
    if not between:
        return "direct"
    if taken.isdisjoint((lanes[tie.target], rank) for rank in between):
        return "target lane"
    return "source lane" if taken.isdisjoint((lanes[tie.source], rank) for rank in between) else "track"
