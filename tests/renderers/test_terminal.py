from __future__ import annotations

import re
import time

import documents
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style as RichStyle

from alexnet_cli.document import Column, Document, Fact, Facts, Note, Row, Table
from alexnet_cli.graphics import palette
from alexnet_cli.graphics.lines import Look
from alexnet_cli.graphics.text import Style, fold, shorten, width_of, wrap
from alexnet_cli.renderers import render
from alexnet_cli.units import si

PARAMS, MACS = 3, 5


def page(document: Document, width: int | None = None, *, color: bool = False, unicode: bool = True) -> list[str]:
    return render(document, "table", Style(width, color, unicode)).splitlines()


def numbers_of(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def test_a_pipe_gets_every_cell_exactly():
    lines = page(documents.ALEXNET)[4:]
    for row, line in zip(documents.alexnet_table().rows, lines, strict=False):
        name, path, ((*sizes,),), params, share, macs = row.cells
        said = numbers_of(line.replace("│", " ").replace("├─", " ").replace("└─", " "))
        bar = [item for item in said if set(item) <= set("▏▎▍▌▋▊▉█")]
        expected = [name, *([path] if path else []), "×".join(map(str, sizes)), f"{params:,}", *bar]
        expected += [] if share is None else [f"{share * 100:.1f} %"]
        assert said == [*expected, "unknown" if macs is None else f"{macs:,}"]
        assert bool(bar) == bool(share)


def test_guides_join_children_to_their_parents():
    rows = tuple(Row((name,), level) for name, level in [("r", 0), ("a", 1), ("b", 2), ("c", 2), ("d", 1), ("e", 3)])
    document = Document("", (Table("t", (Column("n", "N", tree=True),), rows),))
    assert page(document)[2:-1] == ["r", "├─ a", "│  ├─ b", "│  └─ c", "└─ d", "      └─ e"]
    assert page(document, unicode=False)[2:-1] == ["r", "|- a", "|  |- b", "|  `- c", "`- d", "      `- e"]


@pytest.mark.parametrize("unicode", [True, False])
@settings(deadline=None, max_examples=40)
@given(width=st.integers(40, 200))
def test_no_line_is_wider_than_the_page_and_no_number_is_cut(unicode, width):
    lines = page(documents.ALEXNET, width, unicode=unicode)
    assert max(map(width_of, lines)) <= width
    table = "\n".join(lines[: lines.index("", 2)])
    for row in documents.alexnet_table().rows:
        number = row.cells[PARAMS]
        assert f"{number:,}" in table or si(number) in table
    text = "".join("".join(lines).split())
    for number in (documents.PARAMS, documents.MACS, 2 * documents.MACS):
        assert f"{number:,}" in text
    assert ("--width" in "".join(lines)) == (numbers_of(lines[2])[-1] != "MACs" or "Path" not in lines[2])


@settings(deadline=None, max_examples=40)
@given(width=st.integers(40, 200), unicode=st.booleans())
def test_hostile_names_stay_within_the_page(width, unicode):
    for document in (documents.hostile(), documents.deep(80), documents.MANY, documents.FAILED):
        lines = page(document, width, unicode=unicode)
        assert max(cell_len(line) for line in lines) <= width


@settings(deadline=None, max_examples=60)
@given(
    text=st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=80),
    width=st.integers(2, 30),
)
def test_folded_and_wrapped_text_is_complete_and_fits(text, width):
    assert "".join(fold(text, width)) == text
    assert all(width_of(line) <= width for line in [*fold(text, width), *wrap(text, width)])
    assert "".join("".join(wrap(text, width)).split(" ")) == "".join(text.split(" "))
    assert width_of(shorten(text, max(width, 5), unicode=True)) <= max(width, 5)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (98, ["Layer", "Path", "Output", "Parameters", "Share", "MACs"]),
        (97, ["Layer", "Path", "Output", "Parameters", "Share", "MACs"]),
        (75, ["Layer", "Output", "Parameters", "Share", "MACs"]),
        (72, ["Layer", "Output", "Parameters", "MACs"]),
        (60, ["Layer", "Output", "Parameters", "MACs"]),
        (50, ["Layer", "Output", "Parameters"]),
        (40, ["Layer", "Parameters"]),
    ],
)
def test_columns_of_low_priority_are_left_out_first(width, shown):
    assert numbers_of(page(documents.ALEXNET, width)[2]) == shown


def test_bars_go_before_any_column():
    assert "█" in "".join(page(documents.ALEXNET, 98)[4:30])
    assert "█" not in "".join(page(documents.ALEXNET, 97)[4:30])


def test_left_out_columns_are_named_with_the_width_that_shows_them():
    lines = page(documents.ALEXNET, 60)
    said = " ".join(lines[-100:])
    assert "not shown at this width: Path, Share; numbers are rounded; --width 98 shows all" in said
    for document in (documents.ALEXNET, documents.hostile(), documents.deep(80)):
        needed = int(re.search(r"--width (\d+)", " ".join(page(document, 40)))[1])
        assert "--width" not in " ".join(page(document, needed))


def test_short_numbers_keep_their_digits_in_line():
    lines = [line for line in page(documents.ALEXNET, 60) if "Conv2d" in line or "ReLU" in line]
    assert lines[0].endswith("34.9 k    105 M")
    assert lines[1].endswith("   0        0")


