"""The layer table with columns of the user's choice."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.columns import COLUMNS, ChosenRow
from alexnet_cli.document import Column, Role, Row, Table
from alexnet_cli.report import Report
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
    of_whole = row.group  # a share of what is shown below it already
    cells = (layer_name(layer), *(None if of_whole and COLUMNS[name].bar else row.values[name] for name in names))
    role: Role = "group" if row.group else "function" if layer.kind == "function" else "leaf"
    return Row(cells, row.depth if tree else 0, role, layer.family)
