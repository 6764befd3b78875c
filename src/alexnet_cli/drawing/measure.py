"""How wide a text is at most, in whatever sans-serif font a viewer has.

The widths are the larger ones of Helvetica (Adobe's font metrics; Arial and Liberation Sans have the same) and DejaVu
Sans, the widest of the common ones, rounded up to 0.05 em. A text that fits by them fits everywhere.
"""

from __future__ import annotations

import unicodedata

_REGULAR = {
    0.30: "'Iijl",
    0.35: " ,./:;\\|·",
    0.40: "()-[]ft",
    0.45: "!r²",
    0.50: '"*J_`–',
    0.55: "?csz",
    0.60: "Lkvxy",
    0.65: "$0123456789FTabdeghnopqu{}√",
    0.70: "ABEKPSVXYZ",
    0.75: "CNRU∝",
    0.80: "&DGHOQ",
    0.85: "#+<=>^w~×→−",
    0.90: "M",
    1.00: "%Wm…—",
    1.05: "@",
}
_BOLD = {
    0.35: " 'ijl",
    0.40: ",./:;I\\|·",
    0.45: "-f²",
    0.50: "!()[]_`rt–",
    0.55: '"*',
    0.60: "?Jcsz",
    0.65: "Lx",
    0.70: "$0123456789EFTaekovy√",
    0.75: "CPSYZbdghnpqu{}∝",
    0.80: "ABKRVX",
    0.85: "#+<=>DGHNU^~×→−",
    0.90: "&OQ",
    0.95: "w",
    1.00: "@M…—",
    1.05: "%m",
    1.15: "W",
}
_WIDTHS = tuple({char: width for width, chars in table.items() for char in chars} for table in (_REGULAR, _BOLD))
_WIDE = 1.3  # characters of two cells are 1 em, emoji up to 1.25
_OTHER = 1.2  # the widest Cyrillic and Arabic letters
_OTHER_BOLD = 1.4
_LATIN = 0.85  # all but a few of the letters with marks
_LAST_LATIN = 0x24F


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the most that a text of a size is wide, in the unit of the size."""
    widths = _WIDTHS[bold]
    return size * sum(widths.get(char) or _other_width(char, bold=bold) for char in text)


def shorten(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """Leave out the middle of a text that is wider than the room; its beginning and end tell the most."""
    if text_width(text, size, bold=bold) <= room:
        return text
    most = len(text) - 1
    while most > 0:
        shown = text[: (most + 1) // 2] + "…" + text[len(text) - most // 2 :]
        if text_width(shown, size, bold=bold) <= room:
            return shown
        most -= 1
    return "…"


def wrap(text: str, size: float, room: float) -> list[str]:
    """Break a text between words into lines that fit the room; a word that is wider has a line of its own."""
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _other_width(char: str, *, bold: bool) -> float:
    if unicodedata.east_asian_width(char) in "WF":
        return _WIDE
    if ord(char) <= _LAST_LATIN and char.isalpha():
        return _LATIN + 0.1 * bold
    return _OTHER_BOLD if bold else _OTHER
