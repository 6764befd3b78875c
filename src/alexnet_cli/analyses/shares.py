"""Which layers, types, families and modules hold the parameters and do the work; a report cut at a depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from alexnet_cli.report import Family, Layer, Report, subtree


class FamilyShare(Struct, frozen=True, kw_only=True):
    """The rows of one family: leaf modules, parameters and MACs, with their fractions of the model's totals.

    `bits_per_weight` is eight times `param_bytes` by `params`: quantised weights with their scales and zero points.
    """

    family: Family
    layers: int
    params: int
    params_share: float
    macs: int | None
    macs_share: float | None
    param_bytes: int
    bits_per_weight: float | None


class TypeShare(FamilyShare, frozen=True):
    """The rows of one type."""

    type: str


def by_type(report: Report) -> tuple[TypeShare, ...]:
    """Sum up the rows of each type, most parameters first; functions are listed under their names.

    A type whose parameters count under several families is listed once for each.
    """
    groups = _grouped(report, by_type=True).items()
    shares = [TypeShare(name, **_sums(family, rows, report)) for (name, family), rows in groups]
    return tuple(sorted(shares, key=lambda share: (*_largest_first(share), share.type)))


def by_family(report: Report) -> tuple[FamilyShare, ...]:
    """Sum up the rows of each family, most parameters first."""
    groups = _grouped(report, by_type=False).items()
    shares = [FamilyShare(**_sums(family, rows, report)) for (_, family), rows in groups]
    return tuple(sorted(shares, key=lambda share: (*_largest_first(share), share.family)))


def fraction(part: float, whole: float | None) -> float:
    """Return the part as a fraction of 1; 0 if there is no whole."""
    return part / whole if whole else 0.0


def _grouped(report: Report, *, by_type: bool) -> dict[tuple[str, Family], list[Layer]]:
    """Return the rows that have something to count, by type (or any type) and each family that they count under."""
    groups: dict[tuple[str, Family], list[Layer]] = {}
    for row in report.layers:
        own = {row.family: 0} if row.leaf or row.macs else {}
        for family in {**own, **row.held}:
            groups.setdefault((row.type if by_type else "", family), []).append(row)
    return groups


def _sums(family: Family, rows: list[Layer], report: Report) -> dict[str, Any]:
    params = sum(row.held.get(family, 0) for row in rows)
    own = [row for row in rows if row.family == family]
    macs = None if report.totals.macs is None else sum(row.macs or 0 for row in own)
    # the bytes of a row that has several families, in proportion to their numbers
    size = sum(row.param_bytes * row.held.get(family, 0) // row.params for row in rows if row.params)
    return {
        "family": family,
        "layers": sum(row.leaf and row.kind == "module" for row in own),
        "params": params,
        "params_share": fraction(params, report.totals.params),
        "macs": macs,
        "macs_share": None if macs is None else fraction(macs, report.totals.macs),
        "param_bytes": size,
        "bits_per_weight": bits_per_weight(params, size),
    }


def bits_per_weight(params: int, param_bytes: int) -> float | None:
    """Return the bits that a parameter is stored in; None if there are no parameters."""
    return 8 * param_bytes / params if params else None


def _largest_first(share: FamilyShare) -> tuple[int, int, int]:
    return (-share.params, -(share.macs or 0), -share.layers)


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
        params_by_family=held_by(below),
    )


def held_by(rows: Sequence[Layer]) -> dict[Family, int] | UnsetType:
    """Return by family what several rows hold, as the first of them has it if it stands for all."""
    held: dict[Family, int] = {}
    for row in rows:
        for family, params in row.held.items():
            held[family] = held.get(family, 0) + params
    return held if held.keys() - {rows[0].family} else UNSET


def family_held(row: Layer) -> Family:
    """Return the family under which most of a row's own parameters count; its own if it has none."""
    return max(row.held, key=row.held.__getitem__, default=row.family)


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
    return tuple(sorted((row for row in report.layers if row.params), key=lambda row: -row.params)[:top])


def by_module(report: Report, depth: int | None = None) -> tuple[ModuleShare, ...]:
    """Return the module tree to `depth`, each module once with its submodules' parameters included."""
    whole = report.totals.params
    rows = (row for row in fold(report, depth).layers if row.kind == "module" and row.call == 1)
    return tuple(
        ModuleShare(row.path, row.type, row.depth, row.params_total, fraction(row.params_total, whole), row.macs_total)
        for row in rows
    )
