"""Bars as lines, one whole above the other on one scale, so that two can be compared at a glance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.style import Style as Look

from alexnet_cli import units
from alexnet_cli.document import Bar, Bars, Part
from alexnet_cli.graphics.lines import BOLD, DIM, PLAIN, Line, fill, length, line, of_bar, padded, split_cells
from alexnet_cli.graphics.text import Style, clean, left, right, shorten, width_of, wrap

_GAP = 2
_LEAST = 16
_MOST = 60
_NATURAL = 50


def bars_lines(bars: Bars, style: Style) -> Iterator[Line]:
    """Draw bars of two parts on one line each, with a part named at either end; others with a legend below."""
    if bars.title:
        yield from (line((text, BOLD)) for text in wrap(clean(bars.title, style), style.width))
    most = None if style.width is None else max(style.width // 3, 1)
    labels = _aligned([shorten(clean(bar.label, style), most, unicode=style.unicode) for bar in bars.bars])
    yield from _pairs(bars, labels, style) or _stacked(bars, labels, style)


def _pairs(bars: Bars, labels: Sequence[str], style: Style) -> list[Line]:
    """Draw bars that all have two parts; no lines if they do not, or if the page is too narrow."""
    if any(len(bar.parts) != 2 for bar in bars.bars):  # noqa: PLR2004 - a bar has two ends
        return []
    ends = [(_end(bar.parts[0], 0, style), _end(bar.parts[1], 1, style)) for bar in bars.bars]
    names = _aligned([first[0] for first, _ in ends])
    shares = _aligned([first[1] for first, _ in ends], right)
    others = _aligned([second[1] for _, second in ends], right)
    tails = [second[0] for _, second in ends]
    fixed = max((sum(map(width_of, (*four,))) for four in zip(labels, names, shares, others, strict=True)), default=0)
    fixed += max(map(width_of, tails), default=0) + 4 * _GAP + 1
    cells = _NATURAL if style.width is None else min(style.width - fixed, _MOST)
    if cells < _LEAST:
        return []
    return [
        [
            *line((label, BOLD), (" " * _GAP, PLAIN), (name, of_bar(bar.parts[0].family)), (f" {share}", PLAIN)),
            *line((" " * _GAP, PLAIN)),
            *_cells(bar, cells, style),
            *line((f"{' ' * _GAP}{other} ", PLAIN), (tail, of_bar(bar.parts[1].family))),
        ]
        for bar, label, name, share, other, tail in zip(bars.bars, labels, names, shares, others, tails, strict=True)
    ]


def _end(part: Part, index: int, style: Style) -> tuple[str, str]:
    """Return the part's name with its glyph, and its share."""
    name = clean(part.label, style)
    glyph = fill(index, unicode=style.unicode)
    return (f"{glyph} {name}" if index == 0 else f"{name} {glyph}", units.share(part.share))


def _stacked(bars: Bars, labels: Sequence[str], style: Style) -> Iterator[Line]:
    """Draw bars of any number of parts, each with its legend below, in steps so that legends line up."""
    items = [[_item(part, index, style) for index, part in enumerate(bar.parts)] for bar in bars.bars]
    step = max((length(item) for bar in items for item in bar), default=0) + _GAP
    indent = max(map(width_of, labels), default=0) + _GAP
    room = None if style.width is None else style.width - indent
    cells = _NATURAL if room is None else min(room, _MOST)
    across = max(len(bars.bars[0].parts) if bars.bars else 1, 1) if room is None else max((room + _GAP) // step, 1)
    before = line((" " * indent, PLAIN))
    for bar, label, legend in zip(bars.bars, labels, items, strict=True):
        yield line((label, BOLD), (" " * _GAP, PLAIN)) + _cells(bar, cells, style)
        for start in range(0, len(legend), across):
            row = [padded(item, step) for item in legend[start : start + across]]
            yield [*before, *(piece for item in row for piece in item)]


def _item(part: Part, index: int, style: Style) -> Line:
    most = None if style.width is None else max(style.width // 3, 1)
    name = shorten(clean(part.label, style), most, unicode=style.unicode)
    share: tuple[str, Look] = (f" {units.share(part.share)}", PLAIN if part.share else DIM)
    return line((f"{fill(index, unicode=style.unicode)} {name}", of_bar(part.family)), share)


def _cells(bar: Bar, cells: int, style: Style) -> Line:
    counts = split_cells([part.share for part in bar.parts], max(cells, len(bar.parts)))
    drawn = [
        (fill(index, unicode=style.unicode) * number, of_bar(part.family))
        for index, (part, number) in enumerate(zip(bar.parts, counts, strict=True))
    ]
    return line(*drawn) or line((("·" if style.unicode else ".") * cells, DIM))


def _aligned(texts: Sequence[str], pad: Callable[[str, int], str] = left) -> list[str]:
    width = max(map(width_of, texts), default=0)
    return [pad(text, width) for text in texts]
