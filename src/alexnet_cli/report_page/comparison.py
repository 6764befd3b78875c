"""The sections of a page about several models: their totals, figures, types, layers and findings side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli import units
from alexnet_cli.analyses.compare import AlignedLayer, Comparison, compare, only_changes
from alexnet_cli.analyses.findings.rules import findings
from alexnet_cli.analyses.shares import TypeShare, by_type
from alexnet_cli.document import Column, Document, Note, Row, Table
from alexnet_cli.graphics.bar_chart import BarRow, Panel, draw
from alexnet_cli.graphics.text import visible
from alexnet_cli.report import ErrorInfo, Report
from alexnet_cli.report_page.charts import Chart, chart
from alexnet_cli.report_page.material import LeftOut, Section
from alexnet_cli.report_page.sections.findings import LANGUAGE, Judged, judged
from alexnet_cli.report_page.sections.layers import MOST_ROWS
from alexnet_cli.report_page.sections.overview import Drawing, drawing_of
from alexnet_cli.views.compare import compare_document, label
from alexnet_cli.views.explain import tell
from alexnet_cli.views.parts import run_line

MOST_TYPES = 12
TYPES = "Parameters and MACs by type"
_COLOURS = ("conv", "linear", "norm", "attention", "embedding", "recurrent", "pool", "softmax")
"""Families whose colours stand for models, in this order."""


class Sides:
    """Two or more models, and what is equal and what differs between them."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self.reports = tuple(reports)
        self.comparison = compare(reports)
        self.names = tuple(f"{label(i)} {report.model.class_name}" for i, report in enumerate(reports))

    @cached_property
    def document(self) -> Document:
        """What `alexnet compare` shows."""
        return compare_document(self.comparison)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What `alexnet compare` says; the first note is the summary at the head of the page."""
        return tuple(block for block in self.document.blocks if isinstance(block, Note))


class Side(Struct, frozen=True):
    """A model: what it is, how it was run, and why it failed if it did."""

    name: str
    target: str
    description: str
    run_line: str
    colour: str
    error: ErrorInfo | None


class Models(Struct, frozen=True):
    """The models, the table of their totals, and notes on how far the numbers are comparable."""

    sides: tuple[Side, ...]
    totals: Table
    notes: tuple[Note, ...]


class Picture(Struct, frozen=True):
    """The figure of a model; `number` counts models from 0, `why` says why there is no figure."""

    name: str
    number: int
    drawing: Drawing | None
    why: str


class Types(Struct, frozen=True):
    """The chart, the model that each colour stands for, and what was left out."""

    chart: Chart
    keys: tuple[tuple[str, str], ...]
    note: str


class LinedUp(Struct, frozen=True):
    """A row; `lines_up` has the numbers and paths of the models as JSON."""

    row: Row
    change: str
    lines_up: str


class Layers(Struct, frozen=True):
    """The table of aligned layers, and what was left out of it."""

    columns: tuple[Column, ...]
    rows: tuple[LinedUp, ...]
    changes: tuple[str, ...]
    note: str


class Claim(Struct, frozen=True):
    """A claim and its verdict for each model."""

    text: str
    verdicts: tuple[Judged, ...]


class Verdicts(Struct, frozen=True):
    """The claims, and the names of the models."""

    names: tuple[str, ...]
    claims: tuple[Claim, ...]


def models(sides: Sides) -> Section:
    """Return which models are compared, with their totals side by side."""
    shown = tuple(
        Side(name, it.model.target, it.model.description, run_line(it.run), _colour(number), it.error)
        for number, (name, it) in enumerate(zip(sides.names, sides.reports, strict=True))
    )
    return Section("models", "Models", Models(shown, _table(sides.document, "totals"), sides.notes[1:]))


def figures(sides: Sides) -> Section | LeftOut:
    """Return the figure of each model that has one."""
    drawn = [drawing_of(report) for report in sides.reports]
    if all(isinstance(one, str) for one in drawn):
        return LeftOut("Figures", str(drawn[0]))
    pictures = tuple(
        Picture(name, number, None if isinstance(one, str) else one, one if isinstance(one, str) else "")
        for number, (name, one) in enumerate(zip(sides.names, drawn, strict=True))
    )
    return Section("figures", "Figures", pictures)


def types(sides: Sides) -> Section | LeftOut:
    """Return the share of parameters and MACs of each layer type, in each model."""
    shares = [{item.type: item for item in by_type(report)} for report in sides.reports]
    names = sorted(
        {name for found in shares for name, item in found.items() if item.params or item.macs},
        key=lambda name: (-max(_weight(found.get(name)) for found in shares), name),
    )
    if not names:
        return LeftOut(TYPES, "no layer has parameters or counted MACs")
    keys = tuple((name, _colour(number)) for number, name in enumerate(sides.names))
    left_out = len(names) - MOST_TYPES
    note = f"The {MOST_TYPES} largest types; the other {left_out} have little." if left_out > 0 else ""
    ran = all(report.run is not None for report in sides.reports)
    return Section("types", TYPES, Types(_types_chart(names[:MOST_TYPES], shares, ran=ran), keys, note))


def lined_up(sides: Sides) -> Section:
    """Return the layers of all models, aligned, each with its differences."""
    shown, note = _limited(sides.comparison)
    table = _table(sides.document if shown is sides.comparison else compare_document(shown), "layers")
    rows = tuple(
        LinedUp(row, layer.change, _lines_up(layer)) for row, layer in zip(table.rows, shown.layers, strict=True)
    )
    found = {layer.change for layer in shown.layers}
    changes = tuple(change for change in ("changed", "added", "removed", "same") if change in found)
    return Section("lined-up", "Layers", Layers(table.columns, rows, changes, note))


def verdicts(sides: Sides) -> Section:
    """Return the verdict on each claim, model beside model."""
    told = [tell(findings(report), LANGUAGE) for report in sides.reports]
    claims = tuple(Claim(same[0].claim, tuple(judged(one.verdict) for one in same)) for same in zip(*told, strict=True))
    return Section("verdicts", "Findings", Verdicts(sides.names, claims))


def _colour(number: int) -> str:
    """Return the family whose colour a model has."""
    return _COLOURS[number % len(_COLOURS)]


def _table(document: Document, name: str) -> Table:
    return next(block for block in document.blocks if isinstance(block, Table) and block.name == name)


def _weight(item: TypeShare | None) -> float:
    return 0.0 if item is None else max(item.params_share, item.macs_share or 0.0)


def _types_chart(names: Sequence[str], shares: Sequence[dict[str, TypeShare]], *, ran: bool) -> Chart:
    rows: list[BarRow] = []
    for name in names:
        for number, found in enumerate(shares):
            item = found.get(name)
            params, macs = (item.params, item.macs) if item else (0, 0)
            numbers = (params, macs) if ran else (params,)
            texts = tuple(
                "0" if value == 0 else units.UNKNOWN if value is None else units.si(value) for value in numbers
            )
            title = f"{label(number)} {name}"
            told = f"{title}: {' and '.join(f'{value:,}' for value in numbers if value is not None)}"
            rows.append(BarRow(title, _colour(number), tuple(float(value or 0) for value in numbers), texts, told))
    panels = [Panel("Parameters"), *([Panel("MACs")] if ran else [])]
    text = f"{' and '.join(panel.title for panel in panels)} by layer type of {len(shares)} models"
    return chart(text, lambda width: draw(rows, panels, width))


def _lines_up(layer: AlignedLayer) -> str:
    places = [[str(number), visible(path)] for number, path in enumerate(layer.paths) if path is not None]
    return json.dumps(places, ensure_ascii=False)


def _limited(comparison: Comparison) -> tuple[Comparison, str]:
    """Leave rows out where they are too many for a page, equal ones first."""
    whole = len(comparison.layers)
    if whole <= MOST_ROWS:
        return comparison, ""
    changed = only_changes(comparison)
    if len(changed.layers) <= MOST_ROWS:
        return changed, f"Of {whole:,} layers, only those that differ are listed."
    first = replace(changed, layers=changed.layers[:MOST_ROWS])
    return first, f"Of {whole:,} layers, only the first {MOST_ROWS:,} that differ are listed."
