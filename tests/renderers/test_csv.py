from __future__ import annotations

import csv
from io import StringIO

import documents
import pytest

from alexnet_cli.document import Column, Document, Note, Row, Table
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers import render


def records(document: Document) -> list[list[str]]:
    text = render(document, "csv", Style())
    assert "\r" not in text
    return list(csv.reader(StringIO(text)))


def test_rows_are_read_back_with_raw_numbers():
    header, *rows = records(documents.ALEXNET)
    assert header == ["layer", "path", "output_shapes", "params", "params_share", "macs"]
    assert len(rows) == len(documents.alexnet_table().rows)
    for row, said in zip(documents.alexnet_table().rows, rows, strict=True):
        name, path, ((*sizes,),), params, share, macs = row.cells
        assert said[:2] == [name, path]
        assert said[2] == "x".join(map(str, sizes))
        assert int(said[3]) == params
        assert (float(said[4]) if said[4] else None) == share
        assert (int(said[5]) if said[5] else None) == macs


def test_without_a_table_facts_are_written():
    rows = records(Document("", (Note("x"), documents.FACTS)))
    assert rows[0] == ["label", "value", "unit"]
    assert ["Parameters", "62378344", "count"] in rows
    assert ["Input", "1x3x227x227", "shape"] in rows
    assert ["Peak memory", "", "bytes"] in rows
    assert records(Document("", (Note("x"),))) == [["label", "value", "unit"]]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", "\tx", "\rx"])
def test_text_is_never_a_formula(name):
    table = Table("t", (Column("n", "N"), Column("v", "V", "count")), (Row((name, -5)),))
    assert records(Document("", (table,)))[1] == [f"'{name}".replace("\t", "\\t").replace("\r", "\\r"), "-5"]


def test_quotes_commas_and_newlines_stay_in_their_cell():
    table = Table("t", (Column("n", "N"),), (Row(('a,"b"\nc',)),))
    assert records(Document("", (table,)))[1:] == [['a,"b"\\nc']]
