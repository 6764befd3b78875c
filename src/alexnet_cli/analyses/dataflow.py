"""Which row reads what which other row made: the data flow between rows, from the tape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.report import Layer, Report, subtree_ends
from alexnet_cli.tape import Operation, Shape, Tape

ALIAS = "alias"
"""On the tape: a tensor is read whose storage was written through another one."""
MOST_OUTPUTS = 3
_HELD = ("parameter", "buffer")
_Key = tuple[int, int]
_INPUT, _ROW, _OUTPUT = range(3)


class FlowNode(Struct, frozen=True):
    """A place that data passes.

    `rows` are positions in the report's layers: the row itself, then those that are shown with it. `copies` are the
    rows of each further node that this one stands for. `shapes` are those of what it makes, batch included. A `gap`
    stands for all its rows, one after the other.
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


class Frame(Struct, frozen=True):
    """A stretch of nodes, `first` to `last`, that runs `count` times: one after the other, or side by side.

    `first_row` and `last_row` are the rows that the first and the last of them begin with; `whole` says that this
    row holds all of it.
    """

    first: int
    last: int
    count: int
    first_row: int
    last_row: int
    whole: bool
    parallel: bool = False


class Flow(Struct, frozen=True):
    """Nodes in the order they ran, and edges between their positions, from an earlier to a later one.

    `recorded` is False where there is no tape: then the edges are only the order in which the rows ran.
    """

    nodes: tuple[FlowNode, ...]
    edges: tuple[tuple[int, int], ...]
    frames: tuple[Frame, ...] = ()
    recorded: bool = True

    def successors(self) -> list[list[int]]:
        """Return for each node the nodes that read what it made."""
        after: list[list[int]] = [[] for _ in self.nodes]
        for source, target in self.edges:
            after[source].append(target)
        return after

    def predecessors(self) -> list[list[int]]:
        """Return for each node the nodes that made what it reads."""
        before: list[list[int]] = [[] for _ in self.nodes]
        for source, target in self.edges:
            before[target].append(source)
        return before


def dataflow(report: Report, depth: int | None = None) -> Flow:
    """Return the data flow between the rows at `depth`, None for those that no other lies below.

    What only reshapes is passed through, as are containers above the depth; parameters are no nodes, and neither is
    what is made of nothing, as a mask. Rows that ran no operator are shown with the row before them.
    """
    shown = _shown(report.layers, depth)
    if report.tape is None:
        return _in_order(report, shown)
    graph = _read(report.tape, shown)
    rows = {key: [key[1]] for key in graph.nodes if key[0] == _ROW}
    _add_idle(report.layers, shown, rows)
    _contract(graph, report, rows)
    return _finished(graph, report, rows)


def joined(frames: Iterable[Frame]) -> tuple[Frame, ...]:
    """Join frames around the same nodes, outer ones first: three times four are twelve."""
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


def is_merge(layer: Layer, sources: int) -> bool:
    """Tell whether a row joins branches: it is a function, or only reshapes, and reads from several."""
    return sources > 1 and (layer.kind == "function" or layer.family == "reshape")


def _shown(layers: Sequence[Layer], depth: int | None) -> list[int | None]:
    """Return for each row the position of the row that shows it; None for a container whose parts are shown."""
    shown: list[int | None] = []
    for position, (row, end) in enumerate(zip(layers, subtree_ends(layers), strict=True)):
        if len(shown) > position:
            continue  # a row above shows it
        if end == position + 1 or (depth is not None and row.depth >= depth):
            shown += [position] * (end - position)
        else:
            shown.append(None)
    return shown


class _Graph:
    """Nodes with the nodes before and after each; a node's key sorts it into the order they ran."""

    def __init__(self) -> None:
        self.before: dict[_Key, set[_Key]] = defaultdict(set)
        self.after: dict[_Key, set[_Key]] = defaultdict(set)
        self.nodes: set[_Key] = set()
        self.results: list[tuple[set[_Key], int]] = []

    def connect(self, source: _Key, target: _Key) -> None:
        self.before[target].add(source)
        self.after[source].add(target)

    def bypass(self, node: _Key) -> None:
        """Take a node out: what it read from is read by those that read it."""
        self.nodes.discard(node)
        sources, targets = self.before.pop(node, set()), self.after.pop(node, set())
        for source in sources:
            self.after[source].discard(node)
        for target in targets:
            self.before[target].discard(node)
        for source in sources:
            for target in targets:
                self.connect(source, target)


