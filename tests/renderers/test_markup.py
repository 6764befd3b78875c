"""Markdown, HTML, SVG and LaTeX are read back by a reader of the format, not by eye."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import documents
import pytest
from markdown_it import MarkdownIt

from alexnet_cli.document import Column, Document, Note, Row, Table
from alexnet_cli.graphics.text import Style, visible
from alexnet_cli.renderers import render
from alexnet_cli.renderers.tables import cell_text


class Page(HTMLParser):
    """The cells of each table, and every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside = False
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        self.inside = tag in ("th", "td") or (self.inside and tag in ("strong", "em"))
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("th", "td")

    def handle_data(self, data):
        self.text += data
        if self.inside:
            self.rows[-1][-1] += data


def said_by(table: Table) -> list[list[str]]:
    return [
        [visible(cell_text(cell, column, row)) for cell, column in zip(row.cells, table.columns, strict=True)]
        for row in table.rows
    ]


def from_markdown(document: Document) -> Page:
    return Page(MarkdownIt("gfm-like", {"linkify": False}).render(render(document, "markdown", Style())))


def test_html_tables_are_read_back():
    page = Page(render(documents.ALEXNET, "html", Style()))
    table = documents.alexnet_table()
    assert page.rows[0] == [column.title for column in table.columns]
    assert page.rows[1 : len(table.rows) + 1] == said_by(table)
    assert ["MACs", "conv", "1,076,634,144", "94.8 %"] in page.rows
    assert "2,270,512,192 (2 per MAC)" in page.text
    scopes = [attributes.get("scope") for tag, attributes in page.tags if tag == "th"]
    assert set(scopes) == {"col", "row"}
    assert ("caption", {}) in page.tags


def test_html_loads_nothing_and_runs_nothing():
    text = render(documents.hostile(), "html", Style())
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "div",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "dl",
        "dt",
        "dd",
        "span",
        "strong",
    }
    assert "http" not in text
    assert not [
        name for _, attributes in page.tags for name in attributes if name in ("src", "href") or name[:2] == "on"
    ]
    names = [row[0] for row in page.rows[1 : len(documents.HOSTILE_NAMES) + 1]]
    assert names == [visible(name) for name in documents.HOSTILE_NAMES]


def test_markdown_tables_are_read_back():
    page = from_markdown(documents.ALEXNET)
    rows = [[cell.strip("\u2003") for cell in row] for row in page.rows]
    table = documents.alexnet_table()
    assert rows[0] == [column.title for column in table.columns]
    assert rows[1 : len(table.rows) + 1] == said_by(table)
    assert [len(row[0]) - len(row[0].lstrip("\u2003")) for row in page.rows[1 : len(table.rows) + 1]] == [
        row.level for row in table.rows
    ]
    assert ["Parameters", "linear", "58,631,144", "94.0 %"] in rows
    assert "Warning: not counted: aten::_local_norm" in page.text


