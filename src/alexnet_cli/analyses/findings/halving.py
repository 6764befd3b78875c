"""What half the outputs of one layer would save, by arithmetic alone.

Only where the layers form a chain is it known what else must change: what stands between the layer and the next one
with weights, and that one's inputs. Anywhere else nothing is computed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

from alexnet_cli.analyses.findings.rows import Weights, steps, weights_of
from alexnet_cli.report import Layer, Report

_IN_A_CHAIN = frozenset({"conv", "linear", "activation", "norm", "pool", "dropout", "reshape", "softmax"})
_WITH_WEIGHTS = ("conv", "linear")

Unknown = Literal["last_layer", "not_computed"]


class Halved(NamedTuple):
    """What is saved where a layer puts out half of `width`, and the layer after it, `follower`, takes half."""

    width: int
    follower: str
    params: int
    macs: int
    output_bytes: int


def halve(report: Report, row: Layer) -> Halved | Unknown:
    """Return what half the outputs of a layer would save, or why that is not computed."""
    rows = steps(report)
    weights = weights_of(row)
    if row not in rows or weights is None or not _is_chain(report, rows):
        return "not_computed"
    place = rows.index(row)
    after = next((i for i in range(place + 1, len(rows)) if rows[i].family in _WITH_WEIGHTS), None)
    if after is None:
        return "last_layer"
    takes = weights_of(rows[after])
    between = rows[place + 1 : after]
    if takes is None or not _can_halve(weights, takes, between):
        return "not_computed"
    return Halved(
        width=weights.out,
        follower=rows[after].path,
        params=weights.params // 2 + takes.number // 2 + sum(map(_half_of_params, between)),
        macs=(row.macs or 0) // 2 + (rows[after].macs or 0) // 2,
        output_bytes=sum(other.output_bytes // 2 for other in rows[place:after]),
    )


def _is_chain(report: Report, rows: tuple[Layer, ...]) -> bool:
    """Tell whether each step takes what the one before it puts out, and nothing else, and shares no weights."""
    owned = sum(row.params for row in rows) == report.totals.params
    alone = all(
        row.family in _IN_A_CHAIN and row.call == 1 and not row.reuses and len(row.input_shapes) == 1 for row in rows
    )
    joined = all(one.output_shapes == two.input_shapes and len(one.output_shapes) == 1 for one, two in pairwise(rows))
    return owned and alone and joined


def _can_halve(weights: Weights, takes: Weights, between: tuple[Layer, ...]) -> bool:
    whole = weights.out % 2 == 0 and weights.out // 2 % weights.groups == 0
    fits = takes.into == weights.out if takes.kernel else takes.into % weights.out == 0
    split = takes.into % 2 == 0 and takes.into // 2 % takes.groups == 0
    norms = all(weights.out // 2 % int(row.settings.get("num_groups", 1)) == 0 for row in between)
    return whole and fits and split and norms and not weights.transposed and not takes.transposed


def _half_of_params(row: Layer) -> int:
    """A norm has parameters for each channel; an activation may have one for all."""
    return row.params // 2
