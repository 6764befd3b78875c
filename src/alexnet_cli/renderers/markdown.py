"""Documents as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from alexnet_cli import units
from alexnet_cli.document import Column, Document, Fact, Facts, Note, Row, Table, Value
from alexnet_cli.graphics.text import Style, clean, cross, left, right, width_of
from alexnet_cli.renderers.tables import NUMERIC, cell_text, fact_text, undrawn

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~$#])")
_LEADING = re.compile(r"^(\d*)([-+=.)])")
_BREAKS = re.compile(r"[\r\n\t\x0b\x0c\x85\u2028\u2029]+")
_MOST_PADDED = 60


def render(document: Document, style: Style) -> str:
    """Write a document as Markdown: headings, lists, and tables with all their rows."""
    paragraphs = [f"# {_escaped(document.title, style)}"]
    if document.subtitle:
        paragraphs.append(_paragraph(document.subtitle, style))
    for block in undrawn(document):
        paragraphs += _block(block, style)
    return "\n\n".join(paragraphs) + "\n"


def _block(block: Table | Facts | Note, style: Style) -> Iterator[str]:
    match block:
        case Table():
            yield from _table(block, style)
        case Facts():
            if block.title:
                yield f"## {_escaped(block.title, style)}"
            yield "\n".join(_fact(fact, style) for fact in block.facts)
        case Note():
            yield _note(block, style)


def _table(table: Table, style: Style) -> Iterator[str]:
    if table.caption:
        yield f"## {_escaped(table.caption, style)}"
    rows = [[_escaped(column.title, style) for column in table.columns]]
    for row in table.rows:
        cells = zip(row.cells, table.columns, strict=True)
        rows.append([_cell(cell, column, row, style, first=i == 0) for i, (cell, column) in enumerate(cells)])
    widths = [min(max(map(width_of, cells)), _MOST_PADDED) for cells in zip(*rows, strict=True)]
    lines = [_row(cells, table.columns, widths) for cells in rows]
    yield "\n".join([lines[0], _delimiters(table.columns, widths), *lines[1:]])


def _cell(value: Value, column: Column, row: Row, style: Style, *, first: bool) -> str:
    text = _escaped(cell_text(value, column, row, cross=cross(style)), style)
    if first and text and row.role in ("group", "failed"):
        text = f"**{text}**"
    return "&emsp;" * row.level + text if column.tree else text


def _row(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    padded = [
        right(cell, width) if column.unit in NUMERIC else left(cell, width)
        for cell, column, width in zip(cells, columns, widths, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def _delimiters(columns: Sequence[Column], widths: Sequence[int]) -> str:
    dashes = [
        "-" * (max(width, 3) - 1) + (":" if column.unit in NUMERIC else "-")
        for column, width in zip(columns, widths, strict=True)
    ]
    return f"| {' | '.join(dashes)} |"


def _fact(fact: Fact, style: Style) -> str:
    text = fact_text(units.text(fact.value, fact.unit, cross=cross(style)), fact.note)
    return f"- **{_escaped(fact.label, style)}:** {_escaped(text, style)}"


def _note(note: Note, style: Style) -> str:
    if note.tone == "info":
        return _paragraph(note.text, style)
    return f"**{note.tone.capitalize()}:** {_escaped(note.text, style)}"


def _paragraph(text: str, style: Style) -> str:
    """Escape text at the start of a line, where its first characters could begin a list or a rule."""
    return _LEADING.sub(r"\1\\\2", _escaped(text, style))


def _escaped(text: str, style: Style) -> str:
    """Escape text so that Markdown shows it literally anywhere in a line.

    `&`, `@` and the slashes of an address are written as entities: they would begin an entity, notify a stranger on
    GitHub, and become a link.
    """
    flat = clean(_BREAKS.sub(" ", text), style).strip(" ")
    marked = _SPECIAL.sub(r"\\\1", flat.replace("&", "&amp;").replace("@", "\0"))
    return marked.replace("\0", "&#64;").replace("://", ":&#47;&#47;")
