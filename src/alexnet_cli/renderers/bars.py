"""Bars of character cells."""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_FILLS = "█▒▓░▞┄"
_PLAIN_FILLS = "#.=+o-"


def fill(index: int, *, unicode: bool) -> str:
    """Return the glyph of a bar's part by its place, so that parts can be told apart without colour."""
    glyphs = _FILLS if unicode else _PLAIN_FILLS
    return glyphs[index % len(glyphs)]


def share_bar(share: float, cells: int, *, unicode: bool) -> str:
    """Draw a share of 1 as a bar at most `cells` long; what is not zero is seen."""
    share = min(max(share, 0.0), 1.0)
    if not share:
        return ""
    if not unicode:
        return "#" * max(1, round(share * cells))
    eighths = max(1, round(share * cells * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def split_cells(shares: Sequence[float], width: int) -> list[int]:
    """Share `width` cells out by largest remainder; a part that is not zero gets at least one.

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
