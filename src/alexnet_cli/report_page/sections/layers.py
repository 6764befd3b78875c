"""The layer table: the tree of the modules, each layer with its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from alexnet_cli.analyses.fold import fold
from alexnet_cli.analyses.repeats import FoldedRow, fold_repeats
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.document import Role, Unit
from alexnet_cli.report import Report, subtree_ends
from alexnet_cli.report_page.section import Material, Section
from alexnet_cli.report_page.sections.columns import BLANK, Cell, Extra, extra_columns
from alexnet_cli.views.parts import layer_name

MOST_ROWS = 2_400
"""More make a file that is slow to open and too large to mail."""

OPEN_ROWS = 60
"""With more the page begins folded, to the depth that leaves at most as many."""


class Heading(Struct, frozen=True):
    """A column: `key` is what it is called in the JSON, `about` explains it."""

    key: str
    title: str
    unit: Unit
    about: str = ""

    @property
    def is_number(self) -> bool:
        """Whether it is sorted by amount, the largest first, and not as text."""
        return self.unit not in ("text", "shapes")


class TableRow(Struct, frozen=True):
    """A layer, or with `group` a module with the sums of all below it; `level` is its depth in the tree."""

    name: str
    path: str
    family: str
    level: int
    role: Role
    cells: tuple[Cell, ...]


class Layers(Struct, frozen=True):
    """The table. `open_level` is the depth down to which the page shows it at first, None for all."""

    headings: tuple[Heading, ...]
    rows: tuple[TableRow, ...]
    families: tuple[str, ...]
    open_level: int | None
    note: str


def layers(material: Material) -> Section:
    """Return the layer table."""
    report = material.report
    shown, note = _limited(report)
    extras = extra_columns(material)
    headings = (
        Heading("output_shapes", "Output", "shapes"),
        Heading("params", "Parameters", "count"),
        *([Heading("macs", "MACs", "macs", "multiply-accumulates")] if report.run is not None else []),
        *(Heading(extra.key, extra.title, extra.unit, extra.about) for extra in extras),
    )
    rows: list[TableRow] = []
    ends = subtree_ends([row.layer for row in shown])
    for position, row in enumerate(shown):
        group = ends[position] > position + 1
        rows += _rows(row, report, extras, group=group)
    rows += _failed(report, len(headings))
    families = sorted({row.family for row in rows if row.role != "group"})
    return Section("layers", "Layers", Layers(headings, tuple(rows), tuple(families), _open_level(rows), note))


def _rows(row: FoldedRow, report: Report, extras: Sequence[Extra], *, group: bool) -> Iterator[TableRow]:
    """Yield the layer's row; a group has its sums, and what it holds itself in a row of its own."""
    layer = row.layer
    role: Role = "group" if group else "function" if layer.kind == "function" else "leaf"
    params, macs = (layer.params_total, layer.macs_total) if group else (layer.params, layer.macs)
    numbers = _numbers(report, params, macs, shares=not group)
    more = [BLANK if group or row.count > 1 else extra.of(layer) for extra in extras]
    cells = (Cell(layer.output_shapes, "shapes"), *numbers, *more)
    yield TableRow(_name(row), layer.path, layer.family, layer.depth, role, cells)
    if group and layer.params:
        own = (BLANK, *_numbers(report, layer.params, 0, shares=True), *(BLANK for _ in extras))
        yield TableRow("(own parameters)", layer.path, layer.family, layer.depth + 1, "function", own)


def _numbers(report: Report, params: int, macs: int | None, *, shares: bool) -> Iterator[Cell]:
    totals = report.totals
    yield Cell(params, "count", fraction(params, totals.params) if shares else None)
    if report.run is not None:
        yield Cell(macs, "macs", fraction(macs, totals.macs) if shares and macs is not None else None)


def _name(row: FoldedRow) -> str:
    return layer_name(row.layer) if row.count == 1 else f"{row.layer.type} ×{row.count} identical"


def _failed(report: Report, columns: int) -> Iterator[TableRow]:
    if report.error is not None and report.error.path is not None:
        level = report.layers[-1].depth if report.layers else 0
        name = f"{report.error.path or 'the model itself'} failed"
        yield TableRow(name, report.error.path, "other", level, "failed", (BLANK,) * columns)


def _limited(report: Report) -> tuple[Sequence[FoldedRow], str]:
    """Return the rows that fit a page, and what was done to make them fit."""
    every = [FoldedRow(layer, 1) for layer in report.layers]
    if len(every) <= MOST_ROWS:
        return every, ""
    count = f"{len(every):,} rows are too many for a page"
    repeats = fold_repeats(report.layers)
    if len(repeats) <= MOST_ROWS:
        return repeats, f"{count}: neighbours that are alike, with all below them, are one row."
    deepest = max(layer.depth for layer in report.layers)
    for depth in range(deepest - 1, 0, -1):
        rows = fold(report, depth).layers
        if len(rows) <= MOST_ROWS:
            return [FoldedRow(layer, 1) for layer in rows], f"{count}: what is deeper than {depth} is summed up."
    return _largest(every), f"{count}: these are the {MOST_ROWS:,} with the most parameters and MACs."


def _largest(rows: Sequence[FoldedRow]) -> list[FoldedRow]:
    def weight(row: FoldedRow) -> tuple[int, int]:
        return (row.layer.params_total, row.layer.macs_total or 0)

    least = sorted(rows, key=weight, reverse=True)[MOST_ROWS - 1]
    return [row for row in rows if weight(row) >= weight(least)][:MOST_ROWS]


def _open_level(rows: Sequence[TableRow]) -> int | None:
    """Return the deepest level down to which not too many rows are shown; None where all may be."""
    if len(rows) <= OPEN_ROWS:
        return None
    deepest = max(row.level for row in rows)
    fitting = [level for level in range(deepest) if sum(row.level <= level for row in rows) <= OPEN_ROWS]
    return max(fitting, default=0)
