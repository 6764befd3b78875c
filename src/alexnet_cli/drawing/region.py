"""Places the parts of a graph in pixels, and draws the lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from alexnet_cli.drawing.lanes import Lanes, Tie, assign
from alexnet_cli.graphics.scene import Line, Mark, Point

GAP = 2.2
SHORT = 1.2
LANE_GAP = 2.0
TRACK = 1.0
TURN = 0.8
STRAIGHT = 0.8
SLOPE = 0.06
"""In em: from rank to rank, and to a rank of ports; from lane to lane, and between tracks; how far below a part a track
leaves; the straight end of a line before its arrow. Ranks are `SLOPE` further apart for each pixel that a line between
them goes sideways."""


class Part(Struct, frozen=True):
    """Something to place: its marks, drawn at the origin, and where lines enter and leave, by key, from its left edge.

    Lines with other keys use its axis, the middle unless given. A port has no size, and lines cross it without an
    arrow.
    """

    marks: tuple[Mark, ...]
    width: float
    height: float
    ins: dict[int, float] = {}
    outs: dict[int, float] = {}
    arrow: bool = True
    given_axis: float | None = None

    @property
    def axis(self) -> float:
        """The x of its lane, from its left edge."""
        return self.width / 2 if self.given_axis is None else self.given_axis

    def reach(self, side: int) -> float:
        """Return how far it extends from its axis: to the right for 1, to the left for -1."""
        return self.width - self.axis if side > 0 else self.axis

    def enter(self, key: int) -> float:
        """Return where lines enter."""
        return self.ins.get(key, self.axis)

    def leave(self, key: int) -> float:
        """Return where lines leave."""
        return self.outs.get(key, self.axis)


PORT = Part((), 0, 0, arrow=False)


class Placed(Struct, frozen=True):
    """A placed graph with its upper left corner at the origin; `corners` are the upper left corners of its parts."""

    marks: tuple[Mark, ...]
    width: float
    height: float
    corners: tuple[Point, ...]
    ranks: tuple[int, ...] = ()


def place(parts: Sequence[Part], ties: Sequence[Tie], em: float, ports: tuple[int, int] = (0, 0)) -> Placed:
    """Place parts in ranks and lanes; ties lead from a lower to a higher position.

    `ports` says how many parts at the beginning are ports above all others, and how many at the end below.
    """
    return _Region(parts, ties, assign(len(parts), ties, ports), em).placed()


class Track(Struct, frozen=True):
    """Where lines from one port run around the parts in between: from rank `first` to `last`, at `x`."""

    first: int
    last: int
    x: float
    side: int


@dataclass
class _Region:
    parts: Sequence[Part]
    ties: Sequence[Tie]
    lanes: Lanes
    em: float
    corners: list[Point] = field(default_factory=list)
    tops: list[float] = field(default_factory=list)
    bottoms: list[float] = field(default_factory=list)
    tracks: dict[tuple[int, int], Track] = field(default_factory=dict)

    def placed(self) -> Placed:
        """Return the parts and the lines between them."""
        axes = self._axes()
        self._set_rows(axes)
        for part, rank, axis in zip(self.parts, self.lanes.ranks, axes, strict=True):
            slack = self.bottoms[rank] - self.tops[rank] - part.height
            self.corners.append((axis - part.axis, self.tops[rank] + slack / 2))
        marks = self._lines()
        for part, (x, y) in zip(self.parts, self.corners, strict=True):
            marks += [mark.moved(x, y) for mark in part.marks]
        return self._at_origin(marks)

    def _axes(self) -> list[float]:
        """Place each chain as near to lane 0 as the chains nearer to it allow, over the ranks that it takes."""
        axes = [0.0] * len(self.parts)
        ranks = max(self.lanes.ranks, default=0) + 1
        edges = {side: [0.0] * ranks for side in (1, -1)}
        for chain in sorted(self.lanes.chains, key=lambda chain: abs(chain.lane)):
            reach = range(max(chain.first, 0), min(chain.last + 1, ranks))
            side = 1 if chain.lane > 0 else -1
            out = 0.0
            if chain.lane:
                inward = max(self.parts[part].reach(-side) for part in chain.parts)
                out = max(edges[side][rank] for rank in reach) + LANE_GAP * self.em + inward
            for way in (side,) if chain.lane else (1, -1):
                for rank in reach:
                    edges[way][rank] = max(edges[way][rank], out)
                for part in chain.parts:
                    rank = self.lanes.ranks[part]
                    edges[way][rank] = max(edges[way][rank], out + self.parts[part].reach(way))
            for part in chain.parts:
                axes[part] = side * out
        return axes

    def _set_rows(self, axes: Sequence[float]) -> None:
        """Set the top and bottom of each rank; ranks are further apart where lines go far sideways."""
        ranks = max(self.lanes.ranks, default=0) + 1
        heights = [0.0] * ranks
        for part, rank in zip(self.parts, self.lanes.ranks, strict=True):
            heights[rank] = max(heights[rank], part.height)
        gaps = [GAP * self.em if height else SHORT * self.em for height in (*heights[1:], 1.0)]
        for tie, route in zip(self.ties, self.lanes.routes, strict=True):
            if route != "track":
                aside = abs(axes[tie.source] - axes[tie.target])
                rank = self.lanes.ranks[tie.target] - 1 if route == "source lane" else self.lanes.ranks[tie.source]
                gaps[rank] = max(gaps[rank], GAP * self.em + SLOPE * aside if aside else 0)
        y = 0.0
        for height, gap in zip(heights, gaps, strict=True):
            self.tops.append(y)
            self.bottoms.append(y + height)
            y += height + gap

    def _lines(self) -> list[Mark]:
        """Draw the ties."""
        self._lay_tracks()
        return [Mark((self._line(number),), "edge") for number in range(len(self.ties))]

    def _lay_tracks(self) -> None:
        """Give the lines around from each port one track; short ones first, so that longer ones run outside of them."""
        reach: dict[tuple[int, int], list[int]] = {}
        for tie, route in zip(self.ties, self.lanes.routes, strict=True):
            if route == "track":
                reach.setdefault((tie.source, tie.key), []).append(tie.target)
        order = sorted(reach, key=lambda port: (max(map(self._rank, reach[port])) - self._rank(port[0]), port))
        for port in order:
            first, last = self._rank(port[0]), max(map(self._rank, reach[port]))
            side = min((1, -1), key=lambda side: self._costs(first, last, reach[port], side))
            self.tracks[port] = Track(first, last, self._outside(first, last, side), side)

    def _rank(self, part: int) -> int:
        return self.lanes.ranks[part]

    def _line(self, number: int) -> Line:
        tie = self.ties[number]
        source, target = self.parts[tie.source], self.parts[tie.target]
        (sx, sy), (tx, ty) = self.corners[tie.source], self.corners[tie.target]
        start = (sx + source.leave(tie.key), sy + source.height)
        end = (tx + target.enter(tie.key), ty)
        first, last = self.lanes.ranks[tie.source], self.lanes.ranks[tie.target]
        match self.lanes.routes[number]:
            case "track":
                return self._track(tie, start, end)
            case "source lane":
                first = last - 1
            case "target lane":
                last = first + 1
            case _:
                pass
        bend = (start[0], self.bottoms[first]), (end[0], self.tops[last] - STRAIGHT * self.em)
        points = (start, *bend, end)
        return Line(_distinct(points), arrow=target.arrow, bend="smooth")

    def _track(self, tie: Tie, start: Point, end: Point) -> Line:
        """Lead a line around the parts in between: out below the source, along the outside, into the target's side."""
        track = self.tracks[tie.source, tie.key]
        target, (tx, ty) = self.parts[tie.target], self.corners[tie.target]
        below = self.bottoms[track.first] + TURN * self.em
        out = (start, (start[0], below), (track.x, below))
        if self._blocked(tie.target, track.side) or not target.arrow:
            above = self.tops[self._rank(tie.target)] - TURN * self.em
            return Line((*out, (track.x, above), (end[0], above), end), arrow=target.arrow)
        middle = ty + target.height / 2
        edge = tx + target.width if track.side > 0 else tx
        return Line((*out, (track.x, middle), (edge, middle)), arrow=True)

    def _blocked(self, part: int, side: int) -> bool:
        """Whether another part stands on this side of a part."""
        rank, lane = self._rank(part), self.lanes.lanes[part]
        return any(
            other != part and self._rank(other) == rank and (self.lanes.lanes[other] - lane) * side > 0
            for other in range(len(self.parts))
        )

    def _costs(self, first: int, last: int, targets: Sequence[int], side: int) -> tuple[int, int, int]:
        """Weigh a side: targets that it cannot enter, then parts in the way; the right side wins a draw."""
        blocked = sum(self._blocked(target, side) for target in targets)
        beside = sum(
            lane * side > 0 and first < rank < last
            for lane, rank in zip(self.lanes.lanes, self.lanes.ranks, strict=True)
        )
        return blocked, beside, -side

    def _outside(self, first: int, last: int, side: int) -> float:
        """Return the nearest free place beside some ranks, outside of parts and tracks."""
        edges = [
            side * (x + (part.width if side > 0 else 0.0))
            for part, (x, _), rank in zip(self.parts, self.corners, self.lanes.ranks, strict=True)
            if first <= rank <= last
        ]
        edges += [
            side * track.x
            for track in self.tracks.values()
            if track.side == side and track.first < last and first < track.last
        ]
        return side * (max(edges) + TRACK * self.em)

    def _at_origin(self, marks: Sequence[Mark]) -> Placed:
        xs = [edge for mark in marks for edge in (mark.area().left, mark.area().right)]
        xs += [x for x, _ in self.corners]
        left, right = min(xs), max(xs)
        moved = tuple(mark.moved(-left, 0) for mark in marks)
        corners = tuple((x - left, y) for x, y in self.corners)
        return Placed(moved, right - left, self.bottoms[-1], corners, self.lanes.ranks)


def _distinct(points: Sequence[Point]) -> tuple[Point, ...]:
    """Drop points equal to the one before."""
    return tuple(point for i, point in enumerate(points) if i == 0 or point != points[i - 1])
