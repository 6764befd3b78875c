"""Colours for light and dark backgrounds, and for every kind of colour vision.

The hues are those of Okabe and Ito, moved to a middle lightness: each has a contrast of at least 3.5 to both white
and black. Text is left in the terminal's own colour; only what belongs to a family is coloured.
"""

from __future__ import annotations

from rich.style import Style

PLAIN = Style()
BOLD = Style(bold=True)
DIM = Style(dim=True)
HEAD = Style(bold=True)
WARNING = Style(color="#a97c00")
ERROR = Style(color="#d8413c")
ERROR_NAME = Style(color="#d8413c", bold=True)

_FAMILIES = {
    "conv": "#1f83c9",
    "linear": "#d55e00",
    "norm": "#00906a",
    "pool": "#3a8ca3",
    "embedding": "#a97c00",
    "recurrent": "#8a70d6",
    "attention": "#c2569a",
    "softmax": "#b06a9b",
}
_HUES = {family: Style(color=hue) for family, hue in _FAMILIES.items()}
_OTHER = Style(color="#808080")


def of_name(family: str) -> Style:
    """Return the colour of a layer's name: the terminal's own for layers that neither weigh nor work."""
    return _HUES.get(family, PLAIN)


def of_bar(family: str) -> Style:
    """Return the colour of a family's part of a bar."""
    return _HUES.get(family, _OTHER)
