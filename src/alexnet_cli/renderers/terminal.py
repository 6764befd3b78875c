"""The `table` format: for terminals of any width, and for pipes."""

from __future__ import annotations

from rich.color import ColorSystem
from rich.segment import Segment

from alexnet_cli.document import Document
from alexnet_cli.graphics.lines import Line
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers.page import lay_out


def render(document: Document, style: Style) -> str:
    """Write a document for a terminal; the environment has no influence.

    Pages are already lists of styled segments, so this avoids rich's console, which takes longer to import than all
    of this takes to run.
    """
    colors = ColorSystem.TRUECOLOR if style.color else None
    lines = ["".join(_drawn(segment, colors) for segment in _trimmed(line)) for line in lay_out(document, style)]
    return "".join(f"{line}\n" for line in lines or [""])


def _drawn(segment: Segment, colors: ColorSystem | None) -> str:
    return segment.style.render(segment.text, color_system=colors) if segment.style else segment.text


def _trimmed(line: Line) -> Line:
    """Drop trailing spaces, which are noise where text is copied or compared."""
    kept = list(line)
    while kept and not kept[-1].text.strip(" "):
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(" "), kept[-1].style)
    return kept
