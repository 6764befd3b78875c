"""A data flow with fewer nodes: small layers shown with the one before them, long stretches as one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from alexnet_cli.analyses.dataflow import Flow, FlowNode, Frame, joined
from alexnet_cli.report import Layer

SMALL = frozenset({"activation", "dropout", "norm", "softmax", "reshape"})
"""Families that are shown with the layer before them, where that feeds nothing else."""


def merge_small(flow: Flow, layers: Sequence[Layer]) -> Flow:
    """Show small layers, and functions of one tensor that keep its size, with the layer that alone feeds them."""
    before, after = flow.predecessors(), flow.successors()
    head = list(range(len(flow.nodes)))
    inmost = [_frames_of(flow.frames, number) for number in head]
    for number, node in enumerate(flow.nodes):
        sources = before[number]
        if len(sources) != 1 or not _is_small(node, layers):
            continue
        (source,) = sources
        if flow.nodes[source].kind == "row" and len(after[source]) == 1 and inmost[source] == inmost[number]:
            head[number] = head[source]
    return _contracted(flow, head)


def shorten(flow: Flow, most: int) -> Flow:
    """Show stretches in the middle as one gap, so that `most` nodes are left; a frame that is too long becomes one.

    The gap takes neighbours in the order they ran, so no edge of what is left turns back.
    """
    for frame in flow.frames:
        if frame.last - frame.first + 1 > max(most // 2, 1):
            flow = _with_gap(flow, frame.first, frame.last)
            return shorten(flow, most)
    inner = [number for number, node in enumerate(flow.nodes) if node.kind in ("row", "gap")]
    too_many = len(flow.nodes) - most
    if too_many <= 0 or len(inner) <= 1:
        return flow
    skip = (len(inner) - too_many - 1) // 2
    first, last = inner[max(skip, 0)], inner[min(max(skip, 0) + too_many, len(inner) - 1)]
    return _with_gap(flow, *_around_frames(flow, first, last))


def _around_frames(flow: Flow, first: int, last: int) -> tuple[int, int]:
    """Widen a stretch so that it holds all of each frame that it cuts."""
    for frame in flow.frames:
        first = frame.first if frame.first < first <= frame.last else first
        last = frame.last if frame.first <= last < frame.last else last
    return first, last


def narrow(flow: Flow, most: int) -> Flow:
    """Show the middle of what runs side by side as one gap, where more than `most` nodes (at least 3) are abreast."""
    while len(abreast := _widest(flow)) > most:
        kept = most - 1
        first, last = abreast[(kept + 1) // 2], abreast[len(abreast) - kept // 2] - 1
        flow = _with_gap(flow, *_around_frames(flow, first, last))
    return flow


def length(flow: Flow) -> int:
    """Return how many nodes data passes through on the longest way."""
    return max(_steps(flow), default=-1) + 1


def _widest(flow: Flow) -> list[int]:
    """Return the nodes that are as many steps from where data comes in, of the number of steps that most are."""
    levels: dict[int, list[int]] = {}
    for number, (node, step) in enumerate(zip(flow.nodes, _steps(flow), strict=True)):
        if node.kind in ("row", "gap"):
            levels.setdefault(step, []).append(number)
    return max(levels.values(), key=len, default=[])


def _steps(flow: Flow) -> list[int]:
    """Return for each node the most steps from where data comes in."""
    steps: list[int] = []
    for sources in flow.predecessors():
        steps.append(max((steps[source] + 1 for source in sources), default=0))
    return steps


def is_chain(flow: Flow) -> bool:
    """Tell whether the data passes one node after the other."""
    expected = tuple((number, number + 1) for number in range(len(flow.nodes) - 1))
    return flow.edges == expected


def _frames_of(frames: Sequence[Frame], number: int) -> tuple[int, ...]:
    return tuple(i for i, frame in enumerate(frames) if frame.first <= number <= frame.last)


def _is_small(node: FlowNode, layers: Sequence[Layer]) -> bool:
    if node.kind != "row":
        return False
    row = layers[node.rows[0]]
    if row.family in SMALL:
        return True
    free = row.kind == "function" and row.family == "other" and not row.macs and not row.params
    return free and bool(row.output_shapes) and row.output_shapes[:1] == row.input_shapes[:1]


def _with_gap(flow: Flow, first: int, last: int) -> Flow:
    """Show the nodes from `first` to `last` as one gap; it has a shape where only the last of them is read after it."""
    head = [first if first <= number <= last else number for number in range(len(flow.nodes))]
    inside = [frame for frame in flow.frames if first <= frame.first and frame.last <= last]
    merged = _contracted(replace(flow, frames=tuple(frame for frame in flow.frames if frame not in inside)), head)
    nodes = list(merged.nodes)
    stretch = flow.nodes[first : last + 1]
    rows = tuple(row for node in stretch for row in (*node.rows, *(row for copy in node.copies for row in copy)))
    leaving = {source for source, target in flow.edges if first <= source <= last < target}
    nodes[first] = FlowNode("gap", rows, flow.nodes[last].shapes if leaving <= {last} else ())
    return replace(merged, nodes=tuple(nodes))


def _contracted(flow: Flow, head: Sequence[int]) -> Flow:
    """Return the flow with each node shown by its head."""
    kept = sorted(set(head))
    number = {node: position for position, node in enumerate(kept)}
    groups: dict[int, list[FlowNode]] = {node: [] for node in kept}
    for position, node in enumerate(flow.nodes):
        groups[head[position]].append(node)
    edges = {(number[head[a]], number[head[b]]) for a, b in flow.edges if head[a] != head[b]}
    frames = joined(
        replace(frame, first=number[head[frame.first]], last=number[head[frame.last]]) for frame in flow.frames
    )
    return replace(flow, nodes=tuple(map(_joined, groups.values())), edges=tuple(sorted(edges)), frames=frames)


def _joined(group: Sequence[FlowNode]) -> FlowNode:
    first, *others = group
    if not others:
        return first
    rows = (*first.rows, *(row for node in others for row in node.rows))
    copies = tuple(
        tuple(row for part in parts for row in part) for parts in zip(*(node.copies for node in group), strict=False)
    )
    return replace(first, rows=rows, copies=copies)
