"""A data flow as blocks within blocks: modules, what repeats, and runs of neighbours where a block holds very many."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, isqrt

from msgspec import Struct

from alexnet_cli.analyses.flow import Flow, Frame
from alexnet_cli.report import Layer, subtree_ends

MOST_CHILDREN = 48
"""With more, neighbours share a block: no reader finds a place among two thousand boxes in a row."""


class Group(Struct, frozen=True):
    """A block: nodes from `first` to `last` of the flow, all of them below its `children`.

    A child is the position of a node, or that of a group after all nodes: of 10 nodes and 2 groups the groups are 10
    and 11. `rows` are the modules that hold just these nodes, the outermost first; a `frame` says that the block
    repeats. With neither it is a run of neighbours, or, as the last group, the whole model.
    """

    first: int
    last: int
    children: tuple[int, ...]
    rows: tuple[int, ...] = ()
    frame: Frame | None = None


class Crossing(Struct, frozen=True):
    """What an edge is for one group: it leads from child to child, or from or to the outside, which is None.

    `key` is the node whose output it carries.
    """

    source: int | None
    target: int | None
    key: int


def flow_tree(flow: Flow, layers: Sequence[Layer]) -> tuple[Group, ...]:
    """Return the groups of a flow, each after those inside it; the last is the whole."""
    found: list[Group] = []
    begins = _stretches(flow, layers)
    whole = _Open(len(flow.nodes) - 1)
    stack = [whole]
    for node in range(len(flow.nodes)):
        stack += (opened for opened in begins.get(node, ()) if opened.last <= stack[-1].last)
        stack[-1].children.append((node, node, node))
        while len(stack) > 1 and stack[-1].last == node:
            closed = stack.pop()
            stack[-1].children.append(_closed(closed, found, len(flow.nodes)))
    _closed(whole, found, len(flow.nodes))
    return tuple(found)


def crossings(flow: Flow, groups: Sequence[Group]) -> list[list[Crossing]]:
    """Return, for each group, what the edges of the flow are there, each once; linear in the borders they cross."""
    nodes = len(flow.nodes)
    parent = {child: nodes + place for place, group in enumerate(groups) for child in group.children}
    found: list[dict[Crossing, None]] = [{} for _ in groups]
    for source, target in flow.edges:
        left, right = source, target
        while not groups[parent[left] - nodes].last >= target:
            found[parent[left] - nodes][Crossing(left, None, source)] = None
            left = parent[left]
        while not groups[parent[right] - nodes].first <= source:
            found[parent[right] - nodes][Crossing(None, right, source)] = None
            right = parent[right]
        found[parent[left] - nodes][Crossing(left, right, source)] = None
    return [list(each) for each in found]


@dataclass
class _Open:
    """A group that is being filled: its last node, and its children with the first and last node of each."""

    last: int
    rows: tuple[int, ...] = ()
    frame: Frame | None = None
    children: list[tuple[int, int, int]] = field(default_factory=list)


def _closed(group: _Open, found: list[Group], nodes: int) -> tuple[int, int, int]:
    """Add a group, and runs of neighbours within it; return its position and its first and last node."""
    children = group.children
    while len(children) > MOST_CHILDREN:
        size = min(isqrt(len(children) - 1) + 1, MOST_CHILDREN)
        size = ceil(len(children) / ceil(len(children) / size))
        runs = [_Open(0, children=children[at : at + size]) for at in range(0, len(children), size)]
        children = [_closed(run, found, nodes) if len(run.children) > 1 else run.children[0] for run in runs]
    first, last = children[0][1], children[-1][2]
    found.append(Group(first, last, tuple(child for child, _, _ in children), group.rows, group.frame))
    return nodes + len(found) - 1, first, last


def _stretches(flow: Flow, layers: Sequence[Layer]) -> dict[int, list[_Open]]:
    """Return, by their first node, the modules and repetitions with several nodes, the longest first."""
    numbers = [number for number, node in enumerate(flow.nodes) if node.kind == "row"]
    heads = [flow.nodes[number].rows[0] for number in numbers]
    rows: dict[tuple[int, int], list[int]] = {}
    for row, end in enumerate(subtree_ends(layers)):
        inside = numbers[bisect_left(heads, row) : bisect_left(heads, end)]
        if end > row + 1 and len(inside) > 1:
            rows.setdefault((inside[0], inside[-1]), []).append(row)
    frames = {(frame.first, frame.last): frame for frame in flow.frames if frame.last > frame.first}
    everything = (numbers[0], numbers[-1]) if numbers else None
    begins: dict[int, list[_Open]] = {}
    for first, last in sorted({*rows, *frames}, key=lambda stretch: (stretch[0], -stretch[1])):
        if (first, last) != everything or (first, last) in frames:
            opened = _Open(last, tuple(rows.get((first, last), ())), frames.get((first, last)))
            begins.setdefault(first, []).append(opened)
    return begins
