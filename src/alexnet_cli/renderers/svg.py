"""The terminal's page as a picture that scales, needs nothing from the network and follows light and dark themes.

This writes SVG itself rather than through rich's `export_svg`, which has one theme, links a web font and puts
characters of two cells at the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from html import escape
from math import ceil

from rich.style import Style as Look

from alexnet_cli.document import Document, Plot
from alexnet_cli.graphics.lines import BOLD, Line, length
from alexnet_cli.graphics.lines import line as line_of
from alexnet_cli.graphics.text import Style, clean, width_of, wrap
from alexnet_cli.renderers.page import paragraphs
from alexnet_cli.renderers.vector_plot import draw, rules

LEAST_COLUMNS = 60
MOST_COLUMNS = 160
PLOT_COLUMNS = 90
"""A page with plots is this wide, unless it is told to be narrower."""
MOST_PLOT_WIDTH = 960
_CELL = 8.4
_LINE = 17
_FONT = 14
_MARGIN = 20
_BAR = 12
_EIGHTHS = {char: eighths / 8 for eighths, char in enumerate("▏▎▍▌▋▊▉", 1)}
_BLOCKS = frozenset("█▒▓░▞┄") | _EIGHTHS.keys()
_RUNS = re.compile(r"█*[▏▎▍▌▋▊▉]|█+|▒+|▓+|░+|▞+|┄+| +|[^█▏▎▍▌▋▊▉▒▓░▞┄ ]+(?: [^█▏▎▍▌▋▊▉▒▓░▞┄ ]+)*")

_PAGE = """\
<svg xmlns="http://www.w3.org/2000/svg" id="{id}" role="img" aria-labelledby="{id}-title" \
width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}">
<title id="{id}-title">{title}</title>
<style>
#{id} {{ font: {font}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
#{id} .page {{ fill: #ffffff; stroke: #d0d7de; }}
#{id} text {{ fill: #1f2328; white-space: pre; }}
#{id} .d {{ fill: #6a737d; }}
#{id} .b {{ font-weight: bold; }}
@media (prefers-color-scheme: dark) {{
#{id} .page {{ fill: #0d1117; stroke: #30363d; }}
#{id} text {{ fill: #e6edf3; }}
#{id} .d {{ fill: #8b949e; }}
}}
{rules}
</style>
<rect class="page" x="0.5" y="0.5" width="{inner_width:g}" height="{inner_height:g}" rx="8"/>
{text}
</svg>
"""


def render(document: Document, style: Style) -> str:
    """Draw a document as an SVG picture. The same document gives the same bytes, its ids included."""
    found = _laid_out(document, style)
    lines = [line for paragraph in found if not isinstance(paragraph, Plot) for line in paragraph]
    plots = any(isinstance(paragraph, Plot) for paragraph in found)
    columns = max([_columns(style) if plots else LEAST_COLUMNS, *map(length, lines)])
    rows, pieces = _drawn(found, min(columns * _CELL, MOST_PLOT_WIDTH), style)
    width, height = columns * _CELL + 2 * _MARGIN, rows * _LINE + 2 * _MARGIN
    text = "\n".join(pieces)
    identity = f"alexnet-{sha256(text.encode()).hexdigest()[:10]}"
    hues = [f"#{identity} .{_hue(hue)} {{ fill: {hue}; }}" for hue in sorted(_hues(lines))]
    return _PAGE.format(
        id=identity,
        title=escape(clean(document.title, style)),
        width=width,
        height=height,
        inner_width=width - 1,
        inner_height=height - 1,
        font=_FONT,
        rules="\n".join([*hues, *([_plot_rules(f"#{identity} .plot")] if plots else [])]),
        text=text,
    )


def _columns(style: Style) -> int:
    """Return how wide a page with plots is at least."""
    return PLOT_COLUMNS if style.width is None else min(max(style.width, LEAST_COLUMNS), PLOT_COLUMNS)


def _laid_out(document: Document, style: Style) -> list[list[Line] | Plot]:
    """Lay out at the page's own width, unless it would be a very wide picture."""
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
    for number, paragraph in enumerate(found):
        row += 1 if number else 0
        lines = _title_of(paragraph, plot_width, style) if isinstance(paragraph, Plot) else paragraph
        pieces += [piece for offset, line in enumerate(lines) for piece in _line_drawn(line, row + offset)]
        row += len(lines)
        if isinstance(paragraph, Plot):
            drawing = draw(paragraph, plot_width, style)
            pieces.append(f'<g class="plot" transform="translate({_MARGIN} {_MARGIN + row * _LINE + 4:g})">')
            pieces += [*drawing.elements, "</g>"]
            row += ceil((drawing.height + 4) / _LINE)
    return row, pieces


def _title_of(plot: Plot, plot_width: float, style: Style) -> list[Line]:
    text = clean(plot.title, style)
    return [line_of((part, BOLD)) for part in wrap(text, int(plot_width / _CELL))] if text else []


def _plot_rules(scope: str) -> str:
    light = rules(scope, ink="#1f2328", faint="#6a737d", rule="#d0d7de", page="#ffffff")
    dark = rules(scope, ink="#e6edf3", faint="#8b949e", rule="#30363d", page="#0d1117")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def _line_drawn(line: Line, number: int) -> Iterator[str]:
    """Place each piece by itself, so that columns line up whatever font the reader has."""
    column = 0
    for text, look, _ in line:
        for run in _RUNS.findall(text):
            if run.strip(" "):
                draw = _bar if run[0] in _BLOCKS else _words
                yield draw(run, column, number, _classes(look))
            column += width_of(run)


def _words(run: str, column: int, number: int, classes: str) -> str:
    """Write text stretched over its cells."""
    x, y = _MARGIN + column * _CELL, _MARGIN + number * _LINE + _FONT - 1
    shown = escape(run).replace(" ", "&#160;")
    extent = f'textLength="{width_of(run) * _CELL:.5g}" lengthAdjust="spacingAndGlyphs"'
    return f'<text x="{x:.5g}" y="{y:g}" {extent}{classes}>{shown}</text>'


def _bar(run: str, column: int, number: int, classes: str) -> str:
    """Draw block characters as a rectangle, as no two fonts agree about them; between two parts stays a thin gap."""
    x, y = _MARGIN + column * _CELL, _MARGIN + number * _LINE + 2
    width = sum(_EIGHTHS.get(char, 1.0) for char in run) * _CELL
    return f'<rect x="{x:.5g}" y="{y:g}" width="{max(width - 1, 1):.5g}" height="{_BAR}"{classes}/>'


def _classes(look: Look | None) -> str:
    if look is None:
        return ""
    names = [name for name, has in (("b", look.bold), ("d", look.dim)) if has]
    names += [_hue(look.color.name)] if look.color else []
    return f' class="{" ".join(names)}"' if names else ""


def _hues(lines: list[Line]) -> set[str]:
    return {look.color.name for line in lines for _, look, _ in line if look is not None and look.color}


def _hue(color: str) -> str:
    return f"h{color.lstrip('#')}"
