"""All rules by code, and the findings of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from alexnet_cli.analyses.findings import cost, parameters, structure
from alexnet_cli.analyses.findings.finding import Finding, Judged, fact, not_applicable
from alexnet_cli.report import Report

RULES: dict[str, Callable[[Report], Judged]] = {
    "stack": structure.stack,
    "relu-outputs": structure.relu_outputs,
    "narrow-and-deep": structure.narrow_and_deep,
    "parameters-in-conv-and-linear": parameters.in_conv_and_linear,
    "linear-dominates": parameters.linear_dominates,
    "mirror-images": parameters.mirror_images,
    "weight-sharing": parameters.weight_sharing,
    "weights-outweigh-outputs": cost.weights_outweigh,
    "grouping": cost.grouping,
    "size-in-one-layer": cost.size_in_one_layer,
    "work-in-one-layer": cost.work_in_one_layer,
    "outputs-in-one-layer": cost.outputs_in_one_layer,
}
"""The claims of the course notebook, in its order, then what a teacher would add."""

WITHOUT_A_RUN = ("parameters-in-conv-and-linear", "linear-dominates", "size-in-one-layer")
"""What the parameters alone tell; a checkpoint says nothing of order, shapes and work."""

COUNTS_MACS = ("mirror-images", "work-in-one-layer")


def findings(report: Report, codes: Iterable[str] = tuple(RULES)) -> tuple[Finding, ...]:
    """Apply the rules of these codes; a model that was not run, or failed, is not judged by what is not known."""
    return tuple(Finding(code, *_judge(report, code)) for code in codes)


def _judge(report: Report, code: str) -> Judged:
    if report.error is not None:
        return not_applicable("failed", path=report.error.path or "")
    if report.run is None and code not in WITHOUT_A_RUN:
        return not_applicable("not_run")
    verdict, evidence = RULES[code](report)
    if code in COUNTS_MACS and report.totals.uncounted_ops and verdict != "not_applicable":
        evidence += (fact("uncounted", operators=[operator.op for operator in report.totals.uncounted_ops]),)
    return Judged(verdict, evidence)
