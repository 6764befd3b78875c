"""How a page is to look, decided by the caller alone."""

from __future__ import annotations

from msgspec import Struct


class Style(Struct, frozen=True):
    """The page's limits. Without a `width` nothing is folded, cut or left out; without `unicode` all is ASCII."""

    width: int | None = None
    color: bool = False
    unicode: bool = True
