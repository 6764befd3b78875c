"""Checkpoints of a session: the one that it is about, the model's own, and another held against the model."""

from __future__ import annotations

from pathlib import Path

from alexnet_cli.analyses.weights import WeightsMatch, compare_weights
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report
from alexnet_cli.session.session import Session
from alexnet_cli.session.sources import Named
from alexnet_cli.stored import Statistics, StoredTensor
from alexnet_cli.targets.resolve import names_checkpoint
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.options import TraceOptions


def tensors(session: Session) -> tuple[StoredTensor, ...] | None:
    """Return the tensors of the checkpoint that the target is, without their values; None if it is none.

    Raises:
        TargetError: the checkpoint cannot be read.
    """
    path = _checkpoint(session)
    if path is None:
        return None
    from alexnet_cli.targets.checkpoint.read import stored_tensors

    return stored_tensors(path)


def statistics(session: Session, key: str) -> Statistics:
    """Read the values of one tensor of the checkpoint that the target is, and return what they are like.

    Raises:
        UsageError: the target is not a checkpoint.
        TargetError: the values cannot be read.
    """
    path = _checkpoint(session)
    if path is None:
        raise UsageError("only a checkpoint holds values", "give its file instead of the model")
    from alexnet_cli.targets.checkpoint.values import tensor_statistics  # imports torch

    return tensor_statistics(path, key)


def parameters(session: Session) -> Report:
    """Return a report with the parameters: by the headers of the model's checkpoint if it has one, else a trace.

    Raises:
        AlexnetError: as for `Session.report`.
    """
    subject, as_it_is = session.resolved, session.how == TraceOptions() and not session.source.key
    if not isinstance(subject, Subject) or not as_it_is or session.is_traced or session.own_weights is None:
        return session.report()
    from alexnet_cli.targets.checkpoint.read import report_of

    return report_of(session.own_weights, subject.target)


def compared(session: Session, checkpoint: Path | None = None) -> WeightsMatch | None:
    """Compare the names and shapes in a checkpoint with the model's; None if there is no checkpoint.

    By default it is the model's own, which may leave out tensors that are tied to others: its library ties them.

    Raises:
        UsageError: the target is not a model.
        TargetError: the checkpoint cannot be read.
    """
    if checkpoint is None and session.own_weights is None:
        return None
    if not isinstance(session.resolved, Subject):
        raise UsageError("--weights needs a model, not a saved report or a checkpoint")
    from alexnet_cli.targets.checkpoint.read import read_contents

    contents = read_contents(checkpoint) if checkpoint is not None else session.own_weights
    from alexnet_cli.tracing.build import state_shapes  # imports torch

    state = state_shapes(session.resolved, session.how)
    held = contents.tensors if contents else {}
    shapes = {key: tensor.shape_beside(state.shapes.get(key)) for key, tensor in held.items()}
    tied = {key for key, others in state.ties.items() if key not in shapes and not others.isdisjoint(shapes)}
    left_out = tied if checkpoint is None else set()
    return compare_weights({key: each for key, each in state.shapes.items() if key not in left_out}, shapes)


def _checkpoint(session: Session) -> Path | None:
    source = session.source
    return Path(source.target) if isinstance(source, Named) and names_checkpoint(source.target) else None
