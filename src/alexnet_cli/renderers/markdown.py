"""Documents as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from alexnet_cli.document import Document, Facts, Note, Table
from alexnet_cli.graphics.text import Style, clean, left, right, width_of
from alexnet_cli.renderers.tables import NUMERIC, fact_text, rows_of, undrawn

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
            said = ((_escaped(fact.label, style), fact_text(fact)) for fact in block.facts)
            yield "\n".join(f"- **{label}:** {_escaped(text, style)}" for label, text in said)
        case Note():
            tone = f"**{block.tone.capitalize()}:** "
            yield _paragraph(block.text, style) if block.tone == "info" else tone + _escaped(block.text, style)


def _table(table: Table, style: Style) -> Iterator[str]:
    if table.caption:
        yield f"## {_escaped(table.caption, style)}"
    write, code = partial(_escaped, style=style), partial(_code, style=style)
    shown = rows_of(table, write, bold="**{}**", indent=lambda level: "&emsp;" * level, by_unit={"code": code})
    rows = [[write(column.title) for column in table.columns], *(texts for _, texts in shown)]
    widths = [min(max(map(width_of, cells)), _MOST_PADDED) for cells in zip(*rows, strict=True)]
    pads = [right if column.unit in NUMERIC else left for column in table.columns]
    ruled = [
        "-" * (max(width, 3) - 1) + (":" if pad is right else "-") for pad, width in zip(pads, widths, strict=True)
    ]
    lines = [[pad(cell, width) for pad, cell, width in zip(pads, row, widths, strict=True)] for row in rows]
    yield "\n".join(f"| {' | '.join(cells)} |" for cells in (lines[0], ruled, *lines[1:]))


def _code(text: str, style: Style) -> str:
    """Escape a line of source, with spaces that Markdown keeps for those that it begins with."""
    return "&nbsp;" * (len(text) - len(text.lstrip(" "))) + _escaped(text, style)


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
