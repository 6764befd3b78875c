"""`alexnet report` without a browser: the file, its sections, and errors."""

from __future__ import annotations

import json
import re
import sys
import webbrowser
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from importlib.util import find_spec
from xml.etree import ElementTree as ET

import pytest
from helpers import trace_target
from older_torch import skip_without_collectives
from report_models import ODD_NAMES
from report_pages import MODELS
from test_floors import run_without_torch

from alexnet_cli import units
from alexnet_cli.document import Axis, Plot, Series
from alexnet_cli.graphics import bar_chart, plot_svg, time_lanes
from alexnet_cli.graphics.bar_chart import BarRow, Panel
from alexnet_cli.graphics.plot_marks import Band
from alexnet_cli.graphics.text import Style, text_width, visible
from alexnet_cli.report_page import layers as layer_table
from alexnet_cli.report_page import material
from alexnet_cli.report_page.bars import MOST_BARS, balance, receptive_field
from alexnet_cli.report_page.charts import NARROW, WIDE, chart
from alexnet_cli.report_page.material import Material
from alexnet_cli.report_page.page import comparison_page, model_page
from alexnet_cli.report_page.plots import memory
from alexnet_cli.tracing.options import TrainingStep

ELSEWHERE = re.compile(r"""(?:src|href|action|data|poster|xlink:href)\s*=\s*["']?(?!#)|@import|url\((?!#)""")


