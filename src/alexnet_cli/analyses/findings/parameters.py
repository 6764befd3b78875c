"""Where parameters and memory sit, how often a weight is used, and what groups save."""

from __future__ import annotations

from math import prod

from alexnet_cli.analyses.findings.finding import (
    Evidence,
    Judged,
    Weights,
    by_exceptions,
    by_share,
    convolutions,
    fact,
    map_in,
    map_out,
    not_applicable,
    places,
    steps,
)
from alexnet_cli.analyses.shares import FamilyShare, by_family, by_type, fraction
from alexnet_cli.report import Layer, Report

OVERWHELMING = 5
"""From this ratio on, linear layers have far more parameters."""
MOST_OF_ALL = 0.8
HALF = 0.5


def in_conv_and_linear(report: Report) -> Judged:
    """Only convolutions and linear layers have parameters."""
    types = by_type(report)
    holders = [item for item in types if item.params]
    if not holders:
        return not_applicable("no_parameters")
    expected = [item for item in holders if item.family in ("conv", "linear")]
    others = [item for item in holders if item.family not in ("conv", "linear")]
    params = sum(item.params for item in expected)
    evidence = [
        fact(
            "holders",
            convolutions=sum(item.layers for item in expected if item.family == "conv"),
            linears=sum(item.layers for item in expected if item.family == "linear"),
            share=fraction(params, report.totals.params),
        )
    ]
    evidence += [
        fact(
            "other_holder",
            type=item.type,
            params=item.params,
            share=item.params_share,
            paths=[
                row.path for row in report.layers if row.params and (row.type, row.family) == (item.type, item.family)
            ],
        )
        for item in others
    ]
    without = [item.type for item in types if not item.params and item.layers]
    if without:
        evidence.append(fact("none_to_learn", types=without))
    unused = [module.path for module in report.totals.unused_modules if module.params]
    if unused:
        evidence.append(fact("unused", paths=unused))
    return Judged(by_exceptions(kept=int(params > report.totals.params / 2), exceptions=len(others)), tuple(evidence))


def linear_dominates(report: Report) -> Judged:
    """Linear layers have far more parameters than convolutions."""
    conv, linear = _conv_and_linear(report)
    if not conv or not linear or not conv.params or not linear.params:
        return not_applicable("not_both")
    ratio = linear.params / conv.params
    both = fact("parameters", linear=linear.params, conv=conv.params)
    times = fact("ratio", ratio=ratio) if ratio >= 1 else fact("other_way", ratio=1 / ratio)
    return Judged(by_share(ratio, holds=OVERWHELMING, partly=1), (both, times))


def mirror_images(report: Report) -> Judged:
    """The linear layers hold the parameters, the convolutions do the work."""
    conv, linear = _conv_and_linear(report)
    if not conv or not linear or not conv.params or not linear.params or not conv.macs or not linear.macs:
        return not_applicable("not_both")
    lesser = min(linear.params_share, conv.macs_share or 0.0)
    return Judged(
        by_share(lesser, holds=MOST_OF_ALL, partly=HALF),
        (
            fact("params", linear=linear.params_share, conv=conv.params_share),
            fact("macs", linear=linear.macs_share, conv=conv.macs_share),
            fact("why", conv=conv.macs / conv.params, linear=linear.macs / linear.params),
        ),
    )


def weight_sharing(report: Report) -> Judged:
    """A convolution uses each of its weights at many positions."""
    convs = convolutions(report)
    if not convs:
        return not_applicable("no_convolutions")
    evidence = []
    for row, weights in convs:
        into, out = prod(map_in(row, weights)), prod(map_out(row, weights))
        evidence.append(
            fact(
                "used",
                path=row.path,
                weights=weights.number,
                places=places(row, weights),
                params=weights.params,
                inputs=into,
                outputs=out,
                dense_params=into * out + (out if weights.bias else 0),
            )
        )
    shared = sum(places(row, weights) > 1 for row, weights in convs)
    return Judged(by_exceptions(kept=shared, exceptions=len(convs) - shared), tuple(evidence))


def _conv_and_linear(report: Report) -> tuple[FamilyShare | None, FamilyShare | None]:
    families = {item.family: item for item in by_family(report)}
    return families.get("conv"), families.get("linear")


GROUPS = 2


def weights_outweigh(report: Report) -> Judged:
    """The weights take more memory than the outputs of the layers."""
    rows = steps(report)
    weights, outputs = report.totals.param_bytes, sum(row.output_bytes for row in rows)
    if not weights or not outputs:
        return not_applicable("no_parameters")
    evidence = [fact("bytes", weights=weights, outputs=outputs, ratio=weights / outputs)]
    heaviest = max(report.layers, key=lambda row: row.param_bytes)
    evidence.append(_part("heaviest", heaviest, heaviest.param_bytes, weights))
    largest = max(rows, key=lambda row: row.output_bytes)
    evidence.append(_part("largest_output", largest, largest.output_bytes, outputs))
    batch = report.run.batch_size if report.run else None
    if batch:
        evidence.append(fact("batch", batch=weights * batch // outputs + 1))
    return Judged("holds" if weights > outputs else "fails", tuple(evidence))


def grouping(report: Report) -> Judged:
    """Convolutions are split into groups, which divides their parameters and their work."""
    convs = [(row, weights) for row, weights in convolutions(report) if weights.groups > 1 or _can_be_split(weights)]
    if not convs:
        return not_applicable("nothing_to_split")
    grouped = [(row, weights) for row, weights in convs if weights.groups > 1]
    whole = [(row, weights) for row, weights in convs if weights.groups == 1]
    evidence = [_is_grouped(row, weights) for row, weights in grouped]
    evidence += [_could_be_grouped(row, weights) for row, weights in whole]
    if whole:
        evidence.append(
            fact(
                "together",
                params=sum(weights.number // GROUPS for _, weights in whole),
                macs=sum((row.macs or 0) // GROUPS for row, _ in whole),
                groups=GROUPS,
            )
        )
    return Judged(by_exceptions(kept=len(grouped), exceptions=len(whole)), tuple(evidence))


def _can_be_split(weights: Weights) -> bool:
    return weights.into % GROUPS == 0 and weights.out % GROUPS == 0


def _is_grouped(row: Layer, weights: Weights) -> Evidence:
    whole = weights.params + weights.number * (weights.groups - 1)
    macs = row.macs or 0
    return fact(
        "grouped",
        path=row.path,
        groups=weights.groups,
        params=weights.params,
        whole_params=whole,
        macs=macs,
        whole_macs=macs * weights.groups,
    )


def _could_be_grouped(row: Layer, weights: Weights) -> Evidence:
    macs = row.macs or 0
    return fact(
        "could_be_grouped",
        path=row.path,
        groups=GROUPS,
        params=weights.params,
        split_params=weights.params - weights.number // GROUPS,
        macs=macs,
        split_macs=macs // GROUPS,
    )


def _part(key: str, row: Layer, amount: int, whole: int) -> Evidence:
    return fact(key, path=row.path, amount=amount, share=fraction(amount, whole))
