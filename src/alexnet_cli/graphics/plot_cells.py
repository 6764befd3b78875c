"""A plot in character cells: one cell a place, with axes, a legend and marks.

Series differ in their glyphs as well as in their colours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from msgspec import Struct
from rich.style import Style as Look

from alexnet_cli.document import Mark, Plot
from alexnet_cli.graphics.lines import BOLD, DIM, PLAIN, Line, length, line, of_bar, padded, wrapped
from alexnet_cli.graphics.plot import Drawable, Shown, Stack, drawable, left_out, tallest, thinned
from alexnet_cli.graphics.scale import Scale, Tick, fitting_ticks, ticks, title_of
from alexnet_cli.graphics.text import Style, clean, left, right, shorten, width_of, wrap

NATURAL, MOST = 80, 120
_MOST_Y_TICKS = 5
_GAP = 2


HEIGHT = 14
Cell = tuple[str, Look]
Cells = dict[tuple[int, int], Cell]
"""What is drawn, by row from below and column from the left."""

_POINTS, _PLAIN_POINTS = "●▲■◆○△□◇", "ox*+@nds"
_AREAS, _PLAIN_AREAS = "█▒▓░▞┄╳╱", "#:=%-+!/"
_PLAIN_LINES = ".~^,"
_SEVERAL = "&"
_MARK, _MARK_BELOW, _PLAIN_MARK, _PLAIN_MARK_BELOW = "▼", "▲", "V", "^"
_NUMBERS = "123456789abcdefghijklmnopqrstuvwxyz"
_BRAILLE = 0x2800
_DOTS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))
"""The bits of a braille cell's dots, by row from below and column."""
_DASHES = ((1, 1), (6, 4), (3, 1))
"""Of how many dots of a line how many are drawn: all, dashes, dots apart."""


class Frame(Struct, frozen=True):
    """A grid of cells that two scales are laid over. Columns share the width; the outer rows stand on the ends."""

    x: Scale
    y: Scale
    columns: int
    rows: int

    def column(self, value: float) -> int:
        """Return the column that a number falls into."""
        return min(max(int(self.x.place(value) * self.columns), 0), self.columns - 1)

    def row(self, value: float) -> int:
        """Return the row nearest to a number, from below."""
        return int(min(max(self.y.place(value), 0.0), 1.0) * (self.rows - 1) + 0.5)

    def dot(self, x: float, y: float) -> tuple[int, int]:
        """Return the dot of a point where each cell has two columns and four rows of them."""
        across = min(max(int(self.x.place(x) * self.columns * 2), 0), self.columns * 2 - 1)
        up = min(max(self.y.place(y), 0.0), 1.0) * (self.rows - 1) * 4 + 2  # its cell is that of `row`
        return across, int(up)


class _Rules(Struct, frozen=True):
    """The glyphs of the two axes."""

    side: str
    tick_left: str
    corner: str
    base: str
    tick_below: str


_UNICODE = _Rules("│", "┤", "└", "─", "┬")
_PLAIN = _Rules("|", "+", "+", "-", "+")


def plot_lines(plot: Plot, style: Style) -> Iterator[Line]:
    """Draw a plot; below it stand its legend, its marks, and which points have no place on its axes."""
    width = min(style.width or NATURAL, MOST)
    if plot.title:
        yield from wrapped(clean(plot.title, style), style.width, BOLD)
    found = drawable(plot)
    if found is None:
        yield line(("no points", DIM))
    else:
        labels = ticks(found.y, _MOST_Y_TICKS)
        gutter = max(width_of(tick.label) for tick in labels)
        frame = Frame(found.x, found.y, width - gutter - 2, HEIGHT)
        cells = drawn(found, frame, unicode=style.unicode)
        yield from _frame_lines(found, frame, cells, {frame.row(tick.value): tick.label for tick in labels}, style)
        yield from _legend_lines(found, cells, style, width)
        if fewer := thinned(found.stack, frame.columns):
            yield from wrapped(fewer, width, DIM)
    if missing := left_out(plot):
        yield from wrapped(missing, width, DIM)


