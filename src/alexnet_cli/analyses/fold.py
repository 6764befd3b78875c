"""A report cut at a depth: what lies deeper is summed into the row above it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from alexnet_cli.report import Layer, Report


def fold(report: Report, depth: int | None) -> Report:
    """Return the report without the rows deeper than `depth`; totals do not change, None folds nothing."""
    if depth is None:
        return report
    rows = report.layers
    kept = [_folded(row, rows, position, depth) for position, row in enumerate(rows) if row.depth <= depth]
    return replace(report, layers=tuple(kept))


def _folded(row: Layer, rows: Sequence[Layer], position: int, depth: int) -> Layer:
    if row.depth < depth:
        return row
    end = position + 1
    while end < len(rows) and rows[end].depth > row.depth:
        end += 1
    below = rows[position:end]
    return replace(
        row,
        params=row.params_total,
        trainable_params=sum(other.trainable_params for other in below),
        param_bytes=sum(other.param_bytes for other in below),
        buffers=sum(other.buffers for other in below),
        macs=row.macs_total,
        flops=None if row.macs_total is None else 2 * row.macs_total,
    )
