"""The roofline: the highest speed of each layer on some hardware, given its FLOPs per byte moved."""

from __future__ import annotations

from alexnet_cli import units
from alexnet_cli.analyses.cost import LayerCost
from alexnet_cli.graphics.plot_marks import in_page
from alexnet_cli.graphics.plot_svg import draw
from alexnet_cli.graphics.text import Style
from alexnet_cli.report import Report
from alexnet_cli.report_page.charts import chart
from alexnet_cli.report_page.material import LeftOut, Material, Section
from alexnet_cli.views.cost import roofline_plot
from alexnet_cli.views.parts import layer_name

TITLE = "Roofline"


def roofline(material: Material) -> Section | LeftOut:
    """Return the roofline, if there is hardware to compare with."""
    roof = material.roof
    if roof is None:
        return LeftOut(TITLE, "no hardware was named: --gpu NAME draws it")
    found = material.cost
    if isinstance(found, str):
        return LeftOut(TITLE, found)
    plot = roofline_plot([found], roof)
    if plot is None:
        return LeftOut(TITLE, f"no layer has known FLOPs in a dtype for which the {roof.hardware.name} has a peak")
    report, points = material.report, {layer.path: _sentence(layer, material.report) for layer in found.layers}
    label = f"Roofline of {report.model.class_name} on the {roof.hardware.name}"
    drawn = chart(label, lambda width: draw(plot, width, Style(), layers=points, measure=in_page))
    missing = [dtype for dtype in found.totals.dtypes if roof.peak(dtype) is None]
    content = {"chart": drawn, "totals": found.totals, "hardware": roof.hardware, "without_peak": missing}
    return Section("roofline", TITLE, content)


def _sentence(layer: LayerCost, report: Report) -> str:
    said = [units.text(layer.intensity, "intensity")]
    said += [] if layer.seconds is None else [f"at least {units.seconds(layer.seconds)}"]
    said += [] if layer.bound is None else [f"bound by {layer.bound}"]
    return f"{layer_name(report.layers[layer.row])} ({layer.path}): {', '.join(said)}"
