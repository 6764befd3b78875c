"""The sections of a page about several models: their totals, figures, types, layers and findings side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence

from msgspec.structs import replace

from alexnet_cli import units
from alexnet_cli.analyses.compare import AlignedLayer, Comparison, compare, only_changes
from alexnet_cli.analyses.findings.rules import findings, is_shown
from alexnet_cli.analyses.shares import TypeShare, by_type
from alexnet_cli.document import Document, Note, Table
from alexnet_cli.graphics.bar_chart import BarRow, Panel
from alexnet_cli.graphics.text import visible
from alexnet_cli.report import Report
from alexnet_cli.report_page.charts import bars
from alexnet_cli.report_page.layers import MOST_ROWS
from alexnet_cli.report_page.material import Content
from alexnet_cli.report_page.overview import LANGUAGE, figure_of
from alexnet_cli.views.compare import compare_document, label
from alexnet_cli.views.explain import tell

MOST_TYPES = 12
_COLOURS = ("conv", "linear", "norm", "attention", "embedding", "recurrent", "pool", "softmax")


class Sides:
    """Two or more models, and what is equal and what differs between them.

    `document` is what `alexnet compare` shows, `notes` what it says: the first is the summary at the head of the page.
    `colours` are the families whose colours stand for the models.
    """

    def __init__(self, reports: Sequence[Report]) -> None:
        self.reports = reports
        self.comparison = compare(reports)
        self.document = compare_document(self.comparison)
        self.notes = [block for block in self.document.blocks if isinstance(block, Note)]
        self.names = [f"{label(number)} {report.model.class_name}" for number, report in enumerate(reports)]
        self.colours = [_COLOURS[number % len(_COLOURS)] for number in range(len(reports))]


def models(sides: Sides) -> Content:
    """Return which models are compared, with their totals side by side."""
    shown = list(zip(sides.names, sides.reports, sides.colours, strict=True))
    return {"sides": shown, "totals": _table(sides.document, "totals"), "notes": sides.notes[1:]}


def figures(sides: Sides) -> Content:
    """Return the figure of each model, or why it has none."""
    drawn = [figure_of(report) for report in sides.reports]
    if all(isinstance(one, str) for one in drawn):
        return str(drawn[0])
    return {"figures": list(zip(sides.names, drawn, strict=True))}


def types(sides: Sides) -> Content:
    """Return the share of parameters and MACs of each layer type, in each model."""
    shares = [{item.type: item for item in by_type(report)} for report in sides.reports]
    names = sorted(
        {name for found in shares for name, item in found.items() if item.params or item.macs},
        key=lambda name: (
            -max(max(found[name].params_share, found[name].macs_share or 0.0) for found in shares if name in found),
            name,
        ),
    )
    if not names:
        return "no layer has parameters or counted MACs"
    panels = [Panel("Parameters")]
    if all(report.run is not None for report in sides.reports):
        panels.append(Panel("MACs"))
    rows = [
        _types_row(label(number), colour, name, found.get(name), len(panels))
        for name in names[:MOST_TYPES]
        for number, (found, colour) in enumerate(zip(shares, sides.colours, strict=True))
    ]
    text = f"{' and '.join(panel.title for panel in panels)} by layer type of {len(shares)} models"
    left_out = len(names) - MOST_TYPES
    return {
        "chart": bars(text, rows, panels),
        "legend": list(zip(sides.names, sides.colours, strict=True)),
        "note": f"The {MOST_TYPES} largest types; the other {left_out} have little." if left_out > 0 else "",
    }


def lined_up(sides: Sides) -> Content:
    """Return the layers of all models, aligned, each with its differences."""
    shown, note = _limited(sides.comparison)
    table = _table(sides.document if shown is sides.comparison else compare_document(shown), "layers")
    found = {layer.change for layer in shown.layers}
    return {
        "columns": table.columns,
        "rows": [(row, it.change, _lines_up(it)) for row, it in zip(table.rows, shown.layers, strict=True)],
        "changes": [change for change in ("changed", "added", "removed", "same") if change in found],
        "note": note,
    }


def verdicts(sides: Sides) -> Content:
    """Return the verdict on each claim, model beside model."""
    told = [tell(findings(report), LANGUAGE) for report in sides.reports]
    claims = [each for each in zip(*told, strict=True) if any(is_shown(it.code, it.verdict) for it in each)]
    return {"names": sides.names, "claims": claims}


def _table(document: Document, name: str) -> Table:
    return next(block for block in document.blocks if isinstance(block, Table) and block.name == name)


def _types_row(side: str, colour: str, name: str, item: TypeShare | None, panels: int) -> BarRow:
    numbers = ((item.params, item.macs) if item else (0, 0))[:panels]
    texts = tuple("0" if value == 0 else units.UNKNOWN if value is None else units.si(value) for value in numbers)
    told = f"{side} {name}: {' and '.join(f'{value:,}' for value in numbers if value is not None)}"
    return BarRow(f"{side} {name}", colour, tuple(float(value or 0) for value in numbers), texts, told)


def _lines_up(layer: AlignedLayer) -> str:
    """Write the models that have a layer, by number, and its path in each, as JSON."""
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
