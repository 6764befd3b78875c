"""What the ranks of a session's model do when it is spread over GPUs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from alexnet_cli.session.how import as_found
from alexnet_cli.session.session import Session
from alexnet_cli.tracing.options import Parallel, TraceOptions, TrainingStep

if TYPE_CHECKING:
    from alexnet_cli.rank import Rank

BLOCKS = 7
"""Of blocks that are alike so many are traced on a rank, and the others derived: a model starts and ends in its own
way, FSDP prefetches from one to the next, and at least three in between have to be seen to do the same."""


def traced_rank(session: Session, how: Parallel, step: TrainingStep | None) -> Rank:
    """Return what the first rank does in a training step, or in a forward, of the model spread over ranks.

    Raises:
        UsageError: the target is not a model, or cannot be spread so.
        AlexnetError: the model cannot be run like this.
    """
    subject = session.model("shard")
    from alexnet_cli.analyses.sharding.unfolding import IrregularError, unfolded
    from alexnet_cli.tracing.sharding.trace import trace_rank  # imports torch

    options = _options(session, step)
    with session.listener.tracing("tracing one rank"):
        if how.layout.fsdp > 1 or how.layout.ddp == 1:  # DDP's buckets go over the ends of blocks
            rank, left = trace_rank(subject, options, replace(how, at_most=BLOCKS), session.listener.note)
            if left is None:
                return rank
            with suppress(IrregularError):
                return unfolded(rank, left)
        return trace_rank(subject, options, how, session.listener.note)[0]


def traced_stages(session: Session, how: Parallel, step: TrainingStep | None) -> tuple[Rank, ...]:
    """Return what the first rank of each pipeline stage does in a training step, or in a forward.

    Raises:
        UsageError: the target is not a model, or cannot be spread so.
        AlexnetError: the model cannot be cut into stages, or run like this.
    """
    subject = session.model("shard")
    from alexnet_cli.analyses.sharding.anchors import IrregularError
    from alexnet_cli.analyses.sharding.micro_batches import with_all
    from alexnet_cli.tracing.sharding.pipelined import trace_stages  # imports torch

    options = _options(session, step)
    with session.listener.tracing("tracing the stages"):
        with suppress(IrregularError):
            few = trace_stages(subject, options, replace(how, at_most=BLOCKS), session.listener.note)
            return tuple(with_all(rank, how.layout, stage) for stage, rank in enumerate(few))
        return tuple(trace_stages(subject, options, how, session.listener.note))


def _options(session: Session, step: TrainingStep | None) -> TraceOptions:
    mode = session.how.mode if step is None else "train"
    return replace(as_found(session.how, session.report()), mode=mode, step=step)
