"""Plots in character cells: where glyphs stand, what is never lost, what never leaves the page.

A plot has 14 rows. A number's row is its share of the y axis times 13, rounded; areas fill the rows up to that one.
"""

from __future__ import annotations

import re

import plots
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from alexnet_cli.document import Axis, Document, Mark, Plot, Series
from alexnet_cli.graphics.plot import drawable, tallest, thinned
from alexnet_cli.graphics.scale import Scale
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers import render

ROWS = 14


def page(plot: Plot, width: int | None = None, *, color: bool = False, unicode: bool = True) -> list[str]:
    return render(Document("", (plot,)), "table", Style(width, color, unicode)).splitlines()


def cells(lines: list[str]) -> list[str]:
    """The rows of a plot's frame without its axis, the topmost first, each as long as the axis below them."""
    side = re.compile(r"^[^│┤|+└]*[│┤|+](.*)$")
    base = next(i for i, line in enumerate(lines) if re.match(r"^ *(└|\+[-+]{9})", line))
    wide = len(lines[base]) - re.search(r"[└+]", lines[base]).start() - 1
    rows = [side.match(line)[1].ljust(wide) for line in lines[base - ROWS : base]]
    assert {len(row) for row in rows} == {wide}
    return rows


def column(lines: list[str], place: int) -> str:
    """One column of a plot, from below."""
    return "".join(row[place] for row in reversed(cells(lines)))


def test_points_stand_at_their_position_on_both_axes():
    """The x axis goes from 0 to 104, as it begins at zero and has 4 % of room above; the y axis too."""
    plot = plots.single(Series("a", ((0.0, 0.0), (52.0, 52.0), (100.0, 100.0))))
    lines = page(plot, 80)
    rows = cells(lines)
    wide = len(rows[0])
    assert wide == 80 - len("100 ┤")
    found = {(13 - number, row.index("●")) for number, row in enumerate(rows) if "●" in row}
    assert found == {(0, 0), (7, int(wide / 2)), (13, int(wide * 100 / 104))}  # 6.5 and 12.5 rows up


def test_tick_labels_stand_at_their_numbers():
    plot = plots.single(Series("a", ((0.0, 0.0), (100.0, 100.0))))
    lines = page(plot, 80)
    labels = {13 - number: line.split("┤")[0].strip() for number, line in enumerate(lines[2:16]) if "┤" in line}
    assert labels == {int(13 * value / 104 + 0.5): str(value) for value in (0, 50, 100)}
    base, numbers = lines[16], lines[17]
    ticks = [place for place, char in enumerate(base) if char == "┬"]
    assert [int(text) for text in numbers.split()] == list(range(0, 101, 10))
    assert ticks == [5 + int(75 * value / 104) for value in range(0, 101, 10)]


def test_the_roofline_has_decades_a_legend_and_a_glyph_for_overlaps():
    lines = page(plots.ROOFLINE)
    assert lines[:2] == ["Roofline", "performance (FLOP/s)"]
    assert [line.split("┤")[0].strip() for line in lines if "┤" in line] == ["10 T", "3 T", "1 T", "300 G", "100 G"]
    text = "\n".join(lines)
    assert "arithmetic intensity (FLOP/byte)" in text
    assert re.search(r"^ +0\.1 +0\.3 +1 +3 +10 +30 +100 +300 +1 k$", text, re.MULTILINE)
    assert "⠤⠤⠤ roof  ● conv (3)  ▲ linear (2)  & overlapping" in lines
    assert lines[-1] == "▼ ridge point"
    rows = cells(lines)
    assert sum(row.count("●") for row in rows) == 1
    assert sum(row.count("▲") for row in rows) == 1
    assert sum(row.count("&") for row in rows) == 1


def test_a_line_has_no_gaps_and_rises_with_its_numbers():
    """A line from corner to corner passes every column, each a row of dots not below the one before."""
    rows = cells(page(plots.single(Series("l", ((0.0, 0.0), (100.0, 100.0)), kind="line")), 80))
    heights = []
    for place in range(int(75 * 100 / 104)):
        here = [13 - number for number, row in enumerate(rows) if row[place] != " "]
        assert here
        heights.append(max(here))
    assert heights == sorted(heights)
    assert heights[0] == 0
    assert heights[-1] == 13  # the row of 100, 12.5 rows up


def test_areas_are_stacked_in_their_order():
    """Of 100 MiB at most, and 9 % above: 50 MiB fill 1 + 50 / 109 × 13 = 7 rows, 75 MiB 10, 100 MiB 13."""
    lines = page(plots.SHORT, 80)
    wide = len(cells(lines)[0])
    first, second, third, fourth = (column(lines, int(wide * (place + 0.5) / 4)) for place in range(4))
    assert first == fourth == "█" * 7 + " " * 7
    assert second == "█" * 7 + "▒" * 6 + "▼"
    assert third == "█" * 7 + "▒" * 3 + " " * 4
    assert lines[-2:] == ["█ weights  ▒ saved", "▼ peak"]
    assert [line.split("┤")[0].strip() for line in lines if "┤" in line] == ["96 MiB", "64 MiB", "32 MiB", "0"]


