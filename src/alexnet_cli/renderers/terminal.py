"""The `table` format, for terminals of any width and for pipes: a document laid out on a grid of character cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, groupby, zip_longest

from msgspec.structs import replace

from alexnet_cli import units
from alexnet_cli.document import Bar, Bars, Document, Fact, Facts, Note, Part, Plot, Table
from alexnet_cli.graphics.lines import (
    BOLD,
    DIM,
    ERROR,
    PLAIN,
    WARNING,
    Line,
    fill,
    length,
    line,
    of_bar,
    padded,
    split_cells,
    wrapped,
    written,
)
from alexnet_cli.graphics.text import Style, clean, fit, fold, left, right, shorten, width_of, wrap
from alexnet_cli.renderers.terminal_table import table_lines

LEAST_WIDTH = 40
"""A narrower page is laid out as if it were that wide."""
_GAP = 2
_GUTTER = 4
_ROOMY = 100
"""From this width on facts may stand in two columns."""
_LEAST_BAR, _NATURAL_BAR, _MOST_BAR = 16, 50, 60
_Said = tuple[str, str, str]


def render(document: Document, style: Style) -> str:
    """Write a document for a terminal: title, then its blocks with a blank line between them; notes stand together."""
    style, lines = _wide(style), []
    for paragraph in paragraphs(document, style):
        lines += [[], *(_plot(paragraph, style) if isinstance(paragraph, Plot) else paragraph)]
    return written(lines[1:] or [[]], style)


def _plot(plot: Plot, style: Style) -> Iterator[Line]:
    from alexnet_cli.graphics.plot_cells import plot_lines  # only a page with a plot pays for it

    return plot_lines(plot, style)


def paragraphs(document: Document, style: Style) -> list[list[Line] | Plot]:
    """Lay out what stands between blank lines; plots are left to the caller to draw."""
    style = _wide(style)
    found: list[list[Line] | Plot] = [list(_title_lines(document, style))]
    for _, group in groupby(document.blocks, key=lambda block: Note if isinstance(block, Note) else id(block)):
        lines: list[Line] = []
        for block in group:
            if isinstance(block, Plot):
                found.append(block)
            else:
                lines += _block_lines(block, style)
        found.append(lines)
    return [paragraph for paragraph in found if paragraph]


def _wide(style: Style) -> Style:
    return style if style.width is None else replace(style, width=max(style.width, LEAST_WIDTH))


def _title_lines(document: Document, style: Style) -> Iterator[Line]:
    title = fit(document.title, style.width, style)
    subtitle = clean(document.subtitle, style)
    both = line((title, BOLD), (" " * _GAP, PLAIN), (subtitle, DIM))
    if title and subtitle and (style.width is None or length(both) <= style.width):
        yield both
        return
    if title:
        yield line((title, BOLD))
    if subtitle:
        yield from wrapped(subtitle, style.width, DIM)


def _block_lines(block: Table | Facts | Bars | Note, style: Style) -> Iterator[Line]:
    match block:
        case Table():
            return table_lines(block, style)
        case Facts():
            return _facts_lines(block, style)
        case Bars():
            return _bars_lines(block, style)
        case Note():
            return _note_lines(block, style)


def _note_lines(note: Note, style: Style) -> Iterator[Line]:
    cross = "✗" if style.unicode else "x"
    mark, look = {"warning": ("!", WARNING), "error": (cross, ERROR)}.get(note.tone, ("", PLAIN))
    indent = len(mark) + 1 if mark else 0
    width = None if style.width is None else style.width - indent
    for number, text in enumerate(wrap(clean(note.text, style), width)):
        yield line((("" if number else mark).ljust(indent), look), (text, look))


# Facts: labels, values, notes; two columns where there is room


def _facts_lines(facts: Facts, style: Style) -> Iterator[Line]:
    said = [_said(fact, style) for fact in facts.facts]
    if facts.title:
        yield from wrapped(clean(facts.title, style), style.width, BOLD)
    half = (len(said) + 1) // 2
    while half < len(said) and facts.facts[half].level:
        half += 1  # a part stays below what it is a part of
    first, second = _column(said[:half]), _column(said[half:])
    broad = max(map(length, first), default=0) + _GUTTER
    both = [padded(one, broad) + (other or []) for one, other in zip_longest(first, second)]
    if style.width is None or (style.width >= _ROOMY and max(map(length, both), default=0) <= style.width):
        yield from both
    else:
        yield from _narrow(said, style.width)


def _said(fact: Fact, style: Style) -> _Said:
    value = clean(units.text(fact.value, fact.unit), style)
    label = shorten("  " * fact.level + clean(fact.label, style), style.width, unicode=style.unicode)
    note = f"({clean(fact.note, style)})" if fact.note else ""
    return label, shorten(value, style.width, unicode=style.unicode), note


def _column(said: Sequence[_Said]) -> list[Line]:
    wide = _widest([label for label, *_ in said]) + _GAP
    return [
        line((left(label, wide), DIM), (value, PLAIN), (f" {note}" * bool(note), DIM)) for label, value, note in said
    ]


def _narrow(said: Sequence[_Said], width: int) -> Iterator[Line]:
    """Draw facts in one column; a note that does not fit beside its value goes below it."""
    wide = min(_widest([label for label, *_ in said]), width // 3) + _GAP
    room = width - wide
    for label, value, note in said:
        pieces = [line((text, PLAIN)) for text in fold(value, room)]
        if note and length(pieces[-1]) + 1 + width_of(note) <= room:
            pieces[-1] += line((f" {note}", DIM))
        elif note:
            pieces += wrapped(note, room, DIM)
        for before, after in zip_longest(fold(label, wide - _GAP), pieces):
            yield line((left(before or "", wide), DIM)) + (after or [])


# Bars: one whole above the other on one scale, so that two can be compared at a glance


def _bars_lines(bars: Bars, style: Style) -> Iterator[Line]:
    """Draw bars of two parts on one line each, with a part named at either end; others with a legend below."""
    if bars.title:
        yield from wrapped(clean(bars.title, style), style.width, BOLD)
    labels = _aligned([fit(bar.label, _third(style), style) for bar in bars.bars])
    yield from _pairs(bars, labels, style) or _stacked(bars, labels, style)


def _pairs(bars: Bars, labels: Sequence[str], style: Style) -> list[Line]:
    """Draw bars that all have two parts; no lines if they do not, or if the page is too narrow."""
    if any(len(bar.parts) != 2 for bar in bars.bars):  # noqa: PLR2004 - a bar has two ends
        return []
    first, second = (fill(index, unicode=style.unicode) for index in (0, 1))
    names = _aligned([f"{first} {clean(bar.parts[0].label, style)}" for bar in bars.bars])
    tails = [f"{clean(bar.parts[1].label, style)} {second}" for bar in bars.bars]
    shares, others = (_aligned([units.share(bar.parts[i].share) for bar in bars.bars], right) for i in (0, 1))
    fixed = sum(map(_widest, (labels, names, shares, others, tails))) + 4 * _GAP + 1
    cells = _NATURAL_BAR if style.width is None else min(style.width - fixed, _MOST_BAR)
    if cells < _LEAST_BAR:
        return []
    gap = (" " * _GAP, PLAIN)
    return [
        [
            *line((label, BOLD), gap, (name, of_bar(bar.parts[0].family)), (f" {share}", PLAIN), gap),
            *_cells(bar, cells, style),
            *line(gap, (f"{other} ", PLAIN), (tail, of_bar(bar.parts[1].family))),
        ]
        for bar, label, name, share, other, tail in zip(bars.bars, labels, names, shares, others, tails, strict=True)
    ]


def _stacked(bars: Bars, labels: Sequence[str], style: Style) -> Iterator[Line]:
    """Draw bars of any number of parts, each with its legend below, in steps so that legends line up."""

    def item(index: int, part: Part) -> Line:
        name = f"{fill(index, unicode=style.unicode)} {fit(part.label, _third(style), style)}"
        return line((name, of_bar(part.family)), (f" {units.share(part.share)}", PLAIN if part.share else DIM))

    legends = [[item(*part) for part in enumerate(bar.parts)] for bar in bars.bars]
    step = max((length(piece) for legend in legends for piece in legend), default=0) + _GAP
    indent = _widest(labels) + _GAP
    room = None if style.width is None else style.width - indent
    cells = _NATURAL_BAR if room is None else min(room, _MOST_BAR)
    across = max(len(bars.bars[0].parts) if bars.bars else 1, 1) if room is None else max((room + _GAP) // step, 1)
    for bar, label, legend in zip(bars.bars, labels, legends, strict=True):
        yield line((label, BOLD), (" " * _GAP, PLAIN)) + _cells(bar, cells, style)
        for start in range(0, len(legend), across):
            row = [padded(piece, step) for piece in legend[start : start + across]]
            yield [*line((" " * indent, PLAIN)), *chain.from_iterable(row)]


def _cells(bar: Bar, cells: int, style: Style) -> Line:
    counts = split_cells([part.share for part in bar.parts], max(cells, len(bar.parts)))
    drawn = [
        (fill(index, unicode=style.unicode) * number, of_bar(part.family))
        for index, (part, number) in enumerate(zip(bar.parts, counts, strict=True))
    ]
    return line(*drawn) or line((("·" if style.unicode else ".") * cells, DIM))


def _third(style: Style) -> int | None:
    return None if style.width is None else max(style.width // 3, 1)


def _widest(texts: Sequence[str]) -> int:
    return max(map(width_of, texts), default=0)


def _aligned(texts: Sequence[str], pad: Callable[[str, int], str] = left) -> list[str]:
    return [pad(text, _widest(texts)) for text in texts]
