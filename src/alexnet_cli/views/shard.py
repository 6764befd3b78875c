"""What one GPU of many holds and sends in a step, and the least time that the step takes."""

from __future__ import annotations

from typing import NamedTuple

from alexnet_cli.analyses.hardware import Hardware
from alexnet_cli.analyses.sharding.alike import fold_collectives, fold_shares
from alexnet_cli.analyses.sharding.floors import Floors, StepBound, Work
from alexnet_cli.analyses.sharding.links import Links
from alexnet_cli.analyses.sharding.memory import LayerShare, RankMemory
from alexnet_cli.analyses.sharding.pipeline import Pipeline, Stage
from alexnet_cli.analyses.sharding.traffic import Collective
from alexnet_cli.document import Bar, Bars, Column, Document, Fact, Facts, Note, Part, Table
from alexnet_cli.rank import HELD, Dimension, Held, Layout, Rank
from alexnet_cli.report import Report
from alexnet_cli.units import count, si
from alexnet_cli.views.parts import Columns, facts_given, given, run_line, table, titled

HELD_AS: dict[Held, tuple[str, str]] = {
    "weights": ("weight shards", "linear"),
    "gathered": ("gathered weights", "norm"),
    "buffers": ("buffers", "softmax"),
    "input": ("input", "embedding"),
    "gradients": ("gradients", "conv"),
    "optimizer": ("optimiser state", "attention"),
    "saved": ("saved for backward", "pool"),
    "communication": ("communication buffers", "recurrent"),
    "temporary": ("temporary", "activation"),
}
"""The name of each use of memory, and the family whose colour stands for it."""
_DIMENSIONS: dict[Dimension, str] = {
    "pp": "pipeline stages",
    "ddp": "replicas",
    "fsdp": "shards of the state (FSDP)",
    "cp": "parts of each sequence, which shard the state too",
    "tp": "shards of the layers (tensor parallel)",
}
_EXPERTS = "shards of the experts"
_SEQUENCES = "with sequence parallelism"
_KINDS = {
    "all_gather": "all-gather",
    "reduce_scatter": "reduce-scatter",
    "all_reduce": "all-reduce",
    "all_to_all": "all-to-all",
    "recv": "receive",
}
BOUND: dict[StepBound, str] = {
    "compute": "arithmetic",
    "memory": "memory traffic",
    "within": "the links within a node",
    "between": "the network between nodes",
}
_CONVENTION = (
    "Predicted by running torch's own FSDP, tensor parallelism and DDP over a process group that sends nothing. The "
    "buffers of NCCL, the allocator's fragmentation and the device's context add to the memory."
)
_SCHEDULES = {"gpipe": "GPipe", "1f1b": "1F1B", "interleaved": "interleaved 1F1B"}
_PIPELINE_CONVENTION = (
    "Predicted by running torch's own pipeline schedules, FSDP and tensor parallelism over a process group that sends "
    "nothing, each stage apart. The buffers of NCCL, the allocator's fragmentation and the "
    "device's context add to the memory."
)
_LOWER = (
    "Times are lower bounds: full bandwidth and peak, no latency, no stragglers; what FSDP and DDP send overlaps with "
    "kernels as far as it goes."
)


class Shown(NamedTuple):
    """What was found about one rank; `floors` None without a GPU."""

    rank: Rank
    memory: RankMemory
    collectives: tuple[Collective, ...]
    floors: Floors | None


def shard_document(
    report: Report,
    told: Shown | None,
    hardware: Hardware | None,
    links: Links | None,
    stages: Pipeline | None = None,
) -> Document:
    """Show the layout, a rank's peak and its parts, what bounds the step, what travels, and each layer's part.

    Of pipeline stages `told` is about the one with the highest peak; a table compares all.
    """
    title = f"{titled(report)} on many GPUs"
    if told is None:
        return Document(title, (Note("The model failed before it was spread.", "error"),), run_line(report.run))
    blocks = given(
        Facts(_layout_facts(told.rank.layout), "Layout"),
        *(_pipeline_blocks(stages, hardware) if stages is not None else ()),
        Facts(_peak_facts(told.memory, hardware), "One GPU" if stages is None else _fullest(stages)),
        _floor_facts(told.floors) if told.floors is not None else None,
        lane_bars(told.floors) if told.floors is not None else None,
        Facts(_link_facts(links, told.rank.layout), "Links") if links is not None else None,
        _traffic_table(told.collectives, timed=links is not None) if told.collectives else None,
        _layer_table(told.memory.layers),
        Note(_CONVENTION if stages is None else _PIPELINE_CONVENTION),
        Note(_LOWER) if told.floors is not None else None,
    )
    return Document(title, blocks, run_line(told.rank.report.run))


