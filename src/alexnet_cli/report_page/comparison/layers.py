"""The layers of all models, lined up."""

from __future__ import annotations

import json

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.compare import AlignedLayer, Comparison, only_changes
from alexnet_cli.document import Column, Row, Table
from alexnet_cli.graphics.text import visible
from alexnet_cli.report_page.comparison.sides import Sides
from alexnet_cli.report_page.section import Section
from alexnet_cli.report_page.sections.layers import MOST_ROWS
from alexnet_cli.views.compare import compare_document


class LinedUp(Struct, frozen=True):
    """A row; `lines_up` are the models' numbers and paths as JSON."""

    row: Row
    change: str
    lines_up: str


class Layers(Struct, frozen=True):
    """The table, and what was left out of it."""

    columns: tuple[Column, ...]
    rows: tuple[LinedUp, ...]
    changes: tuple[str, ...]
    note: str


def layers(sides: Sides) -> Section:
    """Return the layers, each with what is not the same in all models."""
    shown, note = _limited(sides.comparison)
    table = next(
        block for block in compare_document(shown).blocks if isinstance(block, Table) and block.name == "layers"
    )
    rows = tuple(
        LinedUp(row, layer.change, _lines_up(layer)) for row, layer in zip(table.rows, shown.layers, strict=True)
    )
    found = {layer.change for layer in shown.layers}
    changes = tuple(change for change in ("changed", "added", "removed", "same") if change in found)
    return Section("lined-up", "Layers", Layers(table.columns, rows, changes, note))


def _lines_up(layer: AlignedLayer) -> str:
    places = [[str(number), visible(path)] for number, path in enumerate(layer.paths) if path is not None]
    return json.dumps(places, ensure_ascii=False)


def _limited(comparison: Comparison) -> tuple[Comparison, str]:
    """Leave rows out where they are too many for a page, those that are the same first."""
    whole = len(comparison.layers)
    if whole <= MOST_ROWS:
        return comparison, ""
    changed = only_changes(comparison)
    if len(changed.layers) <= MOST_ROWS:
        return changed, f"Of {whole:,} layers only those that are not the same are listed."
    first = replace(changed, layers=changed.layers[:MOST_ROWS])
    return first, f"Of {whole:,} layers the first {MOST_ROWS:,} that are not the same are listed."
