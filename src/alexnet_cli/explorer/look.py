"""How text is written in cells of the terminal, with colours or without, in ASCII or not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.color import Color
from textual.filter import LineFilter

from alexnet_cli.graphics.palette import hue
from alexnet_cli.graphics.text import Style, fit, left, right, width_of

SIGNS = {
    "open": ("▾ ", "- "),
    "folded": ("▸ ", "+ "),
    "leaf": ("  ", "  "),
    "cursor": ("▌", ">"),
    "up": (" ▲", " ^"),
    "down": (" ▼", " v"),
    "bars": ("▁▂▃▄▅▆▇█", ".:-=+*%#"),
    "frame": ("┌─┐│└┘", "+-+|++"),
    "line": ("─", "-"),
    "fill": ("░", "."),
    "dot": (" · ", " | "),
}
"""What is drawn with Unicode, and without."""

_ASCII = str.maketrans(
    {
        **dict.fromkeys("─━═▔▁▂▃▄▅▆▇", "-"),
        **dict.fromkeys("│┃║▎▏▍▌▐▊▋▉", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰▖▗▘▝", "+"),
        **dict.fromkeys("█▓▒░", "#"),
        "×": "x",
        "…": ".",
        "·": "|",
        "→": ">",
        "←": "<",
        "↑": "^",
        "↓": "v",
        "⏎": "E",
        "•": "*",
    }
)


def sign(name: str, style: Style) -> str:
    """Return a sign as this page can show it."""
    return SIGNS[name][not style.unicode]


def cell(text: str, width: int, style: Style, *, to_the_right: bool = False) -> str:
    """Make a text fill exactly this many cells, shortened in the middle if it is longer."""
    shown = fit(text, width, style) if width > 0 else ""
    while width_of(shown) > width:
        shown = shown[:-1]
    return right(shown, width) if to_the_right else left(shown, width)


@lru_cache(256)
def rich_style(*, family: str = "", bold: bool = False, dim: bool = False, marked: bool = False) -> RichStyle:
    """Return the style of a text in a family's colour, or in the terminal's own; what is marked is shown reversed."""
    color = hue(family) if family else None
    return RichStyle(color=color, bold=bold or marked, dim=dim and not marked, reverse=marked)


class Ascii(LineFilter):
    """Replaces whatever is not ASCII by a character of the same width that is: what Textual draws by itself."""

    def apply(self, segments: Sequence[Segment], background: Color) -> list[Segment]:
        """Return the segments in ASCII."""
        del background
        return [Segment(_ascii(text), style, control) for text, style, control in segments]


@lru_cache(4096)
def _ascii(text: str) -> str:
    if text.isascii():
        return text
    translated = text.translate(_ASCII)
    return "".join(char if char.isascii() else "?" * width_of(char) for char in translated)
