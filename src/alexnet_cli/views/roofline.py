"""The roofline: how fast layers can be at most, by how much they compute for each byte that they move."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.cost import Cost, LayerCost, Roof
from alexnet_cli.document import Axis, Plot, Series
from alexnet_cli.units import flops_per_s

_COLOURS = ("conv", "linear", "pool", "attention", "norm", "embedding", "activation")
"""Families whose colours stand for batch sizes, in this order."""

_MARGIN = 2.0


def roofline_plot(costs: Sequence[Cost], roof: Roof) -> Plot | None:
    """Return the roof of each dtype in use and the layers below it; None if no layer can be placed.

    The points are of families, or of batch sizes where there are several.
    """
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
    lines = tuple(
        Series(
            f"roof: {peak_name(dtype, roof)}, {flops_per_s(peak)}",
            ((low, low * bandwidth), (peak / bandwidth, peak), (high, peak)),  # up to the ridge, then flat
            "other",
            "line",
        )
        for dtype, peak in peaks.items()
    )
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
