"""The layer table: which rows it has, what gives way on a narrow page, and what the bars below it are made of."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

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
