"""Where the memory goes, and what groups save."""

from __future__ import annotations

from alexnet_cli.analyses.findings.finding import Evidence, Judged, by_exceptions, fact, not_applicable
from alexnet_cli.analyses.findings.rows import Weights, convolutions, steps
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.report import Layer, Report

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
