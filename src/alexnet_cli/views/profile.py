"""How long each layer takes, beside the least time that the hardware allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.hardware import Hardware
from alexnet_cli.analyses.profile import (
    CapturedTime,
    CompiledTime,
    LayerTime,
    Profile,
    Spread,
    TypeTime,
    tied_slowest,
)
from alexnet_cli.document import Axis, Column, Document, Fact, Facts, Note, Plot, Series, Table
from alexnet_cli.report import Report
from alexnet_cli.units import seconds, si
from alexnet_cli.views.cost import Placed, below_roof, by_family
from alexnet_cli.views.parts import (
    Columns,
    facts_given,
    given,
    layer_name,
    look_of,
    run_line,
    some,
    table,
    titled,
    without,
)

_OF_HARDWARE = frozenset({"floor_seconds", "of_floor"})
_ADDS_UP = 0.1
"""By which part of the run the sum of its layers may be off, if the machine was idle."""
_MEASURED = (
    "Times are medians of repeated runs; the spread is the width of the middle half of all runs, as a part of the "
    "median. A layer's time goes from the end of the operator before to the end of its own last one, so that what "
    "Python and torch do on the way is part of it, and layers add up to the run. What the profiler adds is measured, "
    "by runs with and without it in turns, and taken off."
)
_ALLOCATED = (
    "Peak memory is the most that torch's allocator held while the layer ran, in a run of its own under the profiler; "
    "predicted is the same by `alexnet memory`. Neither counts weights and inputs."
)
_COMPILED = (
    "torch.compile makes kernels of operators of several layers, so the layers are those of the run as it is; both "
    "runs were measured in turns."
)
_GRAPH = (
    "A CUDA graph launches all kernels of a run at once, so the layers are those of the run as it is; both runs were "
    "measured in turns. What it saves is the time in which the GPU waits for launches."
)
_FLOOR = (
    "Minimum times are those of `alexnet cost`: for each kernel, the longer of its FLOPs at the peak and its bytes at "
    "the full bandwidth."
)
_TIED = "no order among {}: the middle halves of their runs overlap"
_UNKNOWN = "what this machine can do at most is not known: --calibrate measures it once, and layers get a minimum time"


def profile_document(report: Report, found: Sequence[Profile], roof: Roof | None) -> Document:
    """Show the layers, types and totals of a run; several batch sizes side by side."""
    if not found:
        return Document(f"Profile of {titled(report)}", (), run_line(report.run))
    first, several = found[0], len(found) > 1
    blocks = given(
        _layers(report, first, roof),
        _types(first, roof),
        _batches(found, roof) if several else None,
        _against_latency(found) if several else None,
        measured_roofline(report, first, roof),
        _facts(first, roof),
        Note(_MEASURED),
        Note(_ALLOCATED) if first.whole.peak_bytes is not None else None,
        Note(_COMPILED) if first.compiled is not None else None,
        Note(_GRAPH) if first.cuda_graph is not None else None,
        *profile_notes(first, roof),
    )
    how = run_line(report.run) + "".join(f", {each.batch_size}" for each in found[1:])
    how += "" if first.threads is None else f" · {first.threads} thread{'s' * (first.threads > 1)}"
    return Document(f"Profile of {titled(report)}", blocks, f"{how} · {first.device_name}")


def profile_notes(found: Profile, roof: Roof | None) -> list[Note]:
    """Return which layers are tied, and what must be said of minimum times and of times that cannot be trusted."""
    varied = Note("the runs varied: for steadier times give --seconds more", "warning")
    tied = [Note(_TIED.format(some([layer.path for layer in group], most=5))) for group in tied_slowest(found)]
    doubts = _faster(found), _interrupted(found), None if found.whole.settled else varied
    return [*tied, Note(_UNKNOWN if roof is None else _FLOOR), *(note for note in doubts if note is not None)]


def _layers(report: Report, found: Profile, roof: Roof | None) -> Table:
    columns: Columns[LayerTime] = {
        Column("layer", "Layer"): lambda layer: layer_name(report.layers[layer.row]),
        Column("path", "Path", priority=6): lambda layer: layer.path,
        Column("seconds", "Time", "seconds"): lambda layer: layer.time.seconds,
        Column("spread", "Spread", "share", priority=5): lambda layer: _width(layer.time),
        Column("share", "Share", "share", priority=8, bar=True): lambda layer: layer.share,
        Column("floor_seconds", "Min. time", "seconds", priority=7): lambda layer: layer.floor_seconds,
        Column("of_floor", "Of it", priority=7): lambda layer: times(layer.of_floor),
        Column("flops_per_s", "FLOP/s", "flops_per_s", priority=4): lambda layer: _blank(layer.flops_per_s),
        Column("bytes_per_s", "Bytes/s", priority=3): lambda layer: _per_s(layer.bytes_per_s),
        Column("peak_bytes", "Peak memory", "bytes", priority=3): lambda layer: layer.peak_bytes,
        Column("predicted_peak_bytes", "Predicted", "bytes", priority=2): lambda layer: layer.predicted_peak_bytes,
        Column("in_kernels", "In kernels", "share", priority=2): lambda layer: layer.in_kernels,
        Column("operators", "Operators", "count", priority=1): lambda layer: layer.operators,
    }
    if found.threads is None:
        columns[Column("launched", "Kernels", "count", priority=2)] = lambda layer: layer.launched
        columns[Column("bound", "Waits", priority=5)] = lambda layer: "for launches" if layer.launch_bound else ""
    shown = without(columns, () if roof else _OF_HARDWARE)
    return table("by_layer", shown, found.layers, look=lambda layer: look_of(report.layers[layer.row]))


def _types(found: Profile, roof: Roof | None) -> Table:
    columns: Columns[TypeTime] = {
        Column("type", "Type"): lambda each: each.type,
        Column("layers", "Layers", "count", priority=3): lambda each: each.layers,
        Column("seconds", "Time", "seconds"): lambda each: each.seconds,
        Column("share", "% of time", "share", bar=True): lambda each: each.share,
        Column("floor_seconds", "Min. time", "seconds", priority=5): lambda each: each.floor_seconds,
        Column("of_floor", "Of it", priority=5): lambda each: times(each.of_floor),
    }
    return table("by_type", without(columns, () if roof else _OF_HARDWARE), found.by_type, "By type")


def _batches(found: Sequence[Profile], roof: Roof | None) -> Table:
    columns: Columns[Profile] = {
        Column("batch_size", "Batch", "count"): lambda each: each.batch_size,
        Column("seconds", "Latency", "seconds"): lambda each: each.whole.time.seconds,
        Column("spread", "Spread", "share", priority=5): lambda each: _width(each.whole.time),
        Column("samples_per_s", "Samples/s", "count"): lambda each: _rate(each.whole.samples_per_s),
        Column("floor_seconds", "Min. time", "seconds", priority=5): lambda each: each.whole.floor_seconds,
        Column("of_floor", "Of it", priority=5): lambda each: times(each.whole.of_floor),
    }
    if any(each.compiled is not None for each in found):
        columns[Column("compiled_seconds", "Compiled", "seconds", priority=6)] = lambda each: (
            None if each.compiled is None else each.compiled.time.seconds
        )
    if any(each.cuda_graph is not None for each in found):
        columns[Column("cuda_graph_seconds", "CUDA graph", "seconds", priority=6)] = lambda each: (
            None if each.cuda_graph is None else each.cuda_graph.time.seconds
        )
    return table("by_batch", without(columns, () if roof else _OF_HARDWARE), found, "By batch size")


def _against_latency(found: Sequence[Profile]) -> Plot | None:
    points = [(each.whole.time.seconds, each.whole.samples_per_s) for each in found if each.whole.samples_per_s]
    names = tuple(f"batch {each.batch_size}" for each in found if each.whole.samples_per_s)
    placed = tuple((latency, float(rate)) for latency, rate in points if rate)
    if len(placed) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    x, y = Axis("latency", "seconds", log=True), Axis("samples per second", "count", log=True)
    line = Series("batch sizes", placed, "conv", "line", names)
    return Plot("throughput", x, y, (line,), "Throughput against latency, by batch size")


def measured_roofline(report: Report, found: Profile, roof: Roof | None) -> Plot | None:
    """Return what each layer reached below the roof; None if no layer can be placed."""
    placed = [
        Placed(layer.path, layer.family, (layer.flops_per_s / layer.bytes_per_s, layer.flops_per_s))
        for layer in found.layers
        if layer.flops_per_s and layer.bytes_per_s
    ]
    if roof is None:
        return None
    title = f"Measured, below the roofline of {roof.hardware.name}"
    return below_roof(by_family(placed), (report.run.dtype if report.run else "float32",), roof, "reached", title)


def _faster(found: Profile) -> Note | None:
    """Say which layers took less than the least time; None if none did."""
    paths = [layer.path for layer in found.layers if layer.floor_seconds and layer.time.seconds < layer.floor_seconds]
    if not paths:
        return None
    why = "the device can do more than was measured (--calibrate again while it is idle: the best counts)"
    return Note(f"faster than its minimum time: {some(paths)}; {why}", "warning")


def _interrupted(found: Profile) -> Note | None:
    """Say so if the layers' medians do not add up to the run's: most runs were slow, and each in another layer."""
    whole = found.whole
    if abs(whole.layers_seconds - whole.time.seconds) <= _ADDS_UP * whole.time.seconds:
        return None
    sums = f"{seconds(whole.layers_seconds)} of {seconds(whole.time.seconds)}"
    why = "other work on this machine interrupted runs, each in another layer: measure while it is idle"
    return Note(f"the layers' medians add up to {sums}; {why}", "warning")


def _facts(found: Profile, roof: Roof | None) -> Facts:
    whole = found.whole
    low, high = seconds(whole.time.low), seconds(whole.time.high)
    peak, rate, least = whole.peak_bytes, whole.samples_per_s, whole.floor_seconds
    outside = found.outside.time.seconds if found.outside is not None else None
    return facts_given(
        Fact("Whole run", whole.time.seconds, "seconds", f"half of {whole.runs} runs from {low} to {high}"),
        Fact("its layers", whole.layers_seconds, "seconds", "together", level=1),
        Fact("profiler", whole.profiler_seconds, "seconds", "added to each run it watched, taken off", level=1),
        Fact("outside layers", outside, "seconds", level=1) if outside else None,
        *(() if found.compiled is None else _compiled(found.compiled)),
        *(() if found.cuda_graph is None else _captured(found.cuda_graph)),
        None if peak is None else Fact("Peak memory", peak, "bytes", "measured, without weights and inputs"),
        None if peak is None else Fact("predicted", whole.predicted_peak_bytes, "bytes", "by `alexnet memory`", 1),
        None if rate is None else Fact("Samples per second", _rate(rate), "count"),
        None if least is None else Fact("Minimum time", least, "seconds", f"the run takes {times(whole.of_floor)}"),
        *(() if roof is None or least is None else _hardware(roof.hardware)),
    )


def _hardware(device: Hardware) -> Iterator[Fact]:
    yield Fact("Hardware", device.name, note=device.source)
    yield Fact("bandwidth", f"{si(device.bandwidth_bytes_per_s)}B/s", level=1)
    for dtype, peak in device.peak_flops_per_s.items():
        yield Fact(f"peak in {dtype}", peak, "flops_per_s", level=1)


def _beside_the_plain(other: CapturedTime) -> str:
    low, high = seconds(other.time.low), seconds(other.time.high)
    return f"{times(other.of_plain)} the run as it is; half of the runs from {low} to {high}"


def _captured(captured: CapturedTime) -> Iterator[Fact]:
    yield Fact("CUDA graph", captured.time.seconds, "seconds", _beside_the_plain(captured))
    yield Fact("recording", captured.first_seconds, "seconds", "warm-up included", level=1)


def _compiled(compiled: CompiledTime) -> Iterator[Fact]:
    first = "it was compiled in it, or read from torch's cache"
    yield Fact("Compiled", compiled.time.seconds, "seconds", _beside_the_plain(compiled))
    yield Fact("first run", compiled.first_seconds, "seconds", first, level=1)
    if compiled.graphs is not None:
        note = f"with {compiled.breaks} break{'s' * (compiled.breaks != 1)} between them" if compiled.breaks else ""
        yield Fact("graphs", compiled.graphs, "count", note, level=1)


def _width(time: Spread) -> float | str:
    return (time.high - time.low) / time.seconds if time.seconds else ""


def times(of_floor: float | None) -> str:
    """Write how many times another time a time is; empty if it is unknown."""
    if of_floor is None:
        return ""
    return f"{of_floor:.3g} ×" if of_floor < 1000 else f"{round(of_floor):,} ×"  # noqa: PLR2004 - three digits


def _blank(rate: float | None) -> float | str:
    return "" if rate is None else rate


def _per_s(rate: float | None) -> str:
    return "" if rate is None else f"{si(rate)}B/s"


def _rate(rate: float | None) -> float | None:
    return None if rate is None else round(rate) if rate >= 100 else float(f"{rate:.3g}")  # noqa: PLR2004
