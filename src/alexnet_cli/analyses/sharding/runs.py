"""Which stretches of its tape a rank's step runs, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.rank import Rank, Run


def runs_of(rank: Rank) -> tuple[Run, ...]:
    """Return the stretches of the tape in the order in which they run."""
    return rank.runs or ((0, len(tape_of(rank.report).operations)),)


def counts_of(rank: Rank) -> Sequence[int]:
    """Return how often each operation of the tape runs; those of micro-batches that stand for no other, never."""
    times = [0] * len(tape_of(rank.report).operations)
    for (start, stop), number in Counter(runs_of(rank)).items():
        times[start:stop] = [number] * (stop - start)
    return times
