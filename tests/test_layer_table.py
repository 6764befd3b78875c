"""The layer table: which rows it has, what gives way on a narrow page, and what the bars below it are made of."""

from __future__ import annotations

import csv
import re
from io import StringIO

import pytest

from alexnet_cli import inspect
from alexnet_cli.document import Column, Document, Row, Table
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers.terminal import render

SOURCE = '''
import torch
from torch import nn
from torch.nn import functional as F


class Views(nn.Module):
    """Views, copies that are no larger, and what is none of both: a join, padding, a repetition, a sum."""

    def __init__(self):
        super().__init__()
        self.only = Only()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        x = self.linear(self.only(x))
        x = x.view(2, 2, 4).transpose(0, 1)[0].contiguous().unsqueeze(0)
        x = torch.cat([x, x], 1)
        x = F.pad(x, (1, 1)).repeat(1, 2, 1)
        return x + 1


class Only(nn.Module):
    """Calls a module and then only rearranges."""

    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        return self.inner(x).reshape(4, 4).flip(0)


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(x).squeeze(0)


class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.linear = nn.Linear(5, 4)

    def forward(self, x):
        return self.linear(self.relu(x).flatten())


class Unused(nn.Module):
    def __init__(self, kinds=0):
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.conv = nn.Conv1d(1, 1, 3)
        self.head = nn.Linear(8, 80)
        self.rest = nn.ModuleList([nn.LayerNorm(6), nn.Embedding(6, 6), nn.LSTM(6, 6), nn.PReLU()][:kinds])

    def forward(self, x):
        x = self.conv(self.linear(x))
        for layer in self.rest:
            x = layer(x.long() if isinstance(layer, nn.Embedding) else x)
            x = x[0] if isinstance(x, tuple) else x.reshape(-1, 1, 6)
        return x


class AStageOfTheEncoderWithALongNameThatReturnsTheFeaturesOfEachOfItsBlocks(nn.Module):
    def __init__(self, deep):
        super().__init__()
        inner = type(self)(deep - 1) if deep else nn.Conv2d(256, 256, 3, padding=1)
        self.inner = inner

    def forward(self, x):
        y = self.inner(x)
        return [x] * 9 + [y[-1] if isinstance(y, list) else y]


def deep():
    return AStageOfTheEncoderWithALongNameThatReturnsTheFeaturesOfEachOfItsBlocks(12)
'''
HIDDEN = ("squeeze", "reshape", "flip", "view", "transpose", "getitem", "contiguous", "unsqueeze")
KEPT = ("cat", "pad", "repeat", "add")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "nets.py"
    path.write_text(SOURCE)
    return str(path)


def names(table: str) -> list[str]:
    """Return the first column of a CSV table."""
    return [row[0] for row in csv.reader(StringIO(table))][1:]


def test_functions_that_only_rearrange_are_hidden_and_counted(alexnet, source):
    shown = alexnet("summary", f"{source}:Views", "-i", "4,4", "--format", "csv")
    whole = alexnet("summary", f"{source}:Views", "-i", "4,4", "--format", "csv", "--all-rows")
    assert set(HIDDEN) & set(names(shown.out)) == set()
    assert set(KEPT) <= set(names(shown.out))
    assert [name for name in names(whole.out) if name not in HIDDEN] == names(shown.out)
    assert sorted(name for name in names(whole.out) if name in HIDDEN) == sorted(HIDDEN)  # each of them once
    text = alexnet("summary", f"{source}:Views", "-i", "4,4").out
    assert f"\n{len(HIDDEN)} rows that only reshape or select are hidden; --all-rows shows them\n" in text
    assert "hidden" not in alexnet("summary", f"{source}:Views", "-i", "4,4", "--all-rows").out


@pytest.mark.parametrize("form", ["table", "csv", "markdown", "latex", "html", "svg"])
def test_every_format_leaves_out_the_same_rows(alexnet, source, form):
    shown = alexnet("summary", f"{source}:Views", "-i", "4,4", "--format", form).out
    whole = alexnet("summary", f"{source}:Views", "-i", "4,4", "--format", form, "--all-rows").out
    assert "unsqueeze" not in shown
    assert "unsqueeze" in whole
    if form != "csv":  # it has the first table only
        assert "8 rows that only reshape or select are hidden" in re.sub(r"&#160;|\s+", " ", shown)


def test_json_and_totals_do_not_depend_on_what_is_hidden(alexnet, source):
    shown = alexnet("summary", f"{source}:Views", "-i", "4,4", "--json")
    whole = alexnet("summary", f"{source}:Views", "-i", "4,4", "--json", "--all-rows")
    assert shown.out == whole.out
    assert {row["type"] for row in shown.json["layers"]} >= {*HIDDEN, *KEPT}


def test_one_hidden_row_is_counted_in_the_singular(alexnet):
    said = "\n1 row that only reshapes or selects is hidden; --all-rows shows it\n"  # its flatten is a function
    assert said in alexnet("summary", "alexnet-owt").out


def test_the_notebooks_table_hides_nothing(alexnet):
    """Its flatten is a layer, its softmax computes."""
    assert alexnet("summary").out == alexnet("summary", "--all-rows").out


