"""A graph of modules, from top to bottom, in as many columns as suit the page; repetitions stand in frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from alexnet_cli.drawing.content import Plan
from alexnet_cli.drawing.page import Body, Sheet, balanced
from alexnet_cli.drawing.parts import Level, top_level
from alexnet_cli.drawing.region import Placed, place
from alexnet_cli.drawing.ushape import nest_of, place_u
from alexnet_cli.graphics.scene import Line, Mark, Point

GUTTER = 4.0
TURN = 1.2
MOST_COLUMNS = 8
WORTH = 1.3
"""In em: between columns, and how far the line from one to the next extends past them. The most columns; a further one
must enlarge the graph by the factor `WORTH`."""


def draw(plan: Plan, sheet: Sheet) -> Body:
    """Lay out a graph, as a U if it has nested skip connections."""
    level = top_level(plan, sheet.em)
    nest = nest_of(len(level.parts), level.ties)
    placed = _columns(level, sheet) if nest is None else place_u(level.parts, nest, sheet.em)
    return Body(placed.marks, placed.width, placed.height)


def _columns(level: Level, sheet: Sheet) -> Placed:
    """Place a level in one column, or in several if that makes it larger on the page."""
    whole = place(level.parts, level.ties, sheet.em)
    cuts = _cuts(level, whole.ranks)
    best = whole
    for count in range(2, min(len(cuts) + 1, MOST_COLUMNS) + 1):
        if best.height <= sheet.tall:
            break
        wider = _side_by_side(level, whole, cuts, count, sheet.em)
        if _scale(wider, sheet) > _scale(best, sheet) * WORTH:
            best = wider
    return best


def _scale(placed: Placed, sheet: Sheet) -> float:
    """Return the scale at which a graph fits the page, 1 at most."""
    return min(1.0, sheet.width / placed.width, sheet.tall / placed.height)


def _cuts(level: Level, ranks: Sequence[int]) -> list[int]:
    """Return the ranks after which a column may break: a single line leads on, to the next rank."""
    cuts = []
    for rank in range(max(ranks, default=0)):
        over = [tie for tie in level.ties if ranks[tie.source] <= rank < ranks[tie.target]]
        if len(over) == 1 and ranks[over[0].source] == rank and ranks[over[0].target] == rank + 1:
            cuts.append(rank)
    return cuts


def _side_by_side(level: Level, whole: Placed, cuts: Sequence[int], count: int, em: float) -> Placed:
    bounds = [-1, *cuts, max(whole.ranks)]
    heights = [_span(level, whole, a + 1, b) for a, b in pairwise(bounds)]
    marks: list[Mark] = []
    x, height = 0.0, 0.0
    previous: Point | None = None
    for first, end in balanced(heights, em, count):
        chosen = [i for i, rank in enumerate(whole.ranks) if bounds[first] < rank <= bounds[end]]
        part = _subset(level, chosen)
        placed = place(part.parts, part.ties, em)
        marks += [mark.moved(x, TURN * em) for mark in placed.marks]
        (head, enter), (foot, leave) = _entry(level, set(chosen)), _exit(level, set(chosen))
        left, top = placed.corners[chosen.index(head)]
        if previous is not None:
            marks.append(_between_columns(previous, (x + left + enter, TURN * em + top), x - GUTTER / 2 * em, em))
        left, top = placed.corners[chosen.index(foot)]
        previous = (x + left + leave, TURN * em + top + level.parts[foot].height)
        x += placed.width + GUTTER * em
        height = max(height, placed.height)
    return Placed(tuple(marks), x - GUTTER * em, height + 2 * TURN * em, ())


def _between_columns(start: Point, end: Point, gutter: float, em: float) -> Mark:
    below, above = start[1] + TURN * em, end[1] - TURN * em
    points = (start, (start[0], below), (gutter, below), (gutter, above), (end[0], above), end)
    return Mark((Line(points, arrow=True),), "edge")


def _span(level: Level, whole: Placed, first: int, last: int) -> float:
    """Return the height of some ranks together."""
    rows = [i for i, rank in enumerate(whole.ranks) if first <= rank <= last]
    top = min(whole.corners[i][1] for i in rows)
    return max(whole.corners[i][1] + level.parts[i].height for i in rows) - top


def _subset(level: Level, chosen: Sequence[int]) -> Level:
    number = {part: i for i, part in enumerate(chosen)}
    ties = tuple(
        replace(tie, source=number[tie.source], target=number[tie.target])
        for tie in level.ties
        if tie.source in number and tie.target in number
    )
    return Level(tuple(level.parts[part] for part in chosen), ties)


def _entry(level: Level, inside: set[int]) -> tuple[int, float]:
    """Return the part where the line from the previous column enters, and how far from its left edge."""
    entering = (tie for tie in level.ties if tie.target in inside and tie.source not in inside)
    part = next((tie.target for tie in entering), min(inside))
    key = next((tie.key for tie in level.ties if tie.target == part), -1)
    return part, level.parts[part].enter(key)


def _exit(level: Level, inside: set[int]) -> tuple[int, float]:
    """Return the part where the line to the next column leaves, and how far from its left edge."""
    leaving = (tie for tie in level.ties if tie.source in inside and tie.target not in inside)
    part = next((tie.source for tie in leaving), max(inside))
    key = next((tie.key for tie in level.ties if tie.source == part), -1)
    return part, level.parts[part].leave(key)
