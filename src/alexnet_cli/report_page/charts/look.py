"""How all charts look: sizes, fonts and colours. The colours are the page's, so that the charts follow its theme."""

from __future__ import annotations

from typing import Any

FONT = 13
CHARACTER = 7.8
"""About how wide a character of that size is; labels are cut by their characters, whatever fonts there are."""

GAP = 16
WIDE, NARROW = 960, 360
"""Every chart is drawn twice, in pixels: for a page as wide as it gets, and for a phone."""

HIT = "hit "
"""Before the key of a mark: it takes the pointer, and has the text that says what it stands for."""

INK, FAINT, RULE, PAGE = "var(--ink)", "var(--faint)", "var(--rule)", "var(--page)"

CONFIG: dict[str, Any] = {
    "background": None,
    "padding": 2,
    "font": "inherit",
    "view": {"stroke": None},
    "text": {"fontSize": FONT, "fill": INK, "baseline": "middle"},
    "title": {"fontSize": FONT, "fontWeight": 600, "color": INK, "offset": 8, "anchor": "start", "frame": "group"},
    "axis": {
        "labelFontSize": FONT - 1,
        "titleFontSize": FONT - 1,
        "titleFontWeight": "normal",
        "labelColor": FAINT,
        "titleColor": FAINT,
        "gridColor": RULE,
        "domainColor": RULE,
        "tickColor": RULE,
    },
}


def clipped(text: str, most: int) -> str:
    """Cut a text to so many characters, keeping both ends, which tell layers apart."""
    if len(text) <= most:
        return text
    left = (most - 1) // 2
    return f"{text[:left]}…{text[len(text) - (most - 1 - left) :]}"


def hue(family: str) -> str:
    """Return the colour of a family of layers."""
    return f"var(--{family})"
