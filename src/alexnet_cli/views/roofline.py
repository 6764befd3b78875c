"""The roofline: how fast layers can be at most, by how much they compute for each byte that they move."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from alexnet_cli.analyses.cost import Cost, LayerCost, Roof
from alexnet_cli.document import Axis, Plot, Series
from alexnet_cli.units import flops_per_s

_COLOURS = ("conv", "linear", "pool", "attention", "norm", "embedding", "activation")
"""Families whose colours stand for batch sizes, in this order."""

_MARGIN = 2.0
_Point = tuple[float, float]


def roofline_plot(costs: Sequence[Cost], roof: Roof) -> Plot | None:
    """Return the roof of each dtype in use and the layers below it; None if no layer can be placed.

    The points are of families, or of batch sizes where there are several.
    """
    groups = _by_family(costs[0]) if len(costs) == 1 else _by_batch(costs)
    points = [point for _, _, found in groups for point in _points(found)]
    peaks = {dtype: peak for dtype in costs[0].totals.dtypes if (peak := roof.peak(dtype))}
    if not points or not peaks:
        return None
    bandwidth = roof.hardware.bandwidth_bytes_per_s
    ridges = [peak / bandwidth for peak in peaks.values()]
    ends = [x for x, _ in points] + ridges
    span = min(ends) / _MARGIN, max(ends) * _MARGIN
    lines = tuple(
        Series(
            f"roof: {peak_name(dtype, roof)}, {flops_per_s(peak)}", _roof_line(peak, bandwidth, span), "other", "line"
        )
        for dtype, peak in peaks.items()
    )
    clouds = tuple(
        Series(label, tuple(_points(found)), colour, names=tuple(layer.path for layer in found))
        for label, colour, found in groups
    )
    x, y = Axis("intensity", "intensity", log=True), Axis("attainable", "flops_per_s", log=True)
    return Plot("roofline", x, y, (*lines, *clouds), f"Roofline of the {roof.hardware.name}: layers with FLOPs")


def peak_name(dtype: str, roof: Roof) -> str:
    """Name the peak that a dtype is compared with."""
    return "float32 as TF32" if dtype == "float32" and roof.tf32 else dtype


def _roof_line(peak: float, bandwidth: float, span: tuple[float, float]) -> tuple[_Point, ...]:
    """Return the corners: up along the bandwidth to the ridge, and flat along the peak."""
    low, high = span
    return (low, low * bandwidth), (peak / bandwidth, peak), (high, peak)


def _by_family(cost: Cost) -> list[tuple[str, str, list[LayerCost]]]:
    families: dict[str, list[LayerCost]] = defaultdict(list)
    for layer in _placed(cost):
        families[layer.family].append(layer)
    return [(family, family, found) for family, found in families.items()]


def _by_batch(costs: Sequence[Cost]) -> list[tuple[str, str, list[LayerCost]]]:
    return [
        (f"batch {cost.batch_size}", _COLOURS[number % len(_COLOURS)], _placed(cost))
        for number, cost in enumerate(costs)
    ]


def _placed(cost: Cost) -> list[LayerCost]:
    return [layer for layer in cost.layers if layer.flops and layer.intensity and layer.seconds]


def _points(layers: Sequence[LayerCost]) -> list[_Point]:
    return [
        (layer.intensity, layer.flops / layer.seconds)
        for layer in layers
        if layer.flops and layer.intensity and layer.seconds
    ]
