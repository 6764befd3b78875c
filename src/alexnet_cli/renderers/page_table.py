"""A table as lines: no grid, only thin rules, so that the eye follows names and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

from msgspec import Struct
from msgspec.structs import replace
from rich.segment import Segment

from alexnet_cli.document import Column, Table
from alexnet_cli.graphics.lines import BOLD, DIM, PLAIN, Line, line, padded
from alexnet_cli.graphics.text import Style, clean, left, right, shorten, width_of, wrap
from alexnet_cli.renderers import page_cells
from alexnet_cli.renderers.cells import NUMERIC
from alexnet_cli.renderers.guides import STEP, Guide, guides
from alexnet_cli.renderers.layout import GAP, Layout, Sizes, fit, natural
from alexnet_cli.renderers.page_cells import Texts

TREE_MOST = 200
"""A tree column is never wider than this, so that one long name does not push all numbers out of sight."""


class _Grid(Struct, frozen=True):
    """A table with its cells as text: `texts` by column, `tree` the place of the column with guides."""

    table: Table
    style: Style
    titles: tuple[str, ...]
    texts: tuple[Texts, ...]
    tree: int | None
    guides: tuple[Guide, ...]


def table_lines(table: Table, style: Style) -> Iterator[Line]:
    """Draw a table; below it, say which columns the page has no room for and what width they need."""
    grid = _grid(table, style)
    sizes = Sizes(_sizes(grid, short=False), _sizes(grid, short=True))
    layout = fit(table.columns, sizes, style.width)
    if table.caption:
        yield from (line((text, BOLD)) for text in wrap(clean(table.caption, style), style.width))
    rule = line((("─" if style.unicode else "-") * layout.width, DIM))
    yield _header(grid, layout)
    yield rule
    yield from _body(grid, layout)
    yield rule
    yield from _left_out(grid, layout)


def _grid(table: Table, style: Style) -> _Grid:
    tree = next((i for i, column in enumerate(table.columns) if column.tree), None)
    texts = tuple(page_cells.texts(table, place, style, style.width) for place in range(len(table.columns)))
    found: Sequence[Guide] = ()
    if tree is not None:
        limit = TREE_MOST if style.width is None else min(style.width, TREE_MOST)
        most = limit // (2 if style.width is None else 3) // STEP
        found = guides([row.level for row in table.rows], most=most, unicode=style.unicode)
        names = [
            shorten(name, limit - width_of(guide.first), unicode=style.unicode)
            for name, guide in zip(texts[tree].full, found, strict=True)
        ]
        texts = (*texts[:tree], Texts(names, names), *texts[tree + 1 :])
    return _Grid(table, style, tuple(clean(column.title, style) for column in table.columns), texts, tree, tuple(found))


def _sizes(grid: _Grid, *, short: bool) -> list[int]:
    """Measure each column's widest cell, guides included."""
    sizes = []
    for place, (title, texts) in enumerate(zip(grid.titles, grid.texts, strict=True)):
        before = [len(guide.first) for guide in grid.guides] if place == grid.tree else repeat(0)
        cells = texts.short if short else texts.full
        sizes.append(max([width_of(title), *(width_of(text) + more for text, more in zip(cells, before))]))  # noqa: B905
    return sizes


def _header(grid: _Grid, layout: Layout) -> Line:
    pieces: Line = []
    for place, width in zip(layout.kept, layout.widths, strict=True):
        title = shorten(grid.titles[place], width, unicode=grid.style.unicode)
        text = right(title, width) if _is_number(grid.table.columns[place]) else left(title, width)
        pieces += line((" " * GAP if pieces else "", PLAIN), (text, BOLD))
    return pieces


def _body(grid: _Grid, layout: Layout) -> Iterator[Line]:
    if not grid.table.rows:
        yield line(("no rows", DIM))
    for number in range(len(grid.table.rows)):
        places = zip(layout.kept, layout.widths, strict=True)
        cells = [_cell(grid, layout, number, place, width) for place, width in places]
        for tier in range(max(map(len, cells))):
            yield _joined([cell[tier] if tier < len(cell) else [] for cell in cells], layout)


def _cell(grid: _Grid, layout: Layout, number: int, place: int, width: int) -> list[Line]:
    """Draw a cell as one line, or several where it is folded."""
    column, row = grid.table.columns[place], grid.table.rows[number]
    text = (grid.texts[place].short if layout.short else grid.texts[place].full)[number]
    if _is_number(column):
        bar = column.bar and layout.bars
        return [page_cells.number(text, row, place, column, width=width, bar=bar, unicode=grid.style.unicode)]
    guide = grid.guides[number] if place == grid.tree else Guide("", "")
    return page_cells.words(text, row, guide, width, name=place == 0, unicode=grid.style.unicode)


def _joined(cells: Sequence[Line], layout: Layout) -> Line:
    pieces: Line = []
    gap = Segment(" " * GAP, PLAIN)
    for place, (cell, width) in enumerate(zip(cells, layout.widths, strict=True)):
        if place:
            pieces.append(gap)
        pieces += padded(cell, width)
    return pieces


def _left_out(grid: _Grid, layout: Layout) -> Iterator[Line]:
    missing = [title for place, title in enumerate(grid.titles) if place not in layout.kept]
    said = [f"not shown at this width: {', '.join(missing)}"] if missing else []
    said += ["numbers are rounded"] if layout.short else []
    if said:
        whole = _grid(grid.table, replace(grid.style, width=None))
        needed = natural(grid.table.columns, _sizes(whole, short=False)).width
        text = f"{'; '.join(said)}; --width {needed} shows all"
        yield from (line((text, DIM)) for text in wrap(text, grid.style.width))


def _is_number(column: Column) -> bool:
    return column.unit in NUMERIC
