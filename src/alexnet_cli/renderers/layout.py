"""Which columns of a table fit a page, and how wide each is.

What gives way, in this order: the bars; the columns of low priority, lowest first, each before the bars where those
then fit again; the digits of the numbers; further columns, until only the first is left. Text is folded last, except
where it would take more than half of the page alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from alexnet_cli.document import Column
from alexnet_cli.renderers.cells import NUMERIC

GAP = 2
BAR = 10
ESSENTIAL = 6
"""Columns from this priority on stay in longer than the digits of the numbers do."""


class Layout(Struct, frozen=True):
    """The columns that are shown, by their places, with their widths; `short` numbers have SI prefixes."""

    kept: tuple[int, ...]
    widths: tuple[int, ...]
    bars: bool = True
    short: bool = False

    @property
    def width(self) -> int:
        """How wide the table is."""
        return sum(self.widths) + GAP * (len(self.widths) - 1)


class Sizes(Struct, frozen=True):
    """How wide each column would like to be, with its numbers in full and shortened."""

    full: Sequence[int]
    short: Sequence[int]


def natural(columns: Sequence[Column], sizes: Sequence[int]) -> Layout:
    """Lay a table out where there is no limit."""
    places = range(len(columns))
    return Layout(tuple(places), tuple(sizes[i] + _bar(columns[i], drawn=True) for i in places))


def fit(columns: Sequence[Column], sizes: Sizes, width: int | None) -> Layout:
    """Choose the layout that shows the most and fits."""
    if width is None:
        return natural(columns, sizes.full)
    layout = Layout((), ())
    for kept, bars, short in _candidates(columns):
        wanted = [_wanted(columns[i], (sizes.short if short else sizes.full)[i], bars=bars) for i in kept]
        widths = [min(size, width // 2) if _folds(columns[i]) else size for i, size in zip(kept, wanted, strict=True)]
        layout = Layout(kept, tuple(widths), bars, short)
        if layout.width <= width:
            return Layout(kept, _widened(widths, wanted, width - layout.width), bars, short)
    return layout


def _candidates(columns: Sequence[Column]) -> Iterator[tuple[tuple[int, ...], bool, bool]]:
    """Yield columns, whether bars are drawn and whether numbers are short, from the richest to the barest."""
    kept = tuple(range(len(columns)))
    yield kept, True, False
    yield kept, False, False
    # The first column names the row: without it no number means anything. Of equals the rightmost goes first.
    for victim in sorted(kept[1:], key=lambda i: (columns[i].priority, -i)):
        if columns[victim].priority >= ESSENTIAL:
            yield kept, False, True
        kept = tuple(i for i in kept if i != victim)
        yield kept, True, False
        yield kept, False, False
    yield kept, False, True


def _widened(widths: Sequence[int], wanted: Sequence[int], spare: int) -> tuple[int, ...]:
    """Give what is left over to the columns that would otherwise fold."""
    found: list[int] = []
    for has, wants in zip(widths, wanted, strict=True):
        more = min(wants - has, spare)
        spare -= more
        found.append(has + more)
    return tuple(found)


def _wanted(column: Column, size: int, *, bars: bool) -> int:
    return size + _bar(column, drawn=bars)


def _bar(column: Column, *, drawn: bool) -> int:
    return BAR + 1 if column.bar and drawn else 0


def _folds(column: Column) -> bool:
    return column.unit not in NUMERIC
