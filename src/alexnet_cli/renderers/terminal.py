"""The `table` format: for terminals of any width, and for pipes."""

from __future__ import annotations

from rich.color import ColorSystem
from rich.segment import Segment

from alexnet_cli.document import Document
from alexnet_cli.graphics.lines import Line
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers.page import lay_out


def render(document: Document, style: Style) -> str:
    """Write a document for a terminal; nothing of the environment changes what is written.

    The page is laid out in segments of text with a look each, so rich's console, which takes longer to import than
    all of this to run, would have nothing left to do.
    """
    colors = ColorSystem.TRUECOLOR if style.color else None
    lines = ["".join(_drawn(segment, colors) for segment in _trimmed(line)) for line in lay_out(document, style)]
    return "".join(f"{line}\n" for line in lines or [""])


def _drawn(segment: Segment, colors: ColorSystem | None) -> str:
    return segment.style.render(segment.text, color_system=colors) if segment.style else segment.text


def _trimmed(line: Line) -> Line:
    """Drop spaces at a line's end: they show as noise where text is copied or compared."""
    kept = list(line)
    while kept and not kept[-1].text.strip(" "):
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(" "), kept[-1].style)
    return kept
