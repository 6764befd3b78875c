"""The layer table: the tree of modules, each layer with its numbers and what other analyses know about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, prod

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli import units
from alexnet_cli.analyses import memory
from alexnet_cli.analyses.cost import LayerCost
from alexnet_cli.analyses.receptive_field.fields import LayerField
from alexnet_cli.analyses.repeats import FoldedRow, fold_repeats
from alexnet_cli.analyses.shares import family_held, fold, fraction
from alexnet_cli.document import Role, Unit, Value
from alexnet_cli.report import Report, subtree_ends
from alexnet_cli.report_page.material import Content, Material
from alexnet_cli.views.parts import hidden_rows, layer_name

MOST_ROWS = 2_400
"""With more the file would be slow to open and too large to mail."""
OPEN_ROWS = 60
"""With more the page starts folded, to the depth that shows at most as many."""


class Heading(Struct, frozen=True):
    """A column: `key` is its name in the JSON of the command that tells more, `about` explains it."""

    key: str
    title: str
    unit: Unit
    about: str = ""

    @property
    def is_number(self) -> bool:
        """Whether it is sorted by amount, the largest first, and not as text."""
        return self.unit not in ("text", "shapes")


class Cell(Struct, frozen=True):
    """A value of a layer; `share` of the model's total draws a bar, and `order` sorts it.

    Without an `order` the number itself sorts it; a cell without a number sorts as the least.
    """

    value: Value
    unit: Unit
    share: float | None = None
    order: float | None = None


BLANK = Cell("", "text")


class TableRow(Struct, frozen=True):
    """A layer, or with the role `group` a module with the sums of all below it; `level` is its depth in the tree."""

    name: str
    path: str
    family: str
    level: int
    role: Role
    cells: tuple[Cell, ...]


class Extra(Struct, frozen=True):
    """A column from another analysis: its cells by path and call, and the cell of any other layer."""

    heading: Heading
    cells: dict[tuple[str, int], Cell]
    missing: Cell


def layers(material: Material) -> Content:
    """Return the layer table."""
    report = material.report
    shown, note = _limited(report)
    extras = (*_field(material), *_cost(material), *_saved(material))
    headings = (
        Heading("output_shapes", "Output", "shapes"),
        Heading("params", "Parameters", "count"),
        *([Heading("macs", "MACs", "macs", "multiply-accumulates")] if report.run is not None else []),
        *(extra.heading for extra in extras),
    )
    rows: list[TableRow] = []
    ends = subtree_ends([row.layer for row in shown])
    for position, row in enumerate(shown):
        rows += _rows(row, report, extras, group=ends[position] > position + 1)
    rows += _failed(report, len(headings))
    return {
        "headings": headings,
        "rows": rows,
        "families": sorted({row.family for row in rows if row.role != "group"}),
        "open_level": _open_level(rows),
        "note": note,
    }


def _rows(row: FoldedRow, report: Report, extras: Sequence[Extra], *, group: bool) -> Iterator[TableRow]:
    """Yield the row of a layer; a group has its sums, and its own parameters in a row of their own."""
    layer = row.layer
    role: Role = "group" if group else "function" if layer.kind == "function" else "leaf"
    params, macs = (layer.params_total, layer.macs_total) if group else (layer.params, layer.macs)
    numbers = _numbers(report, params, macs, shares=not group)
    place = layer.path, layer.call
    more = [BLANK if group or row.count > 1 else extra.cells.get(place, extra.missing) for extra in extras]
    cells = (Cell(layer.output_shapes, "shapes"), *numbers, *more)
    name = layer_name(layer) if row.count == 1 else f"{layer.type} ×{row.count} identical"
    yield TableRow(name, layer.path, layer.family, layer.depth, role, cells)
    if group and layer.params:
        own = (BLANK, *_numbers(report, layer.params, 0, shares=True), *(BLANK for _ in extras))
        yield TableRow("(own parameters)", layer.path, family_held(layer), layer.depth + 1, "function", own)


def _numbers(report: Report, params: int, macs: int | None, *, shares: bool) -> Iterator[Cell]:
    totals = report.totals
    yield Cell(params, "count", fraction(params, totals.params) if shares else None)
    if report.run is not None:
        yield Cell(macs, "macs", fraction(macs, totals.macs) if shares and macs is not None else None)


def _failed(report: Report, columns: int) -> Iterator[TableRow]:
    if report.error is not None and report.error.path is not None:
        level = report.layers[-1].depth if report.layers else 0
        name = f"{report.error.path or 'the model itself'} failed"
        yield TableRow(name, report.error.path, "other", level, "failed", (BLANK,) * columns)


def _limited(report: Report) -> tuple[Sequence[FoldedRow], str]:
    """Return the rows that fit a page, and what was done to make them fit.

    As in the summary, rows that only rearrange are hidden, but not after a failure.
    """
    kept = tuple(layer for layer in report.layers if report.error is not None or not layer.only_rearranges)
    rows, note = _fitting(replace(report, layers=kept))
    hidden = len(report.layers) - len(kept)
    said = f"{hidden_rows(hidden)}." if hidden else ""
    return rows, " ".join(filter(None, (note, said)))


def _fitting(report: Report) -> tuple[Sequence[FoldedRow], str]:
    every = [FoldedRow(layer, 1) for layer in report.layers]
    if len(every) <= MOST_ROWS:
        return every, ""
    count = f"{len(every):,} rows are too many for a page"
    repeats = fold_repeats(report.layers)
    if len(repeats) <= MOST_ROWS:
        return repeats, f"{count}: equal neighbours, including everything below them, share one row."
    deepest = max(layer.depth for layer in report.layers)
    for depth in range(deepest - 1, 0, -1):
        rows = fold(report, depth).layers
        if len(rows) <= MOST_ROWS:
            return [FoldedRow(layer, 1) for layer in rows], f"{count}: rows deeper than {depth} are summed."
    return _largest(every), f"{count}: these {MOST_ROWS:,} have the most parameters and MACs."


def _largest(rows: Sequence[FoldedRow]) -> list[FoldedRow]:
    def weight(row: FoldedRow) -> tuple[int, int]:
        return (row.layer.params_total, row.layer.macs_total or 0)

    least = sorted(rows, key=weight, reverse=True)[MOST_ROWS - 1]
    return [row for row in rows if weight(row) >= weight(least)][:MOST_ROWS]


def _open_level(rows: Sequence[TableRow]) -> int | None:
    """Return the deepest level at which the page shows few enough rows; None if it can show all."""
    if len(rows) <= OPEN_ROWS:
        return None
    deepest = max(row.level for row in rows)
    fitting = [level for level in range(deepest) if sum(row.level <= level for row in rows) <= OPEN_ROWS]
    return max(fitting, default=0)


def _field(material: Material) -> Iterator[Extra]:
    known = material.fields
    if isinstance(known, str):
        return
    rows = material.report.layers
    about = "receptive field: the places of the input that one unit of the output sees"
    cells = {(item.path, rows[item.row].call): _field_cell(item) for item in known.layers}
    yield Extra(Heading("size", "Field", "shape", about), cells, Cell("–", "text"))


def _field_cell(field: LayerField) -> Cell:
    if field.status == "undefined":
        return Cell("–", "text")
    if field.size is None or None in field.size:
        return Cell("all", "text", order=inf)
    size = tuple(axis for axis in field.size if axis is not None)
    bound = "≤" if field.status == "upper_bound" else ""
    return Cell(f"{bound}{units.shape(size)}", "text", order=prod(size))


def _cost(material: Material) -> Iterator[Extra]:
    """Yield the FLOPs per byte of each layer, and its least time if there is hardware to compare with."""
    known = material.cost
    if isinstance(known, str):
        return
    rows = material.report.layers
    places = {(item.path, rows[item.row].call): item for item in known.layers}
    intensity = Heading("intensity", "FLOP/byte", "intensity", "FLOPs per byte read or written")
    yield Extra(intensity, {place: _intensity(item) for place, item in places.items()}, Cell(None, "intensity"))
    if material.roof is not None:
        seconds = Heading("seconds", "At least", "seconds", f"least time on the {material.roof.hardware.name}")
        cells = {place: Cell(item.seconds, "seconds", order=item.seconds) for place, item in places.items()}
        yield Extra(seconds, cells, Cell(None, "seconds"))


def _intensity(item: LayerCost) -> Cell:
    if item.flops is None:
        return Cell(None, "intensity")
    if item.intensity is None:  # nothing is moved
        return BLANK
    return Cell(units.intensity(item.intensity).removesuffix("FLOP/byte").strip(), "text", order=item.intensity)


def _saved(material: Material) -> Iterator[Extra]:
    """Yield the bytes that each layer is the first to save for backward."""
    trained = material.training
    if trained is None or trained.tape is None or trained.error is not None:
        return
    rows = trained.layers
    cells = {
        (item.path, rows[item.row].call): Cell(item.saved_bytes, "bytes", order=item.saved_bytes)
        for item in memory.by_layer(trained)
    }
    about = "memory that the layer is the first to save for backward"
    yield Extra(Heading("saved_bytes", "Saved", "bytes", about), cells, Cell(0, "bytes", order=0))
