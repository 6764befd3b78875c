"""The data flow between rows: its edges, and what is folded, merged or left out."""

from __future__ import annotations

import pytest
import torch
from draw_reports import report_of, row
from helpers import trace_target
from msgspec.structs import replace
from torch import nn

from alexnet_cli.analyses.dataflow import dataflow, with_function_settings
from alexnet_cli.analyses.flow import Flow, merge_small, narrow, shorten
from alexnet_cli.analyses.flow_repeats import fold_flow
from alexnet_cli.report import Layer, Report
from alexnet_cli.tape import Operation, Storage, Value
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import trace


def linear(path: str, size: int = 8) -> Layer:
    return row(path, settings={"in_features": size, "out_features": size}, shape=(1, size), params=size * size)


def add(path: str) -> Layer:
    return row(path, "add", "other", function=True)


def names(flow: Flow, report: Report) -> list[str]:
    return [report.layers[node.rows[0]].path if node.kind == "row" else node.kind for node in flow.nodes]


def edges(flow: Flow, report: Report) -> set[tuple[str, str]]:
    known = names(flow, report)
    return {(known[a], known[b]) for a, b in flow.edges}


def test_rows_that_read_one_another_in_turn_form_a_chain():
    report = report_of([linear("a"), linear("b")], [[0], [1]])
    flow = dataflow(report)
    assert names(flow, report) == ["input", "a", "b", "output"]
    assert flow.is_chain


def test_a_skip_connection_is_an_edge():
    report = report_of([linear("a"), linear("b"), add("add")], [[0], [1], [1, 2]])
    assert edges(dataflow(report), report) == {
        ("input", "a"),
        ("a", "b"),
        ("a", "add"),
        ("b", "add"),
        ("add", "output"),
    }


def test_a_reshape_is_not_a_node_but_a_row_of_the_node_before_it():
    view = row("view", "view", "reshape", function=True)
    report = report_of([linear("a"), view, linear("b")], [[0], [1], [2]])
    flow = dataflow(report)
    assert names(flow, report) == ["input", "a", "b", "output"]
    assert flow.nodes[1].rows == (1, 2)


def test_a_reshape_of_several_inputs_is_a_node():
    cat = row("cat", "cat", "reshape", function=True)
    report = report_of([linear("a"), linear("b"), cat], [[0], [0], [1, 2]])
    assert "cat" in names(dataflow(report), report)


def test_functions_without_inputs_are_left_out_but_modules_are_kept():
    arange = row("arange", "arange", "other", function=True)
    positions = row("positions", "Embedding", "embedding")
    report = report_of([linear("tokens"), arange, positions, add("add")], [[0], [], [2], [1, 3]])
    flow = dataflow(report)
    assert names(flow, report) == ["input", "tokens", "positions", "add", "output"]
    assert ("positions", "add") in edges(flow, report)


def test_parameters_and_buffers_make_no_edges():
    """Two rows share a buffer that the first one writes, as with running statistics."""
    report = report_of([linear("a"), linear("b")], [[0], [0]])
    tape = report.tape
    held = Value((4,), "float32", 3, 16)
    operations = (
        replace(tape.operations[0], reads=(0, 3), makes=(1, 4)),
        replace(tape.operations[1], reads=(0, 4)),
    )
    storages = (*tape.storages, Storage(16, "buffer"))
    tape = replace(tape, operations=operations, values=(*tape.values, held, held), storages=storages)
    assert edges(dataflow(replace(report, tape=tape)), report) == {("input", "a"), ("input", "b"), ("b", "output")}


def test_an_overwritten_tensor_comes_from_its_last_complete_writer():
    """`a` makes value 1, `b` overwrites its storage completely as value 2, and `c` reads it through an alias."""
    report = report_of([linear("a"), linear("b"), linear("c")], [[0], [1], [1]])
    first, second, third = report.tape.operations
    alias = Operation("alias", 9, row=3, reads=(1, 2), makes=(4,))
    values = (*report.tape.values, replace(report.tape.values[2]))
    operations = (first, second, alias, replace(third, reads=(4,)))
    tape = replace(report.tape, operations=operations, values=values)
    assert edges(dataflow(replace(report, tape=tape)), report) == {
        ("input", "a"),
        ("a", "b"),
        ("b", "c"),
        ("c", "output"),
    }


def test_backward_operations_make_no_edges():
    report = report_of([linear("a"), linear("b")], [[0], [1]])
    back = Operation("mm", 5, row=1, phase="backward", reads=(2,), makes=(1,))
    later = replace(report.tape, operations=(*report.tape.operations, back))
    assert edges(dataflow(replace(report, tape=later)), report) == edges(dataflow(report), report)


