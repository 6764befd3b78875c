"""A data flow as values, and the ways to make it smaller: merge small layers, put a gap for a long or wide stretch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Generic, Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.report import Layer, Report
from alexnet_cli.tape import Shape

N = TypeVar("N", int, tuple[int, int])
SMALL = frozenset({"activation", "dropout", "norm", "softmax", "reshape"})
"""Families that are shown with the layer before them, unless that layer feeds anything else."""


class FlowNode(Struct, frozen=True):
    """A place that data passes.

    `rows` are positions in the report's layers: the row itself, then the rows shown with it. `copies` has the rows of
    each further node that this one stands for. `shapes` are the shapes of its outputs, batch included. A `gap` stands
    for all its rows, in sequence.
    """

    kind: Literal["input", "row", "output", "gap"]
    rows: tuple[int, ...] = ()
    shapes: tuple[Shape, ...] = ()
    copies: tuple[tuple[int, ...], ...] = ()
    name: str = ""

    @property
    def count(self) -> int:
        """How many nodes it stands for, itself included."""
        return 1 + len(self.copies)

    @property
    def every_row(self) -> tuple[int, ...]:
        """The rows of this node and of its copies."""
        return (*self.rows, *(row for copy in self.copies for row in copy))


class Frame(Struct, frozen=True):
    """A stretch of nodes, `first` to `last`, that runs `count` times, in sequence or in parallel.

    `first_row` and `last_row` are the rows where the first and the last repetition begin; `whole` says that a single
    row contains each repetition.
    """

    first: int
    last: int
    count: int
    first_row: int
    last_row: int
    whole: bool
    parallel: bool = False


class Flow(Struct, frozen=True):
    """Nodes in execution order, and edges between their positions, each from an earlier to a later node.

    Without a tape `recorded` is False, and the edges only follow the order in which the rows ran.
    """

    nodes: tuple[FlowNode, ...]
    edges: tuple[tuple[int, int], ...]
    frames: tuple[Frame, ...] = ()
    recorded: bool = True

    def successors(self) -> list[list[int]]:
        """Return, for each node, the nodes that read its output."""
        after: list[list[int]] = [[] for _ in self.nodes]
        for source, target in self.edges:
            after[source].append(target)
        return after

    def predecessors(self) -> list[list[int]]:
        """Return, for each node, the nodes whose output it reads."""
        before: list[list[int]] = [[] for _ in self.nodes]
        for source, target in self.edges:
            before[target].append(source)
        return before

    @property
    def is_chain(self) -> bool:
        """Whether data passes through one node after the other."""
        return self.edges == tuple((number, number + 1) for number in range(len(self.nodes) - 1))

    @property
    def length(self) -> int:
        """The number of nodes on the longest path."""
        return max(_steps(self), default=-1) + 1


class Links(Generic[N]):
    """Nodes and edges that may still change; the nodes sort into execution order."""

    def __init__(self, nodes: Iterable[N] = (), edges: Iterable[tuple[N, N]] = ()) -> None:
        self.nodes: set[N] = set(nodes)
        self.before: defaultdict[N, set[N]] = defaultdict(set)
        self.after: defaultdict[N, set[N]] = defaultdict(set)
        for source, target in edges:
            self.connect(source, target)

    def connect(self, source: N, target: N) -> None:
        """Add an edge."""
        self.before[target].add(source)
        self.after[source].add(target)

    def remove(self, node: N, *, bypass: bool = False) -> None:
        """Remove a node with its edges; with `bypass` its successors then read from its predecessors."""
        self.nodes.discard(node)
        sources, targets = self.before.pop(node, set()), self.after.pop(node, set())
        for source in sources:
            self.after[source].discard(node)
        for target in targets:
            self.before[target].discard(node)
        for source in sources if bypass else ():
            for target in targets:
                self.connect(source, target)

    def settled(self) -> tuple[dict[N, int], tuple[tuple[int, int], ...]]:
        """Number the nodes in their order, and return the edges between the numbers.

        An edge back to an earlier node, which only a report that was changed by hand has, is left out.
        """
        number = {node: position for position, node in enumerate(sorted(self.nodes))}
        edges = ((number[source], number[target]) for target in number for source in self.before[target])
        return number, tuple(sorted(edge for edge in edges if edge[0] < edge[1]))


def without_batch(shape: Shape, report: Report) -> Shape:
    """Drop the batch dimension, if the report has one."""
    batch = None if report.run is None else report.run.batch_size
    return shape[1:] if batch is not None and len(shape) > 1 and shape[0] == batch else shape


def merge_small(flow: Flow, layers: Sequence[Layer]) -> Flow:
    """Show small layers, and functions that keep the size of their one input, with the only layer that feeds them."""
    before, after = flow.predecessors(), flow.successors()
    head = list(range(len(flow.nodes)))
    around = [tuple(i for i, f in enumerate(flow.frames) if f.first <= number <= f.last) for number in head]
    for number, node in enumerate(flow.nodes):
        sources = before[number]
        if len(sources) != 1 or not _is_small(node, layers):
            continue
        (source,) = sources
        if flow.nodes[source].kind == "row" and len(after[source]) == 1 and around[source] == around[number]:
            head[number] = head[source]
    return _contracted(flow, head)


def shorten(flow: Flow, most: int) -> Flow:
    """Put one gap for the middle, so that `most` nodes are left; a frame longer than half of that becomes a gap too.

    The gap takes nodes that ran consecutively, so all remaining edges still lead forward.
    """
    for frame in flow.frames:
        if frame.last - frame.first + 1 > max(most // 2, 1):
            return shorten(_with_gap(flow, frame.first, frame.last), most)
    inner = [number for number, node in enumerate(flow.nodes) if node.kind in ("row", "gap")]
    too_many = len(flow.nodes) - most
    if too_many <= 0 or len(inner) <= 1:
        return flow
    skip = max((len(inner) - too_many - 1) // 2, 0)
    return _with_gap(flow, *_around_frames(flow, inner[skip], inner[min(skip + too_many, len(inner) - 1)]))


def narrow(flow: Flow, most: int) -> Flow:
    """Put one gap for the middle of parallel branches where more than `most` nodes (at least 3) are side by side."""
    while len(abreast := _widest(flow)) > most:
        kept = most - 1
        first, last = abreast[(kept + 1) // 2], abreast[len(abreast) - kept // 2] - 1
        flow = _with_gap(flow, *_around_frames(flow, first, last))
    return flow


def joined(frames: Iterable[Frame]) -> tuple[Frame, ...]:
    """Join frames around the same nodes, outer ones first: three times four is twelve."""
    found: dict[tuple[int, int], Frame] = {}
    for frame in frames:
        outer = found.setdefault((frame.first, frame.last), frame)
        if outer is not frame:
            found[frame.first, frame.last] = replace(
                frame,
                count=outer.count * frame.count,
                last_row=outer.last_row,
                whole=False,
                parallel=outer.parallel and frame.parallel,
            )
    return tuple(found.values())


def _around_frames(flow: Flow, first: int, last: int) -> tuple[int, int]:
    """Widen a stretch until it contains every frame that it cuts."""
    for frame in flow.frames:
        first = frame.first if frame.first < first <= frame.last else first
        last = frame.last if frame.first <= last < frame.last else last
    return first, last


def _widest(flow: Flow) -> list[int]:
    """Return the largest group of nodes that are equally many steps from the inputs."""
    levels: dict[int, list[int]] = {}
    for number, (node, step) in enumerate(zip(flow.nodes, _steps(flow), strict=True)):
        if node.kind in ("row", "gap"):
            levels.setdefault(step, []).append(number)
    return max(levels.values(), key=len, default=[])


def _steps(flow: Flow) -> list[int]:
    """Return, for each node, the length of the longest path to it from an input."""
    steps: list[int] = []
    for sources in flow.predecessors():
        steps.append(max((steps[source] + 1 for source in sources), default=0))
    return steps


def _is_small(node: FlowNode, layers: Sequence[Layer]) -> bool:
    if node.kind != "row":
        return False
    row = layers[node.rows[0]]
    if row.family in SMALL:
        return True
    free = row.kind == "function" and row.family == "other" and not row.macs and not row.params
    return free and bool(row.output_shapes) and row.output_shapes[:1] == row.input_shapes[:1]


def _with_gap(flow: Flow, first: int, last: int) -> Flow:
    """Show the nodes from `first` to `last` as one gap; it has a shape if only the last of them is read later."""
    head = [first if first <= number <= last else number for number in range(len(flow.nodes))]
    outside = tuple(frame for frame in flow.frames if frame.first < first or last < frame.last)
    merged = _contracted(replace(flow, frames=outside), head)
    rows = tuple(row for node in flow.nodes[first : last + 1] for row in node.every_row)
    leaving = {source for source, target in flow.edges if first <= source <= last < target}
    gap = FlowNode("gap", rows, flow.nodes[last].shapes if leaving <= {last} else ())
    return replace(merged, nodes=(*merged.nodes[:first], gap, *merged.nodes[first + 1 :]))


def _contracted(flow: Flow, head: Sequence[int]) -> Flow:
    """Return the flow with each node merged into its head."""
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
    rows = tuple(row for node in group for row in node.rows)
    copies = zip(*(node.copies for node in group), strict=False)
    return replace(first, rows=rows, copies=tuple(tuple(row for part in parts for row in part) for parts in copies))
