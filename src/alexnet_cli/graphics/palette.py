"""Colours by layer family, for light and dark backgrounds and every kind of colour vision.

The hues are those of Okabe and Ito, moved to a middle lightness: each has a contrast of at least 3.5 to white and to
black, so that terminals, pictures and pages share them. No information is carried by colour alone.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Theme = Literal["auto", "light", "dark"]
"""The background of a picture; `auto` follows the viewer's preference."""

HUES = {
    "conv": "#1f83c9",
    "linear": "#d55e00",
    "norm": "#00906a",
    "pool": "#3a8ca3",
    "embedding": "#a97c00",
    "recurrent": "#8a70d6",
    "attention": "#c2569a",
    "softmax": "#b06a9b",
}
OTHER = "#808080"
WARNING, ERROR = "#a97c00", "#d8413c"


class Page(Struct, frozen=True):
    """The colours of a page: its background, text, quiet text, lines, and the quietest lines."""

    background: str
    ink: str
    dim: str
    line: str
    faint: str


LIGHT = Page("#ffffff", "#1f2328", "#59636e", "#6e7781", "#d0d7de")
DARK = Page("#0d1117", "#e6edf3", "#9198a1", "#8b949e", "#3d444d")
BY_VARIABLES = Page("var(--page)", "var(--ink)", "var(--faint)", "var(--faint)", "var(--rule)")
"""The colours of an HTML page, which defines these variables for light and dark."""


def hue(family: str) -> str:
    """Return a family's colour; families without parameters or MACs share one."""
    return HUES.get(family, OTHER)


def mixed(color: str, other: str, share: float) -> str:
    """Mix two colours; `share` is the part of the other."""
    parts = zip(bytes.fromhex(color[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + "".join(f"{round(a * (1 - share) + b * share):02x}" for a, b in parts)
