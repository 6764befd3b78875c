"""What holds for every format."""

from __future__ import annotations

import subprocess
import sys

import documents
import pytest

from alexnet_cli.document import Document
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers import FORMATS, format_for_suffix, render

PAGES = {
    "alexnet": documents.ALEXNET,
    "failed": documents.FAILED,
    "empty": documents.EMPTY,
    "many": documents.MANY,
    "blank": Document("", ()),
    "hostile": documents.hostile(),
    "deep": documents.deep(60),
}
OBEYED = "\x00\x07\x1b\x7f\x9b\u202e\u2066\u200b\ufeff\u2028\ud800\uffff\t\r"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("style", [Style(), Style(60), Style(100, unicode=False)])
def test_output_ends_in_one_newline_is_utf8_and_deterministic(name, page, style):
    text = render(PAGES[page], name, style)
    assert text.endswith("\n")
    assert name in ("csv", "table") or not text.endswith("\n\n")
    assert text == render(PAGES[page], name, style)
    assert text.encode().decode() == text


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_passes_control_characters_on(name):
    text = render(documents.hostile(), name, Style())
    assert not set(text) & set(OBEYED)
    assert "u202e" in text
    assert "x1b" in text


def test_every_format_writes_every_row():
    page = documents.deep(700)
    for name in FORMATS:
        text = render(page, name, Style()).replace("{}", "")
        assert [level for level in range(700) if f"path.{level}" not in text] == []


def test_suffixes_name_formats():
    assert {path: format_for_suffix(path) for path in ("a.TXT", "b.csv", "c.md", "d.markdown", "e.tex")} == {
        "a.TXT": "table",
        "b.csv": "csv",
        "c.md": "markdown",
        "d.markdown": "markdown",
        "e.tex": "latex",
    }
    assert [format_for_suffix(path) for path in ("a.html", "b.htm", "x/c.svg", "d.json", "svg", "a.md/b")] == [
        "html",
        "html",
        "svg",
        None,
        None,
        None,
    ]


def test_importing_the_package_loads_no_renderer():
    code = "import sys, alexnet_cli.renderers; print([m for m in sys.modules if m.split('.')[0] in ('rich', 'torch')])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