def test_a_row_without_operators_is_shown_with_the_row_before_it():
    report = report_of([linear("a"), row("drop", "Dropout", "dropout"), linear("b")], [[0], [], [1]])
    tape = report.tape
    operations = (tape.operations[0], replace(tape.operations[2], reads=(1,)))
    flow = dataflow(replace(report, tape=replace(tape, operations=operations)))
    assert flow.nodes[1].rows == (1, 2)
    assert flow.is_chain


def test_containers_at_the_depth_are_nodes_for_everything_below_them():
    rows = [
        row("block", "Block", "container"),
        replace(linear("block.a"), depth=2),
        replace(linear("block.b"), depth=2),
        linear("c"),
    ]
    report = report_of(rows, [[], [0], [2], [3]])
    operations = tuple(op for op in report.tape.operations if op.row != 1)
    report = replace(report, tape=replace(report.tape, operations=operations))
    assert names(dataflow(report), report) == ["input", "block.a", "block.b", "c", "output"]
    assert names(dataflow(report, 1), report) == ["input", "block", "c", "output"]
    assert dataflow(report, 1).is_chain
    assert names(dataflow(report, 0), report) == ["input", "", "output"]


def test_without_a_tape_rows_form_an_unrecorded_chain_in_execution_order():
    report = replace(report_of([linear("a"), linear("b"), add("add")], [[0], [1], [1, 2]]), tape=None)
    flow = dataflow(report)
    assert not flow.recorded
    assert flow.is_chain
    assert names(flow, report) == ["input", "a", "b", "add", "output"]


def test_repetitions_are_folded_with_the_edges_around_them():
    rows = [layer for i in range(4) for layer in (linear(f"{i}"), add(f"add_{i}"))]
    reads = [read for i in range(4) for read in ([2 * i], [2 * i, 2 * i + 1])]
    report = report_of([*rows, linear("last", 16)], [*reads, [8]])
    flow = fold_flow(dataflow(report), report.layers)
    assert names(flow, report) == ["input", "0", "add_0", "last", "output"]
    assert edges(flow, report) == {
        ("input", "0"),
        ("input", "add_0"),
        ("0", "add_0"),
        ("add_0", "last"),
        ("last", "output"),
    }
    (frame,) = flow.frames
    assert (frame.first, frame.last, frame.count, frame.parallel) == (1, 2, 4, False)
    assert flow.nodes[1].copies == ((3,), (5,), (7,))


def test_a_repetition_that_feeds_a_later_row_from_its_middle_is_not_folded():
    """The second of four equal rows also feeds a later row: one box times four would hide which."""
    rows = [linear(str(i)) for i in range(4)]
    report = report_of([*rows, add("add")], [[0], [1], [2], [3], [2, 4]])
    flow = fold_flow(dataflow(report), report.layers)
    assert ("1", "add") in edges(flow, report)
    assert names(flow, report)[:3] == ["input", "0", "1"]


def test_layers_of_different_sizes_are_not_folded():
    rows = [linear(str(i), 8 + i) for i in range(5)]
    report = report_of(rows, [[i] for i in range(5)])
    assert fold_flow(dataflow(report), report.layers) == dataflow(report)


def test_parallel_copies_are_folded_from_four_on():
    for count, parallel in ((3, False), (4, True)):
        rows = [linear(str(i)) for i in range(count)]
        cat = row("cat", "cat", "reshape", function=True)
        report = report_of([*rows, cat], [[0]] * count + [list(range(1, count + 1))])
        flow = fold_flow(dataflow(report), report.layers)
        assert bool(flow.frames) == parallel
        assert all(frame.parallel for frame in flow.frames)


def test_small_layers_are_merged_into_the_only_layer_that_feeds_them():
    rows = [linear("a"), row("relu", "ReLU", "activation"), row("norm", "LayerNorm", "norm"), linear("b")]
    report = report_of(rows, [[0], [1], [2], [3]])
    flow = merge_small(dataflow(report), report.layers)
    assert [node.rows for node in flow.nodes if node.kind == "row"] == [(1, 2, 3), (4,)]


def test_small_layers_after_a_branch_stay_nodes():
    rows = [linear("a"), row("relu", "ReLU", "activation"), add("add")]
    report = report_of(rows, [[0], [1], [1, 2]])
    assert "relu" in names(merge_small(dataflow(report), report.layers), report)


