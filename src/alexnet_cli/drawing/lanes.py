"""Where the parts of a graph go, in whole numbers: ranks from top to bottom, lanes side by side.

Networks are nearly chains, so the longest path is lane 0 from top to bottom, and each branch beside it reserves a lane
from where it leaves until it joins again. An edge that is no step to the next rank and has no free lane, such as a
skip connection, runs in a track outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Literal

from msgspec import Struct


class Tie(Struct, frozen=True):
    """An edge between parts, by their positions; `key` is the node whose output it carries, which has its own port."""

    source: int
    target: int
    key: int


Edges = Sequence[Sequence[int]]
"""For each part, the parts that it reads from or leads to."""
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
    """Assign ranks and lanes to parts; as many at either end as `ports` says come above and below all others."""
    before: list[list[int]] = [[] for _ in range(parts)]
    after: list[list[int]] = [[] for _ in range(parts)]
    for source, target in sorted({(tie.source, tie.target) for tie in ties}):
        after[source].append(target)
        before[target].append(source)
    ranks = _ranks(before, after, ports)
    chains = _chains(before, after, ranks)
    lane_of = {part: chain.lane for chain in chains for part in chain.parts}
    lanes = [lane_of[part] for part in range(parts)]
    taken = set(zip(lanes, ranks, strict=True))
    routes = tuple(_route(tie, ranks, lanes, taken) for tie in ties)
    return Lanes(tuple(ranks), tuple(lanes), tuple(chains), routes)


def _ranks(before: Edges, after: Edges, ports: tuple[int, int]) -> list[int]:
    """Put each part below all that it reads from, and a part that reads nothing right above its first reader."""
    into, inner = ports[0], len(before) - ports[1]
    ranks = [0] * len(before)
    for part in range(into, len(before)):
        ranks[part] = max((ranks[source] + 1 for source in before[part]), default=int(into > 0))
    for part in range(into, len(before)):
        if not before[part] and after[part]:
            ranks[part] = min(ranks[target] for target in after[part]) - 1
    bottom = max(ranks[:inner], default=0) + 1
    return [*ranks[:inner], *[bottom] * ports[1]]


def _chains(before: Edges, after: Edges, ranks: Sequence[int]) -> list[Chain]:
    """Follow the longest path from part 0, or from where one is longer, then from each part that has no lane yet."""
    lengths = [1] * len(after)
    for part in reversed(range(len(after))):
        lengths[part] = 1 + max((lengths[target] for target in after[part]), default=0)

    def longest(parts: Iterable[int]) -> int:
        return max(parts, key=lambda part: (lengths[part], -part))

    free = set(range(len(after)))
    kept: dict[int, list[tuple[int, int]]] = {}
    chains: list[Chain] = []
    for start in (longest(free), *range(len(after))) if free else ():
        if start not in free:
            continue
        path = [start]
        while onward := [part for part in after[path[-1]] if part in free]:
            path.append(longest(onward))
        free -= set(path)
        top = min((ranks[part] + 1 for part in before[path[0]]), default=ranks[path[0]])
        bottom = max((ranks[part] - 1 for part in after[path[-1]]), default=ranks[path[-1]])
        reach = min(top, ranks[path[0]]), max(bottom, ranks[path[-1]])
        chains.append(Chain(tuple(path), _free_lane(kept, reach) if chains else 0, *reach))
    return chains


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
