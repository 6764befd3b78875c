"""Real parsers for each format; each returns what is wrong, or None. `RUN` says which could be run here."""

from __future__ import annotations

import csv as csv_module
import io
import json
import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

SLOW = {"latex": 20, "mermaid": 20, "dot": 2, "page": 5, "draw svg": 2, "blocks": 2}
"""Formats that are parsed for one of so many modules only, as the parser or the page takes long."""
NODE_MODULES = os.environ.get("TORTURE_NODE_MODULES", "")
"""A folder with the npm packages `mermaid` and `jsdom`, if mermaid is to be parsed by its own parser."""
RUN = {
    "csv": "csv of Python, strict",
    "JSON": "jsonschema",
    "markdown": "markdown-it-py" if find_spec("markdown_it") else None,
    "svg": "lxml" if find_spec("lxml") else None,
    "html": "html5lib, strict" if find_spec("html5lib") else None,
    "dot": "Graphviz dot" if shutil.which("dot") else None,
    "latex": "pdflatex" if shutil.which("pdflatex") else None,
    "mermaid": "mermaid.parse in Node" if NODE_MODULES and shutil.which("node") else None,
}
"""The parser of each format; None where it is not installed and the text was only written."""
_CONTROLS = {chr(code) for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\r\t"} | set(
    "\u202e\u202d\u2066\u2067\u200f"
)
_MERMAID = """
const { JSDOM } = require("jsdom");
const dom = new JSDOM("<body></body>");
global.window = dom.window; global.document = dom.window.document;
let text = ""; process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => import("mermaid").then(({ default: m }) => m.parse(text)).then(
  () => process.exit(0), (error) => { console.error(String(error).slice(0, 600)); process.exit(1); }));
"""
_TEX = (
    r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{booktabs}"
    r"\begin{document}\input{it}\end{document}"
)


def csv(text: str) -> str | None:
    """Read by Python's own module: one width, no cell that a spreadsheet takes for a formula."""
    rows = list(csv_module.reader(io.StringIO(text), strict=True))
    if len({len(row) for row in rows}) != 1:
        return f"rows of {sorted({len(row) for row in rows})} cells"
    formulas = [
        cell
        for row in rows
        for cell in row
        if cell[:1] in tuple("=@+\t\r") or (cell[:1] == "-" and not _is_number(cell))
    ]
    return f"a formula: {formulas[0]!r}" if formulas else None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def markdown(text: str) -> str | None:
    """Parse as GitHub does: one table at least, no HTML, no link or picture out of a name."""
    if not RUN["markdown"]:
        return None
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    bad = [
        token
        for token in (*tokens, *inline)
        if token.type in ("html_inline", "html_block", "link_open", "image", "fence")
    ]
    if bad:
        return f"{bad[0].type}: {bad[0].content[:200]!r}"
    if not any(token.type == "table_open" for token in tokens):
        return "no table"
    odd = [token.content for token in inline if _CONTROLS & {*token.content}]
    return f"a control: {odd[0]!r}" if odd else None


def svg(text: str) -> str | None:
    """Parse as XML: no script, no link, no control."""
    if not RUN["svg"]:
        return None
    from lxml import etree

    try:
        tree = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, huge_tree=True))
    except etree.XMLSyntaxError as error:
        return str(error)
    for element in tree.iter(etree.Element):
        name = etree.QName(element).localname
        if name in ("script", "image", "foreignObject", "iframe") or any(
            key.startswith("on") for key in element.attrib
        ):
            return f"an element {name} {dict(element.attrib)}"
    shown = "".join(tree.itertext())
    return f"controls: {sorted(_CONTROLS & {*shown})!r}" if _CONTROLS & {*shown} else None


def html(text: str) -> str | None:
    """Parse as browsers do, refusing each parse error; no element or attribute out of a name."""
    if not RUN["html"]:
        return None
    import html5lib

    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    whole = "<html" in text[:200].lower() or "<!doctype" in text[:200].lower()
    try:
        tree = parser.parse(text) if whole else parser.parseFragment(text)
    except html5lib.html5parser.ParseError as error:
        return f"{error} at {parser.tokenizer.stream.position()}"
    for element in tree.iter():
        if not isinstance(element.tag, str):
            continue
        injected = [key for key in element.attrib if key.startswith("on") and key != "onclick"]
        if element.tag in ("iframe", "object", "embed", "blink", "marquee") or injected:
            return f"an element {element.tag} {dict(element.attrib)}"
    return None


def dot(text: str) -> str | None:
    """Parse and lay out by Graphviz."""
    return _piped(["dot", "-Tsvg", "-o", os.devnull], text) if RUN["dot"] else None


def latex(text: str) -> str | None:
    """Compile by pdfLaTeX."""
    if not RUN["latex"]:
        return None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "it.tex").write_text(text, encoding="utf-8")
        (Path(folder) / "main.tex").write_text(_TEX, encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "main.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60)
        said = done.stdout.decode("utf-8", "replace")
        return said[said.find("\n!") :][:600] if done.returncode else None


def mermaid(text: str) -> str | None:
    """Parse by mermaid's own parser."""
    return _piped(["node", "-e", _MERMAID], text, cwd=NODE_MODULES) if RUN["mermaid"] else None


def json_text(text: str) -> str | None:
    """Parse as JSON."""
    try:
        json.loads(text)
    except ValueError as error:
        return str(error)
    return None


def terminal(text: str) -> str | None:
    """See that no control reaches a terminal."""
    found = _CONTROLS & {*text}
    return f"controls: {sorted(found)!r}" if found else None


def _piped(command: list[str], text: str, cwd: str | None = None) -> str | None:
    whole = ["bash", "-c", 'ulimit -v unlimited; exec "$@"', "bash", *command]
    done = subprocess.run(whole, input=text.encode(), cwd=cwd, capture_output=True, check=False, timeout=60)
    said = done.stderr.decode("utf-8", "replace")
    return f"{command[0]} exits {done.returncode}: {said[:600]}" if done.returncode or "rror" in said else None