@pytest.mark.parametrize("width", [None, 40, 60, 100, 160])
@pytest.mark.parametrize("color", [True, False])
def test_ascii_pages_are_ascii(width, color):
    for document in (documents.ALEXNET, documents.FAILED, documents.MANY, documents.hostile(), documents.deep(80)):
        assert "\n".join(page(document, width, color=color, unicode=False)).isascii()
    text = "\n".join(page(documents.hostile(), None, unicode=False))
    assert r"\u5377\u79ef\u5c42 x|...\xe9" in text


def test_colour_changes_nothing_but_colour():
    for width in (None, 60, 120):
        colored = page(documents.ALEXNET, width, color=True)
        assert "\x1b[38;2;" in "".join(colored)
        assert [re.sub(r"\x1b\[[\d;]*m", "", line) for line in colored] == page(documents.ALEXNET, width)


def test_without_colour_there_is_no_escape_and_no_space_at_a_line_end(monkeypatch):
    plain = page(documents.ALEXNET)
    assert all(line == line.rstrip() and "\x1b" not in line for line in plain)
    for name, value in {
        "FORCE_COLOR": "1",
        "COLUMNS": "33",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }.items():
        monkeypatch.setenv(name, value)
    assert page(documents.ALEXNET) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b[" in "".join(page(documents.ALEXNET, color=True))


def look_of(word: str, document: Document) -> str:
    line = next(line for line in page(document, color=True) if word in line)
    return re.search(rf"\x1b\[([\d;]*)m[^\x1b]*{re.escape(word)}", line)[1]


def test_groups_families_failures_and_zeros_differ_in_style():
    assert look_of("Sequential", documents.ALEXNET) == "1"
    assert look_of("Conv2d-1", documents.ALEXNET) == "38;2;31;131;201"
    assert look_of("Linear-17", documents.ALEXNET) == "38;2;213;94;0"
    assert look_of("not counted", documents.ALEXNET) == "38;2;169;124;0"
    assert look_of("✗ failed here", documents.FAILED) == "1;38;2;216;65;60"
    assert look_of("mat1 and", documents.FAILED) == "38;2;216;65;60"
    relu = next(line for line in page(documents.ALEXNET, color=True) if "ReLU-2" in line)
    assert "\x1b[2m             0\x1b[0m" in relu or "\x1b[2m         0\x1b[0m" in relu


def test_a_failed_row_has_a_mark_and_no_numbers():
    lines = page(documents.FAILED)
    assert any(line.split() == ["└─", "✗", "failed", "here", "classifier.1"] for line in lines)
    assert any(line.startswith("✗ mat1 and mat2") for line in lines)
    plain = page(documents.FAILED, unicode=False)
    assert any(line.split() == ["`-", "x", "failed", "here", "classifier.1"] for line in plain)


def test_an_empty_table_says_so():
    lines = page(documents.EMPTY)
    assert lines[:3] == ["Nothing", "", "By layer"]
    assert lines[5] == "no rows"


def test_facts_stand_side_by_side_only_where_there_is_room():
    facts = Document("", (documents.FACTS,))
    assert page(facts)[0].split() == ["Layers", "22", "MACs", "1,135,256,096"]
    assert page(facts, 100) == page(facts)
    assert page(facts, 99)[0] == "Layers       22"
    assert "Peak memory  unknown (measured, weights included)" in page(facts, 60)
    long = Facts((Fact("a", "v" * 60), Fact("b", "w" * 60)))
    assert len(page(Document("", (long,)), 100)) == 2


def test_notes_wrap_under_their_text_and_stand_together():
    words = "one two three four five six seven eight nine ten"
    document = Document("", (Note(words, "warning"), Note("eleven", "error"), Note("twelve")))
    first = "! one two three four five six seven"
    assert page(document, 40) == [first, "  eight nine ten", "✗ eleven", "twelve"]
    assert page(document, 7) == page(document, 40)


def test_long_names_lose_their_middle_and_very_wide_trees_their_ends():
    name = "begin" + "x" * 1000 + "end"
    document = Document("", (Table("t", (Column("n", "N", tree=True), Column("p", "P", "count")), (Row((name, 7)),)),))
    wide = page(document)[2]
    assert wide.startswith("begin")
    assert wide.split() == [wide.split()[0], "7"]
    assert wide.split()[0].endswith("end")
    assert len(wide.split()[0]) == 200
    narrow = page(document, 60)[2:-1]
    joined = "".join(line.split()[0] for line in narrow)
    assert len(joined) == 60
    assert narrow[0].endswith(" 7")


def test_three_thousand_rows_render_within_two_seconds():
    document = documents.deep(50, each=60)
    started = time.process_time()
    lines = page(document, 100, color=True)
    assert time.process_time() - started < 2
    assert len(lines) >= 3000


def test_a_tree_of_thousands_of_levels_is_drawn():
    started = time.process_time()
    lines = page(documents.deep(3000))
    assert time.process_time() - started < 2
    assert "Block-2999" in "".join(lines)
    assert max(map(len, lines)) < 300


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("dim", [False, True])
@pytest.mark.parametrize("color", [None, *palette.HUES.values(), palette.WARNING])
def test_looks_are_written_as_rich_writes_them(color, bold, dim):
    for text in ("conv1", "", "×"):
        expected = RichStyle(color=color, bold=bold or None, dim=dim or None)
        assert Look(color, bold, dim).written(text) == expected.render(text, color_system=ColorSystem.TRUECOLOR)