def _fullest(stages: Pipeline) -> str:
    """Return the heading of what is told of the stage with the highest peak."""
    return f"One GPU of stage {max(stages.stages, key=lambda stage: stage.peak_bytes).stage}, which holds most"


def _pipeline_blocks(stages: Pipeline, hardware: Hardware | None) -> tuple[Facts | Table, ...]:
    """Return the schedule with its bubble, and a table of the stages."""
    bubble = f"of a step with equal stages: {stages.bubble_formula}, {stages.bubble_source}"
    slowest = None if stages.slowest is None else f"stage {stages.slowest}"
    facts = facts_given(
        Fact("Schedule", _SCHEDULES[stages.schedule]),
        Fact("Micro-batches", stages.micro_batches, "count"),
        Fact("Parts of the model on each GPU", stages.chunks, "count") if stages.chunks > 1 else None,
        Fact("Bubble", stages.bubble, "share", bubble),
        Fact("Bounded by", slowest, note="the pipeline takes at least so long") if slowest else None,
        title="Pipeline",
    )
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
    if slowest:
        columns[Column("busy_seconds", "Busy at least", "seconds", priority=8)] = lambda each: each.busy_seconds
    return facts, table("stages", columns, stages.stages, "The stages")


def _layout_facts(layout: Layout) -> tuple[Fact, ...]:
    experts = [Fact(_EXPERTS, layout.ep, "count", "each expert is sent as many tokens", 2)] if layout.ep > 1 else []
    parts = [
        Fact(_DIMENSIONS[name], size, "count", _SEQUENCES if layout.sp and name == "tp" else "", 1)
        for name, size in layout.sizes.items()
        if size > 1
    ]
    frees = {True: "freed after each forward", False: "kept until the backward"}
    how = frees[layout.reshard] if isinstance(layout.reshard, bool) else f"kept among {layout.reshard} GPUs meanwhile"
    reshard = [Fact("Gathered weights", how)] if layout.shards > 1 else []
    return (Fact("GPUs", layout.gpus, "count"), *parts, *experts, *reshard)


def _peak_facts(memory: RankMemory, hardware: Hardware | None) -> tuple[Fact, ...]:
    peak = memory.peak
    where = f"{peak.phase}, in {peak.op}" + (f" of {peak.path}" if peak.path else "") if peak.op else "before the step"
    parts = [Fact(HELD_AS[use][0], peak.live_bytes[use], "bytes", level=1) for use in HELD if use in peak.live_bytes]
    facts = [Fact("Peak", peak.bytes, "bytes", where), *parts]
    if hardware is not None and hardware.capacity_bytes is not None:
        fits = "fits" if peak.bytes <= hardware.capacity_bytes else "does not fit"
        facts.append(Fact("Capacity", hardware.capacity_bytes, "bytes", f"{hardware.name}: {fits}"))
    return tuple(facts)


def _floor_facts(floors: Floors) -> Facts:
    again, waits, hides = floors.flops_again, floors.exposed_seconds, floors.overlapped_seconds
    samples = floors.samples_per_s
    return facts_given(
        Fact("Step", floors.step_seconds, "seconds", f"at least; bound by {BOUND[floors.bound]}"),
        Fact("Kernels", floors.kernels_seconds, "seconds"),
        Fact("arithmetic alone", floors.compute_seconds, "seconds", level=1),
        Fact("memory traffic alone", floors.memory_seconds, "seconds", level=1),
        Fact("Communication", max((link.seconds for link in floors.links), default=0.0), "seconds"),
        Fact("waited for", waits, "seconds", "by the next kernel", 1) if waits else None,
        Fact("overlapped", hides, "seconds", "at best behind the kernels", 1) if hides else None,
        Fact("FLOPs", floors.flops, "flops", "on this GPU"),
        Fact("run again by checkpoints", again, "flops", level=1) if again else None,
        Fact("MFU", floors.mfu, "share", "at most") if floors.mfu is not None else None,
        Fact("Samples per second", si(samples).rstrip(), note="at most, on all GPUs") if samples else None,
        title="The least time of a step",
    )


