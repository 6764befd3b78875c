"""All rules by code, and the findings of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from alexnet_cli.analyses.findings import kept, language, one_layer, parameters, structure, wiring
from alexnet_cli.analyses.findings.finding import Finding, Judged, Verdict, fact, not_applicable
from alexnet_cli.analyses.findings.language import OfRuns
from alexnet_cli.analyses.findings.one_layer import Changes, OneLayer
from alexnet_cli.analyses.findings.wiring import OfStep
from alexnet_cli.report import Report

RULES: dict[str, Callable[[Report], Judged]] = {
    "stack": structure.stack,
    "relu-outputs": structure.relu_outputs,
    "narrow-and-deep": structure.narrow_and_deep,
    "parameters-in-conv-and-linear": parameters.in_conv_and_linear,
    "linear-dominates": parameters.linear_dominates,
    "mirror-images": parameters.mirror_images,
    "weight-sharing": parameters.weight_sharing,
    "weights-outweigh-outputs": parameters.weights_outweigh,
    "grouping": parameters.grouping,
    "size-in-one-layer": one_layer.size_in_one_layer,
    "work-in-one-layer": one_layer.work_in_one_layer,
    "outputs-in-one-layer": one_layer.outputs_in_one_layer,
    "attention-overtakes": language.overtakes,
    "keys-are-shared": language.shares_keys,
    "token-reads-all": language.reads_all,
    "embedding-is-large": parameters.embedding,
    "gradients-reach-all": wiring.gradients,
    "optimiser-has-all": wiring.optimised,
    "ddp-takes-it": wiring.ddp,
    "nothing-grows": wiring.keeps_size,
    "modes-agree": wiring.modes,
    "kept-once": kept.twice,
    "no-wider-casts": kept.wider,
    "few-logits": kept.logits,
}
"""The claims of the course notebook, in its order, then those that a teacher would add, of language, of wiring."""

AT_OTHER_LENGTHS = "attention-overtakes"
WITH_A_CACHE = ("attention-overtakes", "keys-are-shared", "token-reads-all")
OF_LANGUAGE = (*WITH_A_CACHE, "embedding-is-large")
"""Claims that are about language models and other transformers only."""

OF_WIRING = tuple(code for code, rule in RULES.items() if isinstance(rule, OfStep))
"""Claims about a training step, which say something where they do not hold."""

PARTLY_WRONG = ("gradients-reach-all", "optimiser-has-all")
"""Claims about wiring that are wrong where they hold for some parameters only."""

WITHOUT_A_RUN = ("parameters-in-conv-and-linear", "linear-dominates", "size-in-one-layer")
"""Rules that need only the parameters; a checkpoint has no order, shapes or work."""

COUNTS_MACS = ("mirror-images", "work-in-one-layer")


def candidates(report: Report, codes: Iterable[str] = tuple(RULES)) -> dict[str, tuple[str, ...]]:
    """Return, by code, the paths of the layers that a finding proposes to change, to be tried in order."""
    if report.error is not None or report.run is None:
        return {}
    return {code: rule.candidates(report) for code in codes if isinstance(rule := RULES[code], OneLayer)}


def applying(report: Report, codes: Iterable[str]) -> set[str]:
    """Return the codes of those claims about language models for which the model is worth running again."""
    if report.error is not None or report.run is None:
        return set()
    return {code for code in codes if isinstance(rule := RULES[code], OfRuns) and rule.applies(report) is None}


def is_shown(code: str, verdict: Verdict) -> bool:
    """Tell whether a claim says something: those about language models say nothing of a classifier.

    Those about wiring say something where they fail.
    """
    if code in OF_WIRING:
        return verdict == "fails" or (verdict == "partly" and code in PARTLY_WRONG)
    return code not in OF_LANGUAGE or verdict != "not_applicable"


def asks_for_step(report: Report, codes: Iterable[str]) -> bool:
    """Tell whether claims among these codes are about a training step of a model that ran."""
    return report.error is None and report.run is not None and any(code in OF_WIRING for code in codes)


def wiring_findings(report: Report, step: Report | None) -> tuple[Finding, ...]:
    """Return those claims about the wiring of a training step that do not hold."""
    found = findings(report, OF_WIRING, Changes(report, {}, step=step))
    return tuple(finding for finding in found if is_shown(finding.code, finding.verdict))


def of_training(code: str) -> bool:
    """Tell whether a finding reports what a change saves in a training step."""
    rule = RULES[code]
    return isinstance(rule, OneLayer) and rule.trained


def findings(
    report: Report, codes: Iterable[str] = tuple(RULES), changes: Changes | None = None
) -> tuple[Finding, ...]:
    """Apply the rules of these codes; those that need a run do not apply to a model that was not run, or failed.

    `changes` are what was traced of the model's `candidates`, None where it cannot be run again.
    """
    return tuple(Finding(code, *_judge(report, code, changes)) for code in codes)


def _judge(report: Report, code: str, changes: Changes | None) -> Judged:
    if report.error is not None:
        return not_applicable("failed", path=report.error.path or "")
    if report.run is None and code not in WITHOUT_A_RUN:
        return not_applicable("not_run")
    rule = RULES[code]
    runs = None if changes is None else changes.runs
    if isinstance(rule, OfStep):
        return rule.judged(None if changes is None else changes.step)
    verdict, evidence = rule.judged(report, runs) if isinstance(rule, OfRuns) else rule(report)
    if verdict == "not_applicable":
        return Judged(verdict, evidence)
    if isinstance(rule, OneLayer):
        evidence += rule.changed(report, changes)
    if code in COUNTS_MACS and report.totals.uncounted_ops:
        evidence += (fact("uncounted", operators=[operator.op for operator in report.totals.uncounted_ops]),)
    return Judged(verdict, evidence)
