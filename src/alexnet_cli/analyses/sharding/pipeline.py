"""Pipeline stages: how many micro-batches each has under way, the bubble, and the least time of a step.

A step ends once the last stage has run all micro-batches, which it can only begin when the first has passed the stages
before it, and once the last gradient has passed back through these. With equal stages that is GPipe's bubble, the share
(N - 1)/(M + N - 1) of a step for N stages and M micro-batches (Huang et al., "GPipe", arXiv:1811.06965, section 2.3).
1F1B has the same. With v parts of the model on each GPU, each stage hands on after 1/v of its work, which leaves
(N - 1)/(vM + N - 1) (Narayanan et al., "Efficient Large-Scale Language Model Training on GPU Clusters Using
Megatron-LM", arXiv:2104.04473, section 2.2, where the bubble is told as a share of the rest, (N - 1)/(vM)).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.sharding.floors import Floors, floors, passes_seconds
from alexnet_cli.analyses.sharding.links import Links
from alexnet_cli.analyses.sharding.memory import RankMemory, rank_memory
from alexnet_cli.rank import Layout, Rank


class Stage(Struct, frozen=True, kw_only=True):
    """A pipeline stage: what its ranks hold, and the least time that one of them is busy in a step, None without a GPU.

    `in_flight` is the most micro-batches whose activations it holds at once; with several parts of the model, each
    counts for itself. A forward alone holds those of one.
    """

    stage: int
    weights_bytes: int
    saved_activation_bytes: int
    peak_bytes: int
    in_flight: int
    busy_seconds: float | None


class Pipeline(Struct, frozen=True, kw_only=True):
    """How a model runs in stages. `bubble` is the share of a step in which equal stages are idle.

    `slowest` is the stage that bounds the step, and `step_seconds` the least time of a step of the whole pipeline; both
    are None without a GPU.
    """

    schedule: str
    micro_batches: int
    chunks: int
    bubble: float
    bubble_formula: str
    bubble_source: str
    slowest: int | None
    step_seconds: float | None
    stages: tuple[Stage, ...]


_SOURCES = {
    "gpipe": "Huang et al., GPipe, arXiv:1811.06965",
    "1f1b": "Narayanan et al., arXiv:2104.04473",
    "interleaved": "Narayanan et al., arXiv:2104.04473",
}


def bubble(layout: Layout) -> float:
    """Return the share of a step in which each of equal stages is idle."""
    return (layout.pp - 1) / (layout.chunks * layout.micro_batches + layout.pp - 1)


def in_flight(layout: Layout, stage: int) -> int:
    """Return the most forwards of a stage whose backward has not run yet.

    GPipe runs all forwards first. 1F1B runs one for each stage that follows, and then one before each backward. With v
    parts on each GPU, (v - 1) rounds of micro-batches and two for each stage that follows come first, as in Megatron's
    and torch's schedules; there are as many rounds as the stages go into the micro-batches.
    """
    stages, batches = layout.pp, layout.micro_batches
    if layout.schedule == "gpipe":
        return batches
    if layout.schedule == "1f1b":
        return min(batches, stages - stage)
    a_round = batches // max(1, batches // stages)
    return min(layout.chunks * batches, (layout.chunks - 1) * a_round + 2 * (stages - 1 - stage) + 1)


def pipeline(
    ranks: Sequence[Rank], memories: Sequence[RankMemory], each: Sequence[Floors] | None, before: Sequence[float]
) -> Pipeline:
    """Return how a model runs in stages, of what their ranks do and of the floors of each.

    `before` is the least time in which a micro-batch has passed the stages before each, forth and back.
    """
    layout = ranks[0].layout
    trained = any(each.phase == "backward" for each in ranks[0].passes)
    ends = None if each is None else [busy.step_seconds + wait for busy, wait in zip(each, before, strict=True)]
    formula = "(N - 1)/(vM + N - 1)" if layout.chunks > 1 else "(N - 1)/(M + N - 1)"
    return Pipeline(
        schedule=layout.schedule,
        micro_batches=layout.micro_batches,
        chunks=layout.chunks,
        bubble=bubble(layout),
        bubble_formula=formula,
        bubble_source=_SOURCES[layout.schedule],
        slowest=None if ends is None else max(range(len(ends)), key=ends.__getitem__),
        step_seconds=None if ends is None else max(ends),
        stages=tuple(
            Stage(
                stage=at,
                weights_bytes=memory.weights_bytes,
                saved_activation_bytes=memory.peak.live_bytes.get("saved", 0),
                peak_bytes=memory.peak_bytes,
                in_flight=in_flight(layout, at) if trained else 1,
                busy_seconds=None if each is None else each[at].step_seconds,
            )
            for at, memory in enumerate(memories)
        ),
    )


class Staged(Struct, frozen=True):
    """A pipeline, the memory of each stage, and the floors of the slowest with the step of the whole pipeline."""

    pipeline: Pipeline
    memories: tuple[RankMemory, ...]
    floors: Floors | None


def staged(ranks: Sequence[Rank], roof: Roof | None, links: Links | None) -> Staged:
    """Return the pipeline whose stages do this.

    Raises:
        UsageError: a network is needed that is not known.
    """
    memories = tuple(rank_memory(rank) for rank in ranks)
    if roof is None or links is None:
        return Staged(pipeline(ranks, memories, None, ()), memories, None)
    each = [floors(rank, roof, links) for rank in ranks]
    layout = ranks[0].layout
    parts = layout.micro_batches * layout.chunks
    before = list(accumulate((passes_seconds(rank, roof) / parts for rank in ranks[:-1]), initial=0.0))
    found = pipeline(ranks, memories, each, before)
    return Staged(found, memories, _whole(found, each))


def _whole(found: Pipeline, each: Sequence[Floors]) -> Floors:
    """Return the floors of the slowest stage, in a step of the whole pipeline."""
    assert found.slowest is not None  # noqa: S101 - for the type checker
    assert found.step_seconds is not None  # noqa: S101
    slowest, step = each[found.slowest], found.step_seconds
    useful = [busy.mfu * busy.step_seconds for busy in each if busy.mfu is not None]
    samples = slowest.samples_per_s
    return replace(
        slowest,
        step_seconds=step,
        lanes=tuple(
            replace(lane, idle_seconds=lane.idle_seconds + step - slowest.step_seconds) for lane in slowest.lanes
        ),
        mfu=sum(useful) / len(each) / step if step and len(useful) == len(each) else None,
        samples_per_s=samples * slowest.step_seconds / step if samples and step else None,
    )
