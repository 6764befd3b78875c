"""The layer table with its totals, and whether a checkpoint fits."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.repeats import FoldedRow, fold_repeats
from alexnet_cli.analyses.shares import family_held, fold, fraction
from alexnet_cli.analyses.weights import WeightsMatch
from alexnet_cli.document import Block, Column, Document, Note, Role, Row, Table
from alexnet_cli.report import Layer, Report, subtree_ends
from alexnet_cli.units import shape
from alexnet_cli.views.parts import facts_of, hidden_note, layer_name, notes, run_line, some, split, titled

COLUMNS = (
    Column("layer", "Layer", tree=True, priority=9),
    Column("path", "Path", priority=2),
    Column("output_shapes", "Output", "shapes", priority=7),
    Column("params", "Parameters", "count", priority=8),
    Column("params_share", "Share", "share", priority=4, bar=True),
    Column("macs", "MACs", "macs", priority=6),
)


def summary_document(
    report: Report, depth: int | None = None, match: WeightsMatch | None = None, layers: Sequence[Block] = ()
) -> Document:
    """Show the rows of a report, the totals, the shares of families, and whether a checkpoint fits.

    `layers` are shown in place of the usual table.
    """
    blocks: list[Block] = [*(layers or layer_blocks(report, depth)), facts_of(report)]
    bars = split(report) if report.error is None else None
    if bars is not None:
        blocks.append(bars)
    return Document(
        titled(report), (*blocks, *notes(report), *(weights_notes(match) if match else ())), run_line(report.run)
    )


def layer_blocks(report: Report, depth: int | None = None, *, all_rows: bool = False) -> tuple[Block, ...]:
    """Show the rows of a report as a tree, and below it how many are hidden: those that only rearrange.

    After a failure none is hidden, as a reshape may be the reason.
    """
    folded = fold(report, depth).layers
    every = [FoldedRow(layer, 1) for layer in folded] if depth is None else fold_repeats(folded)
    shown = every
    if not all_rows and report.error is None:
        shown = [row for row in every if not row.layer.only_rearranges]
    hidden = sum(row.count for row in every) - sum(row.count for row in shown)
    return (_layer_table(report, shown), *hidden_note(hidden))


def _layer_table(report: Report, shown: Sequence[FoldedRow]) -> Table:
    rows: list[Row] = []
    ends = subtree_ends([row.layer for row in shown])
    for position, row in enumerate(shown):
        group = ends[position] > position + 1
        rows += _rows(row.layer, report, group=group, count=row.count)
    if report.error is not None and report.error.path is not None:
        rows.append(_failed_row(report))
    return Table("layers", COLUMNS, tuple(rows))


def _rows(layer: Layer, report: Report, *, group: bool, count: int) -> list[Row]:
    """Return the layer's row; a group shows its sums, and its own parameters in a separate row."""
    params = layer.params_total if group else layer.params
    macs = layer.macs_total if group else layer.macs
    share = None if group else fraction(params, report.totals.params)
    role: Role = "group" if group else "function" if layer.kind == "function" else "leaf"
    rows = [
        Row(
            (_name(layer, count), layer.path, layer.output_shapes, params, share, macs), layer.depth, role, layer.family
        )
    ]
    if group and layer.params:
        own = ("(own parameters)", layer.path, (), layer.params, fraction(layer.params, report.totals.params), 0)
        rows.append(Row(own, layer.depth + 1, "function", family_held(layer)))
    return rows


def _name(layer: Layer, count: int) -> str:
    return f"{layer.type} ×{count} identical" if count > 1 else layer_name(layer)


def _failed_row(report: Report) -> Row:
    path = report.error.path if report.error and report.error.path else ""
    level = report.layers[-1].depth if report.layers else 0
    return Row((f"{path or 'the model itself'} failed", path, None, None, None, None), level, "failed")


def weights_notes(match: WeightsMatch) -> tuple[Note, ...]:
    """Name the keys that are missing, unexpected or of a different shape, and what would help."""
    if match.holds:
        return (Note(f"weights: all {match.matched} tensors fit"),)
    if match.renamed and not match.mismatched and match.prefix is None:
        renamed = f"{len(match.unexpected)} hold as many values as the model's {len(match.missing)} others"
        return (Note(f"weights: {match.matched} tensors fit, and {renamed}: their names differ"),)
    mismatched = [
        f"{item.path} ({shape(item.checkpoint)} in the file, {shape(item.model)} here)" for item in match.mismatched
    ]
    notes = [Note(f"weights: {match.matched} tensors fit", "warning")]
    for what, names in (
        ("missing from the file", match.missing),
        ("not in the model", match.unexpected),
        ("with a different shape", mismatched),
    ):
        if names:
            notes.append(Note(f"weights {what}: {some(names, 5)}", "warning"))
    if match.prefix is not None:
        where = "file's" if match.prefix.side == "checkpoint" else "model's"
        prefix, matched = match.prefix.text, match.prefix.matched
        notes.append(Note(f"without {prefix!r} at the start of the {where} keys, {matched} tensors would fit"))
    return tuple(notes)