def _frame_lines(found: Drawable, frame: Frame, cells: Cells, labels: dict[int, str], style: Style) -> Iterator[Line]:
    """Draw the axes around the cells; `labels` are those of the y axis by row."""
    rules = _UNICODE if style.unicode else _PLAIN
    gutter = max(map(width_of, labels.values()))
    yield from _named(title_of(found.plot.y), style, gutter + 2 + frame.columns, indent=0)
    for row in reversed(range(frame.rows)):
        side = rules.tick_left if row in labels else rules.side
        yield line((f"{right(labels.get(row, ''), gutter)} {side}", DIM)) + _row(cells, row, frame.columns)
    yield from _axis_below(frame, gutter, rules, found, style)


def _row(cells: Cells, row: int, columns: int) -> Line:
    """Join the cells of a row; neighbours of one look are one piece."""
    blank = (" ", PLAIN)
    glyphs = [cells.get((row, column), blank) for column in range(columns)]
    groups = groupby(glyphs, key=lambda cell: cell[1])
    return line(*(("".join(glyph for glyph, _ in group), look) for look, group in groups))


def _axis_below(frame: Frame, gutter: int, rules: _Rules, found: Drawable, style: Style) -> Iterator[Line]:
    labels = fitting_ticks(frame.x, frame.columns, width_of, _GAP)
    at = {frame.column(tick.value) for tick in labels}
    base = "".join(rules.tick_below if column in at else rules.base for column in range(frame.columns))
    yield line((f"{' ' * gutter} {rules.corner}{base}", DIM))
    yield line((_tick_labels(labels, frame, gutter + 2), DIM))
    title = title_of(found.plot.x)
    middle = gutter + 2 + (frame.columns - width_of(clean(title, style))) // 2
    yield from _named(title, style, gutter + 2 + frame.columns, indent=max(middle, 0))


