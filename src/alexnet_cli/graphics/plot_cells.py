"""A plot in character cells: areas, lines over them, points over these, marks over all; axes and a legend around them.

Series differ in their glyphs as well as in their colours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain, groupby, pairwise

from msgspec import Struct

from alexnet_cli.document import Plot, Series
from alexnet_cli.graphics.lines import BOLD, DIM, PLAIN, Line, Look, length, line, of_bar, padded, wrapped
from alexnet_cli.graphics.plot import Drawable, Stack, drawable, left_out, tallest, thinned
from alexnet_cli.graphics.scale import Tick, fitting_ticks, ticks, title_of
from alexnet_cli.graphics.text import Style, clean, fit, in_rows, left, right, width_of, wrap

NATURAL, MOST = 80, 120
HEIGHT = 14
Cells = dict[tuple[int, int], tuple[str, Look]]
"""What is drawn, by row from below and column from the left."""

_MOST_Y_TICKS = 5
_GAP = 2
_SEVERAL = "&"
_NUMBERS = "123456789abcdefghijklmnopqrstuvwxyz"
_BRAILLE = 0x2800
_DOTS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))
"""The bits of a braille cell's dots, by row from below and column."""
_DASHES = ((1, 1), (6, 4), (3, 1))
"""Of how many dots of a line how many are drawn: all, dashes, dots apart."""


class _Glyphs(Struct, frozen=True):
    """The glyphs of series in their order; of marks above and below their place; of the axes.

    The axes: side, side with a tick, corner, base, base with a tick. Without `lines` these are drawn in braille dots.
    """

    points: str
    areas: str
    lines: str
    marks: str
    axes: tuple[str, ...]


_UNICODE = _Glyphs("●▲■◆○△□◇", "█▒▓░▞┄╳╱", "", "▼▲", tuple("│┤└─┬"))
_PLAIN = _Glyphs("ox*+@nds", "#:=%-+!/", ".~^,", "V^", tuple("|++-+"))


class Frame(Struct, frozen=True):
    """A grid of cells under a plot's scales. Columns share the width; the outer rows stand on the ends."""

    found: Drawable
    style: Style
    columns: int
    rows: int = HEIGHT

    @property
    def glyphs(self) -> _Glyphs:
        """The glyphs that the page can show."""
        return _UNICODE if self.style.unicode else _PLAIN

    def column(self, value: float, dots: int = 1) -> int:
        """Return the column that a number falls into, or the column of dots, of which each cell has as many."""
        columns = self.columns * dots
        return min(int(self.found.x.within(value) * columns), columns - 1)

    def row(self, value: float) -> int:
        """Return the row nearest to a number, from below."""
        return int(self.found.y.within(value) * (self.rows - 1) + 0.5)

    def dot(self, x: float, y: float) -> tuple[int, int]:
        """Return the dot of a point where each cell has two columns and four rows of them."""
        up = self.found.y.within(y) * (self.rows - 1) * 4 + 2  # its cell is that of `row`
        return self.column(x, 2), int(up)


def plot_lines(plot: Plot, style: Style) -> Iterator[Line]:
    """Draw a plot; below it stand its legend, its marks, and which points its axes cannot show."""
    width = min(style.width or NATURAL, MOST)
    if plot.title:
        yield from wrapped(clean(plot.title, style), style.width, BOLD)
    found = drawable(plot)
    if found is None:
        yield line(("no points", DIM))
    else:
        labels = ticks(found.y, _MOST_Y_TICKS)
        gutter = max(width_of(tick.label) for tick in labels)
        frame = Frame(found, style, width - gutter - 2)
        cells = (_areas(found.stack, frame) if found.stack else {}) | _lines(frame) | _points(frame)
        cells |= _marks(frame, cells)
        yield from _frame_lines(frame, cells, {frame.row(tick.value): tick.label for tick in labels}, gutter)
        yield from _legend_lines(frame, cells, width)
        if fewer := thinned(found.stack, frame.columns):
            yield from wrapped(fewer, width, DIM)
    if missing := left_out(plot):
        yield from wrapped(missing, width, DIM)


def _frame_lines(frame: Frame, cells: Cells, labels: dict[int, str], gutter: int) -> Iterator[Line]:
    side, side_tick, corner, base, base_tick = frame.glyphs.axes
    plot, end = frame.found.plot, gutter + 2 + frame.columns
    yield from _named(title_of(plot.y), frame.style, end, indent=0)
    for row in reversed(range(frame.rows)):
        before = f"{right(labels.get(row, ''), gutter)} {side_tick if row in labels else side}"
        drawn = (cells.get((row, column), (" ", PLAIN)) for column in range(frame.columns))
        groups = groupby(drawn, key=lambda cell: cell[1])  # neighbours of one look are one piece
        yield line((before, DIM), *(("".join(glyph for glyph, _ in group), look) for look, group in groups))
    below = fitting_ticks(frame.found.x, frame.columns, width_of, _GAP)
    at = {frame.column(tick.value) for tick in below}
    axis = "".join(base_tick if column in at else base for column in range(frame.columns))
    yield line((f"{' ' * gutter} {corner}{axis}", DIM))
    yield line((_tick_labels(below, frame, gutter + 2), DIM))
    middle = gutter + 2 + (frame.columns - width_of(clean(title_of(plot.x), frame.style))) // 2
    yield from _named(title_of(plot.x), frame.style, end, indent=max(middle, 0))


