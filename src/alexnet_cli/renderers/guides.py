"""The lines that join the rows of a tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct


class Guide(Struct, frozen=True):
    """What stands before a row's name, and before its further lines where the name is folded."""

    first: str
    rest: str


class _Glyphs(Struct, frozen=True):
    through: str
    branch: str
    last: str
    cut: str


_BLANK = "   "
_UNICODE = _Glyphs("│  ", "├─ ", "└─ ", "…  ")
_PLAIN = _Glyphs("|  ", "|- ", "`- ", ".. ")
STEP = len(_BLANK)


def guides(levels: Sequence[int], *, most: int, unicode: bool) -> list[Guide]:
    """Return each row's guide, at most `most` levels of it: of a deeper one the outer levels are left out.

    A row is the last child if no later row stands at its level before one stands further out. The rows are gone
    through from the last, with one flag a level: does a row at this level follow? This takes time linear in rows.
    """
    glyphs = _UNICODE if unicode else _PLAIN
    follows: list[bool] = []
    found: list[Guide] = []
    for level in reversed(levels):
        follows += [False] * (level + 1 - len(follows))
        found.append(_guide(follows, level, max(most, 1), glyphs))
        del follows[level + 1 :]
        follows[level] = True
    return found[::-1]


def _guide(follows: Sequence[bool], level: int, most: int, glyphs: _Glyphs) -> Guide:
    if level == 0:
        return Guide("", "")
    start = max(1, level - most + 2) if level > most else 1
    cut = glyphs.cut if start > 1 else ""
    outer = cut + _joined(follows[start:level], glyphs)
    more = follows[level]
    return Guide(outer + (glyphs.branch if more else glyphs.last), outer + (glyphs.through if more else _BLANK))


def _joined(flags: Iterable[bool], glyphs: _Glyphs) -> str:
    return "".join(glyphs.through if flag else _BLANK for flag in flags)
