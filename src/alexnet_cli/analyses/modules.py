"""Parameters by layer and by module."""

from __future__ import annotations

from msgspec import Struct

from alexnet_cli.analyses.fold import fold
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.report import Layer, Report


class ModuleShare(Struct, frozen=True):
    """A module, submodules included."""

    path: str
    type: str
    depth: int
    params: int
    params_share: float
    macs: int | None


def by_layer(report: Report, top: int | None = None) -> tuple[Layer, ...]:
    """Return the rows that have parameters, largest first; `top` keeps the first N."""
    holders = sorted((row for row in report.layers if row.params), key=lambda row: -row.params)
    return tuple(holders[:top])


def by_module(report: Report, depth: int | None = None) -> tuple[ModuleShare, ...]:
    """Return the module tree to `depth`, each module once with its submodules' parameters included."""
    return tuple(
        ModuleShare(
            row.path,
            row.type,
            row.depth,
            row.params_total,
            fraction(row.params_total, report.totals.params),
            row.macs_total,
        )
        for row in fold(report, depth).layers
        if row.kind == "module" and row.call == 1
    )
