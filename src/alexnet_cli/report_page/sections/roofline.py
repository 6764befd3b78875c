"""The roofline: how fast each layer can be at most on some hardware, by how much it computes for each byte it moves."""

from __future__ import annotations

from collections import defaultdict
from math import log10

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli import units
from alexnet_cli.analyses.cost import Cost, LayerCost, Roof
from alexnet_cli.analyses.cost import cost as analyse
from alexnet_cli.document import Plot, Series
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report
from alexnet_cli.report_page.charts.draw import Chart, Mark, Specification, draw
from alexnet_cli.report_page.charts.plot import plot_chart
from alexnet_cli.report_page.section import LeftOut, Material, Section
from alexnet_cli.views.parts import layer_name
from alexnet_cli.views.roofline import roofline_plot

TITLE = "Roofline"
APART = 0.005
"""Nearer points, in decades, are one point: it is about a pixel."""


class Key(Struct, frozen=True):
    """A family of layers in the chart, or a roof where `family` is None."""

    label: str
    family: str | None


class Roofline(Struct, frozen=True):
    """The chart, what its colours and lines stand for, and the totals that follow."""

    chart: Chart
    keys: tuple[Key, ...]
    cost: Cost
    roof: Roof
    without_peak: tuple[str, ...]


def roofline(material: Material) -> Section | LeftOut:
    """Return the roofline, where there is hardware to hold the model to."""
    roof = material.roof
    if roof is None:
        return LeftOut(TITLE, "no hardware was named: --gpu NAME draws it")
    found = cost_of(material.report, roof)
    if isinstance(found, str):
        return LeftOut(TITLE, found)
    plot = roofline_plot([found], roof)
    if plot is None:
        return LeftOut(
            TITLE, f"no layer has FLOPs that are known, in a dtype that the {roof.hardware.name} has a peak for"
        )
    keys = tuple(Key(series.label, None if series.kind == "line" else series.family) for series in plot.series)
    missing = tuple(dtype for dtype in found.totals.dtypes if roof.peak(dtype) is None)
    chart = _chart(plot, found, material.report, roof)
    return Section("roofline", TITLE, Roofline(chart, keys, found, roof, missing))


def cost_of(report: Report, roof: Roof | None) -> Cost | str:
    """Return what a forward costs, or why that is not known."""
    if report.run is None:
        return "a checkpoint is not run"
    if report.error is not None:
        return "the forward failed"
    try:
        return analyse(report, roof)
    except UsageError as error:
        return error.message


def _chart(plot: Plot, cost: Cost, report: Report, roof: Roof) -> Chart:
    """Draw the plot with its points tied to their layers."""
    by_path = {layer.path: layer for layer in cost.layers}
    marks: dict[str, Mark] = {}
    series = []
    for one in plot.series:
        kept = _apart(one) if one.kind == "points" else {}
        names = tuple(f"p{len(marks) + place}" for place in range(len(kept)))
        for name, paths in zip(names, kept.values(), strict=True):
            more = f"; and {len(paths) - 1:,} more here" if len(paths) > 1 else ""
            marks[name] = Mark(tuple(paths), f"{_sentence(by_path[paths[0]], report)}{more}")
        series.append(replace(one, points=tuple(kept), names=names) if kept else one)
    tied = replace(plot, series=tuple(series))

    def specification(width: int) -> Specification:
        found = plot_chart(tied, width)
        assert found is not None  # noqa: S101 - the view has no plot where nothing has a place
        return found

    return draw(specification, marks, f"Roofline of {report.model.class_name} on the {roof.hardware.name}")


def _apart(series: Series) -> dict[tuple[float, float], list[str]]:
    """Return the points that can be told apart, each with the names of all that fall together there."""
    first: dict[tuple[int, int], tuple[float, float]] = {}
    found: dict[tuple[float, float], list[str]] = defaultdict(list)
    for (x, y), name in zip(series.points, series.names, strict=True):
        place = round(log10(x) / APART), round(log10(y) / APART)
        found[first.setdefault(place, (x, y))].append(name)
    return found


def _sentence(layer: LayerCost, report: Report) -> str:
    said = [units.text(layer.intensity, "intensity")]
    said += [] if layer.seconds is None else [f"at least {units.seconds(layer.seconds)}"]
    said += [] if layer.bound is None else [f"bound by {layer.bound}"]
    return f"{layer_name(report.layers[layer.row])} ({layer.path}): {', '.join(said)}"
