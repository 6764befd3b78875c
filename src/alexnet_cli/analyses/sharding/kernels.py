"""The kernels of a rank's step, each with how often it runs, and the least time that they take."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable

from msgspec.structs import replace

from alexnet_cli.analyses.cost import Roof, WorkSeconds, work_seconds
from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.sharding.runs import runs_of
from alexnet_cli.analyses.traffic import Unit, units, update
from alexnet_cli.rank import Rank
from alexnet_cli.tape import Tape

Kernels = list[tuple[tuple[Unit, ...], int]]
"""Kernels, and how often they run."""

_COPIES_ASIDE = "fsdp::all_gather_copy_in"
"""FSDP's copy into what it sends, which runs on a stream of its own."""


def kernels_of(rank: Rank, again: frozenset[int] = frozenset(), *, update_too: bool = True) -> Kernels:
    """Return a rank's kernels, the optimiser's update as one, without collectives and what runs beside the others."""
    tape = _by_pass(rank)
    aside = {at for at, operation in enumerate(tape.operations) if operation.op == _COPIES_ASIDE}
    aside |= {sent.operation for sent in rank.sent} | again
    found: Kernels = [(units(tape, aside, range(*run)), count) for run, count in Counter(runs_of(rank)).items()]
    changed = update(tape) if update_too else None
    return found if changed is None else [*found, ((changed,), 1)]


def _by_pass(rank: Rank) -> Tape:
    """Return the tape with units that end with a micro-batch's pass: each adds to gradients with kernels of its own."""
    tape = tape_of(rank.report)
    if not rank.passes:
        return tape
    starts = [each.start for each in rank.passes]
    return replace(
        tape,
        operations=tuple(
            replace(each, unit=each.unit * (len(starts) + 1) + bisect_right(starts, at))
            for at, each in enumerate(tape.operations)
        ),
    )


def seconds_of(kernels: Kernels, roof: Roof) -> WorkSeconds:
    """Return the least time of kernels on hardware."""
    each = [(work_seconds(done, roof), count) for done, count in kernels]
    compute, memory, together = (
        sum((getattr(work, part) * count for work, count in each), 0.0) for part in ("compute", "memory", "kernels")
    )
    return WorkSeconds(compute, memory, together, all(work.known for work, _ in each))


def phase_of(kernels: Kernels, phases: Iterable[str]) -> Kernels:
    """Return the kernels of some phases."""
    kept = set(phases)
    return [(tuple(unit for unit in done if unit.phase in kept), count) for done, count in kernels]
