"""The terminal's page as a scalable picture that loads nothing and follows light and dark themes.

This does not use rich's `export_svg`, which has one theme, links a web font and misplaces characters of two cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from math import ceil

from alexnet_cli.document import Document, Plot
from alexnet_cli.graphics import plot_svg
from alexnet_cli.graphics.lines import BOLD, Line, Look, length, wrapped
from alexnet_cli.graphics.palette import Page
from alexnet_cli.graphics.svg import Drawing, element, picture, themed, words
from alexnet_cli.graphics.text import Style, clean, width_of
from alexnet_cli.renderers.terminal import paragraphs

LEAST_COLUMNS = 60
MOST_COLUMNS = 160
PLOT_COLUMNS = 90
"""The width of a page with plots, unless a narrower one is given."""
MOST_PLOT_WIDTH = 960
_CELL = 8.4
_LINE = 17
_FONT = 14
_MARGIN = 20
_BAR = 12
_EIGHTHS = {char: eighths / 8 for eighths, char in enumerate("▏▎▍▌▋▊▉", 1)}
_BLOCKS = frozenset("█▒▓░▞┄") | _EIGHTHS.keys()
_RUNS = re.compile(r"█*[▏▎▍▌▋▊▉]|█+|▒+|▓+|░+|▞+|┄+| +|[^█▏▎▍▌▋▊▉▒▓░▞┄ ]+(?: [^█▏▎▍▌▋▊▉▒▓░▞┄ ]+)*")


def render(document: Document, style: Style) -> str:
    """Draw a document as an SVG picture."""
    found = _laid_out(document, style)
    lines = [line for paragraph in found if not isinstance(paragraph, Plot) for line in paragraph]
    plots = any(isinstance(paragraph, Plot) for paragraph in found)
    least = min(max(style.width or PLOT_COLUMNS, LEAST_COLUMNS), PLOT_COLUMNS) if plots else LEAST_COLUMNS
    columns = max([least, *map(length, lines)])
    rows, pieces = _drawn(found, min(columns * _CELL, MOST_PLOT_WIDTH), style)
    width, height = columns * _CELL + 2 * _MARGIN, rows * _LINE + 2 * _MARGIN
    page = element("rect", class_="page", x=0.5, y=0.5, width=width - 1, height=height - 1, rx=8)
    hues = sorted({look.color for line in lines for _, look in line if look.color})
    rules = partial(_rules, hues=hues, plots=plots)
    return picture(page, Drawing(width, height, tuple(pieces)), rules, title=clean(document.title, style))


def _rules(here: str, hues: Sequence[str], *, plots: bool) -> Iterator[str]:
    def colors(page: Page) -> Iterator[str]:
        yield f"{here} .page {{ fill: {page.background}; stroke: {page.faint}; }}"
        yield f"{here} text {{ fill: {page.ink}; }}"
        yield f"{here} .d {{ fill: {page.dim}; }}"
        if plots:
            yield plot_svg.rules(f"{here} .plot", page)

    yield f'{here} {{ font: {_FONT}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}'
    yield f"{here} text {{ white-space: pre; }}"
    yield f"{here} .b {{ font-weight: bold; }}"
    yield from themed("auto", colors)
    yield from (f"{here} .{_hue(hue)} {{ fill: {hue}; }}" for hue in hues)


def _laid_out(document: Document, style: Style) -> list[list[Line] | Plot]:
    """Lay out at the page's own width, unless the picture would be very wide."""
    if style.width is not None:
        return paragraphs(document, Style(max(style.width, LEAST_COLUMNS), unicode=style.unicode))
    found = paragraphs(document, style)
    lines = (line for paragraph in found if not isinstance(paragraph, Plot) for line in paragraph)
    if max(map(length, lines), default=0) <= MOST_COLUMNS:
        return found
    return paragraphs(document, Style(MOST_COLUMNS, unicode=style.unicode))


def _drawn(found: Sequence[list[Line] | Plot], plot_width: float, style: Style) -> tuple[int, list[str]]:
    """Draw paragraphs with an empty line between them; return also how many lines they take."""
    row, pieces = 0, []
    for place, paragraph in enumerate(found):
        row += 1 if place else 0
        lines = [] if isinstance(paragraph, Plot) else paragraph
        if isinstance(paragraph, Plot) and paragraph.title:
            lines = wrapped(clean(paragraph.title, style), int(plot_width / _CELL), BOLD)
        pieces += [piece for offset, line in enumerate(lines) for piece in _line_drawn(line, row + offset)]
        row += len(lines)
        if isinstance(paragraph, Plot):
            drawing = plot_svg.draw(paragraph, plot_width, style)
            pieces.append(f'<g class="plot" transform="translate({_MARGIN} {_MARGIN + row * _LINE + 4:g})">')
            pieces += [*drawing.elements, "</g>"]
            row += ceil((drawing.height + 4) / _LINE)
    return row, pieces


def _line_drawn(line: Line, row: int) -> Iterator[str]:
    """Place each piece separately, so that columns line up in any font."""
    column = 0
    for text, look in line:
        for run in _RUNS.findall(text):
            if run.strip(" "):
                draw = _bar if run[0] in _BLOCKS else _words
                yield draw(run, _MARGIN + column * _CELL, _MARGIN + row * _LINE, _classes(look))
            column += width_of(run)


def _words(run: str, x: float, y: float, classes: str) -> str:
    """Write text stretched to the width of its cells."""
    wide, shown = width_of(run) * _CELL, run.replace(" ", "\xa0")
    return words(shown, x, y + _FONT - 1, textLength=wide, lengthAdjust="spacingAndGlyphs", class_=classes)


def _bar(run: str, x: float, y: float, classes: str) -> str:
    """Draw block characters as a rectangle, since fonts draw them differently; a thin gap separates parts."""
    width = sum(_EIGHTHS.get(char, 1.0) for char in run) * _CELL
    return element("rect", x=x, y=y + 2, width=max(width - 1, 1), height=_BAR, class_=classes)


def _classes(look: Look) -> str:
    names = [name for name, has in (("b", look.bold), ("d", look.dim)) if has]
    return " ".join([*names, *([_hue(look.color)] if look.color else [])])


def _hue(color: str) -> str:
    return f"h{color.lstrip('#')}"
