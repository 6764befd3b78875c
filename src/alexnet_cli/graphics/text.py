"""Text made safe to show, measured, shortened and wrapped: in terminal cells, or in pixels of a sans-serif font.

Module names are arbitrary strings: they can hold terminal escapes, bidirectional overrides, which reorder the text
around them, and surrogates and noncharacters, which no file or no XML can hold. All of these are shown as escapes.

The pixel widths are the larger of Helvetica (Adobe's font metrics; Arial and Liberation Sans have the same) and DejaVu
Sans, the widest of the common fonts, rounded up to 0.05 em: text that fits by them fits in every viewer.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec import Struct

Width = Callable[[str], float]
"""Measures a text."""
Item = TypeVar("Item")

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_VARIATIONS = range(0xFE00, 0xFE10)  # variation selectors change the width of the character before them
_NONCHARACTER = 0xFFFE  # the last two of every 65,536 code points
_PLAIN = str.maketrans(
    dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
    | {sign: f"^{power}" for power, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    | {"⋅": "*", "−": "-", "⌊": "floor(", "⌋": ")", "≤": "<=", "≥": ">=", "′": "'"}
    | {"×": "x", "→": "->", "·": "|", "…": "...", "⋮": "...", "Σ": "sum"}
    | dict.fromkeys("–—", "-")
    | dict.fromkeys("“”", '"')
    | dict.fromkeys("‘’", "'")
)
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
_LATIN = 0.85  # all but a few of the letters with diacritics
_LAST_LATIN = 0x24F


class Style(Struct, frozen=True):
    """What a page can show: with no `width` nothing is wrapped or cut; without `unicode` everything is ASCII."""

    width: int | None = None
    color: bool = False
    unicode: bool = True


def visible(text: str) -> str:
    r"""Write invisible characters as escapes: `\x1b`, `\n`, `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char.encode("unicode_escape").decode() if _is_unseen(char) else char for char in text)


def _is_unseen(char: str) -> bool:
    point = ord(char)
    return unicodedata.category(char) in _UNSEEN or point in _VARIATIONS or point & _NONCHARACTER == _NONCHARACTER


def clean(text: str, style: Style) -> str:
    """Make text safe for a page of this style: no control characters, and ASCII only where the page requires it."""
    shown = visible(text)
    if style.unicode or shown.isascii():
        return shown
    return shown.translate(_PLAIN).encode("ascii", "backslashreplace").decode()


def width_of(text: str) -> int:
    """Return the number of terminal cells that a text takes: some characters take two, some none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the most that a text in a font of this size measures, in the unit of the size."""
    widths = _WIDTHS[bold]
    return size * sum(widths.get(char) or _other_width(char, bold=bold) for char in text)


def sans(size: float, *, bold: bool = False) -> Width:
    """Return the measure of a sans-serif font of this size."""
    return lambda text: text_width(text, size, bold=bold)


def left(text: str, width: int) -> str:
    """Pad a text on its right."""
    return text + " " * (width - width_of(text))


def right(text: str, width: int) -> str:
    """Pad a text on its left."""
    return " " * (width - width_of(text)) + text


def shorten(text: str, most: float | None, *, unicode: bool = True, measure: Width = width_of) -> str:
    """Cut the middle out of a text longer than `most`: the two ends tell layers apart best."""
    if most is None or measure(text) <= most:
        return text
    mark = "…" if unicode else "..."
    room = max(most - measure(mark), 2)
    half = room // 2
    return _head(text, room - half, measure) + mark + _head(text[::-1], half, measure)[::-1]


def fit(text: str, most: float | None, style: Style, measure: Width = width_of) -> str:
    """Make text safe for a page, and shorten it."""
    return shorten(clean(text, style), most, unicode=style.unicode, measure=measure)


def in_rows(items: Iterable[Item], size: Callable[[Item], float], room: float, gap: float) -> list[list[Item]]:
    """Break items into rows that fit the room, one longer than the room in a row of its own."""
    rows: list[list[Item]] = []
    free = 0.0
    for item in items:
        if not rows or size(item) > free:
            rows.append([])
            free = room
        rows[-1].append(item)
        free -= size(item) + gap
    return rows


def wrap(text: str, width: float | None, measure: Width = width_of) -> list[str]:
    """Break a text between words, and a word only where it is longer than a line."""
    if width is None or measure(text) <= width:
        return [text]
    lines: list[str] = []
    current = ""
    for word in (part for longer in text.split(" ") for part in fold(longer, width, measure)):
        joined = f"{current} {word}" if current else word
        if measure(joined) <= width:
            current = joined
        else:
            lines.append(current)
            current = word
    return [*lines, current]


def fold(text: str, width: float, measure: Width = width_of) -> list[str]:
    """Break a text wherever a line is full."""
    if measure(text) <= width:
        return [text]
    lines = []
    while text:
        lines.append(_head(text, width, measure) or text[:1])
        text = text[len(lines[-1]) :]
    return lines


def _head(text: str, room: float, measure: Width) -> str:
    """Return the beginning of a text that fits the room."""
    for place, char in enumerate(text):
        room -= measure(char)
        if room < 0:
            return text[:place]
    return text


def _other_width(char: str, *, bold: bool) -> float:
    if unicodedata.east_asian_width(char) in "WF":
        return _WIDE
    if ord(char) <= _LAST_LATIN and char.isalpha():
        return _LATIN + 0.1 * bold
    return _OTHER_BOLD if bold else _OTHER
