"""What a forward and a training step hold in memory, and whether it fits."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from alexnet_cli.analyses.capacity import Fit
from alexnet_cli.analyses.memory import KINDS, Kind, LayerMemory, Memory, Moment, Peak, Training
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.document import Axis, Column, Document, Fact, Facts, Mark, Note, Plot, Series, Table
from alexnet_cli.report import Report
from alexnet_cli.units import count, size
from alexnet_cli.views.explain import ToldFinding, told_of
from alexnet_cli.views.parts import Columns, facts_given, given, run_line, table, titled

_SHOWN: dict[Kind, tuple[str, str]] = {
    "weights": ("weights", "linear"),
    "buffers": ("buffers", "norm"),
    "input": ("input", "embedding"),
    "cache": ("cache", "recurrent"),
    "gradients": ("gradients", "conv"),
    "optimizer": ("optimiser state", "attention"),
    "saved": ("saved for backward", "pool"),
    "temporary": ("temporary", "activation"),
    "workspace": ("kernel workspaces", "softmax"),
}
"""The name of each kind of memory, and the family whose colour stands for it."""
NAMES = {kind: name for kind, (name, _) in _SHOWN.items()}
OPTIMIZERS = {
    "sgd": "SGD",
    "sgd-momentum": "SGD with momentum",
    "adam": "Adam",
    "adamw": "AdamW",
    "none": "no optimiser",
}
_CONVENTION = (
    "Predicted for CUDA from the lifetimes of the tensors' storages, each counted once. Kernel workspaces, allocator "
    "rounding and the device's context add to it."
)
_CONVENTION_CPU = (
    "Predicted for the CPU from the lifetimes of the tensors' storages, each counted once, and the layouts of oneDNN's "
    "kernels for convolutions and LSTMs. Memory that other kernels take outside torch's allocator adds to it."
)
_BOUNDS = (
    "a workspace that is marked at most is a bound: its layer computes in bfloat16 or in groups, has its channels last "
    "or a large kernel in volumes, or runs on several threads or on a CPU without AVX-512"
)

_NOT_TRAINED = "no training step: there is nothing to train, it failed, or the target cannot be run"
_RECURRENT = (
    "recurrent layers are predicted operator by operator; cuDNN's kernels allocate a workspace of undocumented size "
    "instead; --for cpu has that of oneDNN"
)

_DROPOUT = (
    "dropout masks are predicted as on the CPU, in the dtype of their input; CUDA's kernel stores one byte per element "
    "instead"
)


def memory_document(
    report: Report, held: Memory, fit: Fit | None, wiring: Sequence[ToldFinding] = (), device: str = "cuda"
) -> Document:
    """Show the peaks and their parts, memory over time, what each layer saves, what fits, and what is wired wrongly."""
    on_cpu = device == "cpu"
    training, inference = held.training, held.inference
    what = f"Live memory over {'a training step' if training else 'a forward'}, operator by operator"
    recurrent = any(layer.family == "recurrent" for layer in report.layers)
    dropout = any(layer.family == "dropout" and layer.saved_bytes for layer in held.layers)
    blocks = given(
        Facts(_peak_facts(inference.peak), "A forward without gradients") if inference else None,
        _training_facts(training) if training else None,
        _fit_facts(fit) if fit else None,
        timeline_plot(held.timeline, what) if len(held.timeline) > 1 else None,
        _layer_table(held.layers, training.saved_activation_bytes) if training else None,
        Note(_NOT_TRAINED, "warning") if inference and not training else None,
        *(Note(text, "warning") for finding in wiring for text in told_of(finding)),
        _workspace_table(held.layers) if on_cpu else None,
        Note(_RECURRENT, "warning") if recurrent and not on_cpu else None,
        Note(_DROPOUT, "warning") if training and dropout and not on_cpu else None,
        Note(_BOUNDS, "warning") if any(layer.workspace_at_most for layer in held.layers) else None,
        Note(_CONVENTION_CPU if on_cpu else _CONVENTION),
    )
    return Document(f"Memory of {titled(report)}", blocks, run_line(report.run))


def timeline_plot(moments: Sequence[Moment], title: str) -> Plot:
    """Return the live bytes of each kind, stacked, with the peak marked."""
    kinds = [kind for kind in KINDS if any(kind in moment.live_bytes for moment in moments)]
    names = tuple(f"{moment.op or 'before the run'} {moment.path or ''}".rstrip() for moment in moments)
    live = {
        kind: tuple((float(at), float(it.live_bytes.get(kind, 0))) for at, it in enumerate(moments)) for kind in kinds
    }
    series = tuple(Series(_SHOWN[kind][0], live[kind], _SHOWN[kind][1], "area", names) for kind in kinds)
    at, most = max(enumerate(moments), key=lambda pair: pair[1].bytes)
    mark = Mark(float(at), float(most.bytes), f"{size(most.bytes)} at {most.op or 'the start'}")
    return Plot("timeline", Axis("operators executed"), Axis("live", "bytes"), series, title, (mark,))


def _training_facts(held: Training) -> Facts:
    optimizer = OPTIMIZERS[held.optimizer] + (", all parameters at once" if held.foreach else "")
    precision = "" if held.amp is None else f" in {held.amp} with weights in float32"
    return facts_given(
        *_peak_facts(held.peak),
        Fact("Saved for backward", held.saved_activation_bytes, "bytes", "input included"),
        Fact("Gradients", held.gradient_bytes, "bytes", "in total"),
        None if held.loss is UNSET else Fact("Loss", held.loss),
        Fact("Optimiser", optimizer),
        Fact("its state", held.optimizer_bytes, "bytes", level=1) if held.optimizer_bytes else None,
        title=f"A training step{precision}",
    )


def _peak_facts(peak: Peak) -> tuple[Fact, ...]:
    parts = [Fact(NAMES[kind], peak.live_bytes[kind], "bytes", level=1) for kind in KINDS if kind in peak.live_bytes]
    return (Fact("Peak", peak.bytes, "bytes", where(peak)), *parts)


def where(peak: Peak) -> str:
    """Say where a peak is."""
    if peak.op is None:
        return "before the first operator"
    layer = f" of {peak.path}" if peak.path else ""
    return f"{peak.phase}, in {peak.op}{layer}"


def _fit_facts(fit: Fit) -> Facts:
    trains = None if fit.fits_training is None else "fits" if fit.fits_training else "does not fit"
    return facts_given(
        Fact("Capacity", fit.capacity_bytes, "bytes", fit.gpu or "as given"),
        Fact("A forward", "fits" if fit.fits_inference else "does not fit"),
        _largest(fit.largest_batch_inference, fit),
        Fact("A training step", trains) if trains else None,
        _largest(fit.largest_batch_training, fit) if trains else None,
        title="Does it fit?",
    )


def _largest(batch: int | None, fit: Fit) -> Fact | None:
    if batch is None:
        return None
    if batch == fit.largest_batch_tried:
        return Fact("largest batch", f"{count(batch)} or more", level=1)
    return Fact("largest batch", batch or "none: not even 1 fits", "count", level=1)


def _layer_table(layers: Sequence[LayerMemory], saved: int) -> Table:
    columns: Columns[LayerMemory] = {
        Column("layer", "Layer"): lambda layer: layer.type,
        Column("path", "Path", priority=5): lambda layer: layer.path,
        Column("saved_bytes", "Saved", "bytes"): lambda layer: layer.saved_bytes,
        Column("saved_share", "Share", "share", priority=6, bar=True): lambda layer: fraction(layer.saved_bytes, saved),
        Column("output_bytes", "Output", "bytes", priority=7): lambda layer: layer.output_bytes,
    }
    caption = "Saved for backward, by the layer that saves it first"
    return table("by_layer", columns, layers, caption)


def _workspace_table(layers: Sequence[LayerMemory]) -> Table | None:
    """Show the largest workspace of each layer that has one."""
    columns: Columns[LayerMemory] = {
        Column("layer", "Layer"): lambda layer: layer.type,
        Column("path", "Path", priority=5): lambda layer: layer.path,
        Column("workspace_bytes", "Workspace", "bytes"): lambda layer: layer.workspace_bytes,
        Column("known", "Known", priority=6): lambda layer: "at most" if layer.workspace_at_most else "derived",
    }
    working = [layer for layer in layers if layer.workspace_bytes]
    caption = "Kernel workspaces, the largest of each layer's kernels"
    return table("workspaces", columns, working, caption) if working else None
