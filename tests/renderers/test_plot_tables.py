"""Plots in the formats that list: HTML beside its picture, Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
from io import StringIO
from itertools import groupby

import documents
import plots
import pytest
from test_markup import Page, from_markdown, plain_latex

from alexnet_cli.document import Document, Fact, Facts, Note, Plot, Series
from alexnet_cli.graphics.text import Style, visible
from alexnet_cli.renderers import render
from alexnet_cli.renderers.tables import MOST_LISTED

ROOFLINE_ROWS = [
    ["Series", "Name", "Arithmetic intensity", "Performance"],
    ["roof", "", "0.1 FLOP/byte", "100 GFLOP/s"],
    ["roof", "", "10 FLOP/byte", "10.0 TFLOP/s"],
    ["roof", "", "1.00 kFLOP/byte", "10.0 TFLOP/s"],
    ["conv", "conv1", "100 FLOP/byte", "8.00 TFLOP/s"],
    ["conv", "conv2", "10 FLOP/byte", "1.00 TFLOP/s"],
    ["conv", "conv3", "10 FLOP/byte", "1.00 TFLOP/s"],
    ["linear", "fc6", "1 FLOP/byte", "300 GFLOP/s"],
    ["linear", "fc7", "10 FLOP/byte", "1.00 TFLOP/s"],
    ["Mark", "Arithmetic intensity", "Performance"],
    ["ridge point", "10 FLOP/byte", "10.0 TFLOP/s"],
]
SHORT_ROWS = [
    ["Operator", "Name", "weights", "saved", "All"],
    ["0", "op0", "50.00 MiB", "0 B", "50.00 MiB"],
    ["1", "op1", "50.00 MiB", "50.00 MiB", "100.00 MiB"],
    ["2", "op2", "50.00 MiB", "25.00 MiB", "75.00 MiB"],
    ["3", "op3", "50.00 MiB", "0 B", "50.00 MiB"],
    ["Mark", "Operator", "Live memory"],
    ["peak", "1", "100.00 MiB"],
]
LONG_SENTENCE = "Live memory: 5,000 points, too many to list; the maximum is 100.00 MiB, at operator 3,210 (op3210)."


def html(plot: Plot) -> Page:
    return Page(render(Document("T", (plot,)), "html", Style()))


@pytest.mark.parametrize(("plot", "rows"), [(plots.ROOFLINE, ROOFLINE_ROWS), (plots.SHORT, SHORT_ROWS)])
def test_html_and_markdown_list_the_points_of_a_plot(plot, rows):
    assert html(plot).rows == rows
    assert from_markdown(Document("T", (plot,))).rows == rows


def latex_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    return [[plain_latex(cell).strip() for cell in line.removesuffix(r" \\").split(" &")] for line in lines]


@pytest.mark.parametrize(("plot", "rows"), [(plots.ROOFLINE, ROOFLINE_ROWS), (plots.SHORT, SHORT_ROWS)])
def test_latex_lists_the_points_of_a_plot(plot, rows):
    text = render(Document("T", (plot,)), "latex", Style())
    assert latex_rows(text) == rows
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2


def test_html_draws_a_labelled_picture_and_folds_its_data_table():
    page = html(plots.ROOFLINE)
    tags = [tag for tag, _ in page.tags]
    attributes = dict(page.tags)
    assert attributes["svg"]["role"] == "img"
    assert attributes["svg"]["aria-label"] == (
        "Roofline; x: arithmetic intensity (FLOP/byte); y: performance (FLOP/s); "
        "roof, a line; conv, points; linear, points; marked: ridge point"
    )
    order = [
        tag for tag, _ in groupby(tag for tag in tags if tag in ("figure", "figcaption", "svg", "details", "table"))
    ]
    assert order == ["figure", "figcaption", "svg", "details", "table"]
    wide, high = (float(attributes["svg"][name]) for name in ("width", "height"))
    assert attributes["svg"]["viewbox"] == f"0 0 {wide:g} {high:g}"


def test_html_pages_without_plots_have_no_rules_for_them():
    assert ".plot" not in render(documents.ALEXNET, "html", Style())
    text = render(Document("T", (plots.SHORT,)), "html", Style())
    assert ".plot .grid { stroke: var(--rule); }" in text
    assert "http" not in text
    assert "<script" not in text


def test_long_areas_become_a_sentence_except_in_the_data_table():
    page = from_markdown(Document("T", (plots.LONG,)))
    assert LONG_SENTENCE in page.text
    assert page.rows == [["Mark", "Operator", "Live memory"], ["peak", "3,210", "100.00 MiB"]]
    latex = render(Document("T", (plots.LONG,)), "latex", Style())
    assert LONG_SENTENCE in plain_latex(latex)
    assert len(latex_rows(latex)) == 2
    assert len(html(plots.LONG).rows) == 1 + 5000 + 2


def test_areas_are_listed_up_to_the_limit():
    for places in (MOST_LISTED, MOST_LISTED + 1):
        plot = plots.timeline([1.0] * places, [0.0] * places)
        rows = from_markdown(Document("T", (plot,))).rows
        assert len(rows) == (1 + places if places == MOST_LISTED else 0) + 2


def test_a_single_area_has_no_total_and_unnamed_points_no_name_column():
    plot = plots.single(Series("a", ((0.0, 1.5), (1.0, 2.0)), kind="area"))
    assert html(plot).rows == [["X", "a"], ["0", "1.5"], ["1", "2"]]
    plot = plots.AWKWARD["too few names"]
    assert html(plot).rows == [["Series", "Name", "X", "Y"], ["named", "first", "1", "1"], ["named", "", "2", "2"]]


def test_numbers_that_are_not_finite_are_unknown_and_reported():
    page = html(plots.AWKWARD["not finite"])
    assert page.rows[1:5] == [
        ["odd", "unknown", "1"],
        ["odd", "1", "unknown"],
        ["odd", "unknown", "unknown"],
        ["odd", "2", "3"],
    ]
    assert page.text.count("not shown: 4 points not finite") == 2
    nothing = from_markdown(Document("T", (plots.AWKWARD["no series"],)))
    assert "A plot: no points" in nothing.text


def records(*blocks: Plot | Note | Facts) -> list[list[str]]:
    return list(csv.reader(StringIO(render(Document("T", blocks), "csv", Style()))))


def test_csv_has_a_row_for_each_point_with_raw_numbers():
    rows = records(Note("x"), Facts((Fact("a", 1, "count"),)), plots.ROOFLINE)
    assert rows[0] == ["kind", "series", "name", "x_intensity", "y_flops_per_s"]
    assert rows[1] == ["line", "roof", "", "0.1", "100000000000"]
    assert rows[4] == ["points", "conv", "conv1", "100", "8000000000000"]
    assert rows[-1] == ["mark", "", "ridge point", "10", "10000000000000"]
    assert len(rows) == 1 + 3 + 3 + 2 + 1
    rows = records(plots.SHORT)
    assert rows[0] == ["kind", "series", "name", "x_count", "y_bytes"]
    assert rows[2] == ["area", "weights", "op1", "1", str(50 * plots.MIB)]
    assert rows[-1] == ["mark", "", "peak", "1", str(100 * plots.MIB)]
    assert records(plots.AWKWARD["not finite"])[1] == ["points", "odd", "", "", "1"]


def test_csv_prefers_a_table():
    text = render(Document("T", (plots.SHORT, documents.alexnet_table())), "csv", Style())
    assert text == render(Document("T", (documents.alexnet_table(),)), "csv", Style())


def test_hostile_names_are_text_in_every_list():
    names = [visible(name) for name in documents.HOSTILE_NAMES]
    page = html(plots.hostile())
    listed = [row for row in page.rows if len(row) == 4][1 : len(names) + 1]
    assert [row[0] for row in listed] == [row[1] for row in listed] == names
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert not [
        name for _, attributes in page.tags for name in attributes if name in ("src", "href") or name[:2] == "on"
    ]
    rows = records(plots.hostile())[1 : len(names) + 1]
    assert all(not row[1].startswith(("=", "+", "-", "@")) for row in rows)
    assert "\x1b" not in render(Document("", (plots.hostile(),)), "latex", Style())


@pytest.mark.parametrize("name", plots.DOCUMENTS)
@pytest.mark.parametrize("written", ["html", "markdown", "latex", "csv"])
def test_point_lists_are_deterministic(name, written):
    text = render(plots.DOCUMENTS[name], written, Style())
    assert text == render(plots.DOCUMENTS[name], written, Style())
    assert text.endswith("\n")
    assert not set(text) & set("\x00\x07\x1b\x7f\x9b\u202e\u2066\u200b\ufeff\u2028\ud800\uffff\t\r")
