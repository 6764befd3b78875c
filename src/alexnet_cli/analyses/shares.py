"""Which types and families of layers hold the parameters and do the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby

from msgspec import Struct

from alexnet_cli.report import Family, Layer, Report


class TypeShare(Struct, frozen=True):
    """The rows of one type: leaf modules, parameters and MACs, with their fractions of the model's totals."""

    type: str
    family: Family
    layers: int
    params: int
    params_share: float
    macs: int | None
    macs_share: float | None


class FamilyShare(Struct, frozen=True):
    """The rows of one family, as in `TypeShare`."""

    family: Family
    layers: int
    params: int
    params_share: float
    macs: int | None
    macs_share: float | None


def by_type(report: Report) -> tuple[TypeShare, ...]:
    """Sum up the rows of each type, most parameters first; functions are listed under their names."""
    groups = _grouped(report.layers, lambda row: (row.type, row.family))
    shares = [TypeShare(name, family, *_sums(rows, report)) for (name, family), rows in groups]
    return tuple(sorted(shares, key=_largest_first))


def by_family(report: Report) -> tuple[FamilyShare, ...]:
    """Sum up the rows of each family, most parameters first."""
    groups = _grouped(report.layers, lambda row: (row.family, row.family))
    shares = [FamilyShare(family, *_sums(rows, report)) for (_, family), rows in groups]
    return tuple(sorted(shares, key=_largest_first))


def fraction(part: int, whole: int | None) -> float:
    """Return the part as a fraction of 1; 0 if there is no whole."""
    return part / whole if whole else 0.0


def _grouped(
    layers: Iterable[Layer], key: Callable[[Layer], tuple[str, Family]]
) -> list[tuple[tuple[str, Family], list[Layer]]]:
    counted = [row for row in layers if row.leaf or row.params or row.macs]
    return [(name, list(rows)) for name, rows in groupby(sorted(counted, key=key), key=key)]


def _sums(rows: list[Layer], report: Report) -> tuple[int, int, float, int | None, float | None]:
    params = sum(row.params for row in rows)
    macs = None if report.totals.macs is None else sum(row.macs or 0 for row in rows)
    return (
        sum(row.leaf and row.kind == "module" for row in rows),
        params,
        fraction(params, report.totals.params),
        macs,
        None if macs is None else fraction(macs, report.totals.macs),
    )


def _largest_first(share: TypeShare | FamilyShare) -> tuple[int, int, int, str]:
    return (-share.params, -(share.macs or 0), -share.layers, getattr(share, "type", share.family))
