"""The parts of a graph: a box or pill for each node, and a frame with its own graph inside for what repeats."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.drawing.content import Frame, Node, Plan
from alexnet_cli.drawing.lanes import Tie
from alexnet_cli.drawing.region import PORT, Part, place
from alexnet_cli.graphics.scene import Box, Item, Label, Line, Mark
from alexnet_cli.graphics.text import sans, shorten, text_width

PAD, PAD_TOP, LINE, RADIUS = 0.8, 0.65, 1.3, 0.5
BOX_ROOM, BETWEEN, CARD = 24.0, 1.2, 0.35
"""Boxes, in em: room beside and above the text, from line to line, of corners; the longest line; between a name and a
size; the offset of the cards behind a box that stands for several."""
FRAME_PAD, HEADER, FOOTER, FRAME_ROOM = 1.2, 2.4, 0.4, 26.0
"""Frames, in em: room beside, above and below the contents; the longest title."""


class Level(Struct, frozen=True):
    """Nodes and frames side by side as parts, with the ties between them; `owner` has the part that shows each node."""

    parts: tuple[Part, ...]
    ties: tuple[Tie, ...]
    owner: dict[int, int] = {}


def top_level(plan: Plan, em: float) -> Level:
    """Return the parts of a whole graph."""
    return _Builder(plan, em).level(0, len(plan.nodes), None)


class _Builder:
    def __init__(self, plan: Plan, em: float) -> None:
        self.plan = plan
        self.edges = plan.edges
        self.em = em

    def level(self, first: int, end: int, around: Frame | None) -> Level:
        """Return the parts for the nodes from `first` to before `end`, inside a frame."""
        owner: dict[int, int] = {}
        parts: list[Part] = []
        node = first
        while node < end:
            frame = self._frame_at(node, around)
            last = node if frame is None else frame.last
            owner.update((inner, len(parts)) for inner in range(node, last + 1))
            parts.append(_node(self.plan.nodes[node], self.em) if frame is None else self._framed(frame))
            node = last + 1
        ties = {
            Tie(owner[a], owner[b], a): None
            for a, b in self.edges
            if a in owner and b in owner and owner[a] != owner[b]
        }
        return Level(tuple(parts), tuple(ties), owner)

    def _frame_at(self, node: int, around: Frame | None) -> Frame | None:
        """Return the outermost frame that begins with a node, inside another frame."""
        found = (frame for frame in self.plan.frames if frame.first == node and frame != around)
        return next((frame for frame in found if around is None or frame.last <= around.last), None)

    def _framed(self, frame: Frame) -> Part:
        """Draw a frame with its contents; lines cross its border at ports."""
        inner = self.level(frame.first, frame.last + 1, frame)
        inside = range(frame.first, frame.last + 1)
        entering = [(a, inner.owner[b]) for a, b in self.edges if b in inside and a not in inside]
        leaving = [(a, inner.owner[a]) for a, b in self.edges if a in inside and b not in inside]
        into, out = sorted({a for a, _ in entering}), sorted({a for a, _ in leaving})
        shift, end = len(into), len(into) + len(inner.parts)
        ties = [Tie(into.index(a), shift + part, a) for a, part in entering]
        ties += [replace(tie, source=tie.source + shift, target=tie.target + shift) for tie in inner.ties]
        ties += [Tie(shift + part, end + out.index(a), a) for a, part in leaving]
        parts = [*[PORT] * len(into), *inner.parts, *[PORT] * len(out)]
        placed = place(parts, tuple(dict.fromkeys(ties)), self.em, (len(into), len(out)))
        pad = FRAME_PAD * self.em
        ins = {a: pad + placed.corners[i][0] for i, a in enumerate(into)}
        outs = {a: pad + placed.corners[end + i][0] for i, a in enumerate(out)}
        border, width = _border(frame, placed.width, placed.height, ins, self.em)
        height = (HEADER + FOOTER) * self.em + placed.height
        stubs = [Line(((x, 0), (x, HEADER * self.em))) for x in ins.values()]
        stubs += [Line(((x, height - FOOTER * self.em), (x, height))) for x in outs.values()]
        marks = (
            border,
            *(Mark((stub,), "edge") for stub in stubs),
            *(mark.moved(pad, HEADER * self.em) for mark in placed.marks),
        )
        axis = ins[min(ins)] if ins else None
        return Part(marks, width, height, ins, outs, arrow=False, given_axis=axis)


def _border(frame: Frame, inner: float, tall: float, ins: dict[int, float], em: float) -> tuple[Mark, float]:
    """Draw the border of a frame and its title, which stands clear of the lines that enter; return its width too."""
    name = shorten(frame.name, FRAME_ROOM * em, measure=sans(em))
    wide = text_width(frame.times, 1.2 * em, bold=True) + 0.6 * em
    needed = wide + text_width(name, em)
    start = max(ins.values()) + 0.8 * em if ins else FRAME_PAD * em
    if ins and min(ins.values()) - 1.6 * em >= needed:
        start = 0.8 * em
    width = max(inner + 2 * FRAME_PAD * em, start + needed + 0.8 * em)
    items: list[Item] = [
        Box(0, 0, width, (HEADER + FOOTER) * em + tall, "frame-box", 0.8 * em),
        Label(start, 1.55 * em, frame.times, 1.2 * em, bold=True),
    ]
    items += [Label(start + wide, 1.55 * em, name, em, dim=True)] if name else []
    return Mark(tuple(items), "frame", "other", (frame.path,) if frame.path else ()), width


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
