"""The `table` format: for terminals of any width, and for pipes."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.segment import Segment, Segments

from alexnet_cli.document import Document
from alexnet_cli.renderers.lines import Line
from alexnet_cli.renderers.page import lay_out
from alexnet_cli.renderers.style import Style


def render(document: Document, style: Style) -> str:
    """Write a document for a terminal; nothing of the environment changes what is written."""
    written = StringIO()
    console = Console(
        file=written,
        force_terminal=style.color,
        color_system="truecolor" if style.color else None,
        width=style.width or 80,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        _environ={},
    )
    draw(document, console, style)
    return written.getvalue()


def draw(document: Document, console: Console, style: Style) -> None:
    """Draw a document on a console; `style`, not the console, says how wide it is."""
    pieces: list[Segment] = []
    for line in lay_out(document, style):
        pieces += _trimmed(line)
        pieces.append(Segment.line())
    console.print(Segments(pieces or [Segment.line()]), soft_wrap=True, end="")


def _trimmed(line: Line) -> Line:
    """Drop spaces at a line's end: they show as noise where text is copied or compared."""
    kept = list(line)
    while kept and not kept[-1].text.strip(" "):
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(" "), kept[-1].style)
    return kept