def _read(tape: Tape, shown: Sequence[int | None]) -> _Graph:
    graph = _Graph()
    origins: dict[int, frozenset[_Key]] = {value: frozenset({(_INPUT, i)}) for i, value in enumerate(tape.inputs)}
    nothing: frozenset[_Key] = frozenset()
    for op in tape.operations:
        if op.phase != "forward":
            continue
        place = None if op.row is None or op.op == ALIAS else shown[op.row]
        sources = nothing.union(*(origins.get(value, nothing) for value in _last_written(op, tape)))
        if place is not None:
            node = (_ROW, place)
            graph.nodes.add(node)
            for source in sources - {node}:
                graph.connect(source, node)
            sources = frozenset({node})
        origins.update((value, sources) for value in op.makes if _is_data(value, tape))
    graph.nodes |= {(_INPUT, number) for number in range(len(tape.inputs))}
    _add_outputs(graph, [origins.get(value, nothing) for value in tape.outputs])
    return graph


def _last_written(op: Operation, tape: Tape) -> Sequence[int]:
    """Return the values that an operator reads; of an alias only those not written over as a whole since."""
    if op.op != ALIAS:
        return op.reads
    whole = tape.values[op.makes[0]].bytes
    over = [place for place, value in enumerate(op.reads) if tape.values[value].bytes >= whole]
    return op.reads[over[-1] :] if over else op.reads


def _is_data(value: int, tape: Tape) -> bool:
    return tape.storages[tape.values[value].storage].role not in _HELD


def _add_outputs(graph: _Graph, results: Sequence[frozenset[_Key]]) -> None:
    """Add a node for what the model returns: one for each place it comes from, or one for all if there are many."""
    distinct = list(dict.fromkeys(results))
    several = len(distinct) <= MOST_OUTPUTS
    for position, sources in enumerate(results):
        node = (_OUTPUT, distinct.index(sources) if several else 0)
        graph.nodes.add(node)
        graph.results.append(({node}, position))
        for source in sources:
            graph.connect(source, node)


def _add_idle(layers: Sequence[Layer], shown: Sequence[int | None], rows: dict[_Key, list[int]]) -> None:
    """Show rows that ran no operator, as a dropout in eval, with the row before them if the sizes agree."""
    last: _Key | None = None
    for position, place in enumerate(shown):
        if place != position:
            continue
        if (_ROW, position) in rows:
            last = (_ROW, position)
        elif last is not None and set(layers[position].input_shapes) & set(layers[last[1]].output_shapes):
            rows[last].append(position)


def _contract(graph: _Graph, report: Report, rows: dict[_Key, list[int]]) -> None:
    """Pass through what only reshapes, and leave out functions of nothing."""
    for node in sorted(graph.nodes):
        if node[0] != _ROW:
            continue
        row, sources = report.layers[node[1]], graph.before[node]
        feeds_output = any(target[0] == _OUTPUT for target in graph.after[node])
        if row.kind == "function" and not sources and not row.macs_total and not feeds_output:
            graph.bypass(node)
        elif row.family == "reshape" and len(sources) == 1:
            (source,) = sources
            rows.setdefault(source, []).extend(rows[node])
            graph.bypass(node)


def _finished(graph: _Graph, report: Report, rows: dict[_Key, list[int]]) -> Flow:
    order = sorted(graph.nodes)
    number = {node: position for position, node in enumerate(order)}
    edges = sorted((number[source], number[target]) for target in order for source in graph.before[target])
    nodes = tuple(_node(node, graph, report, tuple(rows.get(node, ()))) for node in order)
    return Flow(nodes, tuple(edges))


def _node(key: _Key, graph: _Graph, report: Report, rows: tuple[int, ...]) -> FlowNode:
    kind, number = key
    tape = report.tape
    assert tape is not None  # noqa: S101 - for the type checker
    if kind == _ROW:
        return FlowNode("row", rows, report.layers[number].output_shapes)
    if kind == _OUTPUT:
        made = [tape.outputs[position] for nodes, position in graph.results if key in nodes]
        return FlowNode("output", (), tuple(tape.values[value].shape for value in made))
    inputs = report.run.inputs if report.run is not None else ()
    name = inputs[number].name if number < len(inputs) else None
    return FlowNode("input", rows, (tape.values[tape.inputs[number]].shape,), name=name or "")


def _in_order(report: Report, shown: Iterable[int | None]) -> Flow:
    """Return the rows one after the other, as there is no tape that tells more."""
    inputs = () if report.run is None else report.run.inputs
    nodes = [FlowNode("input", (), (item.shape,), name=item.name or "") for item in inputs]
    first = len(nodes)
    for position, place in enumerate(shown):
        row = report.layers[position]
        if place != position or not row.output_shapes:
            continue
        if row.family == "reshape" and len(nodes) > first:
            before = nodes[-1]
            nodes[-1] = FlowNode(before.kind, (*before.rows, position), before.shapes)
        else:
            nodes.append(FlowNode("row", (position,), row.output_shapes))
    edges = [(source, first) for source in range(first)] if len(nodes) > first else []
    edges += [(source, source + 1) for source in range(first, len(nodes) - 1)]
    if report.error is None and len(nodes) > first:
        nodes.append(FlowNode("output", (), report.layers[0].output_shapes))
        edges.append((len(nodes) - 2, len(nodes) - 1))
    return Flow(tuple(nodes), tuple(edges), recorded=False)
