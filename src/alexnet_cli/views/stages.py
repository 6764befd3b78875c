"""The pipeline stages of a model, compared."""

from __future__ import annotations

from alexnet_cli.analyses.hardware import Hardware
from alexnet_cli.analyses.sharding.pipeline import Pipeline, Stage
from alexnet_cli.document import Column, Fact, Facts, Table
from alexnet_cli.views.parts import Columns, table

_SCHEDULES = {"gpipe": "GPipe", "1f1b": "1F1B", "interleaved": "interleaved 1F1B"}
PIPELINE_CONVENTION = (
    "Predicted by running torch's own pipeline schedules, FSDP and tensor parallelism over a process group that sends "
    "nothing, each stage apart. The buffers of NCCL, the allocator's fragmentation and the "
    "device's context add to the memory."
)


def fullest(stages: Pipeline) -> str:
    """Return the heading of what is told of the stage with the highest peak."""
    return f"One GPU of stage {max(stages.stages, key=lambda stage: stage.peak_bytes).stage}, which holds most"


def pipeline_blocks(stages: Pipeline, hardware: Hardware | None) -> tuple[Facts | Table, ...]:
    """Return the schedule with its bubble, and a table of the stages."""
    facts = [
        Fact("Schedule", _SCHEDULES[stages.schedule]),
        Fact("Micro-batches", stages.micro_batches, "count"),
        *([Fact("Parts of the model on each GPU", stages.chunks, "count")] if stages.chunks > 1 else []),
        Fact(
            "Bubble",
            stages.bubble,
            "share",
            f"of a step with equal stages: {stages.bubble_formula}, {stages.bubble_source}",
        ),
    ]
    columns: Columns[Stage] = {
        Column("stage", "Stage", "count"): lambda each: each.stage,
        Column("weights_bytes", "Weights", "bytes", priority=5): lambda each: each.weights_bytes,
        Column("in_flight", "In flight", "count", priority=7): lambda each: each.in_flight,
        Column("saved_bytes", "Saved at the peak", "bytes", priority=6): lambda each: each.saved_activation_bytes,
        Column("peak_bytes", "Peak", "bytes"): lambda each: each.peak_bytes,
    }
    capacity = None if hardware is None else hardware.capacity_bytes
    if capacity is not None:
        columns[Column("fits", "Fits", priority=8)] = lambda each: "yes" if each.peak_bytes <= capacity else "no"
    if stages.slowest is not None:
        columns[Column("busy_seconds", "Busy at least", "seconds", priority=8)] = lambda each: each.busy_seconds
        facts.append(Fact("Bounded by", f"stage {stages.slowest}", note="the pipeline takes at least so long"))
    return Facts(tuple(facts), "Pipeline"), table("stages", columns, stages.stages, "The stages")