class Seen(HTMLParser):
    """Collects the elements of a page, its texts, and the attributes that act."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.acting: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.acting += [name for name, _ in attrs if name.startswith("on")]

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.texts.append(data)


def seen(page: str) -> Seen:
    parser = Seen()
    parser.feed(page)
    return parser


@pytest.fixture(scope="module")
def trained():
    return trace_target(mode="train", step=TrainingStep("sgd"))


# The file


def test_equal_reports_give_equal_pages(report, trained):
    assert model_page(Material(report, trained)) == model_page(Material(report, trained))
    assert comparison_page([report, report]) == comparison_page([report, report])


def test_a_page_loads_nothing_and_runs_only_its_own_script(report, trained):
    page = model_page(Material(report, trained))
    assert not ELSEWHERE.findall(page.replace('href="#', ""))
    assert set(re.findall(r"https?://[^\"'<> ]*", page)) == {"http://www.w3.org/2000/svg"}
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    allowed = b64encode(sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{allowed}'" in policy
    assert seen(page).acting == []


def test_ids_are_unique(report, trained):
    for page in (model_page(Material(report, trained)), comparison_page([report, report])):
        ids = re.findall(r'<[a-z][^>]* id="([^"]+)"', page)
        own = [name for name in ids if not name.startswith("alexnet-")]  # a drawing of the same model is the same
        assert len(own) == len(set(own))


def test_odd_names_are_escaped_everywhere():
    odd = trace_target(f"{MODELS}:OddNames", inputs=_inputs("4"))
    for page, data in ((model_page(Material(odd)), 1), (comparison_page([odd, odd]), 0)):
        parsed = seen(page)
        assert parsed.tags.count("script") == 1 + data
        assert page.count('<script type="application/json"') == data  # is read and never runs
        assert parsed.acting == []
        texts = "\n".join(parsed.texts)
        assert all(visible(name) in texts for name in ODD_NAMES)
        assert "\x1b" not in page


def _inputs(text: str):
    from alexnet_cli.targets.inputs import parse_input

    return (parse_input(text),)


# Sections that are left out


def test_a_checkpoint_page_has_only_what_weights_tell(tmp_path, alexnet):
    import torch
    from safetensors.torch import save_file

    file = tmp_path / "net.safetensors"
    save_file({"body.weight": torch.zeros(8, 4), "body.bias": torch.zeros(8)}, file)
    page = alexnet("report", str(file)).out
    texts = " ".join(seen(page).texts)
    assert "Memory over the step: a checkpoint cannot be run." in texts
    assert "Roofline: a checkpoint cannot be run." in texts
    assert "Receptive field: a checkpoint cannot be run." in texts
    assert 'data-key="macs"' not in page
    assert ">40<" in page  # 8 · 4 + 8 parameters


def test_measured_times_stand_beside_the_layers(alexnet):
    page = alexnet("report", f"{MODELS}:Tower", "-i", "8:int64", "--profile", "--seconds", "0.1").out
    texts = " ".join(" ".join(seen(page).texts).split())
    assert "Measured times A forward took" in texts
    assert "what this machine can do at most is not known: --calibrate measures it once" in texts
    section = page[page.index('id="measured"') :]
    section = section[: section.index("</section>")]
    wide, narrow = (ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", section, re.DOTALL)[2:4])
    for picture, width in ((wide, WIDE), (narrow, NARROW)):
        blocks = [each for each in picture.iter("rect") if each.get("data-path") or each.get("data-paths")]
        assert {"blocks.0", "head"} <= {path for each in blocks for path in _tied_to(each)}
        assert all(0 <= float(each.get("x")) <= float(each.get("x")) + float(each.get("width")) for each in blocks)
        assert max(float(each.get("x")) + float(each.get("width")) for each in blocks) <= width + 0.1


def _tied_to(element) -> list[str]:
    several = element.get("data-paths")
    return json.loads(several) if several else [element.get("data-path")]


def test_a_saved_report_cannot_be_timed_for_a_page(tmp_path, alexnet):
    saved = tmp_path / "alexnet.json"
    assert alexnet("summary", "-o", str(saved)).code == 0
    answer = alexnet("report", str(saved), "--profile")
    assert answer.code == 2
    assert "profile needs a model to run" in answer.err


def test_only_blocks_side_by_side_are_drawn_as_one():
    """On 100 pixels for 100 s a second is a pixel: blocks of one second are too narrow, and five seconds are apart."""
    starts = [0, 1, 7, 8, 20]
    narrow = [time_lanes.Block(f"b{at}", "conv", at, at + 1, 0, f"b{at}", "") for at in starts]
    drawn = time_lanes.draw([*narrow, time_lanes.Block("wide", "conv", 21, 100, 0, "wide", "")], 100)
    paths = [_tied_to(rect) for each in drawn.elements for rect in ET.fromstring(each).iter("rect")]
    assert paths == [["b0", "b1"], ["b7", "b8"], ["b20"], ["wide"]]


def test_sections_without_their_data_are_left_out(report):
    bare = structs_replace(report, tape=None)
    left_out = memory(Material(bare)), receptive_field(Material(bare))
    assert all(isinstance(section, str) for section in left_out)
    assert "no hardware was named" in model_page(Material(report))


# Many GPUs


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    file = tmp_path_factory.mktemp("blocks") / "net.py"
    file.write_text(
        "from torch import nn\n"
        "def net():\n"
        "    blocks = (nn.Sequential(nn.Linear(16, 32), nn.Linear(32, 16)) for _ in range(3))\n"
        "    return nn.Sequential(*blocks)\n"
    )
    return [f"{file}:net", "-i", "16", "--gpu", "h100-sxm", "--gpus", "4"]


def test_the_page_compares_the_layouts_that_shard_finds(alexnet, blocks):
    skip_without_collectives()
    page = alexnet("report", *blocks, "--optimizer", "adamw")
    assert (page.code, page.err) == (0, "")
    layouts = alexnet("shard", *blocks, "--fit", "--optimizer", "adamw", "--no-foreach", "--json").json
    section = page.out.partition('<section id="many-gpus"')[2].partition("</section>")[0]
    texts = {text.strip() for text in seen(section).texts}
    fitting = [each for each in layouts["layouts"] if each["fits"]]
    assert len(fitting) > 1
    for each in fitting:
        assert {units.size(each["peak_bytes"]), units.seconds(each["step_seconds"]), units.share(each["mfu"])} <= texts
    assert {"weight shards", "kernels", "forward", "links within a node"} <= texts


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--gpu", "none"], "--gpus needs a GPU"),
        (["--gpus", "0"], "--gpus"),
        (["alexnet"], "--gpus goes with one target"),
    ],
)
def test_gpus_that_cannot_be_compared(alexnet, blocks, changed, said):
    given = [blocks[0], "alexnet", "--gpus", "4"] if changed == ["alexnet"] else [*blocks, *changed]
    answer = alexnet("report", *given)
    assert answer.code == 2
    assert said in answer.err


def structs_replace(report, **changes):
    from msgspec.structs import replace

    return replace(report, **changes)


def test_a_model_that_cannot_be_trained_shows_the_memory_of_its_forward(report, alexnet):
    section = memory(Material(report, untrained="There is nothing to train."))
    assert section["what"] == "a forward"
    assert section["note"] == "There is nothing to train."
    assert "There is nothing to train in this model" in alexnet("report", f"{MODELS}:Fixed", "-i", "4").out


def test_a_saved_report_needs_no_torch(tmp_path, alexnet):
    saved, page = tmp_path / "alexnet.json", tmp_path / "page.html"
    assert alexnet("summary", "--json", "-o", str(saved)).code == 0
    done = run_without_torch("report", str(saved), "-o", str(page))
    assert done.returncode == 0, done.stderr
    assert "A saved report holds a forward only" in page.read_text()


def test_a_failed_forward_exits_4_and_is_reported(alexnet):
    answer = alexnet("report", "-i", "3,224,224")
    assert answer.code == 4
    assert "The forward failed at" in " ".join(" ".join(seen(answer.out).texts).split())
    assert "square inputs from 227 to 258 fit" in answer.err


# The charts


def test_charts_hold_the_paths_of_their_layers(report):
    chart = balance(Material(report))["second"]
    weighing = {f"architecture.{number}" for number in (0, 3, 6, 8, 10, 14, 16, 18)}
    for drawing in (chart.wide, chart.narrow):
        assert set(re.findall(r'data-path="([^"]*)"', drawing)) == weighing
        assert " id=" not in drawing
    assert f'width="{WIDE}"' in chart.wide
    assert f'width="{NARROW}"' in chart.narrow
    assert "architecture.14" in chart.wide
    assert "37.8 M · 60.5 %" in chart.wide
    assert "60.5 %" in chart.narrow
    assert "Linear-15 (architecture.14): 37,752,832 parameters, 60.5 %; 37,748,736 MACs, 3.3 %" in chart.wide


def test_many_layers_are_summed_into_modules():
    tower = trace_target(f"{MODELS}:Tower", inputs=_inputs("8:int64"))
    content = balance(Material(tower))
    assert content["title"] == "By module"
    paths = {f"blocks.{number}" for number in range(12)} | {"tokens", "head"}
    assert set(re.findall(r'data-path="([^"]*)"', content["second"].wide)) == paths
    assert "blocks.0: " in content["second"].wide, "the module's path once, and no name made of its class"
    assert "(blocks.0)" not in content["second"].wide


def test_only_the_largest_of_many_layers_outside_modules_are_shown():
    unlike = trace_target(f"{MODELS}:unlike", inputs=_inputs("8"))
    content = balance(Material(unlike))
    largest = {str(place) for place in range(2000 - MOST_BARS, 2000)}  # each is larger than the one before
    assert set(re.findall(r'data-path="([^"]*)"', content["second"].wide)) == largest
    assert "1,976 others" in content["second"].wide


def test_labels_of_near_dividers_stand_above_one_another():
    plot = Plot("p", Axis("x"), Axis("y"), (Series("s", ((0.0, 1.0), (100.0, 2.0)), "conv", "area"),))
    dividers = [(at, "training") for at in (0.0, 1.0, 2.0, 60.0, 99.0)]
    drawing = "".join(plot_svg.draw(plot, WIDE, Style(), dividers=dividers).elements)
    heights = [float(y) for y in re.findall(r'y="([\d.]+)"[^>]*>training<', drawing)]
    assert [max(heights) - height for height in heights] == [0, 16, 32, 0, 0]


def test_a_chart_of_many_operators_keeps_the_memory_peak():
    steps = 10_000
    points = tuple((float(at), 90.0 if at == 7_777 else 1.0) for at in range(steps))
    plot = Plot("p", Axis("x"), Axis("y"), (Series("s", points, "conv", "area"),))
    drawing = "".join(plot_svg.draw(plot, WIDE, Style(), bands=[Band("a", "b", 0.0, 9.0)]).elements)
    outline = re.search(r'class="area"[^>]* d="M[\d.]+ ([\d.]+)(.*?)"', drawing)
    foot, tops = float(outline[1]), [float(y) for y in re.findall(r"V([\d.]+)", outline[2])]
    heights = sorted({round(foot - y, 2) for y in tops} - {0})
    assert heights[-1] / heights[0] == pytest.approx(90, rel=0.01)
    assert len(tops) < WIDE


def test_a_mark_names_all_its_layers():
    row = BarRow("name", "conv", (1.0,), ("1",), "two <layers>", ("a.<b>", 'c"d'))
    drawn = chart("label & <more>", lambda width: bar_chart.draw([row], [Panel("p")], width))
    assert 'data-path="a.&lt;b&gt;" data-paths="[&quot;a.&lt;b&gt;&quot;, &quot;c\\&quot;d&quot;]"' in drawn.wide
    assert "<title>two &lt;layers&gt;</title>" in drawn.wide
    assert 'role="img" aria-label="label &amp; &lt;more&gt;"' in drawn.wide


def test_points_at_one_place_name_all_their_layers():
    series = Series("conv", ((1.0, 1.0), (1.0, 1.0), (2.0, 2.0)), "conv", names=("a", "b", "c"))
    layers = {"a": "the first", "b": "the second", "c": "the third"}
    drawing = "".join(plot_svg.draw(Plot("p", Axis("x"), Axis("y"), (series,)), WIDE, Style(), layers=layers).elements)
    assert (
        'data-path="a" data-paths="[&quot;a&quot;, &quot;b&quot;]"><title>the first; and 1 more here</title>' in drawing
    )
    assert 'data-path="c"><title>the third</title>' in drawing


def test_characters_that_no_svg_can_hold_are_shown():
    row = BarRow("\x1b\ud800\uffff", "conv", (1.0,), ("1",), "\x1b\ud800\uffff")
    drawing = "".join(bar_chart.draw([row], [Panel("p")], WIDE).elements)
    assert drawing.count("\\x1b\\ud800\\uffff") == 2


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_bars_and_their_texts_stay_in_the_chart(width):
    rows = [BarRow("a layer with a long name " * 9, "conv", (n, 0.0), (f"{n} of some", "0")) for n in (0.0, 1.0, 99.0)]
    drawing = bar_chart.draw(rows, [Panel("first", 120.0), Panel("second")], width)
    root = ET.fromstring(f"<g>{''.join(drawing.elements)}</g>")
    for text in root.iter("text"):
        wide = text_width(text.text, 13)
        x = float(text.get("x")) - (wide if text.get("text-anchor") == "end" else 0)
        assert x >= -0.1
        assert x + wide <= width + 0.1
    for bar in root.iter("rect"):
        assert float(bar.get("x")) + float(bar.get("width")) <= width + 0.1
        assert float(bar.get("y")) + float(bar.get("height")) <= drawing.height


# The layer table


def test_short_tables_start_unfolded_and_long_ones_folded(report):
    assert layer_table.layers(Material(report))["open_level"] is None
    tower = trace_target(f"{MODELS}:Tower", inputs=_inputs("8:int64"))
    content = layer_table.layers(Material(tower))
    assert content["open_level"] == 1
    assert sum(row.level <= 1 for row in content["rows"]) <= layer_table.OPEN_ROWS


def test_equal_rows_are_folded_if_there_are_too_many(monkeypatch):
    monkeypatch.setattr(layer_table, "MOST_ROWS", 60)
    tower = trace_target(f"{MODELS}:Tower", inputs=_inputs("8:int64"))
    content = layer_table.layers(Material(tower))
    assert len(content["rows"]) < 60
    assert "Block ×12 identical" in [row.name for row in content["rows"]]
    assert "share one row" in content["note"]
    assert sum(row.cells[1].value for row in content["rows"] if row.role != "group") == tower.totals.params


def test_unequal_rows_are_cut_to_the_largest_if_there_are_too_many(monkeypatch):
    monkeypatch.setattr(layer_table, "MOST_ROWS", 50)
    unlike = trace_target(f"{MODELS}:unlike", inputs=_inputs("8"))
    content = layer_table.layers(Material(unlike))
    assert [row.path for row in content["rows"]] == ["", *(str(place) for place in range(1951, 2000))]
    assert "these 50 have the most" in content["note"]


# The command line


def test_without_a_file_the_page_goes_to_the_pipe(alexnet):
    answer = alexnet("report")
    assert answer.code == 0
    assert answer.out.startswith("<!DOCTYPE html>\n")
    assert answer.err == ""


def test_open_writes_a_file_and_shows_it(alexnet, tmp_path, monkeypatch):
    shown = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(shown.append(address)) or True)
    answer = alexnet("report", "--open")
    assert answer.code == 0
    assert shown == [(tmp_path / "AlexNet-report.html").as_uri()]
    assert answer.err == "note: the report is in AlexNet-report.html\n"
    assert (tmp_path / "AlexNet-report.html").read_text().startswith("<!DOCTYPE html>")


def test_open_without_a_browser_says_so(alexnet, tmp_path, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    answer = alexnet("report", "-o", str(tmp_path / "page.html"), "--open")
    assert answer.code == 0
    assert "no browser was found" in answer.err


def test_on_a_terminal_the_page_goes_to_a_file(alexnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    answer = alexnet("report", "alexnet", "caffenet")
    assert answer.out == ""
    assert [file.name for file in tmp_path.iterdir()] == ["AlexNet-CaffeNet-report.html"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-o", "page.pdf"], "page.pdf has another suffix"),
        (["-o", "no/such/folder/page.html"], "the folder no/such/folder is not there"),
        (["--gpu", "t5"], "unknown GPU 't5'"),
        (["--optimizer", "sdg"], "did you mean sgd?"),
        (["alexnet", "caffenet", "--gpu", "t4"], "--gpu goes with one target"),
        (["alexnet", "caffenet", "--profile"], "--profile goes with one target"),
        (["--profile", "--seconds", "0"], "--seconds 0 is no time"),
        (["alexnet", "caffenet", "--amp", "bf16"], "--amp goes with one target"),
        (["-b", "1", "-b", "2"], "--batch-size was given 2 times for 1 target"),
        (["alexnett"], "alexnet"),
    ],
)
def test_usage_errors(alexnet, arguments, told):
    answer = alexnet("report", *arguments)
    assert answer.code == 2
    assert told in answer.err
    assert answer.out == ""


def test_a_missing_package_is_reported_before_any_work(alexnet, monkeypatch):
    monkeypatch.setattr(material, "find_spec", lambda name: None if name == "jinja2" else find_spec(name))
    answer = alexnet("report", "no_such_file.py:Net")
    assert answer.code == 2
    assert answer.err == (
        "error: a report needs the package jinja2\nhint: install with: pip install 'alexnet-cli[report]'\n"
    )


def test_gpu_none_leaves_the_roofline_out(alexnet):
    assert "Roofline: no hardware was named" in alexnet("report", "--gpu", "none").out
    assert "NVIDIA A100 40GB" in alexnet("report", "--gpu", "a100").out