@pytest.mark.parametrize("width", [40, 57, 80, 120, None])
def test_the_peak_column_is_never_lost(width):
    lines = page(plots.LONG, width)
    wide = len(cells(lines)[0])
    touched = range(plots.SPIKE * wide // 5000, -(-(plots.SPIKE + 1) * wide // 5000))
    assert [place for place in range(wide) if "▒" in column(lines, place)] == list(touched)
    assert "▼" in column(lines, int((plots.SPIKE + 0.5) / 5000 * wide))
    assert f"5,000 points in {wide} columns: each column shows the highest" in " ".join(lines[-2:])


def test_columns_show_their_highest_stack():
    """Places 0 to 5 in three columns of two places each."""
    plot = plots.timeline([1, 5, 2, 2, 9, 3], [0, 0, 0, 1, 0, 0])
    stack = drawable(plot).stack
    assert stack.edges == (-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5)
    assert tallest(stack, Scale(-0.5, 5.5), 3) == [1, 3, 4]
    assert tallest(stack, Scale(-0.5, 5.5), 12) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert tallest(stack, Scale(-6.5, 5.5), 12)[:7] == [None] * 6 + [0]
    assert thinned(stack, 6) == ""
    assert thinned(stack, 5) == "6 points in 5 columns: each column shows the highest"


def test_an_area_without_a_point_adds_nothing_there():
    plot = plots.single(Series("a", ((0, 1.0), (2, 3.0)), kind="area"), Series("b", ((2, 4.0), (1, 2.0)), kind="area"))
    stack = drawable(plot).stack
    assert stack.x == (0, 1, 2)
    assert stack.tops == ((1.0, 1.0), (0.0, 2.0), (3.0, 7.0))


def test_series_differ_without_colour():
    names = "abcdefgh"
    for kind, glyphs in (("points", "●▲■◆○△□◇"), ("area", "█▒▓░▞┄╳╱")):
        plot = plots.single(*(Series(name, ((1.0, 1.0),), kind=kind) for name in names))
        legend = " ".join(page(plot, 80)[-4:])
        assert [re.search(rf"(\S) {name}\b", legend)[1] for name in names] == list(glyphs)
        plain = " ".join(page(plot, 80, unicode=False)[-4:])
        assert len({re.search(rf"(\S) {name}\b", plain)[1] for name in names}) == 8


def test_families_have_their_colours():
    lines = page(plots.ROOFLINE, 80, color=True)
    text = "\n".join(lines)
    assert "\x1b[38;2;31;131;201m●\x1b[0m" in text
    assert "\x1b[38;2;213;94;0m▲\x1b[0m" in text
    assert re.sub(r"\x1b\[[\d;]*m", "", text) == "\n".join(page(plots.ROOFLINE, 80))


def test_several_marks_are_numbered_and_visible():
    marks = tuple(Mark(50.0, 50.0, text) for text in ("first", "second", "third"))
    lines = page(plots.single(Series("a", ((0.0, 0.0), (100.0, 100.0))), marks=marks), 80)
    drawn = "".join(cells(lines))
    assert [drawn.count(number) for number in "123"] == [1, 1, 1]
    assert lines[-3:] == ["1 first", "2 second", "3 third"]


def test_points_that_cannot_be_drawn_are_reported():
    lines = page(plots.AWKWARD["below zero on a log axis"])
    assert lines[-1] == "not shown: 2 points not positive on a log axis"
    assert "● low (1)" in lines
    lines = page(plots.AWKWARD["not finite"])
    assert lines[-1] == "not shown: 4 points not finite"
    assert page(plots.AWKWARD["an area below zero"])[-1] == "not shown: 1 point negative in an area"
    assert page(plots.AWKWARD["huge"])[-1] == "not shown: 1 point out of range"
    assert page(plots.AWKWARD["no series"]) == ["A plot", "no points"]
    assert page(plots.AWKWARD["nothing finite"]) == ["A plot", "no points", "not shown: 3 points not finite"]


@pytest.mark.parametrize("name", plots.DOCUMENTS)
def test_ascii_pages_are_ascii(name):
    assert render(plots.DOCUMENTS[name], "table", Style(80, unicode=False)).isascii()


@pytest.mark.parametrize("name", plots.DOCUMENTS)
@settings(deadline=None, max_examples=15)
@given(width=st.integers(40, 200), unicode=st.booleans())
def test_no_line_is_wider_than_the_page(name, width, unicode):
    lines = render(plots.DOCUMENTS[name], "table", Style(width, unicode=unicode)).splitlines()
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("width", [1, 39, 40])
def test_narrow_pages_are_forty_wide(width):
    assert page(plots.ROOFLINE, width) == page(plots.ROOFLINE, 40)


def test_a_pipe_gets_eighty_columns_and_a_wide_terminal_at_most_a_hundred_and_twenty():
    assert page(plots.LONG) == page(plots.LONG, 80)
    assert max(map(len, page(plots.LONG, 500))) == 120


number = st.floats(allow_nan=True, allow_infinity=True)
series = st.builds(
    Series,
    st.text(max_size=5),
    st.lists(st.tuples(number, number), max_size=5).map(tuple),
    kind=st.sampled_from(["points", "line", "area"]),
    names=st.lists(st.text(max_size=3), max_size=3).map(tuple),
)
unit = st.sampled_from(["count", "bytes", "share", "seconds", "flops_per_s", "macs", "text"])
axis = st.builds(Axis, st.text(max_size=5), unit, st.booleans())
any_plot = st.builds(
    Plot,
    st.just("plot"),
    axis,
    axis,
    st.lists(series, max_size=4).map(tuple),
    st.text(max_size=5),
    st.lists(st.builds(Mark, number, number, st.text(max_size=5)), max_size=2).map(tuple),
)


@settings(deadline=None, max_examples=60)
@given(plot=any_plot, name=st.sampled_from(["table", "svg", "html", "markdown", "latex", "csv"]))
def test_extreme_numbers_break_no_format(plot, name):
    document = Document("", (plot,))
    text = render(document, name, Style(60))
    assert text == render(document, name, Style(60))
    assert text.encode().decode() == text
    if name == "table":
        assert max(map(cell_len, text.splitlines()), default=0) <= 60
