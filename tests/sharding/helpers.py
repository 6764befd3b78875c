"""How tests spread a model over ranks, on shapes alone."""

from __future__ import annotations

import functools
from typing import Any

import torch
from sharding.models import MODELS, inputs_of

from alexnet_cli.analyses.sharding.runs import runs_of
from alexnet_cli.rank import Layout, Rank, Sent
from alexnet_cli.session.ranks import traced_rank, traced_stages
from alexnet_cli.session.session import Example, Live, Session
from alexnet_cli.tracing.options import Parallel, TraceOptions, TrainingStep


def session_of(model: torch.nn.Module, given: torch.Tensor) -> Session:
    """Return a session about a model that is given a tensor."""
    return Session(Live(model, Example((given,), {})), TraceOptions(batch_size=given.shape[0]), cache=False)


@functools.cache
def session_of_named(name: str, samples: int | None = None) -> Session:
    """Return the session about one of the models, with its inputs or so many of them; it traces its forward once."""
    with torch.device("cpu" if name == "sparse" else "meta"):  # its own forward looks at values
        model = MODELS[name]()
    given = inputs_of(name)
    return session_of(model, given if samples is None else given[:1].repeat(samples, 1))


def rank_of(
    model: torch.nn.Module,
    given: torch.Tensor,
    layout: Layout,
    step: TrainingStep | None = TrainingStep("adamw"),  # noqa: B008 - frozen
    **how: Any,
) -> Rank:
    """Return what the first rank of a model does."""
    return traced_rank(session_of(model, given), Parallel(layout, **how), step)


def rank_of_named(name: str, layout: Layout, step: TrainingStep | None = TrainingStep("adamw"), **how: Any) -> Rank:  # noqa: B008
    """Return what the first rank of one of the models does."""
    return traced_rank(session_of_named(name), Parallel(layout, **how), step)


def stages_of(
    model: torch.nn.Module,
    given: torch.Tensor,
    layout: Layout,
    step: TrainingStep | None = TrainingStep("adamw"),  # noqa: B008 - frozen
    **how: Any,
) -> tuple[Rank, ...]:
    """Return what the first rank of each pipeline stage of a model does."""
    return traced_stages(session_of(model, given), Parallel(layout, **how), step)


def stages_of_named(
    name: str,
    layout: Layout,
    step: TrainingStep | None = TrainingStep("adamw"),  # noqa: B008 - frozen
    samples: int | None = None,
    **how: Any,
) -> tuple[Rank, ...]:
    """Return what the first rank of each pipeline stage of one of the models does, with its inputs or so many."""
    return traced_stages(session_of_named(name, samples), Parallel(layout, **how), step)


def sent_in_order(rank: Rank) -> list[Sent]:
    """Return what a rank sends, that of micro-batches which do the same as often as there are such."""
    return [sent for start, stop in runs_of(rank) for sent in rank.sent if start <= sent.operation < stop]


def sent_by(rank: Rank) -> list[tuple[str, int]]:
    """Return the operators of a rank's collectives and their bytes."""
    assert rank.report.tape is not None
    return [(rank.report.tape.operations[sent.operation].op, sent.bytes) for sent in sent_in_order(rank)]
