from __future__ import annotations

import documents
from hypothesis import given
from hypothesis import strategies as st

from alexnet_cli.document import Bars, Document
from alexnet_cli.graphics.lines import share_bar, split_cells
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers import render


@given(shares=st.lists(st.floats(0, 1), min_size=1, max_size=6), width=st.integers(6, 80))
def test_cells_sum_to_the_width_and_shares_above_zero_get_one(shares, width):
    cells = split_cells(shares, width)
    assert sum(cells) == (width if any(shares) else 0)
    assert all((number > 0) == (share > 0) for share, number in zip(shares, cells, strict=True))


def test_cells_are_divided_by_largest_remainder():
    assert split_cells([0.06, 0.94], 50) == [3, 47]
    assert split_cells([1 / 3, 1 / 3, 1 / 3], 10) == [4, 3, 3]
    assert split_cells([0.999, 0.0005, 0.0005], 10) == [8, 1, 1]
    assert split_cells([0.0, 1.0], 10) == [0, 10]


def test_share_bars_have_eighths():
    assert share_bar(0, 10, unicode=True) == ""
    assert share_bar(1e-9, 10, unicode=True) == "▏"
    assert share_bar(0.6052, 10, unicode=True) == "██████"
    assert share_bar(0.269, 10, unicode=True) == "██▊"
    assert share_bar(1, 10, unicode=True) == "█" * 10
    assert share_bar(7, 10, unicode=False) == "#" * 10
    assert share_bar(0.01, 10, unicode=False) == "#"


def drawn(document: Document, width: int | None = None) -> list[str]:
    return render(document, "table", Style(width)).splitlines()


def test_bars_of_two_parts_are_aligned_with_a_name_at_either_end():
    first, second = drawn(Document("", (documents.BARS,)))
    assert first == f"Parameters  █ conv  6.0 %  {'█' * 3}{'▒' * 47}  94.0 % linear ▒"
    assert second == f"MACs        █ conv 94.8 %  {'█' * 47}{'▒' * 3}   5.2 % linear ▒"


def test_bars_of_more_parts_have_an_aligned_legend():
    lines = drawn(Document("", (documents.MANY.blocks[0],)))
    assert lines[0] == "Who holds what"
    assert lines[1] == f"Parameters  {'█' * 25}{'▒' * 15}{'▓' * 5}{'░' * 3}▞┄"
    assert lines[2].split("  ")[-1].strip() == "┄ other <0.1 %"
    assert lines[3] == f"MACs        {'▒' * 45}{'▓' * 5}"
    assert [lines[2].index(glyph) for glyph in "█▒▓░▞┄"] == [lines[4].index(glyph) for glyph in "█▒▓░▞┄"]


def test_a_bar_without_shares_is_an_empty_track():
    lines = drawn(Document("", (Bars((documents.many_parts((0.0, 0.0, 0.0)),)),)))
    assert lines[0] == f"Parameters  {'·' * 50}"
