"""Choose what to draw: the style that suits a model, and the depth at which its data flow fits a page."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Literal

from alexnet_cli.analyses.dataflow import dataflow, with_function_settings
from alexnet_cli.analyses.flow import Flow, merge_small, narrow, shorten, without_batch
from alexnet_cli.analyses.flow_repeats import fold_flow
from alexnet_cli.drawing.content import Plan, Style
from alexnet_cli.drawing.words import settle
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report

AnyStyle = Literal["auto", Style]
MOST = {"blocks": 24, "graph": 32, "bars": 60}
"""The most nodes of a figure; where a greater depth has more, a lesser one is drawn."""
_LONG = MOST["blocks"] + 2  # with an input and an output
MOST_AT_A_DEPTH = 60
"""The same where the user chose the depth."""
MOST_ABREAST = 8
"""The most nodes side by side in a graph: with more, the text would be too small to read."""
_IN_BLOCKS = frozenset({"conv", "pool", "linear"})
_BESIDE_BLOCKS = frozenset({"norm", "activation", "dropout", "softmax", "reshape", "other"})
_MOST_DIMENSIONS = 4


def plan(report: Report, style: AnyStyle = "auto", depth: int | None = None) -> Plan:
    """Choose style and depth, and settle every word of the figure.

    Raises:
        UsageError: nothing ran, or blocks were requested for a data flow that branches.
    """
    if report.run is None:
        raise UsageError("a checkpoint has no data flow to draw: nothing ran", "draw the model itself, as net.py:Net")
    report = with_function_settings(report)
    whole = merge_small(dataflow(report, depth), report.layers) if report.layers else None
    if whole is None or not whole.nodes:
        raise UsageError("there is nothing to draw: no layer of the model ran")
    chosen, flow = _choose(whole, report, style, depth)
    return settle(report, flow, chosen)


def _choose(whole: Flow, report: Report, style: AnyStyle, depth: int | None) -> tuple[Style, Flow]:
    if style == "blocks" or (style == "auto" and _suits_blocks(whole, report, depth)):
        return "blocks", _chain(whole, report, depth)
    if style == "bars":
        if all(node.kind in ("input", "output") for node in whole.nodes):
            raise UsageError("there are no bars to draw: no layer of the model computes", "draw it with --style graph")
        return "bars", shorten(_folded(report, depth), MOST["bars"])
    if depth is None:
        return "graph", _deepest_that_fits(report)
    return "graph", narrow(shorten(_folded(report, depth), MOST_AT_A_DEPTH), MOST_ABREAST)


def _folded(report: Report, depth: int | None) -> Flow:
    return merge_small(fold_flow(dataflow(report, depth), report.layers), report.layers)


def _chain(whole: Flow, report: Report, depth: int | None) -> Flow:
    if not whole.is_chain:
        ways = zip(whole.nodes, whole.predecessors(), whole.successors(), strict=True)
        branching = (node for node, *around in ways if max(map(len, around)) > 1 and node.kind == "row")
        where = next((f" at {report.layers[node.rows[0]].path}" for node in branching), "")
        raise UsageError(
            f"the data flow branches{where}, and blocks draws only a chain",
            "use --style graph, or a lesser --depth at which the branches are inside modules",
        )
    if len(whole.nodes) <= _LONG:
        return whole
    return shorten(whole if _takes_turns(whole, report, depth) else _folded(report, depth), MOST["blocks"])


def _takes_turns(chain: Flow, report: Report, depth: int | None) -> bool:
    """Whether several layers of a long chain repeat in turns: `×N` on each block would suggest another order."""
    return len(chain.nodes) > _LONG and any(frame.last > frame.first for frame in _folded(report, depth).frames)


def _suits_blocks(flow: Flow, report: Report, depth: int | None) -> bool:
    families = {report.layers[node.rows[0]].family for node in flow.nodes if node.kind == "row"}
    sizes = (without_batch(shape, report) for node in flow.nodes for shape in node.shapes)
    return (
        flow.is_chain
        and (flow.recorded or _could_be_chain(report))
        and bool(_IN_BLOCKS & families)
        and families <= _IN_BLOCKS | _BESIDE_BLOCKS
        and all(len(size) <= _MOST_DIMENSIONS for size in sizes)
        and not _takes_turns(flow, report, depth)
    )


def _could_be_chain(report: Report) -> bool:
    """Whether each row reads one tensor, with as many elements as the row before it made."""
    rows = [row for row in report.layers if row.leaf and row.output_shapes]
    same = (prod(a.output_shapes[0]) == prod(b.input_shapes[0]) for a, b in pairwise(rows))
    return all(len(row.input_shapes) == 1 for row in rows) and all(same)


def _deepest_that_fits(report: Report) -> Flow:
    """Return the flow at the greatest depth with few enough nodes; if none has, the least depth with a gap in it."""
    deepest = max(row.depth for row in report.layers)
    for depth in range(deepest, 0, -1):
        flow = _folded(report, depth)
        if flow.length > MOST["graph"]:
            continue  # a gap for parallel branches does not shorten it
        flow = narrow(flow, MOST_ABREAST)
        if len(flow.nodes) <= MOST["graph"]:
            return flow
    return narrow(shorten(_folded(report, min(deepest, 1)), MOST["graph"]), MOST_ABREAST)
