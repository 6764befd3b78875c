"""The parts of a graph: nodes, and frames around what repeats with what they hold placed inside."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.dataflow import Frame
from alexnet_cli.drawing import labels
from alexnet_cli.drawing.boxes import node_box
from alexnet_cli.drawing.lanes import Tie
from alexnet_cli.drawing.plan import Plan
from alexnet_cli.drawing.region import PORT, Part, Placed, place
from alexnet_cli.drawing.words import times, words_of
from alexnet_cli.graphics.scene import Box, Label, Line, Mark
from alexnet_cli.graphics.text import sans, shorten, text_width, visible

PAD = 1.2
HEADER = 2.4
FOOTER = 0.4
ROOM = 26.0
"""In em: around what a frame holds, above and below it; the most text above a frame."""


class Level(Struct, frozen=True):
    """What stands side by side at one level: nodes and frames as parts, and the ties between them.

    `owner` gives for each node of the flow the position of the part that shows it.
    """

    parts: tuple[Part, ...]
    ties: tuple[Tie, ...]
    owner: dict[int, int] = {}


def top_level(plan: Plan, em: float) -> Level:
    """Return the parts of a whole flow."""
    return _Builder(plan, em).level(0, len(plan.flow.nodes), None)


class _Builder:
    """Makes parts of nodes and frames; parts are known by the node that they begin with."""

    def __init__(self, plan: Plan, em: float) -> None:
        self.plan = plan
        self.flow = plan.flow
        self.em = em
        self.words = words_of(plan)
        self.edges = self.flow.edges

    def level(self, first: int, end: int, around: Frame | None) -> Level:
        """Return the parts from a node to before another, inside a frame."""
        owner: dict[int, int] = {}
        parts: list[Part] = []
        node = first
        while node < end:
            frame = self._frame_at(node, around)
            last = node if frame is None else frame.last
            owner.update((inner, len(parts)) for inner in range(node, last + 1))
            parts.append(self._node(node, around) if frame is None else self._framed(frame))
            node = last + 1
        ties = {
            Tie(owner[a], owner[b], a, a): None
            for a, b in self.edges
            if a in owner and b in owner and owner[a] != owner[b]
        }
        return Level(tuple(parts), tuple(ties), owner)

    def _frame_at(self, node: int, around: Frame | None) -> Frame | None:
        """Return the outermost frame inside another that begins with a node and holds more than that."""
        found = [
            frame
            for frame in self.flow.frames
            if frame.first == node and frame.last > node and frame != around and _inside(frame, around)
        ]
        return max(found, key=lambda frame: (frame.last, frame.count), default=None)

    def _node(self, number: int, around: Frame | None) -> Part:
        layers = self.plan.report.layers
        node = self.flow.nodes[number]
        outer = visible(layers[around.first_row].path) if around is not None and around.whole else ""
        told = labels.told(node, self.plan.report)
        return node_box(self.words[number], outer, labels.paths_of(node, layers), told, self.em)

    def _framed(self, frame: Frame) -> Part:
        """Draw a frame with what it holds; lines pass its border at ports."""
        inner = self.level(frame.first, frame.last + 1, frame)
        inside = range(frame.first, frame.last + 1)
        entering = [(a, inner.owner[b]) for a, b in self.edges if b in inside and a not in inside]
        leaving = [(a, inner.owner[a]) for a, b in self.edges if a in inside and b not in inside]
        into, out = sorted({a for a, _ in entering}), sorted({a for a, _ in leaving})
        shift, end = len(into), len(into) + len(inner.parts)
        ties = [Tie(into.index(a), shift + part, a, a) for a, part in entering]
        ties += [replace(tie, source=tie.source + shift, target=tie.target + shift) for tie in inner.ties]
        ties += [Tie(shift + part, end + out.index(a), a, a) for a, part in leaving]
        parts = [*[PORT] * len(into), *inner.parts, *[PORT] * len(out)]
        placed = place(parts, tuple(dict.fromkeys(ties)), self.em, (len(into), len(out)))
        ins = {a: placed.corners[i][0] for i, a in enumerate(into)}
        outs = {a: placed.corners[end + i][0] for i, a in enumerate(out)}
        return self._bordered(frame, placed, ins, outs)

    def _bordered(self, frame: Frame, placed: Placed, ins: dict[int, float], outs: dict[int, float]) -> Part:
        em = self.em
        often = times(frame)
        name = shorten(labels.frame_name(frame, self.plan.report.layers), ROOM * em, measure=sans(em))
        wide = text_width(often, 1.2 * em, bold=True)
        needed = wide + 0.6 * em + text_width(name, em)
        line = max((PAD * em + x for x in ins.values()), default=0.0)
        start = line + 0.8 * em if ins else PAD * em
        if ins and min(ins.values()) + PAD * em - 1.6 * em >= needed:
            start = 0.8 * em
        width = max(placed.width + 2 * PAD * em, start + needed + 0.8 * em)
        height = (HEADER + FOOTER) * em + placed.height
        base = 1.55 * em
        row = self.plan.report.layers[frame.first_row]
        named = [Label(start + wide + 0.6 * em, base, name, em, dim=True)] if name else []
        border = Mark(
            (
                Box(0, 0, width, height, "frame-box", 0.8 * em),
                Label(start, base, often, 1.2 * em, bold=True),
                *named,
            ),
            "frame",
            "other",
            (row.path,) if frame.whole and row.path else (),
        )
        stubs = [Mark((Line(((PAD * em + x, 0), (PAD * em + x, HEADER * em))),), "edge") for x in ins.values()]
        stubs += [
            Mark((Line(((PAD * em + x, height - FOOTER * em), (PAD * em + x, height))),), "edge") for x in outs.values()
        ]
        held = [mark.moved(PAD * em, HEADER * em) for mark in placed.marks]
        ins, outs = ({key: PAD * em + x for key, x in ports.items()} for ports in (ins, outs))
        axis = ins[min(ins)] if ins else None
        return Part((border, *stubs, *held), width, height, ins, outs, arrow=False, given_axis=axis)


def _inside(frame: Frame, around: Frame | None) -> bool:
    if around is None:
        return True
    return (
        around.first <= frame.first
        and frame.last <= around.last
        and (frame.first, frame.last)
        != (
            around.first,
            around.last,
        )
    )
