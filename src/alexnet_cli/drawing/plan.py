"""What to draw: the data flow at a depth at which a page has room for it, and the style that suits it."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Literal

from msgspec import Struct

from alexnet_cli.analyses.dataflow import Flow, dataflow
from alexnet_cli.analyses.flow_merging import is_chain, length, merge_small, narrow, shorten
from alexnet_cli.analyses.flow_repeats import fold_flow
from alexnet_cli.analyses.function_settings import with_function_settings
from alexnet_cli.drawing.labels import without_batch
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report

Style = Literal["blocks", "graph", "bars"]
AnyStyle = Literal["auto", "blocks", "graph", "bars"]
MOST = {"blocks": 24, "graph": 32, "bars": 60}
"""How many nodes a figure has at most: at a greater depth there may be more, so a lesser one is taken."""
MOST_AT_A_DEPTH = 60
"""The same where the depth was given."""
MOST_ABREAST = 8
"""How many nodes of a graph stand side by side at most: with more a page has no room for text that can be read."""
_IN_BLOCKS = frozenset({"conv", "pool", "linear"})
_BESIDE_BLOCKS = frozenset({"norm", "activation", "dropout", "softmax", "reshape", "other"})
_MOST_DIMENSIONS = 4


class Plan(Struct, frozen=True):
    """A report with the flow to draw of it; `depth` None is the greatest."""

    report: Report
    flow: Flow
    style: Style
    depth: int | None


def plan(report: Report, style: AnyStyle = "auto", depth: int | None = None) -> Plan:
    """Settle style and depth.

    Raises:
        UsageError: nothing was run, or the data flow is no chain and blocks were asked for.
    """
    _check(report)
    report = with_function_settings(report)
    whole = merge_small(dataflow(report, depth), report.layers)
    if style == "blocks" or (style == "auto" and _is_clear_in_blocks(whole, report, depth)):
        return _blocks(report, whole, depth)
    if style == "bars":
        if all(node.kind in ("input", "output") for node in whole.nodes):
            raise UsageError("there are no bars to draw: no layer of the model computes", "draw it with --style graph")
        return Plan(report, shorten(_folded(report, depth), MOST["bars"]), "bars", depth)
    if depth is not None:
        return Plan(report, narrow(shorten(_folded(report, depth), MOST_AT_A_DEPTH), MOST_ABREAST), "graph", depth)
    return _graph(report)


def _check(report: Report) -> None:
    if report.run is None:
        raise UsageError(
            "a checkpoint is not run, so it has no data flow to draw", "draw the model that it is of: net.py:Net"
        )
    if not report.layers:
        raise UsageError("there is nothing to draw: no layer of the model ran")


def _folded(report: Report, depth: int | None) -> Flow:
    return merge_small(fold_flow(dataflow(report, depth), report.layers), report.layers)


def _blocks(report: Report, whole: Flow, depth: int | None) -> Plan:
    if not is_chain(whole):
        raise UsageError(
            f"the data flow branches{_where(whole, report)}, and blocks draws a chain",
            "draw it with --style graph, or with a lesser --depth, where branches are inside modules",
        )
    if _is_long(whole):
        flow = whole if _takes_turns(whole, report, depth) else _folded(report, depth)
        whole = shorten(flow, MOST["blocks"])
    return Plan(report, whole, "blocks", depth)


def _is_clear_in_blocks(whole: Flow, report: Report, depth: int | None) -> bool:
    return is_chain(whole) and _suits_blocks(whole, report) and not _takes_turns(whole, report, depth)


def _is_long(chain: Flow) -> bool:
    return len(chain.nodes) > MOST["blocks"] + 2


def _takes_turns(chain: Flow, report: Report, depth: int | None) -> bool:
    """Tell whether in a long chain several layers repeat in turns: `×N` on each block would tell another order."""
    return _is_long(chain) and any(frame.last > frame.first for frame in _folded(report, depth).frames)


def _where(flow: Flow, report: Report) -> str:
    """Name the first node that feeds several, or is fed by several."""
    for node, sources, targets in zip(flow.nodes, flow.predecessors(), flow.successors(), strict=True):
        if (len(sources) > 1 or len(targets) > 1) and node.kind == "row":
            return f" at {report.layers[node.rows[0]].path}"
    return ""


def _suits_blocks(flow: Flow, report: Report) -> bool:
    heads = [report.layers[node.rows[0]].family for node in flow.nodes if node.kind == "row"]
    sizes = [without_batch(shape, report) for node in flow.nodes for shape in node.shapes]
    return (
        (flow.recorded or _could_be_chain(report))
        and bool(_IN_BLOCKS & set(heads))
        and set(heads) <= _IN_BLOCKS | _BESIDE_BLOCKS
        and all(len(size) <= _MOST_DIMENSIONS for size in sizes)
    )


def _could_be_chain(report: Report) -> bool:
    """Tell whether each row takes one tensor of as many elements as the row before it made."""
    rows = [row for row in report.layers if row.leaf and row.output_shapes]
    if any(len(row.input_shapes) != 1 for row in rows):
        return False
    return all(prod(a.output_shapes[0]) == prod(b.input_shapes[0]) for a, b in pairwise(rows))


def _graph(report: Report) -> Plan:
    """Take the greatest depth whose graph has few enough nodes; where none has, the least, with a gap in it."""
    deepest = max(row.depth for row in report.layers)
    for depth in range(deepest, 0, -1):
        flow = _folded(report, depth)
        if length(flow) > MOST["graph"]:
            continue  # a gap for what is side by side does not shorten it
        flow = narrow(flow, MOST_ABREAST)
        if len(flow.nodes) <= MOST["graph"]:
            return Plan(report, flow, "graph", None if depth == deepest else depth)
    least = min(deepest, 1)
    return Plan(report, narrow(shorten(_folded(report, least), MOST["graph"]), MOST_ABREAST), "graph", least)
