"""Where the parameters sit, and how often each is used."""

from __future__ import annotations

from math import prod

from alexnet_cli.analyses.findings.finding import Judged, by_exceptions, by_share, fact, not_applicable
from alexnet_cli.analyses.findings.rows import convolutions, map_in, map_out, places
from alexnet_cli.analyses.shares import FamilyShare, by_family, by_type, fraction
from alexnet_cli.report import Report

OVERWHELMING = 5
"""As many times more parameters, linear layers are said to have overwhelmingly more."""
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
    """Linear layers have overwhelmingly more parameters than convolutions."""
    conv, linear = _conv_and_linear(report)
    if not conv or not linear or not conv.params or not linear.params:
        return not_applicable("not_both")
    ratio = linear.params / conv.params
    both = fact("parameters", linear=linear.params, conv=conv.params)
    times = fact("ratio", ratio=ratio) if ratio >= 1 else fact("other_way", ratio=1 / ratio)
    return Judged(by_share(ratio, holds=OVERWHELMING, partly=1), (both, times))


def mirror_images(report: Report) -> Judged:
    """The parameters sit in the linear layers, the work in the convolutions."""
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
    """A convolution uses each of its weights at many places."""
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
