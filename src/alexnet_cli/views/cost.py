"""What each layer computes and moves, what bounds it, and the least time that it takes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from msgspec import UnsetType
from msgspec.structs import replace

from alexnet_cli.analyses.cost import OUTSIDE, Cost, CostTotals, LayerCost, PhasedWork, Roof, TypeCost, Work
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.document import Axis, Column, Document, Fact, Facts, Note, Plot, Row, Series, Table, Value
from alexnet_cli.report import Report
from alexnet_cli.units import flops_per_s, si, size
from alexnet_cli.views.parts import Columns, T, given, layer_name, look_of, run_line, table, titled, uncounted_notes

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
_WHOLE = 100
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
    return _known(columns, roof, without={"flops"} if cost.totals.backward else {"forward_flops", "backward_flops"})


def _known(columns: Columns[T], roof: Roof | None, without: Collection[str] = ()) -> Columns[T]:
    """Leave out columns, and without hardware those that compare with it."""
    hidden = {*without, *(() if roof else _OF_HARDWARE)}
    return {column: value for column, value in columns.items() if column.key not in hidden}


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
    return table("by_type", _known(columns, roof), cost.by_type, "By type")


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
        Column("samples_per_s", "Max. samples/s", "count"): lambda cost: _rate(cost.totals),
    }
    return table("by_batch", _known(columns, roof), costs, "By batch size")


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
    facts = [
        *_sum_facts(totals, "FLOPs", "flops", f"until the failure, {convention}" if failed else convention),
        Fact("Read", totals.bytes_read, "bytes"),
        Fact("Written", totals.bytes_written, "bytes"),
        Fact("Intensity", totals.intensity, "intensity"),
    ]
    if totals.seconds is not None:
        facts += _sum_facts(totals, "Minimum time", "seconds", f"bound by {totals.bound}" if totals.bound else "")
    if totals.samples_per_s is not None:
        facts.append(Fact("Samples per second", _rate(totals), "count", "at most"))
    return Facts(tuple(facts))


def _rate(totals: CostTotals) -> float | None:
    """Return samples per second with at least three digits."""
    rate = totals.samples_per_s
    return rate if rate is None else int(rate) if rate >= _WHOLE else float(f"{rate:.3g}")


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
        families = dict.fromkeys(layer.family for layer, _ in _placed(costs[0]))
        groups = [(name, name, [it for it in _placed(costs[0]) if it[0].family == name]) for name in families]
    else:
        colours = [_COLOURS[number % len(_COLOURS)] for number in range(len(costs))]
        groups = [(f"batch {cost.batch_size}", at, _placed(cost)) for cost, at in zip(costs, colours, strict=True)]
    peaks = {dtype: peak for dtype in costs[0].totals.dtypes if (peak := roof.peak(dtype))}
    if not peaks or not any(found for *_, found in groups):
        return None
    bandwidth = roof.hardware.bandwidth_bytes_per_s
    ridges = [peak / bandwidth for peak in peaks.values()]
    ends = [x for *_, found in groups for _, (x, _) in found] + ridges
    low, high = min(ends) / _MARGIN, max(ends) * _MARGIN
    names = {dtype: f"roof: {peak_name(dtype, roof)}, {flops_per_s(peak)}" for dtype, peak in peaks.items()}
    corners = {dtype: ((low, low * bandwidth), (peak / bandwidth, peak), (high, peak)) for dtype, peak in peaks.items()}
    lines = tuple(Series(names[dtype], corners[dtype], "other", "line") for dtype in peaks)
    clouds = tuple(
        Series(label, tuple(point for _, point in found), colour, names=tuple(layer.path for layer, _ in found))
        for label, colour, found in groups
    )
    x, y = Axis("intensity", "intensity", log=True), Axis("attainable", "flops_per_s", log=True)
    return Plot("roofline", x, y, (*lines, *clouds), f"Roofline of the {roof.hardware.name}: layers with FLOPs")


def peak_name(dtype: str, roof: Roof) -> str:
    """Name the peak that a dtype is compared with."""
    return "float32 as TF32" if dtype == "float32" and roof.tf32 else dtype


def _placed(cost: Cost) -> list[tuple[LayerCost, tuple[float, float]]]:
    return [
        (layer, (layer.intensity, layer.flops / layer.seconds))
        for layer in cost.layers
        if layer.flops and layer.intensity and layer.seconds
    ]