def test_chosen_columns_hide_the_same_rows_and_the_largest_are_shown_whatever_they_are(alexnet, source):
    target = (f"{source}:Views", "-i", "4,4", "--format", "csv")
    usual = names(alexnet("summary", *target).out)
    assert names(alexnet("summary", *target, "--columns", "macs").out) == usual
    assert sorted(names(alexnet("summary", *target, "--sort", "macs").out)) == sorted(
        name for name in usual if name not in ("Views", "Only", "Inner")
    )
    assert set(HIDDEN) <= set(names(alexnet("summary", *target, "--sort", "macs", "--top", "99").out))


def test_cut_at_a_depth_only_rows_above_it_are_hidden(alexnet, source):
    text = alexnet("summary", f"{source}:Views", "-i", "4,4", "--depth", "1").out
    assert f"{len(HIDDEN) - 3} rows that only reshape or select are hidden" in text  # three are in `only`


def test_after_a_failure_every_row_is_shown(alexnet, source):
    answer = alexnet("summary", f"{source}:Fails", "-i", "2,2")
    assert answer.code == 4
    assert "flatten" in answer.out
    assert "hidden" not in answer.out


def test_the_python_api_shows_all_rows_when_asked(source):
    look = inspect(f"{source}:Views", input_size=(4, 4))
    assert "unsqueeze" not in str(look.summary())
    assert "unsqueeze" in str(look.summary(all_rows=True))
    assert look.summary().json() == look.summary(all_rows=True).json()


def test_a_page_hides_them_too_and_says_so(alexnet, source, tmp_path):
    pages = []
    for name, size in (("Views", "4,4"), ("Inner", "1,4,4")):
        pages.append(tmp_path / f"{name}.html")
        alexnet("report", f"{source}:{name}", "-i", size, "-o", str(pages[-1]))
    views, inner = (page.read_text() for page in pages)
    assert "8 rows that only reshape or select are hidden." in views
    assert "1 row that only reshapes or selects is hidden." in inner


def test_of_many_shapes_the_first_is_shown_and_csv_has_all(alexnet, source):
    target = (f"{source}:deep", "-i", "256,16,16")
    for form in ("table", "markdown", "html"):
        assert "1×256×16×16 … and 9 more" in alexnet("summary", *target, "--format", form).out
    (row, *_) = csv.DictReader(StringIO(alexnet("summary", *target, "--format", "csv").out))
    assert row["output_shapes"] == ", ".join(["1x256x16x16"] * 10)


@pytest.mark.parametrize("width", [80, 90, 100, 120])
@pytest.mark.parametrize("size", ["256,16,16", "256,1024,1024"])
def test_names_shapes_and_numbers_are_always_there(alexnet, source, width, size):
    lines = alexnet("summary", f"{source}:deep", "-i", size, "--width", str(width)).out.splitlines()
    heads = next(line for line in lines if line.startswith("Layer"))
    assert {"Layer", "Output", "Parameters", "MACs"} <= set(heads.split())
    assert max(map(len, lines)) <= width


def test_a_number_gives_way_only_where_text_would_be_narrower_than_twenty():
    texts = tuple(Column(f"text{i}", f"Text {i}", priority=9 - i) for i in range(3))
    table = Table("t", (*texts, Column("macs", "MACs", "macs", priority=6)), (Row(("n" * 60,) * 3 + (123,)),))
    least = 3 * 20 + 3 * 2 + len("123  ")  # two blanks stand where other numbers have a prefix
    assert "MACs" in render(Document("", (table,)), Style(width=least)).splitlines()[0]
    assert "MACs" not in render(Document("", (table,)), Style(width=least - 1)).splitlines()[0]


def test_the_bar_of_the_parameters_has_a_part_that_is_never_called(alexnet, source):
    lines = alexnet("summary", f"{source}:Unused", "-i", "1,8", "--width", "100").out.splitlines()
    total = (8 * 8 + 8) + (3 + 1) + (8 * 80 + 80)
    start = next(number for number, line in enumerate(lines) if line.startswith("Parameters  █"))
    assert f"never called {720 / total:.1%}".replace("%", " %") in lines[start + 1]
    bar = lines[start].split()[1]
    assert bar.count("▓") / len(bar) == pytest.approx(720 / total, abs=1 / len(bar))
    assert "never called" not in lines[start + 3]  # it has no MACs


def test_with_a_part_that_is_never_called_a_bar_still_has_no_more_parts_than_fills(alexnet, source):
    answer = alexnet("summary", f"{source}:Unused", "--arg", "kinds=4", "-i", "1,8")
    (start,) = [place for place, line in enumerate(answer.out.splitlines()) if line.startswith("Parameters  █")]
    legend = answer.out.splitlines()[start + 1]
    fills = re.findall(r"(\S) [a-z ]+ [<>]?\d", legend)
    assert len(fills) == len(set(fills)) == 6
    assert "others" in legend
    assert "never called" in legend


def test_after_a_failure_nothing_is_said_to_be_never_called(alexnet, source):
    assert "never called" not in alexnet("params", f"{source}:Fails", "-i", "2,2").out


def test_the_charts_of_a_page_have_a_bar_for_what_is_never_called(alexnet, source, tmp_path):
    page = tmp_path / "page.html"
    alexnet("report", f"{source}:Unused", "-i", "1,8", "-o", str(page))
    assert "never called: 720 parameters, 90.5 %; 0 MACs, 0.0 %" in page.read_text()
