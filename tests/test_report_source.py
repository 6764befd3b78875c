"""The section of the report with the source: what each line made and cost, and whose text is shown."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace
from test_annotate import FILE, reports

from alexnet_cli import units
from alexnet_cli.analyses.annotate import annotate
from alexnet_cli.answers.annotate import texts_of
from alexnet_cli.report import GRAPH
from alexnet_cli.report_page.material import Lines, Material
from alexnet_cli.report_page.page import model_page
from alexnet_cli.report_page.source import source
from alexnet_cli.views.annotate import near

NET = """\
from torch import nn


class Net(nn.Module):
    def forward(self, x):
        return x + 1{comment}
"""
EVIL = "  # </script><img src=x onerror=alert(1)> &lt;b&gt; {{ 7 * 7 }} [/x] \x1b[31m"


class Rows(HTMLParser):
    """Collects the rows of the source: the attributes of each, and the texts of its cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[tuple[dict[str, str | None], list[str]]] = []
        self.in_cell = False
        section = re.search(r'<section id="source".*?</section>', page, re.DOTALL)
        self.feed("" if section is None else section[0])

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append((dict(attrs), []))
        elif tag in ("th", "td"):
            self.rows[-1][1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        self.in_cell = self.in_cell and tag not in ("th", "td")

    def handle_data(self, data):
        if self.in_cell:
            self.rows[-1][1][-1] += data


def lines_in(page: str) -> dict[int, dict[str, str]]:
    """Return the cells of each line of the source by the heading above them."""
    [headings, *rows] = (cells for _, cells in Rows(page).rows)
    return {int(cells[0]): dict(zip(headings, cells, strict=True)) for cells in rows if cells[0].isdecimal()}


def page_of(name: str) -> str:
    report, step = reports(name)
    found = annotate(report, step)
    return model_page(Material(report, step, lines=Lines(found, texts_of(found))))


@pytest.fixture
def net(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(NET.format(comment=EVIL))
    return file


def test_lines_have_the_numbers_of_annotate_and_add_up_to_the_totals(alexnet):
    page = alexnet("report", f"{FILE}:Loop", "-i", "4,8,8", "--gpu", "h100-sxm")
    assert (page.code, page.err) == (0, "")
    told = alexnet("annotate", f"{FILE}:Loop", "-i", "4,8,8", "--gpu", "h100-sxm", "--json").json
    shown = lines_in(page.out)
    [file] = told["files"]
    for line in file["lines"]:
        seen, below = shown[line["line"]], line["below"] or {"macs": 0, "saved_bytes": 0, "seconds": 0.0}
        assert seen["Source"].strip() == FILE.read_text().splitlines()[line["line"] - 1].strip()
        assert seen["MACs"] == units.text(line["own"]["macs"] + below["macs"], "macs")
        assert seen["Saved"] == (units.size(line["own"]["saved_bytes"] + below["saved_bytes"]) if seen["Saved"] else "")
        assert seen["Min. time"] == units.seconds(line["own"]["seconds"] + below["seconds"])
        assert (seen["Σ"] == "Σ") == (line["below"] is not None)
    own = [int(cells["MACs"].replace(",", "")) for cells in shown.values() if cells["MACs"] and not cells["Σ"]]
    assert sum(own) == told["totals"]["macs"] == 3 * 8 * 8 * 4 * 4  # three convolutions of 1×1 from 4 to 4 on 8×8
    saved = units.size(told["totals"]["saved_bytes"])
    assert re.search(rf"Saved for backward</dt><dd>{saved} ", page.out)


def test_lines_are_tied_to_the_layers_that_they_called():
    tied = {attrs["data-path"]: attrs for attrs, _ in Rows(page_of("Loop")).rows if "data-path" in attrs}
    assert set(tied) == {"blocks.0", "blocks.0.conv", "blocks.0.add"}
    assert json.loads(tied["blocks.0.conv"]["data-paths"]) == [
        path for block in range(3) for path in (f"blocks.{block}.conv", f"blocks.{block}.relu")
    ]
    assert json.loads(tied["blocks.0"]["data-paths"]) == ["blocks.0", "blocks.1", "blocks.2"]


def test_every_file_of_the_users_has_its_lines():
    page = page_of("Elsewhere")
    captions = re.findall(r"<caption><span><code>(.*?)</code>", page)
    assert captions == [near(str(FILE)), near(str(FILE.with_name("elsewhere.py")))]


def test_what_failed_is_marked(alexnet):
    page = alexnet("report", f"{FILE}:Failing", "-i", "3,8,8")
    assert page.code == 4
    [failed] = [cells for attrs, cells in Rows(page.out).rows if attrs.get("class") == "failed"]
    assert failed[1].split() == ["return", "self.fc(x)", "failed", "here"]


def test_source_is_text_and_no_markup(alexnet, net):
    page = alexnet("report", f"{net}:Net", "-i", "3").out
    [line] = (cells["Source"] for cells in lines_in(page).values() if "x + 1" in cells["Source"])
    assert line.endswith(EVIL.replace("\x1b", "\\x1b"))
    assert "<img" not in page
    assert "\x1b" not in page


def test_a_saved_report_shows_the_source_only_as_it_ran(alexnet, net, tmp_path):
    saved, without = tmp_path / "seen.json", tmp_path / "without.json"
    alexnet("summary", f"{net}:Net", "-i", "3", "--lines", "-o", str(saved))
    assert "return x + 1" in " ".join(cells["Source"] for cells in lines_in(alexnet("report", str(saved)).out).values())
    net.write_text(NET.format(comment="  # another"))
    page = alexnet("report", str(saved)).out
    assert [(number, cells["Source"]) for number, cells in lines_in(page).items()] == [(6, "")]
    assert "is not as it was when it ran" in page
    assert "another" not in page
    alexnet("summary", f"{net}:Net", "-i", "3", "-o", str(without))
    told = alexnet("report", str(without))
    assert told.err == ""
    assert "Source: the saved report does not say which lines ran" in told.out
    assert 'id="source"' not in told.out


def test_why_there_is_no_source(report):
    run = replace(report.run, device=GRAPH)
    for changed, why in [
        (replace(report, run=None, tape=None), "a checkpoint cannot be run"),
        (replace(report, run=run), "an ONNX file does not hold it"),
        (replace(report, tape=None), "its operators were not recorded"),
    ]:
        assert source(Material(changed)) == why


def test_a_model_of_installed_modules_has_no_source(alexnet, tmp_path):
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\n\ndef net():\n    return nn.Sequential(nn.Linear(3, 2))\n")
    page = alexnet("report", f"{file}:net", "-i", "3")
    assert "Source: no line of your own code ran: the model is made of installed modules alone." in page.out


def test_a_model_without_markup_has_its_section(report):
    assert isinstance(source(Material(report, lines=None)), str)
    known, step = reports("Functional")
    found = annotate(known, step)
    section = source(Material(known, step, lines=Lines(found, texts_of(found))))
    assert [line.number for line in section["listings"][0].lines if line.cells[0]]
