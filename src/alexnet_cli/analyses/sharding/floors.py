"""The least time of a rank's step: its arithmetic, its memory traffic, what it sends, and what of that can overlap."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.cost import Roof, WorkSeconds, work_seconds
from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.sharding.links import Links
from alexnet_cli.analyses.sharding.runs import counts_of, runs_of
from alexnet_cli.analyses.sharding.traffic import LinkTime, Scope, is_exposed, link_times
from alexnet_cli.analyses.traffic import Unit, units, update
from alexnet_cli.rank import CollectiveKind, Rank
from alexnet_cli.tape import Phase, Tape

StepBound = Literal["compute", "memory", "within", "between"]
Work = Phase | CollectiveKind | Literal["waiting"]

_ROUNDING = 1e-9

_Kernels = list[tuple[tuple[Unit, ...], int]]
"""Kernels, and how often they run."""

_COPIES_ASIDE = "fsdp::all_gather_copy_in"
"""FSDP's copy into what it sends, which runs on a stream of its own."""


class Lane(Struct, frozen=True):
    """What one part of a GPU does in the least time of a step: seconds of each kind of work, and what is left idle.

    Kernels work in phases, and wait for collectives whose result the next of them reads; links carry collectives.
    """

    name: Literal["kernels", "within", "between"]
    seconds: dict[Work, float]
    idle_seconds: float


class Floors(Struct, frozen=True, kw_only=True):
    """Lower bounds of a rank's step in seconds.

    `compute_seconds` is all arithmetic at the peak, `memory_seconds` all traffic at the full bandwidth, the optimiser's
    included; `kernels_seconds` takes the longer of the two for each kernel. `exposed_seconds` is what a rank waits for,
    as its next kernel needs it. `overlapped_seconds` is what else it sends, as FSDP and DDP do on streams of their
    own: at best that hides behind the kernels. The step takes at least as long as the kernels with what they wait for,
    and as the busiest link; `bound` is what bounds it.

    `mfu` is the most that model FLOP utilisation can be: the FLOPs of forward and backward without those that
    checkpoints run again, by what the peak could do in `step_seconds`. It is None for a forward. `lanes` tell what
    fills the step.
    """

    compute_seconds: float
    memory_seconds: float
    kernels_seconds: float
    links: tuple[LinkTime, ...]
    exposed_seconds: float
    overlapped_seconds: float
    step_seconds: float
    bound: StepBound
    flops: int
    flops_again: int
    mfu: float | None
    samples_per_s: float | None
    lanes: tuple[Lane, ...]


def floors(rank: Rank, roof: Roof, links: Links) -> Floors:
    """Return the least time of a rank's step.

    Raises:
        UsageError: a network is needed that is not known.
    """
    tape = tape_of(rank.report)
    kernels = _kernels_of(rank)
    whole = _seconds_of(kernels, roof)
    useful = _seconds_of(_kernels_of(rank, rank.again), roof)
    awaited = [sent for sent in rank.sent if is_exposed(rank, sent)]
    waited = link_times(rank, links, awaited)
    hidden = link_times(rank, links, [sent for sent in rank.sent if sent not in awaited])
    every = link_times(rank, links, rank.sent)
    exposed = max((link.seconds for link in waited), default=0.0)
    on_links = max((link.seconds for link in every), default=0.0)
    step = max(whole.kernels + exposed, on_links)
    times = counts_of(rank)
    flops = 2 * sum((each.macs or 0) * count for each, count in zip(tape.operations, times, strict=True))
    trained = any(operation.phase == "backward" for operation in tape.operations)
    batch = None if rank.report.run is None else rank.report.run.batch_size
    parts: dict[StepBound, float] = {"compute": whole.compute, "memory": whole.memory}
    parts |= {link.scope: link.seconds for link in (every if on_links >= whole.kernels + exposed else waited)}
    return Floors(
        compute_seconds=whole.compute,
        memory_seconds=whole.memory,
        kernels_seconds=whole.kernels,
        links=every,
        exposed_seconds=exposed,
        overlapped_seconds=max((link.seconds for link in hidden), default=0.0),
        step_seconds=step,
        bound=max(parts, key=lambda part: parts[part]),
        flops=flops,
        flops_again=2 * sum((tape.operations[at].macs or 0) * times[at] for at in rank.again),
        mfu=useful.compute / step if trained and step and useful.known else None,
        samples_per_s=batch * rank.layout.replicas / step if batch and step else None,
        lanes=_lanes(rank, kernels, roof, links, step=step, waiting=exposed),
    )


def passes_seconds(rank: Rank, roof: Roof) -> float:
    """Return the least time of the kernels of a rank's forwards and backwards, without the optimiser's update."""
    return _seconds_of(_kernels_of(rank, update_too=False), roof).kernels


def _kernels_of(rank: Rank, without: Iterable[int] = (), *, update_too: bool = True) -> _Kernels:
    """Return a rank's kernels, the optimiser's update as one, without collectives and what runs beside the others."""
    tape = _by_pass(rank)
    aside = {at for at, operation in enumerate(tape.operations) if operation.op == _COPIES_ASIDE}
    aside |= {*without, *(sent.operation for sent in rank.sent)}
    found: _Kernels = [(units(tape, aside, range(*run)), count) for run, count in Counter(runs_of(rank)).items()]
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


def _seconds_of(kernels: _Kernels, roof: Roof) -> WorkSeconds:
    """Return the least time of kernels on hardware."""
    each = [(work_seconds(done, roof), count) for done, count in kernels]
    compute, memory, together = (
        sum((getattr(work, part) * count for work, count in each), 0.0) for part in ("compute", "memory", "kernels")
    )
    return WorkSeconds(compute, memory, together, all(work.known for work, _ in each))


def _lanes(rank: Rank, kernels: _Kernels, roof: Roof, links: Links, *, step: float, waiting: float) -> tuple[Lane, ...]:
    """Return the lanes of a step that takes `step` seconds at least, `waiting` of them for collectives."""
    phases: tuple[Phase, ...] = ("forward", "backward", "optimizer")
    work: dict[Work, float] = {}
    for phase in phases:
        own = [(tuple(unit for unit in done if unit.phase == phase), count) for done, count in kernels]
        work[phase] = _seconds_of(own, roof).kernels
    found = [_lane("kernels", {**work, "waiting": waiting}, step)]
    carried: dict[Scope, dict[Work, float]] = {"within": {}, "between": {}}
    for kind in dict.fromkeys(sent.kind for sent in rank.sent):
        for link in link_times(rank, links, [sent for sent in rank.sent if sent.kind == kind]):
            carried[link.scope][kind] = link.seconds
    return (*found, *(_lane(scope, carried[scope], step) for scope in carried if carried[scope]))


def _lane(name: Literal["kernels", "within", "between"], seconds: dict[Work, float], step: float) -> Lane:
    worked = {work: time for work, time in seconds.items() if time}
    idle = step - sum(worked.values())
    return Lane(name, worked, idle if idle > step * _ROUNDING else 0.0)
