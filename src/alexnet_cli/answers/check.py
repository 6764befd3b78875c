"""`check`: whether a model keeps within limits, and has not grown since a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from alexnet_cli.analyses.check import LIMITS, STEP_LIMITS, Check, Limit, check_baseline, check_limits, sentence
from alexnet_cli.answers.answer import NOT_HELD, Answer, failures_of
from alexnet_cli.document import Column, Document, Note, Row, Table
from alexnet_cli.errors import TargetError, UsageError
from alexnet_cli.quantities import read_fraction
from alexnet_cli.report import ErrorInfo, Report, Run
from alexnet_cli.report_json import Envelope, load_report
from alexnet_cli.session.how import training_step
from alexnet_cli.session.session import Session
from alexnet_cli.views.parts import run_line

SECTION = "[tool.alexnet.check]"
BASELINE, TOLERANCE = "baseline", "tolerance"
KEYS = (*(limit.name for limit in LIMITS), BASELINE, TOLERANCE)
_COLUMNS = (
    Column("name", "Check"),
    Column("passed", "Holds", priority=9),
    Column("value", "Value", "count", priority=8),
    Column("limit", "Limit", "count", priority=7),
    Column("unit", "Unit", priority=5),
    Column("detail", "Detail", priority=3),
)


class CheckResult(Envelope, frozen=True, kw_only=True):
    """`alexnet check --json`."""

    passed: bool
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Asked:
    """The limits by name, and the baseline with its tolerance."""

    limits: Mapping[str, int]
    baseline: Report | None
    tolerance: Decimal


def read_asked(options: Mapping[str, object], settings: Mapping[str, object] | None = None) -> Asked:
    """Read what to check; options that are not None win over settings of the same name.

    Raises:
        UsageError: a limit does not parse, or nothing is to be checked.
        TargetError: the baseline cannot be read.
    """
    given = {**(settings or {}), **{name: value for name, value in options.items() if value is not None}}
    read = {limit.name: _limit(limit, given[limit.name]) for limit in LIMITS if limit.name in given}
    limits = {name: most for name, most in read.items() if most is not None}
    tolerance = read_fraction(str(given.get(TOLERANCE, "0")), TOLERANCE)
    if BASELINE not in given:
        if not limits:
            hint = (
                f"as in --max-params 65M, --baseline report.json, or max-params = '65M' in {SECTION} of pyproject.toml"
            )
            raise UsageError("nothing to check: no limit was given", hint)
        if options.get(TOLERANCE) is not None:
            raise UsageError("--tolerance goes with --baseline")
    return Asked(limits, _baseline(given[BASELINE]) if BASELINE in given else None, tolerance)


def check(session: Session, asked: Asked, *, optimizer: str = "sgd", amp: str | None = None) -> Answer[CheckResult]:
    """Compare a model with limits and a baseline.

    Raises:
        UsageError: the optimizer or the dtype is unknown.
        AlexnetError: the model cannot be loaded or run.
    """
    step = training_step(optimizer, amp)
    report = session.report()
    trained = None
    if report.error is None and STEP_LIMITS & asked.limits.keys():
        trained = session.training(step)
        if trained is not None and trained.error is not None:
            session.listener.note(f"the training step failed: {trained.error.message}")
    checks = check_limits(report, asked.limits, trained)
    if asked.baseline is not None:
        _note_other_run(session, report.run, asked.baseline.run)
        checks += check_baseline(report, asked.baseline, asked.tolerance)
    passed = report.error is None and all(each.passed for each in checks)
    result = CheckResult(**Envelope.of(report, "check"), passed=passed, checks=checks)
    missed = (ErrorInfo(NOT_HELD, f"{each.name}: {sentence(each)}") for each in checks if not each.passed)
    return Answer(result, lambda: _document(report, checks), failures=(*missed, *failures_of(report)))


def _limit(limit: Limit, given: object) -> int | None:
    """Read a limit from an option or a setting; None if it is switched off."""
    if limit.quantity is None:
        if not isinstance(given, bool):
            raise UsageError(f"{limit.name} must be true or false, not {given!r}")
        return 0 if given else None
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        raise UsageError(f"{limit.name}: invalid {limit.quantity.name} {given!r}", 'as in "65M", quoted, or 65000000')
    return limit.quantity.read(str(given), limit.name)


def _baseline(given: object) -> Report:
    if not isinstance(given, str) or not given:
        raise UsageError(f"invalid baseline {given!r}", "name a report that `alexnet summary --json -o FILE` saved")
    baseline = load_report(Path(given))
    if baseline.error is not None:
        raise TargetError(f"{given} cannot be a baseline: its model failed", baseline.error.message)
    return baseline


def _note_other_run(session: Session, now: Run | None, before: Run | None) -> None:
    """Say so if the numbers come from different runs."""
    if before is None:
        session.listener.note("the baseline is a checkpoint that was not run: MACs and layers are not compared with it")
    elif now is not None and [item.shape for item in now.inputs] != [item.shape for item in before.inputs]:
        session.listener.note("the baseline was run with another input: MACs depend on it")


def _document(report: Report, checks: Sequence[Check]) -> Document:
    """Show each check with its limit and its detail."""
    rows = (
        Row(
            (check.name, "yes" if check.passed else "no", check.value, check.limit, check.unit, check.detail),
            role="leaf" if check.passed else "failed",
        )
        for check in checks
    )
    failed = sum(not check.passed for check in checks)
    held = f"all {len(checks)} hold" if not failed else f"{failed} of {len(checks)} do not hold"
    title = f"Checks of {report.model.class_name}"
    note = Note(held.replace("all 1 hold", "it holds"), "error" if failed else "info")
    return Document(title, (Table("checks", _COLUMNS, tuple(rows)), note), run_line(report.run))
