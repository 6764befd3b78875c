"""A graph of modules, from top to bottom, in as many columns as suit the page.

A node is a box or a pill; what repeats is a frame with a graph of its own inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.drawing.content import Frame, Node, Plan
from alexnet_cli.drawing.lanes import Tie
from alexnet_cli.drawing.page import Body, Sheet, balanced
from alexnet_cli.drawing.region import PORT, Part, Placed, place
from alexnet_cli.drawing.ushape import place_u
from alexnet_cli.graphics.scene import Box, Item, Label, Line, Mark, Point
from alexnet_cli.graphics.text import sans, shorten, text_width

GUTTER = 4.0
TURN = 1.2
MOST_COLUMNS = 8
WORTH = 1.3
"""In em: between columns, and how far the line from one to the next extends past them. The most columns; a further one
must enlarge the graph by the factor `WORTH`."""
PAD, PAD_TOP, LINE, RADIUS = 0.8, 0.65, 1.3, 0.5
BOX_ROOM, BETWEEN, CARD = 24.0, 1.2, 0.35
"""Boxes, in em: room beside and above the text, from line to line, of corners; the longest line; between a name and a
size; the offset of the cards behind a box that stands for several."""
FRAME_PAD, HEADER, FOOTER, FRAME_ROOM = 1.2, 2.4, 0.4, 16.0
TITLE_TOP, TITLE_END = 0.4, 2.0
"""Frames, in em: room beside, above and below the contents; how wide one may get for its title; where a title begins
and ends."""


class Level(Struct, frozen=True):
    """Nodes and frames side by side as parts, with the ties between them; `owner` has the part that shows each node."""

    parts: Sequence[Part]
    ties: Sequence[Tie]
    owner: dict[int, int] = {}


def draw(plan: Plan, sheet: Sheet) -> Body:
    """Lay out a graph, as a U if it has nested skip connections."""
    level = _level(plan, sheet.em, range(len(plan.nodes)))
    return place_u(level.parts, level.ties, sheet.em) or _columns(level, sheet)


def _columns(level: Level, sheet: Sheet) -> Placed:
    """Place a level in one column, or in several if that makes it larger on the page."""

    def scale(placed: Placed) -> float:
        return min(1.0, sheet.width / placed.width, sheet.tall / placed.height)

    best = whole = place(level.parts, level.ties, sheet.em)
    cuts = _cuts(level, whole.ranks)
    for count in range(2, min(len(cuts) + 1, MOST_COLUMNS) + 1):
        if best.height <= sheet.tall:
            break
        wider = _side_by_side(level, whole, cuts, count, sheet.em)
        if scale(wider) > scale(best) * WORTH:
            best = wider
    return best


def _cuts(level: Level, ranks: Sequence[int]) -> dict[int, Tie]:
    """Return the ranks after which a column may break: a single tie leads on, to the next rank."""
    cuts = {}
    for rank in range(max(ranks, default=0)):
        over = [tie for tie in level.ties if ranks[tie.source] <= rank < ranks[tie.target]]
        if len(over) == 1 and ranks[over[0].source] == rank and ranks[over[0].target] == rank + 1:
            cuts[rank] = over[0]
    return cuts


def _side_by_side(level: Level, whole: Placed, cuts: dict[int, Tie], count: int, em: float) -> Placed:
    ends = [-1, *cuts, max(whole.ranks)]
    columns = [[i for i, rank in enumerate(whole.ranks) if a < rank <= b] for a, b in pairwise(ends)]
    spans = [[(whole.corners[i][1], level.parts[i].height) for i in column] for column in columns]
    heights = [max(top + height for top, height in span) - min(top for top, _ in span) for span in spans]
    marks: list[Mark] = []
    x, height, top = 0.0, 0.0, TURN * em
    leaving: Point | None = None
    for first, last in balanced(heights, em, count):
        chosen = sorted(part for column in columns[first:last] for part in column)
        number = {part: i for i, part in enumerate(chosen)}
        ties = [
            replace(tie, source=number[tie.source], target=number[tie.target])
            for tie in level.ties
            if tie.source in number and tie.target in number
        ]
        placed = place([level.parts[part] for part in chosen], ties, em)
        marks += [mark.moved(x, top) for mark in placed.marks]
        if leaving is not None:
            tie = cuts[ends[first]]
            left, upper = placed.corners[number[tie.target]]
            entering = x + left + level.parts[tie.target].enter(tie.key), top + upper
            marks.append(_between_columns(leaving, entering, x - GUTTER / 2 * em, em))
        if ends[last] in cuts:
            tie = cuts[ends[last]]
            left, upper = placed.corners[number[tie.source]]
            source = level.parts[tie.source]
            leaving = x + left + source.leave(tie.key), top + upper + source.height
        x += placed.width + GUTTER * em
        height = max(height, placed.height)
    return Placed(tuple(marks), x - GUTTER * em, height + 2 * TURN * em, ())


def _between_columns(start: Point, end: Point, gutter: float, em: float) -> Mark:
    below, above = start[1] + TURN * em, end[1] - TURN * em
    points = (start, (start[0], below), (gutter, below), (gutter, above), (end[0], above), end)
    return Mark((Line(points, arrow=True),), "edge")


def _level(plan: Plan, em: float, nodes: range, around: Frame | None = None) -> Level:
    """Return the parts for some nodes, inside a frame."""
    owner: dict[int, int] = {}
    parts: list[Part] = []
    node = nodes.start
    while node < nodes.stop:
        begin = (frame for frame in plan.frames if frame.first == node and frame != around)
        frame = next((frame for frame in begin if around is None or frame.last <= around.last), None)
        last = node if frame is None else frame.last
        owner.update((inner, len(parts)) for inner in range(node, last + 1))
        parts.append(_node(plan.nodes[node], em) if frame is None else _framed(plan, em, frame))
        node = last + 1
    inside = [(a, b) for a, b in plan.edges if a in owner and b in owner and owner[a] != owner[b]]
    return Level(parts, list(dict.fromkeys(Tie(owner[a], owner[b], a) for a, b in inside)), owner)


def _framed(plan: Plan, em: float, frame: Frame) -> Part:
    """Draw a frame with its contents; lines cross its border at ports."""
    inside = range(frame.first, frame.last + 1)
    inner = _level(plan, em, inside, frame)
    entering = [(a, inner.owner[b]) for a, b in plan.edges if b in inside and a not in inside]
    leaving = [(a, inner.owner[a]) for a, b in plan.edges if a in inside and b not in inside]
    into, out = sorted({a for a, _ in entering}), sorted({a for a, _ in leaving})
    shift, end = len(into), len(into) + len(inner.parts)
    ties = [Tie(into.index(a), shift + part, a) for a, part in entering]
    ties += [replace(tie, source=tie.source + shift, target=tie.target + shift) for tie in inner.ties]
    ties += [Tie(shift + part, end + out.index(a), a) for a, part in leaving]
    parts = [*[PORT] * len(into), *inner.parts, *[PORT] * len(out)]
    placed = place(parts, list(dict.fromkeys(ties)), em, (len(into), len(out)))
    pad = FRAME_PAD * em
    ins = {a: pad + placed.corners[i][0] for i, a in enumerate(into)}
    outs = {a: pad + placed.corners[end + i][0] for i, a in enumerate(out)}
    border, width, title = _border(frame, placed.width, placed.height, ins, em)
    height = (HEADER + FOOTER) * em + placed.height
    stubs = [stub for x in ins.values() for stub in _through_header(x, title, em)]
    stubs += [((x, height - FOOTER * em), (x, height)) for x in outs.values()]
    lines = [Mark((Line(stub),), "edge") for stub in stubs]
    marks = (border, *lines, *(mark.moved(pad, HEADER * em) for mark in placed.marks))
    return Part(marks, width, height, ins, outs, arrow=False, given_axis=ins[min(ins)] if ins else None)


def _border(
    frame: Frame, inner: float, tall: float, ins: dict[int, float], em: float
) -> tuple[Mark, float, tuple[float, float]]:
    """Draw the border of a frame and its title; return its width too, and from where to where the title reaches.

    The title stands clear of the lines that enter where it has the room, else at the left, and interrupts them.
    """
    times = text_width(frame.times, 1.2 * em, bold=True) + 0.6 * em
    width = inner + 2 * FRAME_PAD * em
    room = max(width - times, FRAME_ROOM * em) - 1.6 * em
    name = shorten(frame.name, room, measure=sans(em))
    needed = times + text_width(name, em)
    width = max(width, needed + 1.6 * em)
    left = FRAME_PAD * em
    after = max(ins.values(), default=0.0) + 0.8 * em
    if ins and (min(ins.values()) < left + needed + 0.8 * em):
        left = after if after + needed + 0.8 * em <= width else 0.8 * em
    items: list[Item] = [
        Box(0, 0, width, (HEADER + FOOTER) * em + tall, "frame-box", 0.8 * em),
        Label(left, 1.55 * em, frame.times, 1.2 * em, bold=True),
    ]
    items += [Label(left + times, 1.55 * em, name, em, dim=True)] if name else []
    mark = Mark(tuple(items), "frame", "other", (frame.path,) if frame.path else ())
    return mark, width, (left - 0.4 * em, left + needed + 0.4 * em)


def _through_header(x: float, title: tuple[float, float], em: float) -> list[tuple[Point, Point]]:
    """Lead a line from the border of a frame past its title, or up to it and on from below it."""
    whole = (x, 0.0), (x, HEADER * em)
    if not title[0] < x < title[1]:
        return [whole]
    return [((x, 0.0), (x, TITLE_TOP * em)), ((x, TITLE_END * em), whole[1])]


def _node(node: Node, em: float) -> Part:
    pill = node.kind == "merge" or node.is_end
    items, width, height = _pill(node.lines[0], em) if pill else _box(node, em)
    return Part((Mark(tuple(items), "layer", node.family, node.paths, node.told),), width, height)


def _pill(text: str, em: float) -> tuple[Sequence[Item], float, float]:
    shown = shorten(text, BOX_ROOM * em, measure=sans(em))
    width, height = text_width(shown, em) + 2.2 * em, 1.9 * em
    border = Box(0, 0, width, height, "node", height / 2)
    return [border, Label(width / 2, height / 2 + 0.35 * em, shown, em, "middle")], width, height


def _box(node: Node, em: float) -> tuple[Sequence[Item], float, float]:
    """Write up to three lines in a box: what a layer does, its name and size, the small layers shown with it."""
    room, regular, bold = BOX_ROOM * em, sans(em), sans(em, bold=True)
    what = shorten(node.what, room - bold(node.times), measure=bold) + node.times
    size = shorten(node.size, room / 2, measure=regular)
    name = shorten(node.inner, room - regular(size) - BETWEEN * em, measure=regular)
    beside = shorten(f"+ {', '.join(node.beside)}", room, measure=regular) if node.beside else ""
    second = regular(name) + regular(size) + (BETWEEN * em if name and size else 0)
    width = max(bold(what), second, regular(beside)) + 2 * PAD * em
    height = (2 * PAD_TOP + LINE * (1 + bool(beside)) + 1) * em
    base = [(PAD_TOP + 0.85 + LINE * line) * em for line in range(3)]
    shifts = [CARD * em * i for i in (2, 1)] if node.times else []
    labels = [
        Label(PAD * em, base[0], what, em, bold=True),
        Label(PAD * em, base[1], name, em, dim=True),
        Label(width - PAD * em, base[1], size, em, "end"),
        Label(PAD * em, base[2], beside, em, dim=True),
    ]
    items: list[Item] = [Box(shift, -shift, width, height, "node card", RADIUS * em) for shift in shifts]
    items.append(Box(0, 0, width, height, "node gap" if node.kind == "gap" else "node", RADIUS * em))
    items += [label for label in labels if label.text]
    return items, width, height
