"""The first table of a document as CSV: raw numbers under the columns' keys, for programs and spreadsheets."""

from __future__ import annotations

import csv
from io import StringIO

from alexnet_cli import units
from alexnet_cli.document import Document, Facts, Plot, Table, Unit, Value
from alexnet_cli.graphics.text import Style, clean
from alexnet_cli.renderers.tables import every_point

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def render(document: Document, style: Style) -> str:
    """Write the first table, else the points of the first plot, else the facts; unknown values are empty cells."""
    tables = [block for block in document.blocks if isinstance(block, Table)]
    tables += [every_point(block) for block in document.blocks if isinstance(block, Plot)]
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    if tables:
        columns = tables[0].columns
        writer.writerow(_safe(column.key, style) for column in columns)
        for row in tables[0].rows:
            cells = zip(row.cells, columns, strict=True)
            writer.writerow(_cell(cell, column.unit, style) for cell, column in cells)
    else:
        writer.writerow(["label", "value", "unit"])
        facts = (fact for block in document.blocks if isinstance(block, Facts) for fact in block.facts)
        writer.writerows([_safe(it.label, style), _cell(it.value, it.unit, style), it.unit] for it in facts)
    return written.getvalue()


def _cell(value: Value, unit: Unit, style: Style) -> str:
    match value:
        case None:
            return ""
        case str():
            return _safe(value, style)
        case tuple():
            return units.text(value, unit, cross="x", whole=True)
        case _:
            return str(value)


def _safe(text: str, style: Style) -> str:
    """Prevent spreadsheets from reading text as a formula."""
    return f"'{clean(text, style)}" if text.startswith(_FORMULA_STARTS) else clean(text, style)
