"""The layer table with columns of the user's choice."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.columns import COLUMNS, ChosenRow
from alexnet_cli.document import Column, Role, Row, Table, Value
from alexnet_cli.report import Layer, Report
from alexnet_cli.views.parts import layer_name


def columns_table(report: Report, rows: Sequence[ChosenRow], names: Sequence[str], *, tree: bool) -> Table:
    """Show rows with these columns, as a tree or in the order given; the last columns are the first to make room."""
    least = max(8 - len(names), 1)
    columns = [Column("layer", "Layer", tree=tree)]
    for place, name in enumerate(names):
        column = COLUMNS[name]
        columns.append(Column(name, column.title, column.unit, max(8 - place, least), bar=column.bar))
    return Table("layers", tuple(columns), tuple(_row(row, report, names, tree=tree) for row in rows))


def _row(row: ChosenRow, report: Report, names: Sequence[str], *, tree: bool) -> Row:
    layer = report.layers[row.row]
    cells = (layer_name(layer), *(_cell(row, name, layer) for name in names))
    role: Role = "group" if row.group else "function" if layer.kind == "function" else "leaf"
    return Row(cells, row.depth if tree else 0, role, layer.family)


def _cell(row: ChosenRow, name: str, layer: Layer) -> Value:
    value = row.values[name]
    if row.group and COLUMNS[name].bar:
        return None  # a share of what is shown below it already
    if name == "intensity" and value is None and layer.macs_total is not None:
        return ""  # no bytes are moved: there is no ratio
    return value  # type: ignore[no-any-return] # a Value, as `ChosenRow` says
