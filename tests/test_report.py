"""Finding the rows below a row of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet_cli.report import siblings, subtree, subtree_ends


@dataclass(frozen=True)
class Row:
    """All that these functions look at."""

    depth: int


def rows(*depths: int) -> Any:
    return [Row(depth) for depth in depths]


@st.composite
def trees(draw: st.DrawFn) -> Any:
    """Rows as a trace gives them: each at most one level below the row before it."""
    depths = [0]
    for _ in range(draw(st.integers(0, 30))):
        depths.append(draw(st.integers(0, depths[-1] + 1)))
    return rows(*depths)


def test_subtree_ends_of_a_small_tree():
    #            0: a          1: a.b  2: a.b.c  3: a.d  4: e
    assert subtree_ends(rows(0, 1, 2, 1, 0)) == (4, 3, 3, 4, 5)


def test_a_report_without_rows_has_no_subtrees():
    assert subtree_ends([]) == ()


@given(trees())
def test_subtree_and_subtree_ends_agree(layers):
    assert [subtree(layers, row) for row in range(len(layers))] == [
        range(row, end) for row, end in enumerate(subtree_ends(layers))
    ]


@given(trees())
def test_a_subtree_holds_exactly_the_rows_whose_ancestor_it_is(layers):
    parents: list[int | None] = []
    for row, layer in enumerate(layers):
        above = [other for other in range(row) if layers[other].depth < layer.depth]
        parents.append(above[-1] if above else None)

    def ancestors(row: int | None) -> set[int]:
        return set() if row is None else {row, *ancestors(parents[row])}

    for row in range(len(layers)):
        assert set(subtree(layers, row)) == {other for other in range(len(layers)) if row in ancestors(other)}


@given(trees())
def test_siblings_and_what_is_below_them_are_the_whole_subtree(layers):
    ends = subtree_ends(layers)
    for row, end in enumerate(ends):
        children = list(siblings(ends, row + 1, end))
        assert [row, *(below for child in children for below in range(child, ends[child]))] == list(range(row, end))


@pytest.mark.parametrize("depths", [range(2000), [0] * 2000, [0, *[1, 2] * 1000]], ids=["chain", "flat", "blocks"])
def test_subtree_ends_look_at_each_row_a_constant_number_of_times(depths):
    looked = 0

    class Counting(Row):
        def __getattribute__(self, name: str) -> Any:
            nonlocal looked
            looked += name == "depth"
            return super().__getattribute__(name)

    layers: Any = [Counting(depth) for depth in depths]
    subtree_ends(layers)
    assert looked <= 4 * len(layers)
