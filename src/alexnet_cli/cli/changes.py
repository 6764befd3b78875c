"""From a report to those of the changes that its findings propose: the model is run again with each of them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from alexnet_cli.analyses.findings.one_layer import Changes, Refused
from alexnet_cli.analyses.findings.rules import candidates, of_training
from alexnet_cli.cli.cached import cached_trace, tracing
from alexnet_cli.cli.sides import is_stored
from alexnet_cli.cli.training import as_found, trained
from alexnet_cli.errors import AlexnetError, UsageError
from alexnet_cli.report import Report
from alexnet_cli.targets.resolve import parse_arguments, resolve
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.narrowing import Refusal
from alexnet_cli.tracing.narrowing.narrow import narrowed
from alexnet_cli.tracing.options import META, TraceOptions, TrainingStep

STEP = TrainingStep("none")
"""What backward keeps does not depend on the optimiser."""


def trace_changes(
    report: Report,
    codes: Iterable[str],
    target: str,
    arguments: Sequence[str] | None,
    how: TraceOptions,
    *,
    cache: bool | None,
) -> Changes | None:
    """Trace, on `meta`, what findings of these codes propose; None where nothing is proposed or nothing can be run.

    `report` is that of the target, `how` what it was traced with.
    """
    wanted = candidates(report, codes)
    if not any(wanted.values()) or is_stored(target):
        return None
    again = _Again(target, tuple(arguments or ()), replace(as_found(how, report), device=META, traceback=False), cache)
    silence = contextlib.redirect_stderr(io.StringIO())  # what the model has to say was said when it was first run
    with tracing("trying the changes"), silence:
        before = report if _on_meta(report) or how.device == META else again.run()
        after: dict[str, Report | Refused] = {}
        steps: dict[str, tuple[Report, Report]] = {}
        for code, paths in wanted.items():
            chosen = _first(paths, before, after, again)
            if chosen is not None and of_training(code):
                steps |= again.steps(chosen, before)
    return Changes(before, after, steps)


def _first(paths: Sequence[str], before: Report, after: dict[str, Report | Refused], again: _Again) -> str | None:
    """Return the first of these layers that can be changed alone; what was tried is put into `after`."""
    for path in paths if _on_meta(before) else paths[:1]:
        if path not in after:
            after[path] = again.changed(path, before)
        if isinstance(after[path], Report):
            return path
    return None


@dataclass(frozen=True)
class _Again:
    """Runs a target again. Each time it is resolved anew, so that the cache sees all that its code imports."""

    target: str
    arguments: tuple[str, ...]
    how: TraceOptions
    cache: bool | None

    def run(self) -> Report:
        """Run the model as it is."""
        return self._trace(self._subject(), self.how)

    def changed(self, path: str, before: Report) -> Report | Refused:
        """Run the model with half the outputs of a layer."""
        if not _on_meta(before):
            return Refused("needs_values", {})
        try:
            report = self._trace(narrowed(self._subject(), path, before, self.how), self.how, path)
        except Refusal as refusal:
            return Refused(refusal.key, refusal.values)
        except AlexnetError as error:
            return Refused("not_built", {"error": error.message})
        return (
            report if _on_meta(report) else Refused("does_not_fit", {"at": report.error.path if report.error else ""})
        )

    def steps(self, path: str, before: Report) -> dict[str, tuple[Report, Report]]:
        """Run a training step of the model as it is and with that change; nothing where there is none."""
        how = trained(self.how, STEP)
        try:
            step = self._trace(self._subject(), how)
            if step.error is not None:
                return {}
            halved = self._trace(narrowed(self._subject(), path, before, how), how, path)
        except (Refusal, AlexnetError):
            return {}
        return {} if halved.error is not None else {path: (step, halved)}

    def _subject(self) -> Subject:
        subject = resolve(self.target, parse_arguments(self.arguments))
        if isinstance(subject, Report):
            raise UsageError(f"{self.target} cannot be run")
        return subject

    def _trace(self, subject: Subject, how: TraceOptions, path: str | None = None) -> Report:
        changes = () if path is None else (f"half the outputs of {path}",)  # no --arg is written so
        return cached_trace(subject, (*self.arguments, *changes), how, lambda _: None, wanted=self.cache)


def _on_meta(report: Report) -> bool:
    return report.run is not None and report.run.complete and report.run.device == META
