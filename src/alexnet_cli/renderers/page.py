"""A document laid out for a grid of character cells: what the terminal and the SVG picture have in common."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, groupby

from rich.style import Style as Look

from alexnet_cli.document import Bars, Block, Document, Facts, Note, Plot, Table
from alexnet_cli.graphics.lines import BOLD, DIM, ERROR, PLAIN, WARNING, Line, length, line
from alexnet_cli.graphics.plot_cells import plot_lines
from alexnet_cli.graphics.text import Style, clean, shorten, width_of, wrap
from alexnet_cli.renderers.page_bars import bars_lines
from alexnet_cli.renderers.page_facts import facts_lines
from alexnet_cli.renderers.page_table import table_lines

LEAST_WIDTH = 40
_GAP = 2


def lay_out(document: Document, style: Style) -> list[Line]:
    """Lay a document out: title, then its blocks with a blank line between them; notes stand together.

    A page narrower than `LEAST_WIDTH` is laid out as if it were that wide.
    """
    lines: list[Line] = []
    for paragraph in paragraphs(document, style):
        lines += [[], *(plot_lines(paragraph, _wide(style)) if isinstance(paragraph, Plot) else paragraph)]
    return lines[1:]


def paragraphs(document: Document, style: Style) -> list[list[Line] | Plot]:
    """Lay out what stands between blank lines; plots are left to the caller to draw."""
    style = _wide(style)
    found: list[list[Line] | Plot] = [list(_title_lines(document, style))]
    for _, group in groupby(document.blocks, key=_kind):
        blocks = list(group)
        if isinstance(blocks[0], Plot):
            found.append(blocks[0])
        else:
            found.append(list(chain.from_iterable(_block_lines(block, style) for block in blocks)))
    return [paragraph for paragraph in found if paragraph]


def _wide(style: Style) -> Style:
    if style.width is not None and style.width < LEAST_WIDTH:
        return Style(LEAST_WIDTH, style.color, style.unicode)
    return style


def _kind(block: Block) -> object:
    """Tell notes, which stand together, from other blocks, which do not."""
    return Note if isinstance(block, Note) else id(block)


def _title_lines(document: Document, style: Style) -> Iterator[Line]:
    title = shorten(clean(document.title, style), style.width, unicode=style.unicode)
    subtitle = clean(document.subtitle, style)
    both = line((title, BOLD), (" " * _GAP, PLAIN), (subtitle, DIM))
    if title and subtitle and (style.width is None or length(both) <= style.width):
        yield both
        return
    if title:
        yield line((title, BOLD))
    if subtitle:
        yield from (line((text, DIM)) for text in wrap(subtitle, style.width))


def _block_lines(block: Block, style: Style) -> Iterator[Line]:
    match block:
        case Table():
            yield from table_lines(block, style)
        case Facts():
            yield from facts_lines(block, style)
        case Bars():
            yield from bars_lines(block, style)
        case Note():
            yield from _note_lines(block, style)


def _note_lines(note: Note, style: Style) -> Iterator[Line]:
    mark, look = _manner(note, style)
    indent = width_of(mark) + 1 if mark else 0
    width = None if style.width is None else style.width - indent
    for number, text in enumerate(wrap(clean(note.text, style), width)):
        before = mark.ljust(indent) if number == 0 else " " * indent
        yield line((before, look), (text, look))


def _manner(note: Note, style: Style) -> tuple[str, Look]:
    match note.tone:
        case "warning":
            return "!", WARNING
        case "error":
            return "✗" if style.unicode else "x", ERROR
        case _:
            return "", PLAIN
