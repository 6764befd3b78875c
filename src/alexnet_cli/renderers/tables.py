"""What formats have in common: which columns are numbers, what a cell says, and bars, facts and plots as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from alexnet_cli import units
from alexnet_cli.document import Axis, Bars, Column, Document, Fact, Facts, Note, Plot, Row, Series, Table, Unit, Value
from alexnet_cli.graphics.plot import Stack, drawable, left_out, name_at, whole
from alexnet_cli.graphics.scale import title_of

NUMERIC = frozenset({"line", "count", "macs", "flops", "bytes", "share", "seconds", "flops_per_s", "intensity", "bits"})
SHORTENED = frozenset({"count", "macs", "flops"})
MOST_LISTED = 40
"""Areas with more points than this are not listed on a page."""


def cell_text(value: Value, column: Column, row: Row) -> str:
    """Return a cell's text in full.

    A missing value that was never asked for is empty, not unknown: a row that failed has no results, and a group has
    no share of its own, as the rows below it have it.
    """
    if value is None and (row.role == "failed" or (row.role == "group" and column.unit == "share")):
        return ""
    return units.text(value, column.unit)


def short_text(value: Value, column: Column, row: Row) -> str:
    """Return a number with an SI prefix, aligned with numbers that have none."""
    if column.unit not in SHORTENED or not isinstance(value, (int, float)):
        return cell_text(value, column, row)
    text = units.si(value)
    return text if " " in text else f"{text}  "


def rows_of(
    table: Table,
    write: Callable[[str], str],
    *,
    bold: str = "{}",
    indent: Callable[[int], str] = lambda _: "",
    by_unit: Mapping[Unit, Callable[[str], str]] = {},
) -> Iterator[tuple[Row, list[str]]]:
    """Yield each row with its cells as `write` writes them.

    `bold` is put around the name of a group and of what failed, `indent` before a name in the tree, by its level.
    `by_unit` has the writers of units that are not written as other text.
    """
    writers = [by_unit.get(column.unit, write) for column in table.columns]
    for row in table.rows:
        cells = zip(row.cells, table.columns, writers, strict=True)
        texts = [written(cell_text(cell, column, row)) for cell, column, written in cells]
        if texts[0] and row.role in ("group", "failed"):
            texts[0] = bold.format(texts[0])
        yield row, [indent(row.level) * c.tree + text for c, text in zip(table.columns, texts, strict=True)]


def caption_of(table: Table) -> str:
    """Return a table's caption, or its name where it has none."""
    return table.caption or table.name.replace("_", " ").capitalize()


def fact_text(fact: Fact) -> str:
    """Write a fact's value, with its note in parentheses after it."""
    return units.text(fact.value, fact.unit) + (f" ({fact.note})" if fact.note else "")


def facts_table(facts: Facts) -> Table:
    """Write facts as a table of text, notes after the values."""
    columns = (Column("label", facts.title or "Fact"), Column("value", "Value"))
    rows = tuple(Row((fact.label, fact_text(fact))) for fact in facts.facts)
    return Table("facts", columns, rows, facts.title)


def undrawn(document: Document) -> Iterator[Table | Facts | Note]:
    """Yield a document's blocks for a format that does not draw: bars and plots are tables."""
    for block in document.blocks:
        match block:
            case Bars():
                yield bars_table(block)
            case Plot():
                yield from plot_blocks(block)
            case _:
                yield block


def bars_table(bars: Bars) -> Table:
    """Write bars as a table, a row for each part."""
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


def plot_blocks(plot: Plot, most: int | None = MOST_LISTED) -> list[Table | Note]:
    """Write a plot as tables: points, areas, marks; areas of more than `most` points become a sentence."""
    title = plot.title or plot.name.replace("_", " ").capitalize()
    x, y, missing = _column(plot.x, "x"), _column(plot.y, "y"), left_out(plot)
    marks = tuple(Row((mark.label, whole(mark.x), whole(mark.y))) for mark in plot.marks)
    marked = [Table("marks", (Column("mark", "Mark"), x, y), marks, "Marked points")] if marks else []
    blocks = [*_points(plot, title), *_areas(plot, title, most), *marked]
    return [*(blocks or [Note(f"{title}: no points")]), *([Note(missing)] if missing else [])]


def every_point(plot: Plot) -> Table:
    """Return all points and marks, one a row, as they were given; the columns' keys name the units."""
    columns = (
        Column("kind", "Kind"),
        Column("series", "Series"),
        Column("name", "Name"),
        Column(f"x_{plot.x.unit}", plot.x.label, plot.x.unit),
        Column(f"y_{plot.y.unit}", plot.y.label, plot.y.unit),
    )
    rows = [
        Row((series.kind, series.label, name_at(series, index), whole(x), whole(y)), family=series.family)
        for series in plot.series
        for index, (x, y) in enumerate(series.points)
    ]
    rows += [Row(("mark", "", mark.label, whole(mark.x), whole(mark.y))) for mark in plot.marks]
    return Table(plot.name, columns, tuple(rows), plot.title)


def _points(plot: Plot, title: str) -> Iterator[Table]:
    """Yield the table of all points except those of areas, with a column for names if there are any."""
    apart = [series for series in plot.series if series.kind != "area" and series.points]
    named = any(series.names for series in apart)
    name = [Column("name", "Name")] if named else []
    columns = (Column("series", "Series"), *name, _column(plot.x, "x"), _column(plot.y, "y"))
    rows = tuple(
        Row((series.label, *([name_at(series, i)] if named else []), whole(x), whole(y)), family=series.family)
        for series in apart
        for i, (x, y) in enumerate(series.points)
    )
    if rows:
        yield Table("points", columns, rows, title)


def _areas(plot: Plot, title: str, most: int | None) -> Iterator[Table | Note]:
    areas = tuple(series for series in plot.series if series.kind == "area" and series.points)
    shown = drawable(Plot(plot.name, plot.x, plot.y, areas)) if areas else None
    if shown is None or shown.stack is None:
        return
    stack, points = shown.stack, len(shown.stack.x)
    if most is None or points <= most:
        yield _side_by_side(plot, areas, stack, title)
        return
    at = max(range(points), key=stack.total)
    top = units.text(whole(stack.total(at)), plot.y.unit)
    where = f"{plot.x.label} {units.text(whole(stack.x[at]), plot.x.unit)}".strip()
    where += f" ({stack.names[at]})" if stack.names[at] else ""
    yield Note(f"{title}: {units.count(points)} points, too many to list; the maximum is {top}, at {where}.")


def _side_by_side(plot: Plot, areas: tuple[Series, ...], stack: Stack, title: str) -> Table:
    named, several = any(stack.names), len(areas) > 1
    columns = (
        _column(plot.x, "x"),
        *([Column("name", "Name")] if named else []),
        *(Column(f"area_{place}", series.label, plot.y.unit) for place, series in enumerate(areas)),
        *([Column("all", "All", plot.y.unit)] if several else []),
    )
    rows = []
    for x, name, tops in zip(stack.x, stack.names, stack.tops, strict=True):
        heights = [whole(top - bottom) for bottom, top in zip((0.0, *tops), tops, strict=False)]
        rows.append(Row((whole(x), *([name] if named else []), *heights, *([whole(tops[-1])] if several else []))))
    return Table("areas", columns, tuple(rows), title)


def _column(axis: Axis, key: str) -> Column:
    """Return an axis' column; its cells hold the unit, except counts of things, which have none."""
    title = (title_of(axis) if axis.unit in ("macs", "flops") else axis.label) or key
    return Column(key, title[0].upper() + title[1:], axis.unit)
