"""`compare`: models side by side, and what changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

from msgspec import UNSET, UnsetType, structs

from alexnet_cli.analyses.compare import AlignedLayer, ComparedModel
from alexnet_cli.analyses.compare import compare as compared
from alexnet_cli.analyses.compare import only_changes as changes_of
from alexnet_cli.analyses.turns import ROUNDS, TimedAgainst, in_turns
from alexnet_cli.answers.answer import Answer
from alexnet_cli.errors import UsageError
from alexnet_cli.report import ErrorInfo, Input, Report, Run
from alexnet_cli.report_json import Envelope, generator
from alexnet_cli.session.session import Session
from alexnet_cli.views.compare import compare_document

_SUGGESTED = re.compile(r"--input-size (\S+)((?: --input-size \S+)*)")


class CompareResult(Envelope, frozen=True, kw_only=True):
    """`alexnet compare --json`; each model has its own `model`, `run` and `error`."""

    subjects: tuple[ComparedModel, ...]
    layers: tuple[AlignedLayer, ...]
    timed: tuple[TimedAgainst, ...] | UnsetType = UNSET


def compare(
    sessions: Sequence[Session], *, only_changes: bool = False, profile: bool = False, seconds: float = 10.0
) -> Answer[CompareResult]:
    """Compare two models or more; the first is what the others are compared with.

    With `profile` they are run in turns for about so many `seconds` in all, and their times are compared too.

    Raises:
        UsageError: a target that is to be run is not a model.
        AlexnetError: a model cannot be loaded or run.
    """
    reports = reports_of(sessions)
    comparison = compared(reports)
    shown = changes_of(comparison) if only_changes else comparison
    hidden = len(comparison.layers) - len(shown.layers)
    failures = named_failures(reports)
    timed = timed_in_turns(sessions, seconds) if profile and not failures else UNSET
    result = CompareResult(
        generator=generator(),
        command="compare",
        error=next((report.error for report in reports if report.error), None),
        **structs.asdict(shown),
        timed=timed,
    )
    return Answer(result, lambda: compare_document(shown, hidden=hidden, timed=timed), failures=failures)


def timed_in_turns(sessions: Sequence[Session], seconds: float) -> tuple[TimedAgainst, ...]:
    """Run models in turns for about so many `seconds` in all, the one that begins changing from round to round.

    Raises:
        UsageError: a target is not a model, or does not run where it is to be timed.
        AlexnetError: a model cannot be loaded or run.
    """
    rounds = []
    sessions = [session.built_once() for session in sessions]
    for turn in range(ROUNDS):
        own: dict[int, float] = {}
        for place in (*range(turn % len(sessions), len(sessions)), *range(turn % len(sessions))):
            report = sessions[place].timed(seconds / (ROUNDS * len(sessions)), None, silently=True)
            if report.error is not None or report.passes is UNSET:
                raise UsageError(f"{report.model.target} runs on meta and not where it is to be timed", "see summary")
            own[place] = median(report.passes.whole)
        rounds.append([own[place] for place in range(len(sessions))])
    return in_turns(rounds)


def reports_of(sessions: Sequence[Session]) -> list[Report]:
    """Return the report of each; where a hint suggests an input, it is written for these targets side by side."""
    reports = [session.report() for session in sessions]
    runs = [session.can_run for session in sessions]
    return [_hinted(report, place, reports, runs) for place, report in enumerate(reports)]


def _hinted(report: Report, place: int, reports: Sequence[Report], runs: Sequence[bool]) -> Report:
    if report.error is None or report.error.hint is None:
        return report

    def for_each(match: re.Match[str]) -> str:
        own = ";".join((match[1], *match[2].split(" --input-size ")[1:]))
        settled = [other == place or not run for other, run in enumerate(runs)]
        said = [own if is_settled else _inputs_of(other) for is_settled, other in zip(settled, reports, strict=True)]
        wanted = [own] if all(settled) else said
        return " ".join(f'--input-size "{each}"' if ";" in each else f"--input-size {each}" for each in wanted)

    return structs.replace(
        report, error=structs.replace(report.error, hint=_SUGGESTED.sub(for_each, report.error.hint))
    )


def _inputs_of(report: Report) -> str:
    """Return a model's inputs as `--input-size` takes them for one target of several; `…` where they are not shapes."""
    run = report.run
    if run is None or any("." in (given.name or "") or given.per_sample for given in run.inputs):
        return "…"
    return ";".join(_input_of(given, run) for given in run.inputs)


def _input_of(given: Input, run: Run) -> str:
    sizes = given.shape[0 if run.batch_size is None else 1 :]
    name = f"{given.name}=" if given.name else ""
    usual = given.dtype == run.dtype and len(sizes) > 1
    return f"{name}{','.join(map(str, sizes))}{'' if usual else f':{given.dtype}'}"


def named_failures(reports: Sequence[Report]) -> tuple[ErrorInfo, ...]:
    """Return why models failed while they ran, each with the model's name."""
    failed = [(report.model.target, report.error) for report in reports if report.error is not None]
    return tuple(structs.replace(error, message=f"{target}: {error.message}") for target, error in failed)
