"""A table as lines: no grid, only thin rules, so that the eye follows names and numbers.

On a narrow page, this gives way in turn: the bars; the columns of low priority, lowest first, with the bars drawn
again where they then fit; the digits of the numbers; the width of the text, which is wrapped, down to `LEAST_TEXT`;
further columns, until only the first is left. Text that would take more than half of the page alone is wrapped anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.document import Column, Row, Table, Value
from alexnet_cli.graphics.code import Span, coloured, folded
from alexnet_cli.graphics.lines import (
    BOLD,
    DIM,
    ERROR,
    ERROR_NAME,
    PLAIN,
    Line,
    Look,
    Piece,
    line,
    of_bar,
    of_name,
    padded,
    share_bar,
    wrapped,
)
from alexnet_cli.graphics.text import Style, clean, left, right, shorten, width_of, wrap
from alexnet_cli.renderers.tables import NUMERIC, SHORTENED, cell_text, short_text

TREE_MOST = 200
"""A tree column is never wider than this, so that one long name does not push all numbers out of sight."""

ESSENTIAL = 6
"""Numbers are shortened and text is wrapped before columns of at least this priority are left out."""

LEAST_TEXT = 20
"""Text is not wrapped to less than this to make room for another column."""

_GAP = 2
_BAR = 10
_BLANK = "   "
_GUIDES, _PLAIN_GUIDES = ("│  ", "├─ ", "└─ ", "…  "), ("|  ", "|- ", "`- ", ".. ")
"""A branch that goes by, one that ends here, the last one, and outer levels left out."""

Guide = tuple[str, str]
"""What stands before a row's name, and before its further lines where the name is wrapped."""


class _Shown(Struct, frozen=True):
    """A column as text, in full and with shortened numbers, and how wide each is; a tree's names have guides."""

    place: int
    column: Column
    title: str
    full: Sequence[str]
    short: Sequence[str]
    sizes: tuple[int, int]
    guides: Sequence[Guide] = ()
    spans: Sequence[Sequence[Span]] = ()  # of source, in colours

    def texts(self, layout: _Layout) -> Sequence[str]:
        """Return the cells as they are shown."""
        return self.short if layout.short else self.full

    def size(self, *, bars: bool, short: bool) -> int:
        """Return the width of the column, with its bars if they are drawn."""
        return self.sizes[short] + (_BAR + 1 if self.column.bar and bars else 0)

    @property
    def wraps(self) -> bool:
        """Whether the column holds text, which can be wrapped."""
        return self.column.unit not in NUMERIC


class _Layout(Struct, frozen=True):
    """The places of the columns that are shown, with their widths; `short` numbers have SI prefixes."""

    style: Style
    kept: tuple[int, ...]
    widths: tuple[int, ...]
    bars: bool = True
    short: bool = False

    @property
    def width(self) -> int:
        """How wide the table is."""
        return sum(self.widths) + _GAP * (len(self.widths) - 1)


def table_lines(table: Table, style: Style) -> Iterator[Line]:
    """Draw a table; below it, say which columns the page has no room for and what width they need."""
    columns = _columns(table, style)
    layout = _fit(columns, style)
    if table.caption:
        yield from wrapped(clean(table.caption, style), style.width, BOLD)
    rule = line((("─" if style.unicode else "-") * layout.width, DIM))
    shown = [(columns[place], width) for place, width in zip(layout.kept, layout.widths, strict=True)]
    yield from _joined([[_title(column, width, style)] for column, width in shown], layout)
    yield rule
    if not table.rows:
        yield line(("no rows", DIM))
    for number, row in enumerate(table.rows):
        cells = [(_words if column.wraps else _number)(column, row, layout, number, width) for column, width in shown]
        yield from _joined(cells, layout)
    yield rule
    yield from _left_out(table, columns, layout, style)


