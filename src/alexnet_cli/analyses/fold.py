"""A report cut at a depth: deeper rows are summed into their ancestor."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from alexnet_cli.report import Layer, Report, subtree


def fold(report: Report, depth: int | None) -> Report:
    """Return the report without the rows deeper than `depth`, if any; totals do not change."""
    if depth is None:
        return report
    rows = report.layers
    kept = [
        row if row.depth < depth else _summed([rows[part] for part in subtree(rows, position)])
        for position, row in enumerate(rows)
        if row.depth <= depth
    ]
    return replace(report, layers=tuple(kept))


def _summed(below: Sequence[Layer]) -> Layer:
    row = below[0]
    return replace(
        row,
        params=row.params_total,
        trainable_params=sum(other.trainable_params for other in below),
        param_bytes=sum(other.param_bytes for other in below),
        buffers=sum(other.buffers for other in below),
        macs=row.macs_total,
        flops=None if row.macs_total is None else 2 * row.macs_total,
    )
