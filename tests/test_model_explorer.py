"""`alexnet draw -f model-explorer`: the graph and the node data that Model Explorer opens."""

from __future__ import annotations

import json
from collections import Counter

import exported_models
import pytest
from exported_models import INPUTS

from alexnet_cli import inspect
from alexnet_cli.drawing.model_explorer import Explored

FILE = exported_models.__file__
ROW = "blocks.1.conv1"


@pytest.fixture(scope="module")
def reports():
    return {name: inspect(f"{FILE}:{name}", input_size=shape).report for name, shape in INPUTS.items()}


@pytest.fixture
def files(alexnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = alexnet("draw", f"{FILE}:ResNet", "-i", "3,32,32", "-f", "model-explorer", "-o", "net.json")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == "note: node data for the graph: net.macs.json, net.bytes.json, net.saved.json\n"
    assert len(list(tmp_path.iterdir())) == 4
    return {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}


def test_its_own_package_accepts_them(files):
    pytest.importorskip("model_explorer")
    from dacite import Config, from_dict
    from model_explorer.graph_builder import GraphCollection
    from model_explorer.node_data_builder import GraphNodeData, ModelNodeData
    from model_explorer.utils import convert_adapter_response

    strict = Config(strict=True)
    collection = from_dict(GraphCollection, files["net.json"], strict)
    sent = convert_adapter_response({"graphCollections": [collection]})["graphCollections"][0]
    assert sent["graphs"][0]["nodes"][1]["attrs"] == files["net.json"]["graphs"][0]["nodes"][1]["attrs"]
    ids = {node.id for node in collection.graphs[0].nodes}
    for kind in ("macs", "bytes", "saved"):
        given = files[f"net.{kind}.json"]
        data = ModelNodeData({graph: from_dict(GraphNodeData, each, strict) for graph, each in given.items()})
        assert data.graphsData.keys() == {collection.graphs[0].id}
        assert data.graphsData["ResNet"].results.keys() <= ids
        for name, result in json.loads(data.to_json_string())["ResNet"]["results"].items():
            assert result == given["ResNet"]["results"][name]


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_the_graph_is_whole(name, reports):
    (graph,) = Explored(reports[name]).graph()["graphs"]
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert len(nodes) == len(graph["nodes"])
    read = {edge["sourceNodeId"] for node in nodes.values() for edge in node["incomingEdges"]}
    assert read <= nodes.keys()
    assert {each for each, node in nodes.items() if not each.startswith("(output)")} == read
    groups = {node["namespace"] for node in nodes.values()}
    assert groups <= graph["groupNodeAttributes"].keys()


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_macs_add_up_to_those_of_the_model(name, reports):
    results = Explored(reports[name]).node_data()["macs"][name]["results"]
    assert sum(each["value"] for each in results.values()) == reports[name].totals.macs


def test_numbers_of_a_convolution(files):
    """32 channels of 16 by 16 from 16 channels by 3 by 3; it reads 16 by 32 by 32 floats and its weights."""
    macs, moved = 32 * 16 * 16 * 16 * 9, 4 * (16 * 32 * 32 + 32 * 16 * 9 + 32 * 16 * 16)
    for kind, number in (("macs", macs), ("bytes", moved)):
        assert files[f"net.{kind}.json"]["ResNet"]["results"][ROW]["value"] == number
    (graph,) = files["net.json"]["graphs"]
    (node,) = (node for node in graph["nodes"] if node["id"] == ROW)
    assert (node["label"], node["namespace"]) == ("Conv2d", "blocks/1")
    attributes = {each["key"]: each["value"] for each in node["attrs"]}
    assert (attributes["MACs"], attributes["Bytes moved"]) == (f"{macs:,}", f"{moved:,}")
    assert attributes["parameters"] == f"{32 * 16 * 9:,}"
    assert node["outputsMetadata"][0]["attrs"][0]["value"] == "1×32×16×16"
    assert graph["groupNodeAttributes"]["blocks/1"]["type"] == "Residual"


def test_saved_bytes_are_those_of_memory(files):
    rows = inspect(f"{FILE}:ResNet", input_size=INPUTS["ResNet"]).memory().layers
    calls: Counter[str] = Counter()
    known = {}
    for row in rows:
        name = f"{row.path}#{calls[row.path]}" if calls[row.path] else row.path
        calls[row.path] += 1
        known[name] = row.saved_bytes
    found = {name: each["value"] for name, each in files["net.saved.json"]["ResNet"]["results"].items()}
    assert {name: number for name, number in found.items() if number} == {
        name: number for name, number in known.items() if number
    }


def test_a_saved_report_and_stdout(alexnet, tmp_path):
    saved = tmp_path / "report.json"
    target = (f"{FILE}:ResNet", "-i", "3,32,32")
    assert alexnet("summary", *target, "--json", "-o", str(saved)).code == 0
    answer = alexnet("draw", str(saved), "-f", "model-explorer")
    assert answer.code == 0, answer.err
    ids = [node["id"] for node in json.loads(answer.out)["graphs"][0]["nodes"]]
    fresh = json.loads(alexnet("draw", *target, "-f", "model-explorer").out)
    assert ids == [node["id"] for node in fresh["graphs"][0]["nodes"]]
    assert alexnet("draw", str(saved), "-f", "model-explorer", "-o", str(tmp_path / "g.json")).code == 0
    assert not (tmp_path / "g.saved.json").exists()  # a report of a forward says nothing about backward


@pytest.mark.parametrize("option", [["--depth", "1"], ["--style", "bars"], ["--width", "page"], ["--theme", "dark"]])
def test_options_of_figures_are_refused(option, alexnet):
    answer = alexnet("draw", "-f", "model-explorer", *option)
    assert (answer.code, "apply only to figures" in answer.err) == (2, True)
