"""Lines of styled text and bars of block characters, for pages made of terminal cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from alexnet_cli.graphics import palette
from alexnet_cli.graphics.text import Style, width_of, wrap


class Look(Struct, frozen=True):
    """How a piece of text looks; a `color` is `#rrggbb`, None the terminal's own."""

    color: str | None = None
    bold: bool = False
    dim: bool = False

    def written(self, text: str) -> str:
        """Return the text between the codes that terminals understand (ECMA-48, SGR; colours as in ISO 8613-6)."""
        codes = ["1"] if self.bold else []
        codes += ["2"] if self.dim else []
        codes += [f"38;2;{';'.join(map(str, bytes.fromhex(self.color[1:])))}"] if self.color else []
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if codes and text else text


class Piece(NamedTuple):
    """A piece of text with its look."""

    text: str
    look: Look


Line = list[Piece]

PLAIN = Look()
BOLD = Look(bold=True)
DIM = Look(dim=True)
WARNING = Look(color=palette.WARNING)
ERROR = Look(color=palette.ERROR)
ERROR_NAME = Look(color=palette.ERROR, bold=True)
_FAMILIES = {family: Look(color=hue) for family, hue in palette.HUES.items()}
_OTHER = Look(color=palette.OTHER)

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_FILLS, _PLAIN_FILLS = "█▒▓░▞┄", "#.=+o-"


def of_name(family: str) -> Look:
    """Return the look of a layer's name: the terminal's own colour for layers without parameters or MACs."""
    return _FAMILIES.get(family, PLAIN)


def of_bar(family: str) -> Look:
    """Return the look of a family's part of a bar."""
    return _FAMILIES.get(family, _OTHER)


def line(*spans: tuple[str, Look]) -> Line:
    """Make a line of pieces of text, each with its look."""
    return [Piece(text, look) for text, look in spans if text]


def wrapped(text: str, width: int | None, look: Look) -> list[Line]:
    """Break a text into lines of one look."""
    return [line((part, look)) for part in wrap(text, width)]


def length(pieces: Line) -> int:
    """Return how many cells a line takes."""
    return sum(width_of(piece.text) for piece in pieces)


def padded(pieces: Line, width: int) -> Line:
    """Fill a line up with spaces."""
    return [*pieces, Piece(" " * (width - length(pieces)), PLAIN)]


def written(lines: Iterable[Line], style: Style) -> str:
    """Write lines for a terminal, without trailing spaces; the environment has no influence."""
    return "".join(
        "".join(look.written(text) if style.color else text for text, look in _trimmed(pieces)) + "\n"
        for pieces in lines
    )


def _trimmed(pieces: Line) -> Line:
    kept = list(pieces)
    while kept and not kept[-1].text.strip(" "):
        kept.pop()
    return [*kept[:-1], *(Piece(last.text.rstrip(" "), last.look) for last in kept[-1:])]


def fill(index: int, *, unicode: bool) -> str:
    """Return the glyph of a bar's part by its place, so that parts differ without colour too."""
    glyphs = _FILLS if unicode else _PLAIN_FILLS
    return glyphs[index % len(glyphs)]


def share_bar(share: float, cells: int, *, unicode: bool) -> str:
    """Draw a share of 1 as a bar at most `cells` long; any share above zero is visible."""
    share = min(max(share, 0.0), 1.0)
    if not share:
        return ""
    if not unicode:
        return "#" * max(1, round(share * cells))
    eighths = max(1, round(share * cells * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def split_cells(shares: Sequence[float], width: int) -> list[int]:
    """Divide `width` cells by largest remainder; every share above zero gets at least one cell.

    The cells sum to the width unless every share is zero. `width` must be at least the number of parts.
    """
    amounts = [max(share, 0.0) for share in shares]
    total = sum(amounts)
    if not total:
        return [0] * len(amounts)
    quotas = [amount / total * width for amount in amounts]
    cells = [max(1, int(quota)) if amount else 0 for amount, quota in zip(amounts, quotas, strict=True)]
    while (left := width - sum(cells)) > 0:
        neediest = sorted(range(len(cells)), key=lambda i: (cells[i] - quotas[i], i))
        for index in [i for i in neediest if amounts[i]][:left]:
            cells[index] += 1
    while sum(cells) > width:
        cells[cells.index(max(cells))] -= 1
    return cells
