"""A page as lines of styled text, before it is known what they are written to."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style as Look

from alexnet_cli.renderers.palette import PLAIN
from alexnet_cli.renderers.wrapping import width_of

Line = list[Segment]


def line(*spans: tuple[str, Look]) -> Line:
    """Make a line of pieces of text, each with its look."""
    return [Segment(text, look) for text, look in spans if text]


def plain(text: str) -> Line:
    """Make a line in the terminal's own look."""
    return line((text, PLAIN))


def length(pieces: Line) -> int:
    """Return how many cells a line takes."""
    return sum(width_of(piece.text) for piece in pieces)


def padded(pieces: Line, width: int) -> Line:
    """Fill a line up with spaces."""
    return [*pieces, Segment(" " * (width - length(pieces)), PLAIN)]
