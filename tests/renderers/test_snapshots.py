"""What the formats look like, to be read by eye when it changes."""

from __future__ import annotations

import documents
import pytest

from alexnet_cli.document import Document, Table
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers import render

ROWS = documents.alexnet_table().rows
FEW = Table("layers", documents.COLUMNS, (*ROWS[:6], *ROWS[17:21], ROWS[-1]))
SMALL = Document("AlexNet", (FEW, documents.FACTS, documents.BARS, documents.WARNING), documents.ALEXNET.subtitle)


@pytest.mark.parametrize("width", [None, 100, 60])
def test_table(snapshot, width):
    assert render(SMALL, "table", Style(width)) == snapshot


def test_table_in_ascii(snapshot):
    assert render(SMALL, "table", Style(80, unicode=False)) == snapshot


def test_table_in_colour(snapshot):
    assert render(documents.FAILED, "table", Style(60, color=True)).replace("\x1b", "ESC") == snapshot


@pytest.mark.parametrize("name", ["csv", "markdown", "latex", "html", "svg"])
def test_format(snapshot, name):
    assert render(SMALL, name, Style()) == snapshot
