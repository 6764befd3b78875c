"""Places the parts of a graph in pixels, and draws the lines between them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from alexnet_cli.drawing.lanes import Lanes, Route, Tie, assign
from alexnet_cli.drawing.page import Body
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


class Part(Body, frozen=True):
    """Something to place, drawn at the origin, and where lines enter and leave it, by key, from its left edge.

    Lines with other keys use its axis, the middle unless given. A port has no size, and lines cross it without an
    arrow.
    """

    ins: dict[int, float] = field(default_factory=dict)
    outs: dict[int, float] = field(default_factory=dict)
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


class Placed(Body, frozen=True):
    """A placed graph with its upper left corner at the origin; `corners` are the upper left corners of its parts."""

    corners: tuple[Point, ...] = ()
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


class _Region:
    def __init__(self, parts: Sequence[Part], ties: Sequence[Tie], lanes: Lanes, em: float) -> None:
        self.parts, self.ties, self.lanes, self.em = parts, ties, lanes, em
        self.ranks = lanes.ranks
        self.rows = range(max(self.ranks, default=0) + 1)
        self.corners: list[Point] = []
        self.tops: list[float] = []
        self.bottoms: list[float] = []
        self.tracks: dict[tuple[int, int], Track] = {}

    def placed(self) -> Placed:
        """Return the parts and the lines between them."""
        axes = self._axes()
        self._set_rows(axes)
        for part, rank, axis in zip(self.parts, self.ranks, axes, strict=True):
            slack = self.bottoms[rank] - self.tops[rank] - part.height
            self.corners.append((axis - part.axis, self.tops[rank] + slack / 2))
        self._lay_tracks()
        lines = (self._line(tie, route) for tie, route in zip(self.ties, self.lanes.routes, strict=True))
        marks = [Mark((line,), "edge") for line in lines]
        for part, (x, y) in zip(self.parts, self.corners, strict=True):
            marks += [mark.moved(x, y) for mark in part.marks]
        areas = [mark.area() for mark in marks]
        left = min([*(area.left for area in areas), *(x for x, _ in self.corners)])
        right = max([*(area.right for area in areas), *(x for x, _ in self.corners)])
        moved = tuple(mark.moved(-left, 0) for mark in marks)
        corners = tuple((x - left, y) for x, y in self.corners)
        return Placed(moved, right - left, self.bottoms[-1], corners, self.ranks)

    def _axes(self) -> list[float]:
        """Place each chain as near to lane 0 as the chains nearer to it allow, over the ranks that it takes."""
        axes = [0.0] * len(self.parts)
        edges = {side: [0.0] * len(self.rows) for side in (1, -1)}
        for chain in sorted(self.lanes.chains, key=lambda chain: abs(chain.lane)):
            reach = self.rows[max(chain.first, 0) : chain.last + 1]
            side = 1 if chain.lane > 0 else -1
            out = 0.0
            if chain.lane:
                inward = max(self.parts[part].reach(-side) for part in chain.parts)
                out = max(edges[side][rank] for rank in reach) + LANE_GAP * self.em + inward
            for way in (side,) if chain.lane else (1, -1):
                for rank in reach:
                    edges[way][rank] = max(edges[way][rank], out)
                for part in chain.parts:
                    rank = self.ranks[part]
                    edges[way][rank] = max(edges[way][rank], out + self.parts[part].reach(way))
            for part in chain.parts:
                axes[part] = side * out
        return axes

    def _set_rows(self, axes: Sequence[float]) -> None:
        """Set the top and bottom of each rank; ranks are further apart where lines go far sideways."""
        heights = [0.0 for _ in self.rows]
        for part, rank in zip(self.parts, self.ranks, strict=True):
            heights[rank] = max(heights[rank], part.height)
        gaps = [GAP * self.em if height else SHORT * self.em for height in (*heights[1:], 1.0)]
        for tie, route in zip(self.ties, self.lanes.routes, strict=True):
            if route != "track":
                aside = abs(axes[tie.source] - axes[tie.target])
                rank = self.ranks[tie.target] - 1 if route == "source lane" else self.ranks[tie.source]
                gaps[rank] = max(gaps[rank], GAP * self.em + SLOPE * aside if aside else 0)
        y = 0.0
        for height, gap in zip(heights, gaps, strict=True):
            self.tops.append(y)
            self.bottoms.append(y + height)
            y += height + gap

    def _lay_tracks(self) -> None:
        """Give the lines around from each port one track; short ones first, so that longer ones run outside of them."""
        reach: dict[tuple[int, int], list[int]] = {}
        for tie, route in zip(self.ties, self.lanes.routes, strict=True):
            if route == "track":
                reach.setdefault((tie.source, tie.key), []).append(tie.target)
        spans = {port: (self.ranks[port[0]], max(self.ranks[target] for target in reach[port])) for port in reach}
        for port in sorted(reach, key=lambda port: (spans[port][1] - spans[port][0], port)):
            first, last = spans[port]
            side = min((1, -1), key=lambda side: self._costs(first, last, reach[port], side))
            self.tracks[port] = Track(first, last, self._outside(first, last, side), side)

    def _line(self, tie: Tie, route: Route) -> Line:
        source, target = self.parts[tie.source], self.parts[tie.target]
        (sx, sy), (tx, ty) = self.corners[tie.source], self.corners[tie.target]
        start = (sx + source.leave(tie.key), sy + source.height)
        end = (tx + target.enter(tie.key), ty)
        if route == "track":
            return self._track(tie, start, end)
        first, last = self.ranks[tie.source], self.ranks[tie.target]
        bend = self.bottoms[last - 1 if route == "source lane" else first]
        straight = self.tops[first + 1 if route == "target lane" else last] - STRAIGHT * self.em
        points = dict.fromkeys((start, (start[0], bend), (end[0], straight), end))
        return Line(tuple(points), arrow=target.arrow, bend="smooth")

    def _track(self, tie: Tie, start: Point, end: Point) -> Line:
        """Lead a line around the parts in between: out below the source, along the outside, into the target's side."""
        track = self.tracks[tie.source, tie.key]
        target, (tx, ty) = self.parts[tie.target], self.corners[tie.target]
        below = self.bottoms[track.first] + TURN * self.em
        out = (start, (start[0], below), (track.x, below))
        if self._blocked(tie.target, track.side) or not target.arrow:
            above = self.tops[self.ranks[tie.target]] - TURN * self.em
            return Line((*out, (track.x, above), (end[0], above), end), arrow=target.arrow)
        middle = ty + target.height / 2
        edge = tx + target.width if track.side > 0 else tx
        return Line((*out, (track.x, middle), (edge, middle)), arrow=True)

    def _blocked(self, part: int, side: int) -> bool:
        """Whether another part stands on this side of a part."""
        return any(
            rank == self.ranks[part] and (lane - self.lanes.lanes[part]) * side > 0
            for lane, rank in zip(self.lanes.lanes, self.ranks, strict=True)
        )

    def _costs(self, first: int, last: int, targets: Sequence[int], side: int) -> tuple[int, int, int]:
        """Weigh a side: targets that it cannot enter, then parts in the way; the right side wins a draw."""
        blocked = sum(self._blocked(target, side) for target in targets)
        beside = sum(
            lane * side > 0 and first < rank < last for lane, rank in zip(self.lanes.lanes, self.ranks, strict=True)
        )
        return blocked, beside, -side

    def _outside(self, first: int, last: int, side: int) -> float:
        """Return the nearest free place beside some ranks, outside of parts and tracks."""
        edges = [
            side * (x + (part.width if side > 0 else 0.0))
            for part, (x, _), rank in zip(self.parts, self.corners, self.ranks, strict=True)
            if first <= rank <= last
        ]
        edges += [
            side * track.x
            for track in self.tracks.values()
            if track.side == side and track.first < last and first < track.last
        ]
        return side * (max(edges) + TRACK * self.em)
