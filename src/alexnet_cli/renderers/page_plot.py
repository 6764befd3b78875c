"""A plot as lines of characters: one cell a place, with axes, a legend and what is marked.

What belongs to different series differs in its glyph as well as in its colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec import Struct

from alexnet_cli.document import Plot
from alexnet_cli.graphics.lines import BOLD, DIM, PLAIN, Line, length, line, padded
from alexnet_cli.graphics.text import Style, clean, left, right, shorten, width_of, wrap
from alexnet_cli.renderers.plot_cells import HEIGHT, Cells, Frame, drawn, legend, mark_glyph
from alexnet_cli.renderers.plot_data import Drawable, drawable, left_out, thinned
from alexnet_cli.renderers.plot_scale import Tick, fitting_ticks, ticks, title_of

NATURAL = 80
MOST = 120
_MOST_Y_TICKS = 5
_GAP = 2


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
        yield from (line((text, BOLD)) for text in wrap(clean(plot.title, style), style.width))
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
            yield from (line((text, DIM)) for text in wrap(fewer, width))
    if missing := left_out(plot):
        yield from (line((text, DIM)) for text in wrap(missing, width))


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
