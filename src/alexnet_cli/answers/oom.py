"""`oom`: what filled a GPU when memory ran out, from a snapshot of it, and which layers of a model that was."""

from __future__ import annotations

from pathlib import Path

from msgspec import UNSET, UnsetType

from alexnet_cli.analyses.oom.failure import Failure, failure
from alexnet_cli.analyses.oom.match import Matched, match
from alexnet_cli.analyses.oom.rewind import at_failure
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.report import Report
from alexnet_cli.report_json import Envelope, generator
from alexnet_cli.session.how import training_step
from alexnet_cli.session.session import Session
from alexnet_cli.session.snapshots import read_snapshot
from alexnet_cli.views.oom import oom_document


class OomResult(Envelope, frozen=True, kw_only=True):
    """`alexnet oom --json`; `model` and `run` are null and `predicted` is left out without a target.

    `predicted` is a training step of the model held against the snapshot, null where none could be traced.
    """

    snapshot: str
    failure: Failure
    predicted: Matched | UnsetType | None = UNSET


def oom(
    session: Session | None, snapshot: str, *, optimizer: str = "sgd", amp: str | None = None, foreach: bool = True
) -> Answer[OomResult]:
    """Tell what filled a GPU when memory ran out, from a snapshot that `torch.cuda.memory._dump_snapshot` wrote.

    With a model a training step of it is traced with this optimizer, and held against what was live: which layers'
    tensors it was, and what nobody predicted.

    Raises:
        UsageError: an option does not parse.
        TargetError: the snapshot cannot be read.
        AlexnetError: the model cannot be loaded or run.
    """
    step = training_step(optimizer, amp, foreach=foreach)
    state = at_failure(read_snapshot(Path(snapshot)))
    seen = failure(state)
    if session is None:
        result = OomResult(generator=generator(), command="oom", snapshot=snapshot, failure=seen)
        return Answer(result, lambda: oom_document(snapshot, seen))
    report = session.report()
    session.model("oom")
    trained = session.training(step) if report.error is None else None
    predicted = match(state, trained) if trained is not None and trained.error is None else None
    failures = failures_of(report, trained)
    envelope = {**Envelope.of(trained or report, "oom"), "error": next(iter(failures), None)}
    result = OomResult(**envelope, snapshot=snapshot, failure=seen, predicted=predicted)
    about: Report = trained or report
    options = f"--optimizer {optimizer}{'' if amp is None else f' --amp {amp}'}{'' if foreach else ' --no-foreach'}"
    return Answer(result, lambda: oom_document(snapshot, seen, about, predicted, options), failures=failures)