def _columns(table: Table, style: Style) -> list[_Shown]:
    """Write all cells as text; words longer than the page lose their middle."""
    tree = next((place for place, column in enumerate(table.columns) if column.tree), None)
    found = []
    for place, column in enumerate(table.columns):
        cells = [clean(cell_text(row.cells[place], column, row), style) for row in table.rows]
        if place == 0:
            failed = "✗ " if style.unicode else "x "
            cells = [failed * (row.role == "failed") + text for text, row in zip(cells, table.rows, strict=True)]
        whole = column.unit in ("formula", "code")  # a formula is wrapped between its terms, source anywhere
        most = None if whole else style.width
        full = [shorten(text, most, unicode=style.unicode) for text in cells]
        short = full
        if column.unit in SHORTENED:
            short = [short_text(row.cells[place], column, row) for row in table.rows]
        guides: list[Guide] = []
        if place == tree:
            limit = TREE_MOST if style.width is None else min(style.width, TREE_MOST)
            most = limit // (2 if style.width is None else 3) // len(_BLANK)
            guides = _guides([row.level for row in table.rows], most=most, unicode=style.unicode)
            room = [limit - len(first) for first, _ in guides]
            full = short = [shorten(name, most, unicode=style.unicode) for name, most in zip(full, room, strict=True)]
        title = clean(column.title, style)
        before = [len(first) for first, _ in guides] or [0] * len(full)
        widths = ([width_of(text) + more for text, more in zip(texts, before, strict=True)] for texts in (full, short))
        first, second = (max([width_of(title), *sizes]) for sizes in widths)
        spans = coloured(full) if column.unit == "code" else ()
        found.append(_Shown(place, column, title, full, short, (first, second), guides, spans))
    return found


def _guides(levels: Sequence[int], *, most: int, unicode: bool) -> list[Guide]:
    """Return each row's guide, at most `most` levels deep: of a deeper row the outer levels are left out.

    A row is the last child if no later row stands at its level before one stands further out. This goes from the last
    row up, with a flag for each level: does a row at this level follow? It takes time linear in the rows.
    """
    through, branch, last, cut = _GUIDES if unicode else _PLAIN_GUIDES
    follows: list[bool] = []
    found: list[Guide] = []
    for level in reversed(levels):
        follows += [False] * (level + 1 - len(follows))
        start = level - max(most, 1) + 2 if level > max(most, 1) else 1
        outer = (cut if start > 1 else "") + "".join(through if more else _BLANK for more in follows[start:level])
        more = follows[level]
        found.append((outer + (branch if more else last), outer + (through if more else _BLANK)) if level else ("", ""))
        del follows[level + 1 :]
        follows[level] = True
    return found[::-1]


def _fit(columns: Sequence[_Shown], style: Style) -> _Layout:
    """Choose the layout that shows the most and fits."""
    width, layout = style.width, _Layout(style, (), ())
    for kept, bars, short, squeezed in _candidates(columns):
        wanted = [columns[place].size(bars=bars, short=short) for place in kept]
        layout = _Layout(style, kept, tuple(wanted), bars, short)
        if width is None:
            break
        most = width // 2
        if squeezed:
            texts = [size for i, size in zip(kept, wanted, strict=True) if columns[i].wraps]
            most = max(_level(texts, width - layout.width + sum(texts)), LEAST_TEXT)
        widths = [min(size, most) if columns[i].wraps else size for i, size in zip(kept, wanted, strict=True)]
        layout = replace(layout, widths=tuple(widths))
        if layout.width <= width:
            return replace(layout, widths=_widened(widths, wanted, width - layout.width))
    return layout


def _level(sizes: Sequence[int], room: int) -> int:
    """Return the width to which the widest are cut so that all fit the room: narrower ones keep theirs."""
    for place, size in enumerate(sorted(sizes)):
        even = room // (len(sizes) - place)
        if size > even:
            return even
        room -= size
    return max(sizes, default=0)


def _candidates(columns: Sequence[_Shown]) -> Iterator[tuple[tuple[int, ...], bool, bool, bool]]:
    """Yield columns, and whether bars are drawn, numbers short and text squeezed, from the richest to the barest."""
    kept = tuple(range(len(columns)))
    yield kept, True, False, False
    yield kept, False, False, False
    # The first column names the row: without it no number means anything. Of equals the rightmost goes first.
    for victim in sorted(kept[1:], key=lambda i: (columns[i].column.priority, -i)):
        if columns[victim].column.priority >= ESSENTIAL:
            yield kept, False, True, False
            yield kept, False, True, True
        kept = tuple(i for i in kept if i != victim)
        yield kept, True, False, False
        yield kept, False, False, False
    yield kept, False, True, False