def test_markdown_escapes_names():
    page = from_markdown(documents.hostile())
    allowed = {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong"}
    assert {tag for tag, _ in page.tags} <= allowed
    flat = [re.sub(r"[\r\n\t]+", " ", name).strip() for name in documents.HOSTILE_NAMES]
    rows = page.rows[1 : len(flat) + 1]
    assert [row[0].strip("\u2003") for row in rows] == [visible(name) for name in flat]
    assert all(len(row) == 6 for row in rows)


@pytest.mark.parametrize("text", ["- a", "1. a", "2) a", "# a", "+ a", "> a", "---", "===", "a\n\n# b", "~~~", "```x"])
def test_markdown_notes_stay_paragraphs(text):
    page = from_markdown(Document("T", (Note(text),)))
    assert [tag for tag, _ in page.tags] == ["h1", "p"]
    assert re.sub(r"\n+", " ", text) in page.text


def svg_rows(document: Document, width: int | None = None) -> list[tuple[float, float, str]]:
    root = ET.fromstring(render(document, "svg", Style(width)))
    texts = root.iter("{http://www.w3.org/2000/svg}text")
    return [
        (float(text.attrib["y"]), float(text.attrib["x"]), (text.text or "").replace("\xa0", " ")) for text in texts
    ]


def test_svg_has_the_text_of_the_terminal():
    shown = svg_rows(documents.ALEXNET)
    lines: dict[float, str] = {}
    for y, _, text in shown:
        lines[y] = lines.get(y, "") + text
    expected = [re.sub(r"[ █▒▏▎▋▊]", "", line) for line in render(documents.ALEXNET, "table", Style()).splitlines()]
    assert [line.replace(" ", "") for line in lines.values()] == [line for line in expected if line]


def test_svg_stands_alone_and_is_as_wide_as_its_text():
    for document in (documents.ALEXNET, documents.hostile(), documents.deep(80), Document("", ())):
        text = render(document, "svg", Style())
        assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
        assert not re.search(r"<script|<image|@import|@font-face|href", text.replace("&lt;script", ""))
        width = float(re.search(r'<svg [^>]* width="([\d.]+)"', text)[1])
        assert width >= 60 * 8.4
        assert all(x >= 20 for _, x, _ in svg_rows(document))
        ends = [float(x) + float(long) for x, long in re.findall(r'<text x="([\d.]+)".*?textLength="([\d.]+)"', text)]
        assert max(ends, default=0) <= width - 19
    assert all(x < 100 * 8.4 + 20 for _, x, _ in svg_rows(documents.ALEXNET, 100))


def test_svg_ids_depend_on_the_content():
    first, second = (render(document, "svg", Style()) for document in (documents.ALEXNET, documents.FAILED))
    identity = re.search(r'id="(alexnet-\w+)"', first)[1]
    assert identity not in second
    assert first == render(documents.ALEXNET, "svg", Style())


def plain_latex(text: str) -> str:
    """Undo the escapes that the renderer is meant to use, and no others."""
    for escaped, char in [(r"$\times$", "×"), (r"$\cdot$", "·"), (r"\ldots{}", "…"), (r"\char34{}", '"')]:
        text = text.replace(escaped, char)
    names = {"asciicircum": "^", "asciitilde": "~", "less": "<", "greater": ">", "bar": "|", "asciigrave": "`"}
    text = re.sub(r"\\text(asciicircum|asciitilde|less|greater|bar|asciigrave)\{\}", lambda m: names[m[1]], text)
    text = re.sub(r"(?<!\\)\{([\[\]*])\}", r"\1", text).replace("-{}", "-").replace("'{}", "'")
    text = text.replace(r"\textbackslash{}", "\0")
    return re.sub(r"\\([{}$&#_%])", r"\1", text).replace("\0", "\\")


def latex_rows(document: Document) -> list[list[str]]:
    text = render(document, "latex", Style())
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0]
    rows = [re.split(r"(?<!\\) ?& ?", line.removesuffix(r" \\")) for line in body.splitlines()]
    return [
        [plain_latex(re.sub(r"^(\\quad)* ?(\\textbf\{(.*)\}$)?", r"\3", cell).strip()) for cell in row] for row in rows
    ]


def test_latex_tables_are_read_back():
    assert latex_rows(documents.ALEXNET) == said_by(documents.alexnet_table())
    text = render(documents.ALEXNET, "latex", Style())
    assert text.startswith("% Needs \\usepackage{booktabs}")
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == text.count(r"\caption{") == 3
    assert r"\quad\quad Conv2d-1 &" in text


def test_latex_escapes_names():
    page = documents.hostile()
    rows = latex_rows(page)
    latin = [visible(name).strip() for name in documents.HOSTILE_NAMES]
    latin[12] = r"\u5377\u79ef\u5c42 ×·…é \U0001f600\u2764\ufe0f"
    assert [row[0] for row in rows] == latin
    text = "\n".join(line for line in render(page, "latex", Style()).splitlines() if line[0:1] != "%")
    commands = set(re.findall(r"\\([a-zA-Z]+)", text))
    assert commands <= {
        "begin",
        "end",
        "centering",
        "caption",
        "toprule",
        "midrule",
        "bottomrule",
        "quad",
        "noindent",
        "textbf",
        "par",
        "textbackslash",
        "textasciicircum",
        "textasciitilde",
        "textless",
        "textgreater",
        "textbar",
        "textasciigrave",
        "char",
        "times",
        "cdot",
        "ldots",
    }
    assert all(char.isascii() or char == "é" for char in text)
    braces = re.sub(r"\\[{}]", "", text)
    assert braces.count("{") == braces.count("}")


def test_latex_rows_never_begin_with_an_argument_and_dashes_stay_apart():
    table = Table("t", (Column("n", "N"),), (Row(("[2cm]",)), Row(("*",)), Row(("a---b''",))))
    text = render(Document("", (table,)), "latex", Style())
    assert "{[}2cm{]}" in text
    assert "{*}" in text
    assert "a-{}-{}-b'{}'" in text
