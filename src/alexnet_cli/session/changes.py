"""The changes that findings propose, each traced by running the model again with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alexnet_cli.analyses.findings.one_layer import Changes, Refused
from alexnet_cli.analyses.findings.rules import applying, asks_for_step, candidates, of_training
from alexnet_cli.errors import AlexnetError, NothingToTrainError
from alexnet_cli.report import Report
from alexnet_cli.session.language import trace_runs
from alexnet_cli.session.session import Session, Variation, is_on_meta
from alexnet_cli.tracing.options import TrainingStep

STEP = TrainingStep("none")
"""What backward keeps does not depend on the optimizer."""


def trace_changes(session: Session, codes: Iterable[str]) -> Changes | None:
    """Trace on `meta` what findings of these codes propose or ask for; None if that is nothing or nothing can run."""
    codes = tuple(codes)
    wanted, asked = candidates(session.report(), codes), applying(session.report(), codes)
    of_step = asks_for_step(session.report(), codes)
    if not (any(wanted.values()) or asked or of_step) or not session.can_run:
        return None
    with session.listener.tracing("trying the changes"):
        whole = session.on_meta()
        after: dict[str, Report | Refused] = {}
        steps: dict[str, tuple[Report, Report]] = {}
        for code, paths in wanted.items():
            chosen = _first(paths, whole, after)
            trained = whole.halved_training(chosen, STEP) if chosen is not None and of_training(code) else None
            if chosen is not None and trained is not None:
                steps[chosen] = trained
        runs = trace_runs(whole, asked) if asked and is_on_meta(whole.report()) else None
        step = _step(whole) if of_step and is_on_meta(whole.report()) else None
    return Changes(whole.report(), after, steps, runs, step)


def _step(whole: Session) -> Report | str | None:
    """Return a training step, or why it failed; None if there is nothing to train."""
    try:
        return whole.vary(Variation(step=STEP)).report()
    except NothingToTrainError:
        return None
    except AlexnetError as error:
        return error.message


def _first(paths: Sequence[str], whole: Session, after: dict[str, Report | Refused]) -> str | None:
    """Return the first of these layers that can be changed alone; every attempt is put into `after`."""
    for path in paths if is_on_meta(whole.report()) else paths[:1]:
        if path not in after:
            after[path] = whole.halved(path)
        if isinstance(after[path], Report):
            return path
    return None