def _widened(widths: Sequence[int], wanted: Sequence[int], spare: int) -> tuple[int, ...]:
    """Give the space left over to the columns that would otherwise wrap."""
    found: list[int] = []
    for has, wants in zip(widths, wanted, strict=True):
        more = min(wants - has, spare)
        spare -= more
        found.append(has + more)
    return tuple(found)


def _joined(cells: Sequence[Sequence[Line]], layout: _Layout) -> list[Line]:
    """Put the lines of a row's cells side by side."""
    gap = Piece(" " * _GAP, PLAIN)
    lines = []
    for tier in range(max(map(len, cells), default=0)):
        pieces: Line = []
        for cell, width in zip(cells, layout.widths, strict=True):
            pieces += [*([gap] if pieces else []), *padded(cell[tier] if tier < len(cell) else [], width)]
        lines.append(pieces)
    return lines


def _title(shown: _Shown, width: int, style: Style) -> Line:
    title = shorten(shown.title, width, unicode=style.unicode)
    return line((left(title, width) if shown.wraps else right(title, width), BOLD))


def _number(column: _Shown, row: Row, layout: _Layout, number: int, width: int) -> list[Line]:
    """Draw a number with its digits at the right, and its bar at the left."""
    text, value = column.texts(layout)[number], row.cells[column.place]
    look = _number_look(row, column.column, value)
    if not (column.column.bar and layout.bars):
        return [line((right(text, width), look))]
    bar = share_bar(float(value), _BAR, unicode=layout.style.unicode) if isinstance(value, (int, float)) else ""
    return [line((left(bar, _BAR), of_bar(row.family)), (right(text, width - _BAR), look))]


def _words(column: _Shown, row: Row, layout: _Layout, number: int, width: int) -> list[Line]:
    """Draw text after its guide, wrapped to the column's width."""
    if column.spans:
        own = ERROR if row.role == "failed" else None
        pieces = folded(column.spans[number], width)
        return [line(*((text, own or (Look(color=hue) if hue else PLAIN)) for text, hue in piece)) for piece in pieces]
    first, rest = column.guides[number] if column.guides else ("", "")
    text, room = column.texts(layout)[number], width - len(first)
    if room < 1:
        return [line((first[:width], DIM))]
    look = _text_look(row, name=column.place == 0)
    texts = wrap(text, room) if room > 1 or text.isascii() else [shorten(text, room, unicode=layout.style.unicode)]
    return [line((rest if tier else first, DIM), (piece, look)) for tier, piece in enumerate(texts)]


def _text_look(row: Row, *, name: bool) -> Look:
    """Give the row's name its family's colour."""
    match row.role:
        case "failed":
            return ERROR_NAME if name else ERROR
        case "group":
            return BOLD if name else DIM
        case _:
            return of_name(row.family) if name else PLAIN


def _number_look(row: Row, column: Column, value: Value) -> Look:
    """Dim numbers that say nothing new: zeros, unknown ones, and sums of the rows below."""
    if row.role == "failed":
        return ERROR
    idle = value is None or (value == 0 and column.unit in {*SHORTENED, "share"})
    return DIM if idle or row.role == "group" else PLAIN


def _left_out(table: Table, columns: Sequence[_Shown], layout: _Layout, style: Style) -> Iterator[Line]:
    missing = [shown.title for place, shown in enumerate(columns) if place not in layout.kept]
    said = [f"not shown at this width: {', '.join(missing)}"] if missing else []
    said += ["numbers are rounded"] if layout.short else []
    if said:
        whole = replace(style, width=None)
        needed = _fit(_columns(table, whole), whole).width
        text = f"{'; '.join(said)}; --width {needed} shows all"
        yield from wrapped(text, style.width, DIM)
