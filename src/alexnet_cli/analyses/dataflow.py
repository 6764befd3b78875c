"""The data flow between rows, read from the tape: which row reads the output of which other row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from alexnet_cli.analyses.flow import Flow, FlowNode, Links
from alexnet_cli.report import Layer, Report, cut_at
from alexnet_cli.tape import Operation, Tape

ALIAS = "alias"
"""On the tape: the operation reads a tensor whose storage was written through another tensor."""
MOST_OUTPUTS = 3
_HELD = ("parameter", "buffer")
_MAP = 2
_Key = tuple[int, int]
_INPUT, _ROW, _OUTPUT = range(3)


def dataflow(report: Report, depth: int | None = None) -> Flow:
    """Return the data flow between the rows at `depth`; None means the leaves.

    Rows that only reshape are shown with the row before them, as are rows that ran no operator, such as a dropout in
    eval mode. Parameters are not nodes, and neither are functions without an input, such as one that makes a mask.
    """
    shown = cut_at(report.layers, depth)
    if report.tape is None:
        return _in_order(report, shown)
    graph, results = _read(report.tape, shown)
    rows = {key: [key[1]] for key in graph.nodes if key[0] == _ROW}
    _add_idle(report.layers, shown, rows)
    _contract(graph, report, rows)
    number, edges = graph.settled()
    return Flow(tuple(_node(node, results, report, tuple(rows.get(node, ()))) for node in number), edges)


def _read(tape: Tape, shown: Sequence[range]) -> tuple[Links[_Key], dict[_Key, list[int]]]:
    """Return inputs, rows and outputs, and for each output which of the model's outputs it stands for."""
    graph, shown_by = Links[_Key](), {row: rows.start for rows in shown for row in rows}
    origins: dict[int, frozenset[_Key]] = {value: frozenset({(_INPUT, i)}) for i, value in enumerate(tape.inputs)}
    nothing: frozenset[_Key] = frozenset()
    for op in tape.operations:
        if op.phase != "forward":
            continue
        place = None if op.row is None or op.op == ALIAS else shown_by.get(op.row)
        sources = nothing.union(*(origins.get(value, nothing) for value in _last_written(op, tape)))
        if place is not None:
            node = (_ROW, place)
            graph.nodes.add(node)
            for source in sources - {node}:
                graph.connect(source, node)
            sources = frozenset({node})
        data = (value for value in op.makes if tape.storages[tape.values[value].storage].role not in _HELD)
        origins.update(dict.fromkeys(data, sources))
    graph.nodes |= {(_INPUT, number) for number in range(len(tape.inputs))}
    return graph, _add_outputs(graph, [origins.get(value, nothing) for value in tape.outputs])


def _last_written(op: Operation, tape: Tape) -> Sequence[int]:
    """Return the values that an operator reads; of an alias, only those not completely overwritten since."""
    if op.op != ALIAS:
        return op.reads
    whole = tape.values[op.makes[0]].bytes
    over = [place for place, value in enumerate(op.reads) if tape.values[value].bytes >= whole]
    return op.reads[over[-1] :] if over else op.reads


def _add_outputs(graph: Links[_Key], results: Sequence[frozenset[_Key]]) -> dict[_Key, list[int]]:
    """Add an output node for each distinct source of the model's outputs, or a single one if there are many."""
    distinct = list(dict.fromkeys(results))
    several = len(distinct) <= MOST_OUTPUTS
    found: dict[_Key, list[int]] = defaultdict(list)
    for position, sources in enumerate(results):
        node = (_OUTPUT, distinct.index(sources) if several else 0)
        graph.nodes.add(node)
        found[node].append(position)
        for source in sources:
            graph.connect(source, node)
    return found


def _add_idle(layers: Sequence[Layer], shown: Sequence[range], rows: dict[_Key, list[int]]) -> None:
    """Show rows that ran no operator with the row before them, if the shapes agree."""
    last: _Key | None = None
    for position in (each.start for each in shown):
        if (_ROW, position) in rows:
            last = (_ROW, position)
        elif last is not None and set(layers[position].input_shapes) & set(layers[last[1]].output_shapes):
            rows[last].append(position)


