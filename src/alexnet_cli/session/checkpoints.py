"""The tensors of a checkpoint that a session is about, and the values of one of them."""

from __future__ import annotations

from pathlib import Path

from alexnet_cli.errors import UsageError
from alexnet_cli.session.session import Session
from alexnet_cli.session.sources import Named
from alexnet_cli.stored import Statistics, StoredTensor
from alexnet_cli.targets.resolve import names_checkpoint


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


def _checkpoint(session: Session) -> Path | None:
    source = session.source
    return Path(source.target) if isinstance(source, Named) and names_checkpoint(source.target) else None