@pytest.mark.parametrize("most", [5, 9, 30])
def test_a_long_chain_is_shortened_by_a_gap(most):
    rows = [linear(str(i), 8 + i) for i in range(100)]
    report = report_of(rows, [[i] for i in range(100)])
    flow = shorten(dataflow(report), most)
    assert len(flow.nodes) == most
    assert flow.is_chain
    (gap,) = [node for node in flow.nodes if node.kind == "gap"]
    shown = [node.rows for node in flow.nodes if node.kind == "row"]
    assert len(gap.rows) + len(shown) == 100
    assert shown[0] == (1,)


def test_a_gap_that_is_read_from_its_middle_has_no_shape():
    rows = [linear(str(i), 8 + i) for i in range(10)]
    for reader, shapes in (([9], ((1, 16),)), ([9, 4], ())):  # the stretch from layer 1 to 8, read from inside or not
        report = report_of(rows, [*([i] for i in range(9)), reader])
        (gap,) = [node for node in shorten(dataflow(report), 5).nodes if node.kind == "gap"]
        assert tuple(tuple(shape) for shape in gap.shapes) == shapes


@pytest.mark.parametrize("most", [3, 4, 8])
def test_many_parallel_branches_get_a_gap_in_their_middle(most):
    rows = [*(linear(str(i), 8 + i) for i in range(20)), row("cat", "cat", "reshape", function=True)]
    report = report_of(rows, [*([0] for _ in range(20)), list(range(1, 21))])
    flow = narrow(dataflow(report), most)
    abreast = [node for node in flow.nodes if node.kind in ("row", "gap")][:-1]
    (gap,) = [node for node in abreast if node.kind == "gap"]
    assert len(abreast) == most
    assert gap.rows == tuple(range(1 + most // 2, 1 + most // 2 + 20 - (most - 1)))
    assert narrow(dataflow(report), 20) == dataflow(report)


def test_the_four_variants_are_chains():
    for target in ("alexnet", "alexnet-paper", "alexnet-owt", "caffenet"):
        report = trace_target(target)
        flow = merge_small(dataflow(report), report.layers)
        assert flow.is_chain, target
        heads = [report.layers[node.rows[0]].family for node in flow.nodes if node.kind == "row"]
        assert heads.count("conv") == 5
        assert heads.count("linear") == 3
        every = {path for node in flow.nodes for path in node.rows}
        leaves = {place for place, layer in enumerate(report.layers) if layer.leaf}
        assert leaves <= every, "each leaf is drawn, or shown with one that is"


def test_nested_repetitions_multiply_to_one_frame():
    """Three equal containers of four equal layers each are one box."""
    rows: list[Layer] = []
    for outer in range(3):
        rows.append(row(str(outer), "Sequential", "container"))
        rows += [replace(linear(f"{outer}.{inner}"), depth=2) for inner in range(4)]
    heads = [place for place, layer in enumerate(rows) if layer.family == "container"]
    report = report_of(rows, [[0]] * len(rows))
    leaves = [place for place in range(len(rows)) if place not in heads]
    operations = tuple(
        replace(report.tape.operations[place], reads=(1 + leaves[i - 1],) if i else (0,))
        for i, place in enumerate(leaves)
    )
    report = replace(report, tape=replace(report.tape, operations=operations))
    flow = fold_flow(dataflow(report), report.layers)
    assert names(flow, report) == ["input", "0.0", "output"]
    assert flow.nodes[1].count == 12
    assert [frame.count for frame in flow.frames] == [12]


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6, 2, 5, 3))  # two groups of 4 channels each make 6 of 4
        self.back = nn.Parameter(torch.zeros(6, 7, 2, 2))

    def forward(self, x):
        x = torch.nn.functional.conv2d(x, self.weight, stride=2, groups=2)
        x = torch.max_pool2d(x, 2)
        x = torch.nn.functional.avg_pool2d(x, 3, stride=1)
        return torch.nn.functional.conv_transpose2d(x, self.back, stride=2)


def test_functions_get_the_settings_that_equivalent_modules_have():
    subject = Subject("functional", "", lambda: Loaded(Functional()))
    report = trace(subject, TraceOptions(inputs=(parse_input("4,40,40"),)), notify=pytest.fail)
    rows = {layer.type: layer.settings for layer in with_function_settings(report).layers}
    conv = {"kernel_size": (5, 3), "out_channels": 6, "groups": 2, "transposed": False, "stride": 2}  # as it was given
    assert {name: rows["conv2d"][name] for name in conv} == conv
    assert rows["max_pool2d"]["kernel_size"] == rows["max_pool2d"]["stride"] == [2, 2]
    assert (rows["avg_pool2d"]["kernel_size"], rows["avg_pool2d"]["stride"]) == ([3, 3], 1)
    back = {"kernel_size": (2, 2), "out_channels": 7, "transposed": True, "stride": 2}
    assert {name: rows["conv_transpose2d"][name] for name in back} == back
