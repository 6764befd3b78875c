"""`explore`: a model or a checkpoint to walk through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from alexnet_cli.analyses.exploring.explored import Explored
from alexnet_cli.answers.answer import Outcome, failures_of
from alexnet_cli.errors import AlexnetError, UsageError, nearest
from alexnet_cli.session import checkpoints
from alexnet_cli.session.how import TrainingStep
from alexnet_cli.session.session import Session, Variation
from alexnet_cli.stored import Statistics


class Exploration(Outcome, frozen=True):
    """What is explored, with the columns to begin with, and what reads the values of a tensor by its key."""

    explored: Explored
    columns: tuple[str, ...]
    sort: str | None
    statistics: Callable[[str], Statistics]


def explore(session: Session, *, columns: Sequence[str] | None = None, sort: str | None = None) -> Exploration:
    """Make ready to walk through a model, with its training step, or a checkpoint.

    A model is run so that its rows know the lines of the user's source.

    Raises:
        UsageError: a column is unknown, or has no order.
        AlexnetError: the model cannot be loaded or run.
    """
    if session.can_run:
        session = session.vary(Variation(source=()))
    report = session.report()
    step = None
    if report.error is None:
        try:
            step = session.training(TrainingStep("none"))
        except AlexnetError as error:
            session.listener.note(f"what a training step saves is not shown: {error.message}")
    explored = Explored(report, step, checkpoints.tensors(session))
    names = explored.usual if columns is None else _columns(columns, explored)
    by = None if sort is None else _columns([sort], explored)[0]
    names = names if by is None or by in names else (*names, by)
    return Exploration(
        explored=explored,
        columns=names,
        sort=by,
        statistics=partial(checkpoints.statistics, session),
        failures=failures_of(report),
    )


def _columns(given: Sequence[str], explored: Explored) -> tuple[str, ...]:
    """Read the names of columns, in several arguments or separated by commas."""
    names = [name.strip().replace("-", "_") for item in given for name in item.split(",") if name.strip()]
    for name in names:
        if name not in explored.columns:
            raise UsageError(f"there is no column {name!r} here", nearest(name, explored.columns))
    if not names:
        raise UsageError("no column is named", f"known: {', '.join(explored.columns)}")
    return tuple(dict.fromkeys(names))
