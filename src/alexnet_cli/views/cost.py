"""What each layer computes and moves, what bounds it, and the least time that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec import UnsetType
from msgspec.structs import replace

from alexnet_cli.analyses.cost import OUTSIDE, Cost, CostTotals, LayerCost, PhasedWork, Roof, TypeCost, Work
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.document import Axis, Column, Document, Fact, Facts, Note, Plot, Row, Series, Table, Value
from alexnet_cli.report import Report
from alexnet_cli.units import flops_per_s, si, size
from alexnet_cli.views.parts import (
    Columns,
    facts_given,
    given,
    layer_name,
    look_of,
    run_line,
    table,
    three_digits,
    titled,
    uncounted_notes,
    without,
)

_COLOURS = ("conv", "linear", "pool", "attention", "norm", "embedding", "activation")
"""Families whose colours stand for batch sizes in the roofline, in this order."""
_OF_HARDWARE = frozenset({"bound", "seconds", "seconds_share", "samples_per_s"})
_MARGIN = 2.0
_BYTES = (
    "Bytes: each function call, and each node of the backward graph, counts as one kernel that reads its inputs from "
    "memory once and writes only what is used later."
)
_FLOOR = (
    "Times are lower bounds: for each kernel, the longer of its FLOPs at the peak and its bytes at the full bandwidth. "
    "Launch overhead, latency and lower clocks add to them. Caches that keep data between kernels, and clocks above "
    "the rated boost, can undercut them."
)
_PLAIN_FLOAT32 = (
    "float32 is compared with the peak without tensor cores. By default torch runs convolutions, but not matrix "
    "products, on TF32 tensor cores; --tf32 compares both with the TF32 peak."
)


def cost_document(report: Report, costs: Sequence[Cost], roof: Roof | None) -> Document:
    """Show layers, types, roofline and totals; several batch sizes side by side."""
    first, several = costs[0], len(costs) > 1
    blocks = given(
        _layers_by_batch(report, costs, roof) if several else _layer_table(report, first, roof),
        _batch_table(costs, roof) if several else _type_table(first, roof),
        roofline_plot(costs, roof) if roof else None,
        _hardware_facts(first.totals, roof) if roof else None,
        None if several else _totals_facts(first.totals, failed=report.error is not None),
        *uncounted_notes(first.totals.uncounted_ops),
        Note(_BYTES),
        *_roof_notes(report, first.totals, roof),
    )
    how = run_line(report.run) + "".join(f", {cost.batch_size}" for cost in costs[1:])
    how += " · forward and backward" if first.totals.backward else ""
    how += "" if roof is None else f" · {roof.hardware.name}"
    return Document(f"Cost of {titled(report)}", blocks, how)


def _layer_table(report: Report, cost: Cost, roof: Roof | None) -> Table:
    work = _work_columns(cost, roof)
    columns: Columns[LayerCost] = {
        Column("layer", "Layer"): lambda layer: layer_name(report.layers[layer.row]),
        Column("path", "Path", priority=2): lambda layer: layer.path,
    }
    layers = table("by_layer", {**columns, **work}, cost.layers, look=lambda layer: look_of(report.layers[layer.row]))
    if cost.outside is None:
        return layers
    cells = (value(cost.outside) for value in work.values())
    return replace(layers, rows=(*layers.rows, Row((OUTSIDE, "", *cells), role="function")))


def _work_columns(cost: Cost, roof: Roof | None) -> Columns[PhasedWork]:
    columns: Columns[PhasedWork] = {
        Column("macs", "MACs", "macs", priority=1): lambda work: work.macs,
        Column("forward_flops", "Forward FLOPs", "flops", priority=3): lambda work: _flops(work.forward),
        Column("backward_flops", "Backward FLOPs", "flops", priority=8): lambda work: _flops(work.backward),
        Column("flops", "FLOPs", "flops", priority=8): lambda work: work.flops,
        Column("bytes_read", "Read", "bytes", priority=5): lambda work: work.bytes_read,
        Column("bytes_written", "Written", "bytes", priority=4): lambda work: work.bytes_written,
        Column("intensity", "Intensity", "intensity", priority=7): _intensity,
        Column("bound", "Bound by"): _bound,
        Column("seconds", "Min. time", "seconds"): lambda work: work.seconds,
        Column("seconds_share", "Share", "share", priority=6, bar=True): (
            lambda work: None if work.seconds is None else fraction(work.seconds, cost.totals.seconds)
        ),
    }
    hidden = {"flops"} if cost.totals.backward else {"forward_flops", "backward_flops"}
    return without(columns, hidden if roof else hidden | _OF_HARDWARE)


def _flops(part: Work | UnsetType) -> int | None:
    return part.flops if part else None


def _intensity(work: Work) -> float | str | None:
    """Return a blank for work that moves nothing, None for unknown work."""
    return "" if work.intensity is None and work.flops is not None else work.intensity


def _bound(work: Work) -> str | None:
    return work.bound or (None if work.seconds else "")


def _type_table(cost: Cost, roof: Roof | None) -> Table:
    columns: Columns[TypeCost] = {
        Column("type", "Type"): lambda share: share.type,
        Column("layers", "Layers", "count", priority=3): lambda share: share.layers,
        Column("flops_share", "% of FLOPs", "share"): lambda share: share.flops_share,
        Column("bytes_share", "% of bytes", "share", bar=roof is None): lambda share: share.bytes_share,
        Column("seconds", "Min. time", "seconds"): lambda share: share.seconds,
        Column("seconds_share", "% of time", "share", bar=True): lambda share: share.seconds_share,
    }
    return table("by_type", without(columns, () if roof else _OF_HARDWARE), cost.by_type, "By type")


def _layers_by_batch(report: Report, costs: Sequence[Cost], roof: Roof | None) -> Table:
    columns = [Column("layer", "Layer"), Column("path", "Path", priority=1)]
    for place, cost in enumerate(costs):
        key, title, priority = f"batch_{cost.batch_size}", f"×{cost.batch_size}", max(9 - place, 3)
        columns.append(Column(f"intensity_{key}", f"{title} intensity", "intensity", 2 if roof else priority))
        if roof is not None:
            columns.append(Column(f"bound_{key}", f"{title} bound by", priority=priority))
            columns.append(Column(f"seconds_{key}", f"{title} min. time", "seconds", priority))
    rows = []
    for layers in zip(*(cost.layers for cost in costs), strict=True):
        cells: list[Value] = []
        for layer in layers:
            cells += [_intensity(layer)] if roof is None else [_intensity(layer), _bound(layer), layer.seconds]
        rows.append(Row((layer_name(report.layers[layers[0].row]), layers[0].path, *cells), family=layers[0].family))
    return Table("by_layer", tuple(columns), tuple(rows))


def _batch_table(costs: Sequence[Cost], roof: Roof | None) -> Table:
    columns: Columns[Cost] = {
        Column("batch_size", "Batch", "count"): lambda cost: cost.batch_size,
        Column("flops", "FLOPs", "flops", priority=6): lambda cost: cost.totals.flops,
        Column("bytes_read", "Read", "bytes", priority=5): lambda cost: cost.totals.bytes_read,
        Column("bytes_written", "Written", "bytes", priority=4): lambda cost: cost.totals.bytes_written,
        Column("intensity", "Intensity", "intensity", priority=7): lambda cost: cost.totals.intensity,
        Column("bound", "Bound by"): lambda cost: cost.totals.bound,
        Column("seconds", "Min. time", "seconds"): lambda cost: cost.totals.seconds,
        Column("samples_per_s", "Max. samples/s", "count"): lambda cost: three_digits(cost.totals.samples_per_s),
    }
    return table("by_batch", without(columns, () if roof else _OF_HARDWARE), costs, "By batch size")


def _hardware_facts(totals: CostTotals, roof: Roof) -> Facts:
    hardware = roof.hardware
    note = "without sparsity" if hardware.capacity_bytes else ""
    bandwidth = hardware.bandwidth_bytes_per_s
    facts = [Fact("Hardware", hardware.name, note=hardware.source), Fact("Bandwidth", f"{si(bandwidth)}B/s")]
    for dtype in totals.dtypes:
        peak, name = roof.peak(dtype), peak_name(dtype, roof)
        facts.append(Fact(f"Peak in {name}", peak, "flops_per_s", note if peak else "no peak is known"))
        if peak:
            sides = "bound by memory below, by compute above"
            facts.append(Fact("ridge", peak / bandwidth, "intensity", sides, level=1))
    return Facts(tuple(facts))


def _totals_facts(totals: CostTotals, *, failed: bool) -> Facts:
    convention = "2 per MAC, bias additions not included"
    bound, rate = f"bound by {totals.bound}" if totals.bound else "", three_digits(totals.samples_per_s)
    return facts_given(
        *_sum_facts(totals, "FLOPs", "flops", f"until the failure, {convention}" if failed else convention),
        Fact("Read", totals.bytes_read, "bytes"),
        Fact("Written", totals.bytes_written, "bytes"),
        Fact("Intensity", totals.intensity, "intensity"),
        *([] if totals.seconds is None else _sum_facts(totals, "Minimum time", "seconds", bound)),
        None if rate is None else Fact("Samples per second", rate, "count", "at most"),
    )


def _sum_facts(totals: CostTotals, label: str, unit: Literal["flops", "seconds"], note: str) -> list[Fact]:
    """List a total, and the parts of forward and backward."""
    parts = [("forward", totals.forward), ("backward", totals.backward)]
    facts = [Fact(name, getattr(part, unit), unit, level=1) for name, part in parts if part]
    return [Fact(label, getattr(totals, unit), unit, note), *facts]


def _roof_notes(report: Report, totals: CostTotals, roof: Roof | None) -> list[Note]:
    if roof is None:
        return []
    name, capacity, weights = roof.hardware.name, roof.hardware.capacity_bytes, report.totals.param_bytes
    notes = [
        Note(f"no {dtype} peak is known for the {name}: the times above ignore its FLOPs", "warning")
        for dtype in totals.dtypes
        if roof.peak(dtype) is None
    ]
    if capacity is not None and weights > capacity:
        text = f"the weights ({size(weights)}) do not fit in the memory of one {name} ({size(capacity)})"
        notes.append(Note(text, "warning"))
    peaks = roof.hardware.peak_flops_per_s
    faster = peaks.get("tf32", 0.0) > peaks.get("float32", 0.0)
    plain = "float32" in totals.dtypes and faster and not roof.tf32
    return [*notes, Note(_FLOOR), *([Note(_PLAIN_FLOAT32)] if plain else [])]


def roofline_plot(costs: Sequence[Cost], roof: Roof) -> Plot | None:
    """Return the roof of each dtype in use and the layers, by family or batch size; None if no layer can be placed."""
    if len(costs) == 1:
        clouds = by_family(_placed(costs[0]))
    else:
        colours = [_COLOURS[number % len(_COLOURS)] for number in range(len(costs))]
        clouds = [(f"batch {cost.batch_size}", at, _placed(cost)) for cost, at in zip(costs, colours, strict=True)]
    title = f"Roofline of the {roof.hardware.name}: layers with FLOPs"
    return below_roof(clouds, costs[0].totals.dtypes, roof, "attainable", title)


class Placed(NamedTuple):
    """A layer in a roofline, at so many FLOPs per byte and FLOPs per second."""

    path: str
    family: str
    at: tuple[float, float]


Cloud = tuple[str, str, Sequence[Placed]]
"""Layers that share a colour: their label, the family whose colour it is, and where they are."""


def by_family(layers: Sequence[Placed]) -> list[Cloud]:
    """Return the layers of each family."""
    families = dict.fromkeys(layer.family for layer in layers)
    return [(name, name, [layer for layer in layers if layer.family == name]) for name in families]


def below_roof(clouds: Sequence[Cloud], dtypes: Sequence[str], roof: Roof, rate: str, title: str) -> Plot | None:
    """Return layers below the roof of each dtype; None if no peak is known, or no layer can be placed."""
    peaks = {dtype: peak for dtype in dtypes if (peak := roof.peak(dtype))}
    ends = [layer.at[0] for *_, layers in clouds for layer in layers]
    if not peaks or not ends:
        return None
    bandwidth, in_caches, highest = roof.hardware.bandwidth_bytes_per_s, roof.hardware.bandwidth(0), max(peaks.values())
    ends += [peak / speed for peak in peaks.values() for speed in (bandwidth, in_caches)]
    low, high = min(ends) / _MARGIN, max(ends) * _MARGIN
    lines = []
    for dtype, peak in peaks.items():
        corners = (low, low * bandwidth), (peak / bandwidth, peak), (high, peak)
        lines.append(Series(f"roof: {peak_name(dtype, roof)}, {flops_per_s(peak)}", corners, "other", "line"))
    if in_caches > bandwidth:
        steeper = (low, low * in_caches), (highest / in_caches, highest)
        lines.append(Series(f"in caches: {si(in_caches)}B/s", steeper, "other", "line"))
    for label, colour, layers in clouds:
        names = tuple(layer.path for layer in layers)
        lines.append(Series(label, tuple(layer.at for layer in layers), colour, names=names))
    x, y = Axis("intensity", "intensity", log=True), Axis(rate, "flops_per_s", log=True)
    return Plot("roofline", x, y, tuple(lines), title)


def peak_name(dtype: str, roof: Roof) -> str:
    """Name the peak that a dtype is compared with."""
    return "float32 as TF32" if dtype == "float32" and roof.tf32 else dtype


def _placed(cost: Cost) -> list[Placed]:
    return [
        Placed(layer.path, layer.family, (layer.intensity, layer.flops / layer.seconds))
        for layer in cost.layers
        if layer.flops and layer.intensity and layer.seconds
    ]
