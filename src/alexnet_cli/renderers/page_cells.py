"""The cells of a table on a page: names, numbers and the bars beside them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from rich.style import Style as Look

from alexnet_cli.document import Column, Row, Table, Value
from alexnet_cli.graphics.lines import BOLD, DIM, ERROR, ERROR_NAME, PLAIN, Line, line, of_bar, of_name, share_bar
from alexnet_cli.graphics.text import Style, clean, cross, left, right, shorten, width_of, wrap
from alexnet_cli.renderers.cells import SHORTENED, cell_text, is_failed, short_text
from alexnet_cli.renderers.guides import Guide
from alexnet_cli.renderers.layout import BAR


class Texts(Struct, frozen=True):
    """A column's cells as text, row by row, with numbers in full and shortened."""

    full: Sequence[str]
    short: Sequence[str]


def texts(table: Table, place: int, style: Style, limit: int | None) -> Texts:
    """Write a column's cells; words longer than `limit` lose their middle."""
    column = table.columns[place]
    full = []
    for row in table.rows:
        text = clean(cell_text(row.cells[place], column, row, cross=cross(style)), style)
        mark = ("✗ " if style.unicode else "x ") if place == 0 and is_failed(row) else ""
        full.append(shorten(mark + text, limit, unicode=style.unicode))
    if column.unit not in SHORTENED:
        return Texts(full, full)
    return Texts(full, [short_text(row.cells[place], column, row) for row in table.rows])


def number(text: str, row: Row, place: int, column: Column, *, width: int, bar: bool, unicode: bool) -> Line:
    """Draw a number with its digits at the right, and if asked for its bar at the left."""
    value = row.cells[place]
    look = _number_look(row, column, value)
    if not bar:
        return line((right(text, width), look))
    drawn = share_bar(float(value), BAR, unicode=unicode) if isinstance(value, (int, float)) else ""
    return line((left(drawn, BAR), of_bar(row.family)), (right(text, width - BAR), look))


def words(text: str, row: Row, guide: Guide, width: int, *, name: bool, unicode: bool) -> list[Line]:
    """Draw text after its guide, folded to the column's width; the row's name has its family's colour."""
    look = _name_look(row) if name else _text_look(row)
    room = width - width_of(guide.first)
    if room < 1:
        return [line((guide.first[:width], DIM))]
    pieces = wrap(text, room) if room > 1 or text.isascii() else [shorten(text, room, unicode=unicode)]
    return [line((guide.rest if i else guide.first, DIM), (piece, look)) for i, piece in enumerate(pieces)]


def _name_look(row: Row) -> Look:
    match row.role:
        case "failed":
            return ERROR_NAME
        case "group":
            return BOLD
        case _:
            return of_name(row.family)


def _text_look(row: Row) -> Look:
    match row.role:
        case "failed":
            return ERROR
        case "group":
            return DIM
        case _:
            return PLAIN


def _number_look(row: Row, column: Column, value: Value) -> Look:
    """Let numbers recede that say nothing new: zeros, what is not known, and sums of rows below."""
    if row.role == "failed":
        return ERROR
    idle = value is None or (value == 0 and column.unit in {*SHORTENED, "share"})
    return DIM if idle or row.role == "group" else PLAIN
