"""The least time of a rank's step: its arithmetic, its memory traffic, what it sends, and what of that can overlap."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.sharding.kernels import kernels_of, seconds_of
from alexnet_cli.analyses.sharding.lanes import Lane, lanes
from alexnet_cli.analyses.sharding.links import Links
from alexnet_cli.analyses.sharding.runs import counts_of
from alexnet_cli.analyses.sharding.traffic import LinkTime, is_exposed, link_times
from alexnet_cli.rank import Rank

StepBound = Literal["compute", "memory", "within", "between"]


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
    kernels = kernels_of(rank)
    whole = seconds_of(kernels, roof)
    useful = seconds_of(kernels_of(rank, frozenset(rank.again)), roof)
    awaited = [sent for sent in rank.sent if is_exposed(rank, sent)]
    waited = link_times(rank, links, awaited)
    hidden = link_times(rank, links, [sent for sent in rank.sent if sent not in awaited])
    every = link_times(rank, links, rank.sent)
    exposed = max((link.seconds for link in waited), default=0.0)
    busiest = max(every, key=lambda link: link.seconds, default=None)
    on_links = 0.0 if busiest is None else busiest.seconds
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
        lanes=lanes(rank, kernels, roof, links, step=step, waiting=exposed),
    )


def passes_seconds(rank: Rank, roof: Roof) -> float:
    """Return the least time of the kernels of a rank's forwards and backwards, without the optimiser's update."""
    tape = tape_of(rank.report)
    aside = {at for at, operation in enumerate(tape.operations) if operation.phase == "optimizer"}
    return seconds_of(kernels_of(rank, frozenset(aside), update_too=False), roof).kernels
