"""Plots as tables, for formats that do not draw and for readers who do not see."""

from __future__ import annotations

from collections.abc import Iterator

from alexnet_cli import units
from alexnet_cli.document import Axis, Column, Note, Plot, Row, Series, Table
from alexnet_cli.graphics.plot import Stack, drawable, left_out, name_at, whole
from alexnet_cli.graphics.scale import title_of

MOST_LISTED = 40
"""Areas with more places than this are not listed on a page."""


def plot_blocks(plot: Plot, most: int | None = MOST_LISTED) -> list[Table | Note]:
    """Write a plot as tables: its points, its areas side by side, its marks.

    Areas with more than `most` places are said in a sentence; with None they are listed whatever their number.
    """
    title = plot.title or plot.name.replace("_", " ").capitalize()
    blocks = [*_points(plot, title), *_areas(plot, title, most), *_marks(plot)]
    missing = left_out(plot)
    return [*(blocks or [Note(f"{title}: no points")]), *([Note(missing)] if missing else [])]


def every_point(plot: Plot) -> Table:
    """Return all points and marks, one a row, as they were given; the units stand in the columns' keys."""
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
    """Yield the table of all points but those of areas; names have a column where there are any."""
    apart = [series for series in plot.series if series.kind != "area" and series.points]
    named = any(series.names for series in apart)
    columns = (
        Column("series", "Series"),
        *([Column("name", "Name")] if named else []),
        _column(plot.x, "x"),
        _column(plot.y, "y"),
    )
    rows = [
        Row(
            (series.label, *([name_at(series, index)] if named else []), whole(x), whole(y)),
            family=series.family,
        )
        for series in apart
        for index, (x, y) in enumerate(series.points)
    ]
    if rows:
        yield Table("points", columns, tuple(rows), title)


def _areas(plot: Plot, title: str, most: int | None) -> Iterator[Table | Note]:
    areas = tuple(series for series in plot.series if series.kind == "area" and series.points)
    shown = drawable(Plot(plot.name, plot.x, plot.y, areas)) if areas else None
    if shown is None or shown.stack is None:
        return
    if most is not None and len(shown.stack.x) > most:
        yield Note(_sentence(plot, shown.stack, title))
    else:
        yield _side_by_side(plot, areas, shown.stack, title)


def _sentence(plot: Plot, stack: Stack, title: str) -> str:
    """Say of areas too long to list how many places they have and where they are highest."""
    at = max(range(len(stack.x)), key=stack.total)
    most = units.text(whole(stack.total(at)), plot.y.unit)
    where = f"{plot.x.label} {units.text(whole(stack.x[at]), plot.x.unit)}".strip()
    name = f" ({stack.names[at]})" if stack.names[at] else ""
    return f"{title}: {units.count(len(stack.x))} places, too many to list here; the most is {most}, at {where}{name}."


def _side_by_side(plot: Plot, areas: tuple[Series, ...], stack: Stack, title: str) -> Table:
    named = any(stack.names)
    columns = (
        _column(plot.x, "x"),
        *([Column("name", "Name")] if named else []),
        *(Column(f"area_{place}", series.label, plot.y.unit) for place, series in enumerate(areas)),
        *([Column("all", "All", plot.y.unit)] if len(areas) > 1 else []),
    )
    rows = []
    for index, (x, tops) in enumerate(zip(stack.x, stack.tops, strict=True)):
        heights = [whole(top - bottom) for bottom, top in zip((0.0, *tops), tops, strict=False)]
        total = [whole(stack.total(index))] if len(areas) > 1 else []
        rows.append(Row((whole(x), *([stack.names[index]] if named else []), *heights, *total)))
    return Table("areas", columns, tuple(rows), title)


def _marks(plot: Plot) -> Iterator[Table]:
    columns = (Column("mark", "Mark"), _column(plot.x, "x"), _column(plot.y, "y"))
    rows = tuple(Row((mark.label, whole(mark.x), whole(mark.y))) for mark in plot.marks)
    if rows:
        yield Table("marks", columns, rows, "Marked")


def _column(axis: Axis, key: str) -> Column:
    """Return an axis' column; its cells hold the unit, but for counts of things, which have none."""
    title = (title_of(axis) if axis.unit in ("macs", "flops") else axis.label) or key
    return Column(key, title[0].upper() + title[1:], axis.unit)
