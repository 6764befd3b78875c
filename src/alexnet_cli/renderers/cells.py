"""What every format agrees on: which columns are numbers, what a cell says, and pictures as tables."""

from __future__ import annotations

from alexnet_cli import units
from alexnet_cli.document import Bars, Column, Facts, Row, Table, Value

NUMERIC = frozenset({"count", "macs", "flops", "bytes", "share", "seconds", "flops_per_s", "intensity"})
SHORTENED = frozenset({"count", "macs", "flops"})


def is_blank(value: Value, column: Column, row: Row) -> bool:
    """Tell whether a missing value was never asked for, as against one that is not known.

    A row that failed has no results, and a group has no share of its own: the rows below it have it.
    """
    return value is None and (row.role == "failed" or (row.role == "group" and column.unit == "share"))


def cell_text(value: Value, column: Column, row: Row, *, cross: str = "×") -> str:
    """Return what a cell says, in full."""
    return "" if is_blank(value, column, row) else units.text(value, column.unit, cross=cross)


def short_text(value: Value, column: Column, row: Row) -> str:
    """Return a number with an SI prefix, digits above digits whether or not there is a prefix."""
    if column.unit not in SHORTENED or not isinstance(value, (int, float)):
        return cell_text(value, column, row)
    text = units.si(value)
    return text if " " in text else f"{text}  "


def is_failed(row: Row) -> bool:
    """Tell whether a row stands for a layer that did not run."""
    return row.role == "failed"


def caption_of(table: Table) -> str:
    """Return a table's caption, or its name where it has none."""
    return table.caption or table.name.replace("_", " ").capitalize()


def bars_table(bars: Bars) -> Table:
    """Write bars as a table, for formats that do not draw."""
    unit = bars.bars[0].unit if bars.bars else "count"
    columns = (
        Column("whole", "Of"),
        Column("part", "Part"),
        Column("value", "Amount", unit),
        Column("share", "Share", "share", bar=True),
    )
    rows = tuple(
        Row((bar.label, part.label, part.value, part.share), family=part.family)
        for bar in bars.bars
        for part in bar.parts
    )
    return Table("shares", columns, rows, bars.title)


def facts_table(facts: Facts) -> Table:
    """Write facts as a table of text, notes after the values."""
    columns = (Column("label", facts.title or "Fact"), Column("value", "Value"))
    rows = tuple(Row((fact.label, fact_text(units.text(fact.value, fact.unit), fact.note))) for fact in facts.facts)
    return Table("facts", columns, rows, facts.title)


def fact_text(value: str, note: str) -> str:
    """Put a fact's note in parentheses after its value."""
    return f"{value} ({note})" if note else value
