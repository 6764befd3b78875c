"""What a model's author wrote, made harmless before any format's own escaping.

Module names are arbitrary strings: they can hold terminal escapes, bidirectional overrides that show text in
another order than it has, and surrogates and noncharacters that no file or no XML can hold. All of these are shown,
none is obeyed.
"""

from __future__ import annotations

import unicodedata

from alexnet_cli.renderers.style import Style

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_VARIATIONS = range(0xFE00, 0xFE10)  # they change how wide the character before them is
_NONCHARACTER = 0xFFFE  # the last two of every 65,536 points
_PLAIN = str.maketrans(
    {"×": "x", "→": "->", "·": "|", "…": "...", "–": "-", "—": "-", "“": '"', "”": '"', "‘": "'", "’": "'"}
)


def visible(text: str) -> str:
    r"""Write characters that cannot be seen as escapes: `\x1b`, `\n`, `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) if _is_unseen(char) else char for char in text)


def clean(text: str, style: Style) -> str:
    r"""Make text fit for a page of this style: no control characters, and where it must be ASCII only ASCII."""
    shown = visible(text)
    if style.unicode or shown.isascii():
        return shown
    return shown.translate(_PLAIN).encode("ascii", "backslashreplace").decode()


def cross(style: Style) -> str:
    """Return the sign between the sizes of a shape."""
    return "×" if style.unicode else "x"


def _is_unseen(char: str) -> bool:
    point = ord(char)
    return unicodedata.category(char) in _UNSEEN or point in _VARIATIONS or point & _NONCHARACTER == _NONCHARACTER


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()