_LANES = {"kernels": "kernels", "within": "links within a node", "between": "network"}
_WORK: dict[Work, tuple[str, str]] = {
    "forward": ("forward", "conv"),
    "backward": ("backward", "linear"),
    "optimizer": ("optimiser", "attention"),
    "waiting": ("waiting", "recurrent"),
    "all_gather": ("all-gather", "norm"),
    "reduce_scatter": ("reduce-scatter", "pool"),
    "all_reduce": ("all-reduce", "embedding"),
    "all_to_all": ("all-to-all", "recurrent"),
    "broadcast": ("broadcast", "softmax"),
    "send": ("send", "conv"),
    "recv": ("receive", "linear"),
}
"""The name of each kind of work in a lane, and the family whose colour stands for it."""


def lane_bars(found: Floors) -> Bars | None:
    """Draw what fills the step, each lane as long as the step."""
    step = found.step_seconds
    if not step or len(found.lanes) == 1:
        return None
    bars = []
    for lane in found.lanes:
        parts = [Part(_WORK[work][0], time, time / step, _WORK[work][1]) for work, time in lane.seconds.items()]
        idle = Part("idle", lane.idle_seconds, lane.idle_seconds / step, "other")
        bars.append(Bar(_LANES[lane.name], "seconds", (*parts, *([idle] if lane.idle_seconds else []))))
    return Bars(tuple(bars), "What fills the step, in total and not in order")


def _link_facts(links: Links, layout: Layout) -> tuple[Fact, ...]:
    within = f"{links.within_bytes_per_s / 1e9:,.4g} GB/s each way, {links.within_source}"
    nodes = -(-layout.gpus // links.gpus_per_node)
    facts = [
        Fact("Nodes", nodes, "count", f"of {links.gpus_per_node} GPUs"),
        Fact("Within", links.within_name, note=within),
    ]
    if nodes > 1 and links.between_bytes_per_s is not None:
        between = f"{links.between_bytes_per_s / 1e9:,.4g} GB/s each way, {links.between_source}"
        facts.append(Fact("Between", links.between_name or "", note=between))
    return tuple(facts)


def _traffic_table(sent: tuple[Collective, ...], *, timed: bool) -> Table:
    columns: Columns[Collective] = {
        Column("kind", "Collective"): lambda each: _KINDS.get(each.kind, each.kind),
        Column("group", "Group"): lambda each: each.group,
        Column("ranks", "Ranks", "count", priority=7): lambda each: each.ranks,
        Column("path", "Layer", priority=6): lambda each: "none" if each.row is None else each.row or "the model",
        Column("phase", "Phase", priority=5): lambda each: each.phase,
        Column("count", "Count", "count"): lambda each: each.count,
        Column("bytes", "Message", "bytes"): lambda each: each.bytes,
        Column("sent_bytes", "Sent", "bytes", priority=4): lambda each: each.sent_bytes,
    }
    if timed:
        columns[Column("seconds", "At least", "seconds", priority=8)] = lambda each: each.seconds
    total = sum(each.count for each in sent)
    return table("collectives", columns, fold_collectives(sent), f"What travels: {count(total)} collectives, by layer")


def _layer_table(layers: tuple[LayerShare, ...]) -> Table:
    columns: Columns[tuple[LayerShare, int]] = {
        Column("layer", "Layer"): lambda row: row[0].type if row[1] == 1 else f"{row[0].type} × {row[1]}",
        Column("path", "Path", priority=8): lambda row: row[0].path,
        Column("weights_bytes", "Weights", "bytes"): lambda row: row[0].weights_bytes,
        Column("gradient_bytes", "Gradients", "bytes", priority=6): lambda row: row[0].gradient_bytes,
        Column("optimizer_bytes", "Optimiser", "bytes", priority=5): lambda row: row[0].optimizer_bytes,
        Column("saved_bytes", "Saved", "bytes"): lambda row: row[0].saved_bytes,
        Column("gathered_bytes", "Gathered", "bytes", priority=7): lambda row: row[0].gathered_bytes,
        Column("communication_bytes", "Buffers", "bytes", priority=4): lambda row: row[0].communication_bytes,
    }
    return table("by_layer", columns, fold_shares(layers), "What one GPU holds for each layer, for one of those alike")
