"""The sections with plots, whose marks are tied to layers: memory over a step, and the roofline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from msgspec.structs import replace

from alexnet_cli import units
from alexnet_cli.analyses import memory as analysis
from alexnet_cli.analyses.cost import LayerCost
from alexnet_cli.analyses.memory import Moment, Peak
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.document import Part, Plot
from alexnet_cli.graphics.plot_marks import Band, in_page
from alexnet_cli.graphics.plot_svg import draw
from alexnet_cli.graphics.text import Style
from alexnet_cli.report import Report
from alexnet_cli.report_page.charts import Chart, chart
from alexnet_cli.report_page.material import Content, Material
from alexnet_cli.views.cost import roofline_plot
from alexnet_cli.views.memory import NAMES, timeline_plot, where
from alexnet_cli.views.parts import layer_name

MOST_BANDS = 300
T = TypeVar("T")


def memory(material: Material) -> Content:
    """Return the memory of a training step, or of the forward."""
    report = material.report
    if material.not_run:
        return material.not_run
    if report.tape is None:
        return "its operators were not recorded"
    held = analysis.memory(report, material.training, material.recipe)
    if len(held.timeline) == 1:
        return "no operator ran"
    what = "a forward" if held.training is None else f"a training step ({material.recipe.optimizer})"
    peak = analysis.peak_of(held.timeline)
    plot = timeline_plot(held.timeline, "")
    return {
        "what": what,
        "chart": _chart(report, plot, held.timeline, what),
        "peak": peak,
        "held": _held(plot, peak),
        "forward_bytes": held.inference.peak_bytes if held.training and held.inference else None,
        "saved_bytes": held.training.saved_activation_bytes if held.training else None,
        "note": "" if held.training else material.untrained,
    }


def _chart(report: Report, plot: Plot, moments: tuple[Moment, ...], what: str) -> Chart:
    peak = analysis.peak_of(moments)
    plot = replace(plot, marks=tuple(replace(mark, label=units.size(peak.bytes)) for mark in plot.marks))
    bands = _bands(moments)
    dividers = [(float(start), phase) for start, _, phase in _runs(moments, lambda moment: moment.phase)]
    label = f"Live memory over {what} of {report.model.class_name}: {units.size(peak.bytes)} at its peak, {where(peak)}"
    return chart(label, lambda width: draw(plot, width, Style(), bands=bands, dividers=dividers, measure=in_page))


def _bands(moments: Sequence[Moment]) -> list[Band]:
    """Return when each layer runs; if there are too many, when the modules at a lesser depth run."""
    deepest = max((moment.path.count(".") for moment in moments if moment.path), default=0)
    for dots in range(deepest, -1, -1):
        found = list(_bands_at(moments, dots))
        if len(found) <= MOST_BANDS:
            return found
    return []


def _bands_at(moments: Sequence[Moment], dots: int) -> Iterator[Band]:
    def key(moment: Moment) -> tuple[str, str]:
        return ".".join((moment.path or "").split(".")[: dots + 1]), moment.phase

    for start, end, (path, phase) in _runs(moments, key):
        if path:
            yield Band(path, f"{path}: {phase}", start - 0.5, end - 0.5)


def _runs(moments: Sequence[Moment], key: Callable[[Moment], T]) -> Iterator[tuple[int, int, T]]:
    """Yield where moments of one key begin and end, with the key."""
    end = 0
    for value, group in groupby(moments, key=key):
        start, end = end, end + len(list(group))
        yield start, end, value


def _held(plot: Plot, peak: Peak) -> list[Part]:
    """Return what is live at the peak, from top to bottom of the chart, with the colours used there."""
    live = {name: peak.live_bytes.get(kind) for kind, name in NAMES.items()}
    parts = ((series, live[series.label]) for series in reversed(plot.series))
    return [Part(it.label, held, fraction(held, peak.bytes), it.family) for it, held in parts if held is not None]


def roofline(material: Material) -> Content:
    """Return the roofline, if there is hardware to compare with."""
    roof, found = material.roof, material.cost
    if roof is None:
        return "no hardware was named: --gpu NAME draws it"
    if isinstance(found, str):
        return found
    plot = roofline_plot([found], roof)
    if plot is None:
        return f"no layer has known FLOPs in a dtype for which the {roof.hardware.name} has a peak"
    report, points = material.report, {layer.path: _sentence(layer, material.report) for layer in found.layers}
    label = f"Roofline of {report.model.class_name} on the {roof.hardware.name}"
    drawn = chart(label, lambda width: draw(plot, width, Style(), layers=points, measure=in_page))
    missing = [dtype for dtype in found.totals.dtypes if roof.peak(dtype) is None]
    return {"chart": drawn, "totals": found.totals, "hardware": roof.hardware, "without_peak": missing}


def _sentence(layer: LayerCost, report: Report) -> str:
    said = [units.text(layer.intensity, "intensity")]
    said += [] if layer.seconds is None else [f"at least {units.seconds(layer.seconds)}"]
    said += [] if layer.bound is None else [f"bound by {layer.bound}"]
    return f"{layer_name(report.layers[layer.row])} ({layer.path}): {', '.join(said)}"
