"""The terminal's page as a picture that scales, needs nothing from the network and follows light and dark themes.

This writes SVG itself rather than through rich's `export_svg`, which has one theme, links a web font and puts
characters of two cells at the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from html import escape

from rich.style import Style as Look

from alexnet_cli.document import Document
from alexnet_cli.renderers.escape import clean
from alexnet_cli.renderers.lines import Line, length
from alexnet_cli.renderers.page import lay_out
from alexnet_cli.renderers.style import Style
from alexnet_cli.renderers.wrapping import width_of

LEAST_COLUMNS = 60
MOST_COLUMNS = 160
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
{hues}
</style>
<rect class="page" x="0.5" y="0.5" width="{inner_width:g}" height="{inner_height:g}" rx="8"/>
{text}
</svg>
"""


def render(document: Document, style: Style) -> str:
    """Draw a document as an SVG picture. The same document gives the same bytes, its ids included."""
    lines = _laid_out(document, style)
    columns = max([LEAST_COLUMNS, *map(length, lines)])
    width, height = columns * _CELL + 2 * _MARGIN, len(lines) * _LINE + 2 * _MARGIN
    text = "\n".join(piece for number, line in enumerate(lines) for piece in _line_drawn(line, number))
    identity = f"alexnet-{sha256(text.encode()).hexdigest()[:10]}"
    return _PAGE.format(
        id=identity,
        title=escape(clean(document.title, style)),
        width=width,
        height=height,
        inner_width=width - 1,
        inner_height=height - 1,
        font=_FONT,
        hues="\n".join(f"#{identity} .{_hue(hue)} {{ fill: {hue}; }}" for hue in sorted(_hues(lines))),
        text=text,
    )


def _laid_out(document: Document, style: Style) -> list[Line]:
    """Lay out at the page's own width, unless it would be a very wide picture."""
    if style.width is not None:
        return lay_out(document, Style(max(style.width, LEAST_COLUMNS), unicode=style.unicode))
    lines = lay_out(document, style)
    if max(map(length, lines), default=0) <= MOST_COLUMNS:
        return lines
    return lay_out(document, Style(MOST_COLUMNS, unicode=style.unicode))


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
