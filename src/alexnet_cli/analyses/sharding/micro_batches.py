"""A stage's step that was traced with few of many micro-batches, told as the step with all of them.

Between the first and the last micro-batch each does what the one before did: its forward makes what its backward frees.
So what is live, what is computed and what is sent follow from one pass of each sort, put in the order of the schedule.
A pass is of a sort by whether it is the first or the last, and by what runs before and after it, as what a pass leaves
is dropped when the next begins. Where parts are interleaved, what happens between the passes is told apart as well.
What torch collects over all micro-batches, a loss of one number each, is told as dropped for those traced.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from msgspec.structs import replace

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.sharding.anchors import IrregularError
from alexnet_cli.rank import Layout, Rank, Run
from alexnet_cli.tape import Phase, Storage

Sort = tuple[tuple[Phase, bool] | None, Phase, Phase | None, tuple[bool, bool]]
"""What ran before and whether that was the first, the phase, what runs after it, and whether this is first or last."""


def with_all(rank: Rank, layout: Layout, stage: int) -> Rank:
    """Return the step of a stage of a pipeline, of which the shortened one was traced.

    Raises:
        IrregularError: micro-batches do not do the same.
    """
    if rank.layout == layout:
        return rank
    traced, sorts = _traced_and_asked(rank, layout, stage)
    tape = tape_of(rank.report)
    starts = [each.start for each in rank.passes]
    runs = list(zip(starts, [*starts[1:], len(tape.operations)], strict=True))  # the last ends with the step
    known: dict[Hashable, Run] = {}
    for sort, run in zip(traced, runs, strict=True):
        if _looks(rank, run) != _looks(rank, known.setdefault(sort, run)):
            raise IrregularError
    if any(sort not in known for sort in sorts):
        raise IrregularError
    more = _received_by_more(rank, layout)
    return replace(
        rank,
        layout=layout,
        report=replace(rank.report, tape=replace(tape, storages=(*tape.storages, *more))),
        held=(*rank.held, *("communication" for _ in more)),
        owners=(*rank.owners, *(None for _ in more)),
        sent=tuple(replace(each, ranks=layout.pp) if each.group == "pp" else each for each in rank.sent),
        runs=((0, runs[0][0]), *(known[sort] for sort in sorts)),
    )


def _traced_and_asked(rank: Rank, layout: Layout, stage: int) -> tuple[Sequence[Hashable], Sequence[Hashable]]:
    """Return the sorts of the passes that were traced, and of those of the whole step."""
    if rank.sorts:
        return [each.sort for each in rank.passes], rank.sorts
    traced = [(each.phase, each.micro_batch) for each in rank.passes]
    phases = {phase for phase, _ in traced}  # a forward alone has no backward
    expected, asked = (
        [each for each in passes if each[0] in phases]
        for passes in (rank.layout.passes(layout.shortened(stage)[1]), layout.passes(stage))
    )
    if traced != expected:
        raise IrregularError
    return _sorts(traced), _sorts(asked)


def _received_by_more(rank: Rank, layout: Layout) -> list[Storage]:
    """Return what a stage receives into for the micro-batches beyond those traced: torch makes it before the step."""
    storages = zip(rank.held, tape_of(rank.report).storages, strict=True)
    there = [storage for held, storage in storages if held == "communication" and storage.born < 0]
    few = rank.layout.micro_batches
    return there[: len(there) // few] * (layout.micro_batches - few)


def _sorts(passes: Sequence[tuple[Phase, int]]) -> list[Sort]:
    end = max(number for _, number in passes)
    around: list[tuple[Phase, int] | None] = [None, *passes, None]
    found = []
    for before, (phase, number), after in zip(around, passes, around[2:], strict=False):
        ends = number == 0, number == end and phase == "backward"
        found.append((before and (before[0], before[1] == 0), phase, after and after[0], ends))
    return found


def _looks(rank: Rank, run: Run) -> list[object]:
    """Return what operations a pass has, and what they make."""
    tape = tape_of(rank.report)
    return [
        (each.op, each.row, each.phase, each.macs, [tape.values[value].bytes for value in each.makes])
        for each in tape.operations[slice(*run)]
    ]
