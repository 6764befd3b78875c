r"""Documents as a LaTeX fragment to `\input`: booktabs tables, and paragraphs for notes.

The fragment compiles with pdfLaTeX for any name: characters that its usual fonts lack are written as escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from alexnet_cli.document import Document, Facts, Note, Table
from alexnet_cli.graphics.text import Style, clean, visible
from alexnet_cli.renderers.tables import NUMERIC, caption_of, facts_table, rows_of, undrawn

_SPECIAL = {char: f"\\{char}" for char in "{}$&#_%"} | {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",
    "[": "{[}",  # after a row's end it would begin an argument
    "]": "{]}",
    "*": "{*}",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "…": r"\ldots{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
}
_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉"
_DIGITS = str.maketrans(_RAISED + _LOWERED, "0123456789" * 2)
_FORMULA = re.compile(rf"[⋅⌊{_RAISED}{_LOWERED}]|^−?\d|^\w$")
_SIGNS = {"⋅": r"\,", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "−": "-", "′": "'"}
_LIGATURE = re.compile(r"(?<=-)(?=-)|(?<=')(?=')")  # two hyphens would become a dash, two apostrophes a quotation mark
_LATIN = range(0xC0, 0x100)
_T1_ONLY = frozenset("ÐðÞþ×÷")


def render(document: Document, style: Style) -> str:  # noqa: ARG001 - a fragment has neither width nor colour
    r"""Write each table, the facts and the shares as a `table` environment with a caption."""
    lines = [r"% Needs \usepackage{booktabs} in the preamble.", f"% {clean(document.title, Style(unicode=False))}"]
    heading = ": ".join(filter(None, (document.title, document.subtitle)))
    for block in undrawn(document):
        lines += ["", *_block(block, heading)]
    return "\n".join(lines) + "\n"


def _block(block: Table | Facts | Note, heading: str) -> Iterator[str]:
    match block:
        case Table():
            yield from _table(block, heading)
        case Facts():
            yield from _table(facts_table(block), heading)
        case Note():
            tone = "" if block.tone == "info" else rf"\textbf{{{block.tone.capitalize()}:}} "
            yield rf"\noindent {tone}{_escaped(block.text)}\par"


def _table(table: Table, heading: str) -> Iterator[str]:
    caption = ". ".join(filter(None, (heading, caption_of(table))))
    yield r"\begin{table}[htbp]"
    yield r"\centering"
    yield rf"\caption{{{_escaped(caption)}}}"
    yield rf"\begin{{tabular}}{{{''.join('r' if column.unit in NUMERIC else 'l' for column in table.columns)}}}"
    yield r"\toprule"
    yield _row(_escaped(column.title) for column in table.columns)
    yield r"\midrule"
    indent = lambda level: r"\quad" * level + " " * bool(level)  # noqa: E731 - in one line
    rows = rows_of(table, _escaped, bold=r"\textbf{{{}}}", indent=indent, by_unit={"formula": _typeset, "code": _code})
    yield from (_row(texts) for _, texts in rows)
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{table}"


def _typeset(formula: str) -> str:
    """Write a formula in LaTeX's own signs; what is none, but words in its place, stays words."""
    if not _FORMULA.search(formula):
        return _escaped(formula)
    raised = re.sub(f"[{_RAISED}]+", lambda found: f"^{{{found[0].translate(_DIGITS)}}}", formula)
    lowered = re.sub(f"[{_LOWERED}]+", lambda found: f"_{{{found[0].translate(_DIGITS)}}}", raised)
    written = re.sub(r"(?<=\d),(?=\d)", "{,}", lowered)
    return f"${''.join(_SIGNS.get(char) or char for char in written)}$".replace("min(", r"\min(")


def _code(text: str) -> str:
    """Write a line of source in a typewriter font, with the spaces that it begins with."""
    source = text.lstrip(" ")
    return rf"\texttt{{{'~' * (len(text) - len(source))}{_escaped(source)}}}" if source else ""


def _row(cells: Iterable[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _escaped(text: str) -> str:
    """Escape text so that every character is typeset as itself."""
    return _LIGATURE.sub("{}", "".join(_SPECIAL.get(char) or _plain(char) for char in visible(text)))


def _plain(char: str) -> str:
    if char.isascii() or (ord(char) in _LATIN and char not in _T1_ONLY):
        return char
    return char.encode("ascii", "backslashreplace").decode().replace("\\", _SPECIAL["\\"])
