"""The words of each node of a graph, whatever draws it, and the nodes that a frame holds."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.analyses.dataflow import Flow, FlowNode, Frame, is_merge
from alexnet_cli.drawing import labels
from alexnet_cli.drawing.families import family_of
from alexnet_cli.drawing.plan import Plan
from alexnet_cli.graphics.text import visible


class Words(Struct, frozen=True):
    """What is said of a node: what it does and how often, its name, the size of what it makes, what is shown with it.

    A `merge` joins branches, an `end` is an input or output, a `gap` stands for many layers.
    """

    kind: Literal["layer", "merge", "end", "gap"]
    what: str
    family: str
    size: str
    name: str = ""
    times: str = ""
    small: tuple[str, ...] = ()


def words_of(plan: Plan) -> list[Words]:
    """Return the words of each node."""
    sources = plan.flow.predecessors()
    return [_words(plan, node, number, len(sources[number])) for number, node in enumerate(plan.flow.nodes)]


def _words(plan: Plan, node: FlowNode, number: int, sources: int) -> Words:
    layers = plan.report.layers
    size = labels.sizes_text(node.shapes, plan.report)
    family = family_of(node, layers)
    if node.kind in ("input", "output"):
        return Words("end", node.kind, family, size, visible(node.name))
    if node.kind == "gap":
        return Words("gap", f"{units.count(len(node.rows))} layers", family, size)
    row = layers[node.rows[0]]
    alone = next((frame for frame in plan.flow.frames if frame.first == frame.last == number), None)
    path = row.path if alone is None else labels.span(row.path, layers[alone.last_row].path)
    return Words(
        "merge" if is_merge(row, sources) else "layer",
        labels.what(row),
        family,
        size,
        "" if row.kind == "function" else visible(path),
        "" if alone is None else f" {times(alone)}",
        tuple(labels.with_it(node, layers)),
    )


def frames_of(flow: Flow) -> list[Frame]:
    """Return the frames that hold more than one node, outer ones before those in them."""
    several = [frame for frame in flow.frames if frame.last > frame.first]
    return sorted(several, key=lambda frame: (frame.first, -frame.last, -frame.count))


def times(frame: Frame) -> str:
    """Say how often a frame runs: `×12`."""
    return f"×{units.count(frame.count)}" + (" parallel" if frame.parallel else "")


def frame_title(frame: Frame, plan: Plan) -> str:
    """Say how often a frame runs, and what it is of."""
    return f"{times(frame)} {labels.frame_name(frame, plan.report.layers)}".rstrip()


def lines_of(words: Words) -> list[str]:
    """Return the words as the lines of a box."""
    if words.kind == "merge":
        return [", ".join((words.what, *words.small))]
    if words.kind == "end":
        return [" ".join(part for part in (words.what, words.name, words.size) if part)]
    second = " · ".join(part for part in (words.name, words.size) if part)
    small = f"with {', '.join(words.small)}" if words.small else ""
    return [line for line in (words.what + words.times, second, small) if line]