def _contract(graph: Links[_Key], report: Report, rows: dict[_Key, list[int]]) -> None:
    """Remove rows that only reshape one input, and functions that have no input and no MACs."""
    for node in sorted(graph.nodes):
        if node[0] != _ROW:
            continue
        row, sources = report.layers[node[1]], graph.before[node]
        feeds_output = any(target[0] == _OUTPUT for target in graph.after[node])
        if row.kind == "function" and not sources and not row.macs_total and not feeds_output:
            graph.remove(node, bypass=True)
        elif row.family == "reshape" and len(sources) == 1:
            (source,) = sources
            rows.setdefault(source, []).extend(rows[node])
            graph.remove(node, bypass=True)


def _node(key: _Key, results: dict[_Key, list[int]], report: Report, rows: tuple[int, ...]) -> FlowNode:
    kind, number = key
    tape = report.tape
    assert tape is not None  # noqa: S101 - for the type checker
    if kind == _ROW:
        return FlowNode("row", rows, report.layers[number].output_shapes)
    if kind == _OUTPUT:
        return FlowNode("output", (), tuple(tape.values[tape.outputs[place]].shape for place in results[key]))
    inputs = report.run.inputs if report.run is not None else ()
    name = inputs[number].name if number < len(inputs) else None
    return FlowNode("input", rows, (tape.values[tape.inputs[number]].shape,), name=name or "")


def _in_order(report: Report, shown: Iterable[range]) -> Flow:
    """Return the rows in execution order: without a tape no more is known."""
    inputs = () if report.run is None else report.run.inputs
    nodes = [FlowNode("input", (), (item.shape,), name=item.name or "") for item in inputs]
    first = len(nodes)
    for position in (rows.start for rows in shown):
        row = report.layers[position]
        if row.family == "reshape" and row.output_shapes and len(nodes) > first:
            nodes[-1] = replace(nodes[-1], rows=(*nodes[-1].rows, position))
        elif row.output_shapes:
            nodes.append(FlowNode("row", (position,), row.output_shapes))
    edges = [(source, first) for source in range(first)] if len(nodes) > first else []
    edges += [(source, source + 1) for source in range(first, len(nodes) - 1)]
    if report.error is None and len(nodes) > first:
        nodes.append(FlowNode("output", (), report.layers[0].output_shapes))
        edges.append((len(nodes) - 2, len(nodes) - 1))
    return Flow(tuple(nodes), tuple(edges), recorded=False)


def with_function_settings(report: Report) -> Report:
    """Add window, stride and channels of functional calls, read from the tape, under the names that modules use."""
    tape = report.tape
    if tape is None:
        return report
    found: dict[int, dict[str, Any]] = {}
    for op in tape.operations:
        if op.phase == "forward" and op.row is not None and report.layers[op.row].kind == "function":
            known = _settings(op, report.layers[op.row], tape)
            if known:
                found.setdefault(op.row, known)
    layers = tuple(
        replace(row, settings={**found[place], **row.settings}) if place in found else row
        for place, row in enumerate(report.layers)
    )
    return replace(report, layers=layers)


def _settings(op: Operation, row: Layer, tape: Tape) -> dict[str, Any]:
    given = op.arguments
    if row.family == "pool" and "kernel_size" in given:
        return {"kernel_size": given["kernel_size"], "stride": given.get("stride") or given["kernel_size"]}
    if row.family == "conv" and "transposed" in given and len(op.reads) > 1:
        weight = tape.values[op.reads[1]].shape
        groups, transposed = given.get("groups", 1), given["transposed"]
        channels = weight[1] * groups if transposed else weight[0]
        known = {"kernel_size": weight[_MAP:], "out_channels": channels, "groups": groups, "transposed": transposed}
        return {**known, "stride": given.get("stride", 1)}
    return {}
