"""The section of the source: the lines of the user's own code that ran, with what each made and cost."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape
from msgspec import Struct

from alexnet_cli.analyses.annotate import AnnotatedFile
from alexnet_cli.analyses.exploring.called_at import Place, called_at
from alexnet_cli.document import Column, Role, Value
from alexnet_cli.drawing.words import MOST_PATHS
from alexnet_cli.graphics.code import Span, coloured
from alexnet_cli.graphics.text import visible
from alexnet_cli.report import GRAPH, Report, subtree_ends
from alexnet_cli.report_page.material import Content, Material
from alexnet_cli.views.annotate import changed_notes, listing, rules, sums

_BREAK = re.compile(r"[(.\[](?=\S|$)")
"""After these, within what has no spaces, a line may be broken."""


class Line(Struct, frozen=True):
    """A line of a listing: its number, its code, `indent` spaces deep, its other cells, and the layers called there."""

    number: int | None
    code: Markup
    indent: int
    cells: tuple[Value, ...]
    role: Role
    paths: tuple[str, ...]


class Listing(Struct, frozen=True):
    """The lines of a file that ran; `columns` are those after its number and its code."""

    name: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


def source(material: Material) -> Content:
    """Return the source with what its lines did, or why there is none."""
    known = material.lines
    if known is None:
        return _why_not(material.report)
    if not known.found.files:
        return "no line of your own code ran: the model is made of installed modules alone"
    called = _called(material.report)
    return {
        "listings": [_listing(file, known.texts.get(file.path), called) for file in known.found.files],
        "sums": sums(known.found, material.roof).facts,
        "notes": [*changed_notes(known.found, known.texts), *rules(known.found)],
    }


def _why_not(report: Report) -> str:
    if report.run is None:
        return "a checkpoint cannot be run"
    if report.run.device == GRAPH:
        return "an ONNX file does not hold it"
    if report.tape is None:
        return "its operators were not recorded"
    return "the saved report does not say which lines ran: `alexnet summary --json --lines` saves that too"


def _called(report: Report) -> dict[Place, tuple[str, ...]]:
    """Return the paths of the layers that each line called, but for those below another one of them."""
    ends, done = subtree_ends(report.layers), dict[Place, int]()
    found: dict[Place, dict[str, None]] = defaultdict(dict)
    for row, place in sorted(called_at(report).items()):
        if report.layers[row].path and row >= done.get(place, 0):
            found[place][visible(report.layers[row].path)] = None
            done[place] = ends[row]
    return {place: tuple(paths)[:MOST_PATHS] for place, paths in found.items()}


def _listing(file: AnnotatedFile, text: str | None, called: Mapping[Place, tuple[str, ...]]) -> Listing:
    table = listing(file, text)
    spans = coloured([visible(str(row.cells[1])) for row in table.rows])
    lines = []
    for row, code in zip(table.rows, spans, strict=True):
        number = row.cells[0] if isinstance(row.cells[0], int) else None
        paths = () if number is None else called.get((file.path, number), ())
        whole = "".join(piece for piece, _ in code)
        indent = len(whole) - len(whole.lstrip())
        lines.append(Line(number, _written(code), indent, row.cells[2:], row.role, paths))
    return Listing(table.caption, table.columns[2:], tuple(lines))


def _written(code: Sequence[Span]) -> Markup:
    """Write a line in colours, with places where it may be broken on a narrow page."""
    pieces = ((_BREAK.sub(r"\g<0><wbr>", str(escape(piece))), hue) for piece, hue in code)
    written = (f"<span style=--c:{hue}>{piece}</span>" if hue else piece for piece, hue in pieces)
    return Markup("".join(written))  # noqa: S704 - it is escaped
