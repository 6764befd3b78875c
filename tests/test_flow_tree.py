"""Blocks within blocks: every node has one place, every edge is told where it crosses, and no level is too long."""

from __future__ import annotations

import json

import pytest
from draw_reports import report_of, row

from alexnet_cli.analyses.flow import Flow, FlowNode, Frame
from alexnet_cli.analyses.flow_tree import MOST_CHILDREN, Crossing, Group, crossings, flow_tree
from alexnet_cli.drawing.walk import encoded, walk
from alexnet_cli.drawing.words import span

LAYERS = [
    row("", "Net", "container", depth=0),
    row("a"),
    row("block", "Block", "container"),
    row("block.b", depth=2),
    row("block.inner", "Inner", "container", depth=2),
    row("block.inner.c", depth=3),
    row("block.inner.d", depth=3),
    row("e"),
]
INPUT, A, B, C, D, E, OUTPUT = range(7)
NODES = (FlowNode("input"), *(FlowNode("row", (place,)) for place in (1, 3, 5, 6, 7)), FlowNode("output"))
CHAIN = tuple((step, step + 1) for step in range(6))


def test_modules_with_several_nodes_are_groups_within_groups():
    inner, block, whole = flow_tree(Flow(NODES, CHAIN), LAYERS)
    assert inner == Group(C, D, (C, D), (4,))
    assert block == Group(B, D, (B, 7), (2,))  # the inner one is the first after seven nodes
    assert whole == Group(INPUT, OUTPUT, (INPUT, A, 8, E, OUTPUT))


def test_an_edge_crosses_the_borders_on_its_way():
    """C feeds E: out of both groups, and from group to node around them. A feeds C, past B."""
    flow = Flow(NODES, (*CHAIN, (A, C), (C, E)))
    inner, block, whole = crossings(flow, flow_tree(flow, LAYERS))
    assert set(inner) == {
        Crossing(None, C, B),
        Crossing(None, C, A),
        Crossing(C, D, C),
        Crossing(C, None, C),
        Crossing(D, None, D),
    }
    assert set(block) == {
        Crossing(None, B, A),
        Crossing(None, 7, A),
        Crossing(B, 7, B),
        Crossing(7, None, C),
        Crossing(7, None, D),
    }
    assert set(whole) == {
        Crossing(INPUT, A, INPUT),
        Crossing(A, 8, A),
        Crossing(8, E, C),
        Crossing(8, E, D),
        Crossing(E, OUTPUT, E),
    }


def test_what_repeats_is_a_group_with_or_without_a_module():
    whole, part = Frame(C, D, 4, 4, 4, whole=True), Frame(A, B, 2, 1, 1, whole=False)
    groups = flow_tree(Flow(NODES, CHAIN, (whole,)), LAYERS)
    assert groups[0] == Group(C, D, (C, D), (4,), whole)
    cutting = flow_tree(Flow(NODES, CHAIN, (part,)), LAYERS)  # it would cut the block: there is no such group
    assert all(group.frame is None for group in cutting if group.rows)


@pytest.mark.parametrize("count", [MOST_CHILDREN - 2, MOST_CHILDREN - 1, 2_000, 5_000])
def test_no_level_has_more_blocks_than_a_reader_can_search(count):
    layers = [LAYERS[0], *(row(str(place)) for place in range(count))]
    nodes = (FlowNode("input"), *(FlowNode("row", (place + 1,)) for place in range(count)), FlowNode("output"))
    flow = Flow(nodes, tuple((step, step + 1) for step in range(count + 1)))
    groups = flow_tree(flow, layers)
    assert max(len(group.children) for group in groups) <= MOST_CHILDREN
    assert sorted(child for group in groups for child in group.children) == list(range(len(nodes) + len(groups) - 1))
    assert (len(groups) == 1) == (count + 2 <= MOST_CHILDREN)
    told = crossings(flow, groups)
    inside = [way for each in told for way in each if None not in (way.source, way.target)]
    assert len(inside) == len(flow.edges)


def test_the_blocks_of_a_page_say_their_words_once_and_hold_no_markup():
    rows = [row("<b>&one", params=3_000), row("two", shape=(1, 9), params=3_000)]
    written = encoded(walk(report_of(rows, [[0], [1]])))
    assert not set("<>&") & set(written)
    *leaves, whole = json.loads(written)
    assert [leaf["w"] for leaf in leaves] == ["input", "Linear", "Linear", "output"]
    assert leaves[1]["p"] == ["<b>&one"]
    assert (leaves[2]["q"], leaves[2]["m"]) == ("3.00 k", "3.00 k")
    assert whole["g"]["c"] == [0, 1, 2, 3]
    assert whole["g"]["r"] == [0, 1, 2, 3]
    assert [tie[:2] for tie in whole["g"]["e"]] == [[0, 1], [1, 2], [2, 3]]


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("layers.0", "layers.11", "layers.0–11"),
        ("encoder.layer_0", "encoder.layer_11", "encoder.layer_0–11"),
        ("a.0.b", "a.3.b", "a.0.b–3.b"),
        ("conv", "norm", "conv–norm"),
        ("block1", "block", "block1–block"),
        ("one", "one", "one"),
    ],
)
def test_a_range_of_paths_is_written_once(first, last, told):
    assert span(first, last) == told
