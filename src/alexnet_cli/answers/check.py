"""`check`: whether a model keeps within limits, and has not grown since a baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from alexnet_cli.analyses.check import (
    LIMITS,
    STEP_LIMITS,
    TIME_RATIO,
    Check,
    Limit,
    check_baseline,
    check_limits,
    check_time,
    sentence,
)
from alexnet_cli.answers.answer import NOT_HELD, Answer, failures_of
from alexnet_cli.answers.compare import timed_in_turns
from alexnet_cli.document import Column, Document, Note, Row, Table
from alexnet_cli.errors import TargetError, UsageError
from alexnet_cli.quantities import check_seconds, read_fraction
from alexnet_cli.report import ErrorInfo, Report, Run
from alexnet_cli.report_json import Envelope, load_report
from alexnet_cli.session.how import training_step
from alexnet_cli.session.session import Named, Session, is_built
from alexnet_cli.views.parts import run_line

SECTION = "[tool.alexnet.check]"
BASELINE, TOLERANCE = "baseline", "tolerance"
KEYS = (*(limit.name for limit in LIMITS), TIME_RATIO, BASELINE, TOLERANCE)
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
    """The limits by name, and the baseline with its tolerance; `time_ratio` limits the time against the baseline's."""

    limits: Mapping[str, int]
    baseline: Report | Session | None
    tolerance: Decimal
    time_ratio: float | None = None


def read_asked(
    options: Mapping[str, object],
    settings: Mapping[str, object] | None = None,
    *,
    session_of: Callable[[str], Session] = lambda target: Session(Named(target)),
) -> Asked:
    """Read what to check; options that are not None win over settings of the same name.

    `session_of` returns a session about a baseline that is a model, run as the one that is checked.

    Raises:
        UsageError: a limit does not parse, or nothing is to be checked.
        TargetError: the baseline cannot be read.
    """
    given = {**(settings or {}), **{name: value for name, value in options.items() if value is not None}}
    read = {limit.name: _limit(limit, given[limit.name]) for limit in LIMITS if limit.name in given}
    limits = {name: most for name, most in read.items() if most is not None}
    tolerance = read_fraction(str(given.get(TOLERANCE, "0")), TOLERANCE)
    ratio = _time_ratio(given)
    if BASELINE not in given:
        if not limits:
            hint = (
                f"as in --max-params 65M, --baseline report.json, or max-params = '65M' in {SECTION} of pyproject.toml"
            )
            raise UsageError("nothing to check: no limit was given", hint)
        if options.get(TOLERANCE) is not None:
            raise UsageError("--tolerance goes with --baseline")
    return Asked(limits, _baseline(given[BASELINE], session_of) if BASELINE in given else None, tolerance, ratio)


def check(
    session: Session, asked: Asked, *, optimizer: str = "sgd", amp: str | None = None, seconds: float = 10.0
) -> Answer[CheckResult]:
    """Compare a model with limits and a baseline.

    Where its time is limited, both models are run in turns for about so many `seconds` in all.

    Raises:
        UsageError: the optimizer or the dtype is unknown, or there is no time to measure in.
        AlexnetError: the model or the baseline cannot be loaded or run.
    """
    check_seconds(seconds, 10)
    step = training_step(optimizer, amp)
    report = session.report()
    trained = None
    if report.error is None and STEP_LIMITS & asked.limits.keys():
        trained = session.training(step)
        if trained is not None and trained.error is not None:
            session.listener.note(f"the training step failed: {trained.error.message}")
    checks = check_limits(report, asked.limits, trained)
    if asked.baseline is not None:
        before = _traced(asked.baseline) if isinstance(asked.baseline, Session) else asked.baseline
        _note_other_run(session, report.run, before.run)
        checks += check_baseline(report, before, asked.tolerance)
    if asked.time_ratio is not None and isinstance(asked.baseline, Session):
        session.model(f"--{TIME_RATIO}")
        timed = timed_in_turns((asked.baseline, session), seconds)[1] if report.error is None else None
        checks += (check_time(timed, asked.time_ratio),)
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


def _time_ratio(given: Mapping[str, object]) -> float | None:
    """Read how many times that of the baseline the time may be at most; a report as the baseline has none."""
    if TIME_RATIO not in given:
        return None
    ratio = float(read_fraction(str(given[TIME_RATIO]), TIME_RATIO))
    if ratio <= 0:
        raise UsageError(f"--{TIME_RATIO} {given[TIME_RATIO]} is no ratio", "write a number above 0, as in 1.1 or 110%")
    baseline = given.get(BASELINE)
    if not isinstance(baseline, (str, Session)) or (isinstance(baseline, str) and not is_built(baseline)):
        hint = "times of another day or machine say little: name what to run beside it, as in --baseline before.py:Net"
        raise UsageError(f"--{TIME_RATIO} needs a model as the --baseline", hint)
    return ratio


def _baseline(given: object, session_of: Callable[[str], Session]) -> Report | Session:
    if isinstance(given, Session):
        return given
    if not isinstance(given, str) or not given:
        hint = "name a report that `alexnet summary --json -o FILE` saved, or a model"
        raise UsageError(f"invalid baseline {given!r}", hint)
    return session_of(given) if is_built(given) else _complete(load_report(Path(given)), given)


def _traced(baseline: Session) -> Report:
    report = baseline.report()
    return _complete(report, report.model.target)


def _complete(baseline: Report, name: str) -> Report:
    if baseline.error is not None:
        raise TargetError(f"{name} cannot be a baseline: its model failed", baseline.error.message)
    return baseline


def _note_other_run(session: Session, now: Run | None, before: Run | None) -> None:
    """Say so if the numbers come from different runs."""
    if before is None:
        session.listener.note("the baseline is a checkpoint that was not run: MACs and layers are not compared with it")
    elif now is not None and [item.shape for item in now.inputs] != [item.shape for item in before.inputs]:
        session.listener.note("the baseline was run with another input: MACs depend on it")


def _document(report: Report, checks: Sequence[Check]) -> Document:
    """Show each check with its limit and its detail."""
    rows = []
    for check in checks:
        value = round(check.value, 3) if isinstance(check.value, float) else check.value
        cells = (check.name, "yes" if check.passed else "no", value, check.limit, check.unit, check.detail)
        rows.append(Row(cells, role="leaf" if check.passed else "failed"))
    failed = sum(not check.passed for check in checks)
    held = f"all {len(checks)} hold" if not failed else f"{failed} of {len(checks)} do not hold"
    title = f"Checks of {report.model.class_name}"
    note = Note(held.replace("all 1 hold", "it holds"), "error" if failed else "info")
    return Document(title, (Table("checks", _COLUMNS, tuple(rows)), note), run_line(report.run))