def _tick_labels(labels: Sequence[Tick], frame: Frame, before: int) -> str:
    """Write each label below its tick, moved where it would leave the page, left out where it would touch another."""
    written = ""
    for tick in labels:
        size = width_of(tick.label)
        start = min(before + frame.column(tick.value) - size // 2, before + frame.columns - size)
        start = max(start, 0)
        if not written or start > width_of(written):
            written = left(written, start) + tick.label
    return written


def _named(title: str, style: Style, width: int, *, indent: int) -> Iterator[Line]:
    """Write the title of an axis, if it has one, on a line of its own."""
    text = shorten(clean(title, style), width - indent, unicode=style.unicode)
    if text:
        yield line((" " * indent + text, DIM))


def _legend_lines(found: Drawable, cells: Cells, style: Style, width: int) -> Iterator[Line]:
    """Write what each glyph stands for, in as many rows as it takes, and below it what is marked."""
    items = [
        line(
            (glyph, look),
            (f" {shorten(clean(label, style), width // 2, unicode=style.unicode)}", look),
            (f" {note}" if note else "", DIM),
        )
        for glyph, look, label, note in legend(found, cells, unicode=style.unicode)
    ]
    row: Line = []
    for item in items:
        if row and length(row) + _GAP + length(item) > width:
            yield row
            row = []
        row = (padded(row, length(row) + _GAP) if row else []) + item
    yield row
    for number, mark in enumerate(found.marks):
        glyph = mark_glyph(number, len(found.marks), unicode=style.unicode)
        for tier, text in enumerate(wrap(clean(mark.label, style), width - 2)):
            yield line((f"{' ' if tier else glyph} ", BOLD), (text, PLAIN))


def drawn(found: Drawable, frame: Frame, *, unicode: bool) -> Cells:
    """Draw all of a plot into cells."""
    cells = _areas(found.stack, frame, unicode=unicode) if found.stack else {}
    cells |= _lines(found.lines, frame, unicode=unicode)
    cells |= _points(found.points, frame, unicode=unicode)
    return cells | _marks(found.marks, frame, cells, unicode=unicode)


def legend(found: Drawable, cells: Cells, *, unicode: bool) -> Iterator[tuple[str, Look, str, str]]:
    """Yield glyph, look, label and note of each series, and last the glyph of series that share a cell."""
    if found.stack:
        for index, series in enumerate(found.stack.series):
            yield _area(index, unicode=unicode), of_bar(series.family), series.label, ""
    for index, shown in enumerate(found.lines):
        yield _swatch(index, unicode=unicode), of_bar(shown.series.family), shown.series.label, ""
    for index, shown in enumerate(found.points):
        glyph = _point(index, unicode=unicode)
        yield glyph, of_bar(shown.series.family), shown.series.label, f"({len(shown.points)})"
    if any(glyph == _SEVERAL for glyph, _ in cells.values()):
        yield _SEVERAL, BOLD, "several of these", ""


def mark_glyph(number: int, of: int, *, unicode: bool) -> str:
    """Return the glyph of a mark: an arrow where it is the only one, else its number."""
    if of > 1:
        return _NUMBERS[number % len(_NUMBERS)]
    return _MARK if unicode else _PLAIN_MARK


def _area(index: int, *, unicode: bool) -> str:
    glyphs = _AREAS if unicode else _PLAIN_AREAS
    return glyphs[index % len(glyphs)]


def _point(index: int, *, unicode: bool) -> str:
    glyphs = _POINTS if unicode else _PLAIN_POINTS
    return glyphs[index % len(glyphs)]


def _areas(stack: Stack, frame: Frame, *, unicode: bool) -> Cells:
    """Fill columns from below; each shows the highest of the places that fall into it."""
    cells: Cells = {}
    for column, index in enumerate(tallest(stack, frame.x, frame.columns)):
        filled = 0
        for place, top in enumerate(stack.tops[index] if index is not None else ()):
            reached = frame.row(top) + 1 if top > 0 else 0
            cell = _area(place, unicode=unicode), of_bar(stack.series[place].family)
            cells |= {(row, column): cell for row in range(filled, reached)}
            filled = max(filled, reached)
    return cells


def _lines(lines: Sequence[Shown], frame: Frame, *, unicode: bool) -> Cells:
    """Draw lines in dots, of which braille characters hold eight; where two cross, their dots are joined."""
    cells: Cells = {}
    dots: defaultdict[tuple[int, int], int] = defaultdict(int)
    for index, shown in enumerate(lines):
        look = of_bar(shown.series.family)
        period, seen = _DASHES[index % len(_DASHES)] if unicode else (1, 1)
        for number, (across, up) in enumerate(_path(shown, frame)):
            if number % period < seen:
                at = up // 4, across // 2
                dots[at] |= _DOTS[up % 4][across % 2]
                cells[at] = (chr(_BRAILLE + dots[at]) if unicode else _plain_line(index)), look
    return cells


def _path(shown: Shown, frame: Frame) -> Iterator[tuple[int, int]]:
    """Yield the dots of a line without gaps."""
    dots = [frame.dot(x, y) for x, y in shown.points]
    yield from dots[:1]
    for (across, up), (next_across, next_up) in pairwise(dots):
        steps = max(abs(next_across - across), abs(next_up - up))
        for step in range(1, steps + 1):
            part = step / steps
            yield round(across + (next_across - across) * part), round(up + (next_up - up) * part)


def _plain_line(index: int) -> str:
    return _PLAIN_LINES[index % len(_PLAIN_LINES)]


def _swatch(index: int, *, unicode: bool) -> str:
    """Draw a short piece of a line."""
    if not unicode:
        return _plain_line(index) * 3
    period, seen = _DASHES[index % len(_DASHES)]
    bits = [[_DOTS[1][half] if (2 * cell + half) % period < seen else 0 for half in (0, 1)] for cell in range(3)]
    return "".join(chr(_BRAILLE + sum(pair)) for pair in bits)


def _points(points: Sequence[Shown], frame: Frame, *, unicode: bool) -> Cells:
    """Draw points; a cell that more than one series falls into has a glyph of its own."""
    found: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for index, shown in enumerate(points):
        for x, y in shown.points:
            found[frame.row(y), frame.column(x)].add(index)
    return {
        at: (_SEVERAL, BOLD)
        if len(series) > 1
        else (_point(min(series), unicode=unicode), of_bar(points[min(series)].series.family))
        for at, series in found.items()
    }


def _marks(marks: Sequence[Mark], frame: Frame, cells: Cells, *, unicode: bool) -> Cells:
    """Draw each mark above its place, or below or on it where something stands there already."""
    found: Cells = {}
    for number, mark in enumerate(marks):
        row, column = frame.row(mark.y), frame.column(mark.x)
        above, below = (row + 1, column), (row - 1, column)
        glyph = mark_glyph(number, len(marks), unicode=unicode)
        taken = cells.keys() | found.keys()
        if row + 1 < frame.rows and above not in taken:
            found[above] = glyph, BOLD
        elif row > 0 and below not in taken:
            upward = _MARK_BELOW if unicode else _PLAIN_MARK_BELOW
            found[below] = (upward if len(marks) == 1 else glyph), BOLD
        else:
            found[row, column] = glyph, BOLD
    return found