def _tick_labels(labels: list[Tick], frame: Frame, before: int) -> str:
    """Write each label below its tick, moved where it would leave the page, left out where it would touch another."""
    written = ""
    for tick in labels:
        size = width_of(tick.label)
        start = max(before + min(frame.column(tick.value) - size // 2, frame.columns - size), 0)
        if not written or start > width_of(written):
            written = left(written, start) + tick.label
    return written


def _named(title: str, style: Style, width: int, *, indent: int) -> Iterator[Line]:
    """Write the title of an axis, if it has one, on a line of its own."""
    if text := fit(title, width - indent, style):
        yield line((" " * indent + text, DIM))


def _legend_lines(frame: Frame, cells: Cells, width: int) -> Iterator[Line]:
    """Write the legend in as many rows as it needs, and below it the labels of the marks."""
    for row in in_rows(_legend(frame, cells, width), length, width, _GAP):
        yield [*chain.from_iterable(padded(item, length(item) + _GAP) for item in row[:-1]), *row[-1]]
    for number, mark in enumerate(frame.found.marks):
        glyph = _mark_glyph(number, frame)
        for tier, text in enumerate(wrap(clean(mark.label, frame.style), width - 2)):
            yield line((f"{' ' if tier else glyph} ", BOLD), (text, PLAIN))


def _legend(frame: Frame, cells: Cells, width: int) -> Iterator[Line]:
    """Yield glyph, label and note of each series, and last the glyph of cells that series share."""
    for place, series, note in frame.found.legend():
        glyphs = frame.glyphs.areas if series.kind == "area" else frame.glyphs.points
        glyph = _swatch(place, frame) if series.kind == "line" else _nth(glyphs, place)
        label = fit(series.label, width // 2, frame.style)
        yield line((f"{glyph} {label}", of_bar(series.family)), (note, DIM))
    if any(glyph == _SEVERAL for glyph, _ in cells.values()):
        yield line((f"{_SEVERAL} overlapping", BOLD))


def _swatch(index: int, frame: Frame) -> str:
    if frame.glyphs.lines:
        return _nth(frame.glyphs.lines, index) * 3
    period, seen = _DASHES[index % len(_DASHES)]
    bits = [[_DOTS[1][half] if (2 * cell + half) % period < seen else 0 for half in (0, 1)] for cell in range(3)]
    return "".join(chr(_BRAILLE + sum(pair)) for pair in bits)


def _mark_glyph(number: int, frame: Frame, *, below: bool = False) -> str:
    """Return the glyph of a mark: an arrow where it is the only one, else its number."""
    return _nth(_NUMBERS, number) if len(frame.found.marks) > 1 else frame.glyphs.marks[below]


def _nth(glyphs: str, index: int) -> str:
    return glyphs[index % len(glyphs)]


def _areas(stack: Stack, frame: Frame) -> Cells:
    """Fill columns from below; each shows the highest stack that falls into it."""
    cells: Cells = {}
    for column, index in enumerate(tallest(stack, frame.found.x, frame.columns)):
        filled = 0
        for place, top in enumerate(stack.tops[index] if index is not None else ()):
            reached = frame.row(top) + 1 if top > 0 else 0
            cell = _nth(frame.glyphs.areas, place), of_bar(stack.series[place].family)
            cells |= {(row, column): cell for row in range(filled, reached)}
            filled = max(filled, reached)
    return cells


def _lines(frame: Frame) -> Cells:
    """Draw lines in dots, of which braille characters hold eight; where two cross, their dots are joined."""
    cells: Cells = {}
    dots: defaultdict[tuple[int, int], int] = defaultdict(int)
    plain = frame.glyphs.lines
    for index, series in enumerate(frame.found.lines):
        period, seen = (1, 1) if plain else _DASHES[index % len(_DASHES)]
        for number, (across, up) in enumerate(_path(series, frame)):
            if number % period < seen:
                at = up // 4, across // 2
                dots[at] |= _DOTS[up % 4][across % 2]
                cells[at] = _nth(plain, index) if plain else chr(_BRAILLE + dots[at]), of_bar(series.family)
    return cells


def _path(series: Series, frame: Frame) -> Iterator[tuple[int, int]]:
    """Yield the dots of a line without gaps."""
    dots = [frame.dot(x, y) for x, y in series.points]
    yield from dots[:1]
    for (across, up), (next_across, next_up) in pairwise(dots):
        steps = max(abs(next_across - across), abs(next_up - up))
        for step in range(1, steps + 1):
            part = step / steps
            yield round(across + (next_across - across) * part), round(up + (next_up - up) * part)


def _points(frame: Frame) -> Cells:
    """Draw points; a cell that more than one series falls into has a glyph of its own."""
    cells: Cells = {}
    owners: dict[tuple[int, int], int] = {}
    for index, series in enumerate(frame.found.points):
        for x, y in series.points:
            at = frame.row(y), frame.column(x)
            own = owners.setdefault(at, index) == index
            cells[at] = (_nth(frame.glyphs.points, index), of_bar(series.family)) if own else (_SEVERAL, BOLD)
    return cells


def _marks(frame: Frame, cells: Cells) -> Cells:
    """Draw each mark above its place, or below or on it where that cell is taken."""
    found: Cells = {}
    for number, mark in enumerate(frame.found.marks):
        row, column = frame.row(mark.y), frame.column(mark.x)
        taken = cells.keys() | found.keys()
        free = (at for at in (row + 1, row - 1) if 0 <= at < frame.rows and (at, column) not in taken)
        at = next(free, row)
        found[at, column] = _mark_glyph(number, frame, below=at < row), BOLD
    return found
