"""`alexnet draw`: formats, files, refused options, and odd names in every format."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from draw_models import ODD_NAMES
from test_draw_geometry import MODELS, NETWORKS
from test_floors import run_without_torch

from alexnet_cli.drawing import svg
from alexnet_cli.drawing.plan import plan
from alexnet_cli.graphics import svg as writer
from alexnet_cli.graphics.lines import of_bar
from alexnet_cli.graphics.palette import HUES
from alexnet_cli.graphics.text import visible

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import refresh  # noqa: E402 - a script beside the README

SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)


def texts(root: ET.Element) -> list[str]:
    return [node.text or "" for node in root.iter(f"{SVG}text")]


def layers(root: ET.Element) -> list[ET.Element]:
    return [node for node in root.iter(f"{SVG}g") if (node.get("class") or "").startswith("layer ")]


@pytest.fixture(scope="module")
def odd_svg(tmp_path_factory) -> str:
    from alexnet_cli.cli.app import run

    path = tmp_path_factory.mktemp("odd") / "odd.svg"
    assert run(["draw", f"{MODELS}:OddNames", "-i", "4", "-o", str(path)]) == 0
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> str:
    from alexnet_cli.cli.app import run

    path = tmp_path_factory.mktemp("saved") / "encoder.json"
    assert run(["summary", f"{NETWORKS}:Encoder", "-i", "128:int64", "-o", str(path)]) == 0
    return str(path)


def test_draw_without_options_draws_blocks_in_characters(alexnet):
    answer = alexnet("draw")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert re.search(r"^input +227×227×3  █+$", lines[2])
    bars = [line.count("█") for line in lines[2:11]]
    assert bars == sorted(bars, reverse=True)
    assert bars[0] == 31
    assert bars[1] == round(31 * (55 / 227) ** 0.5)  # the longest bar has 31 characters
    assert re.search(r"^linear +log-softmax +1000 +▒+$", lines[13])


@pytest.mark.parametrize("width", ["20", "40", "70"])
@pytest.mark.parametrize("style", ["blocks", "graph", "bars"])
def test_no_line_exceeds_the_requested_width(alexnet, style, width):
    answer = alexnet("draw", "--style", style, "--width", width)
    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= int(width)


def test_a_graph_in_characters_has_rails_and_brackets(alexnet, saved):
    out = alexnet("draw", saved).out.splitlines()
    start = next(place for place, line in enumerate(out) if "×12 layers.0–11 · EncoderLayer" in line)
    assert out[start].startswith("┌ │ │")
    assert out[start - 1].strip() == "├─╮"
    assert "LayerNorm  layers.0.norm1" in out[start + 1]


def test_an_ascii_terminal_gets_only_ascii(saved):
    done = run_without_torch("draw", saved, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "x12 layers.0-11" in done.stdout
    assert "|-\\" in done.stdout


@pytest.mark.parametrize("file_format", ["text", "svg", "dot", "mermaid", "png", "pdf"])
def test_a_saved_report_is_drawn_without_torch(saved, tmp_path, file_format):
    path = tmp_path / "figure"
    done = run_without_torch("draw", saved, "-f", file_format, "-o", str(path))
    assert done.returncode == 0, done.stderr
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("suffix", ["svg", "dot", "mmd", "txt", "png"])
def test_equal_input_gives_equal_bytes(alexnet, saved, tmp_path, suffix):
    paths = [tmp_path / f"{number}.{suffix}" for number in range(2)]
    for path in paths:
        assert alexnet("draw", saved, "-o", str(path)).code == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_fresh_trace_and_a_saved_report_give_the_same_figure(alexnet, saved):
    fresh = alexnet("draw", f"{NETWORKS}:Encoder", "-i", "128:int64", "-f", "svg")
    assert fresh.out == alexnet("draw", saved, "-f", "svg").out


@pytest.mark.parametrize("style", ["blocks", "graph", "bars"])
@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_svg_is_xml_without_external_references(report, style, theme):
    text = svg(plan(report, style), theme=theme)
    root = parsed(text)
    assert root.tag == f"{SVG}svg"
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import|@font-face|<script|<image", text)
    assert ("prefers-color-scheme" in text) == (theme == "auto")
    assert len(texts(root)) > 10, "text is written as text"


def test_layers_carry_their_paths_and_hover_texts(report):
    root = parsed(svg(plan(report)))
    named = {node.get("data-path"): node for node in layers(root)}
    assert set(named) == {None, *(f"architecture.{i}" for i in (0, 2, 3, 5, 6, 8, 10, 12, 14, 16, 18))}
    first = named["architecture.0"]
    assert json.loads(first.get("data-paths")) == ["architecture.0", "architecture.1"]
    told = first.find(f"{SVG}title").text
    for fact in ("architecture.0", "Conv2d 11×11, 96, /4", "1×3×227×227", "1×96×55×55", "34,944", "105,415,200"):
        assert fact in told
    every = {path for node in layers(root) for path in json.loads(node.get("data-paths", "[]"))}
    every |= {node.get("data-path") for node in layers(root)}
    assert {layer.path for layer in report.layers if layer.leaf} <= every


def test_hover_texts_of_folded_layers_sum_all_copies(saved):
    from alexnet_cli.report_json import load_report

    root = parsed(svg(plan(load_report(Path(saved)), "graph")))
    (first,) = [node for node in layers(root) if node.get("data-path") == "layers.0.linear1"]
    told = first.find(f"{SVG}title").text
    assert "and 11 alike" in told
    assert f"{12 * (256 * 1024 + 1024):,} parameters" in told  # weights and biases of twelve
    assert f"{12 * 128 * 256 * 1024:,} MACs in all" in told
    assert "layers.11.linear1" in json.loads(first.get("data-paths"))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_escaped_in_svg(odd_svg, name):
    root = parsed(odd_svg)
    shown = visible(name)
    written = [text for text in texts(root) if text in shown or (text.partition("…")[0] and "…" in text)]
    assert any(text == shown or shown.startswith(text.partition("…")[0]) for text in written)
    assert shown in {node.get("data-path") for node in layers(root)}
    assert "<script" not in odd_svg


def test_odd_names_are_escaped_in_dot_and_mermaid(alexnet):
    dot = alexnet("draw", f"{MODELS}:OddNames", "-i", "4", "-f", "dot").out
    assert r'label="Linear 5→6\nquote\"and' in dot
    assert r"&amp;amp;&amp;lt;" in dot
    assert r"new\\nline\\ttab\\x1b[31m" in dot
    mermaid = alexnet("draw", f"{MODELS}:OddNames", "-i", "4", "-f", "mermaid").out
    labels = re.findall(r'"(.*)"', mermaid)
    assert len(labels) == 13  # nine layers, the sum, the addition, input and output
    assert all(re.fullmatch(r"[^<>\"'&{}|\[\]`]*", label.replace("<br>", "")) for label in labels)
    assert "#60;script#62;alert(1)" in mermaid


def test_control_characters_in_names_do_not_reach_the_terminal(alexnet):
    out = alexnet("draw", f"{MODELS}:OddNames", "-i", "4").out
    assert "\x1b" not in out
    assert r"new\nline\ttab\x1b[31m" in out


def test_dot_has_the_nodes_edges_and_clusters_of_the_flow(alexnet, saved):
    out = alexnet("draw", saved, "-f", "dot").out
    assert out.startswith('digraph "Encoder" {\n')
    assert out.count("subgraph cluster_") == 1
    assert out.count("{") == out.count("}")
    nodes = set(re.findall(r"^ +(n\d+) \[", out, re.MULTILINE))
    edges = re.findall(r"^ +(n\d+) -> (n\d+);", out, re.MULTILINE)
    assert nodes == {node for edge in edges for node in edge}
    assert len(nodes) == 18  # two ends, two embeddings and their sum, eleven in a layer, norm and head


def test_mermaid_has_a_subgraph_for_each_repetition(alexnet, saved):
    lines = alexnet("draw", saved, "-f", "mermaid").out.splitlines()
    assert lines[0] == "flowchart TD"
    assert sum(line.strip().startswith("subgraph ") for line in lines) == 1
    assert sum(line.strip() == "end" for line in lines) == 1
    classes = {line.split()[1] for line in lines if line.strip().startswith("classDef ")}
    used = {line.rpartition(":::")[2] for line in lines if ":::" in line}
    assert used == classes


def test_png_has_the_requested_number_of_pixels(alexnet, tmp_path):
    for options, width in (((), 2 * 680), (("--scale", "1"), 680), (("--width", "slide", "--scale", "1"), 1280)):
        path = tmp_path / "a.png"
        assert alexnet("draw", "-o", str(path), *options).code == 0
        data = path.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(data[16:20], "big") == width  # IHDR


def test_pdf_is_18_cm_wide_with_text_as_text(alexnet, tmp_path):
    path = tmp_path / "a.pdf"
    assert alexnet("draw", "-o", str(path)).code == 0
    data = path.read_bytes()
    assert data.startswith(b"%PDF-")
    left, _, right, _ = map(float, re.search(rb"/MediaBox \[([\d. ]+)\]", data)[1].split())
    assert (right - left) / 72 * 2.54 == pytest.approx(18, abs=0.05)
    assert b"/FontFile" in data


def test_without_vl_convert_draw_says_what_to_install(alexnet, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    answer = alexnet("draw", "no_such_file.py:Net", "-o", str(tmp_path / "a.png"))
    assert answer.code == 2, "the error comes before the search for the model"
    assert "PNG needs the package vl-convert-python" in answer.err
    assert "pip install 'alexnet-cli[draw]'" in answer.err
    assert not (tmp_path / "a.png").exists()
    assert alexnet("draw", "-o", str(tmp_path / "a.svg")).code == 0


def test_vl_convert_is_imported_only_for_png_and_pdf(saved):
    done = run_without_torch("draw", saved, "-f", "svg")
    assert done.returncode == 0
    assert "vl_convert" not in Path(writer.__file__).read_text().split("def converter")[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--style", "boxes"], "known: auto, blocks, graph, bars"),
        (["--theme", "blue"], "known: auto, light, dark"),
        (["-f", "jpeg"], "known: text, svg, png, pdf, dot, mermaid"),
        (["-o", "a.jpg"], "known: .txt, .svg, .png, .pdf, .dot, .gv, .mmd, .mermaid"),
        (["-f", "svg", "--width", "wide"], "page, slide, or a number from 320 to 20000"),
        (["-f", "svg", "--width", "319"], "page, slide, or a number from 320 to 20000"),
        (["-f", "svg", "--width", "-5"], "page, slide, or a number from 320 to 20000"),
        (["-f", "svg", "--width", "9" * 30], "page, slide, or a number from 320 to 20000"),
        (["--width", "slide"], "number of characters"),
        (["--width", "19"], "a number from 20 to 20000"),
        (["--scale", "2"], "--scale applies only to PNG"),
        (["-f", "png", "--scale", "0"], "--scale"),
        (["-o", "a.png", "--width", "20000", "--scale", "20"], "400,000 by"),
        (["-f", "png", "--scale", "nan"], "--scale"),
        (["--depth", "-1"], "--depth"),
        (["-o", "no/such/folder/a.svg"], "the folder no/such/folder is not there"),
    ],
)
def test_invalid_options_are_refused(alexnet, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    answer = alexnet("draw", *arguments)
    assert answer.code == 2
    assert says in answer.err
    assert answer.out == ""
    assert list(tmp_path.iterdir()) == []


def test_blocks_refuse_branches_unless_modules_contain_them(alexnet):
    target = [f"{NETWORKS}:ResNet", "-i", "3,64,64", "-f", "svg", "--style", "blocks"]
    answer = alexnet("draw", *target)
    assert answer.code == 2
    assert "branches at maxpool" in answer.err
    shallow = alexnet("draw", *target, "--depth", "1")
    assert shallow.code == 0
    assert {"layer1", "layer2", "layer3"} <= set(texts(parsed(shallow.out)))


def test_alternating_layers_are_drawn_as_a_graph_with_a_frame(alexnet):
    target = [f"{MODELS}:turns", "-i", "8"]
    out = alexnet("draw", *target).out
    assert "×15" in next(line for line in out.splitlines() if "┌" in line)
    blocks = alexnet("draw", *target, "--style", "blocks").out
    assert "×15" not in blocks


def test_many_branches_get_a_gap_so_that_text_stays_readable(alexnet):
    answer = alexnet("draw", f"{MODELS}:Heads", "-i", "8", "-f", "svg")
    said = " ".join(texts(parsed(answer.out)))
    assert "33 layers" in said  # 40 heads: eight side by side, seven of them layers
    assert "heads.0 " in said
    assert "heads.39 " in said


def test_bars_note_summed_and_shared_parameters(alexnet):
    target = [f"{MODELS}:Steps", "-i", "8", "-f", "svg"]
    said = " ".join(texts(parsed(alexnet("draw", *target, "--style", "bars").out)))
    assert "Shared parameters are shown once, at the layer that runs first." in said
    assert "×N: N equal layers, parameters and MACs summed." in said
    graph = " ".join(texts(parsed(alexnet("draw", *target, "--style", "graph").out)))
    assert "×N: N equal layers, one drawn." in graph
    assert "Shared" not in graph


def test_draw_refuses_a_checkpoint(alexnet, tmp_path):
    import torch

    path = tmp_path / "net.pt"
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    answer = alexnet("draw", str(path))
    assert answer.code == 2
    assert "a checkpoint has no data flow to draw" in answer.err


def test_a_failing_model_is_drawn_up_to_the_failure(alexnet, tmp_path):
    path = tmp_path / "a.svg"
    answer = alexnet("draw", "-i", "3,224,224", "-o", str(path))
    assert answer.code == 4
    assert "square inputs from 227 to 258 fit" in answer.err
    root = parsed(path.read_text(encoding="utf-8"))
    assert len(layers(root)) == 9  # the input, five convolutions, three poolings
    assert "The model failed" in " ".join(texts(root))


def test_a_run_on_a_device_is_drawn_in_execution_order_with_a_note(alexnet, tmp_path):
    path = tmp_path / "a.svg"
    assert alexnet("draw", f"{NETWORKS}:ResNet", "-i", "3,32,32", "--device", "cpu", "-o", str(path)).code == 0
    text = path.read_text(encoding="utf-8")
    assert "stroke-dasharray: 4 2" in text
    assert "data flow was not recorded" in " ".join(texts(parsed(text)))


def test_an_existing_file_is_replaced_without_leftovers(alexnet, tmp_path):
    path = tmp_path / "a.png"
    path.write_text("before")
    assert alexnet("draw", "-o", str(path)).code == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


def test_the_colours_are_those_of_the_tables():
    assert all(of_bar(family).color == hue for family, hue in HUES.items())


@pytest.mark.parametrize("path", refresh.FIGURES, ids=lambda path: path.name)
def test_the_figures_of_the_readme_are_current(path):
    assert refresh.figure(path) == path.read_text(encoding="utf-8"), "run `make docs`"


@pytest.mark.parametrize("style", ["graph", "blocks", "bars", "auto"])
@pytest.mark.parametrize("how", ["text", "svg", "dot", "mermaid", "model-explorer"])
def test_what_fails_before_anything_ran_tells_the_failure(alexnet, tmp_path, style, how):
    (tmp_path / "fails.py").write_text(
        "from torch import nn\n\nclass Fails(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.layer = nn.Conv2d(3, 4, 3)\n\n    def forward(self):\n        return self.layer(None)\n"
    )
    answer = alexnet("draw", f"{tmp_path / 'fails.py'}:Fails", "--no-batch", "--style", style, "-f", how)
    assert answer.code == (2 if how == "model-explorer" and style != "auto" else 4)
    assert answer.code == 2 or "error: layer (Conv2d" in answer.err
