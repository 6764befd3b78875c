"""The section with measured times: by layer, over time, and below the roofline."""

from __future__ import annotations

from alexnet_cli import units
from alexnet_cli.analyses.profile import LayerTime
from alexnet_cli.analyses.slices import slices
from alexnet_cli.graphics import time_lanes
from alexnet_cli.graphics.bar_chart import BarRow, Panel
from alexnet_cli.graphics.plot_marks import in_page
from alexnet_cli.graphics.plot_svg import draw
from alexnet_cli.graphics.text import Style
from alexnet_cli.report import Report
from alexnet_cli.report_page.bars import MOST_BARS
from alexnet_cli.report_page.charts import Chart, bars, chart
from alexnet_cli.report_page.material import Content, Material, Measured
from alexnet_cli.views.parts import layer_name
from alexnet_cli.views.profile import measured_roofline, profile_notes, times

MOST_LANES = 8


def measured(material: Material) -> Content:
    """Return how long each layer took, if the run was timed."""
    found = material.measured
    if found is None:
        return material.not_run or "no run was timed: --profile does that"
    return {
        "profile": found.profile,
        "roof": found.roof,
        "by_layer": _by_layer(found),
        "lanes": _lanes(found),
        "roofline": _roofline(found),
        "said": _said(found),
        "notes": profile_notes(found.profile, found.roof),
    }


def _said(found: Measured) -> str:
    slowest = f"The {MOST_BARS} slowest, in their order." if len(found.profile.layers) > MOST_BARS else ""
    over = "× says how many times the minimum time it took." if found.roof is not None else ""
    return f"{slowest} {over}".strip()


def _by_layer(found: Measured) -> Chart:
    report, layers = found.report, found.profile.layers
    slowest = sorted(layers, key=lambda layer: -layer.time.seconds)[:MOST_BARS]
    rows = [_bar(layer, report) for layer in layers if layer in slowest]
    others = [layer for layer in layers if layer not in slowest]
    if others:
        took, share = (sum(values) for values in zip(*((it.time.seconds, it.share) for it in others), strict=True))
        text = f"{units.seconds(took)} · {units.share(share)}"
        rows.append(BarRow(f"{len(others):,} others", "other", (share,), (text,), short=(units.seconds(took),)))
    said = "; ".join(f"{row.label} {row.texts[0]}" for row in rows[:8])
    return bars(f"Measured time by layer: {said}", rows, [Panel("Time")])


def _bar(layer: LayerTime, report: Report) -> BarRow:
    name, took = layer_name(report.layers[layer.row]), units.seconds(layer.time.seconds)
    over = [times(layer.of_floor)] if layer.of_floor is not None else []
    text = " · ".join((took, units.share(layer.share), *over))
    spread = f"half of the runs from {units.seconds(layer.time.low)} to {units.seconds(layer.time.high)}"
    tooltip = f"{_told(layer, report)}; {spread}"
    return BarRow(name, layer.family, (layer.share,), (text,), tooltip, (layer.path,), (" · ".join((took, *over)),))


def _told(layer: LayerTime, report: Report) -> str:
    said = [units.seconds(layer.time.seconds)]
    if layer.floor_seconds is not None:
        said.append(f"at least {units.seconds(layer.floor_seconds)}")
    if layer.flops_per_s is not None:
        said.append(units.flops_per_s(layer.flops_per_s))
    name = layer_name(report.layers[layer.row])
    return f"{name} ({layer.path}): {', '.join(said)}"


def _lanes(found: Measured) -> Chart:
    """Draw the run under the profiler that took the median time; a layer's lane is its depth."""
    report, blocks = found.report, []
    for each in slices(report):
        if each.row is not None and each.depth <= MOST_LANES:
            layer, took = report.layers[each.row], units.seconds(each.end - each.start)
            family = layer.family if layer.leaf else "other"
            label = layer.path.rpartition(".")[2] or layer.type
            tooltip = f"{layer.path or layer.type} ({layer.type}): {took}"
            blocks.append(time_lanes.Block(label, family, each.start, each.end, each.depth - 1, layer.path, tooltip))
    label = f"Layers of {report.model.class_name} over one run of {units.seconds(max(it.end for it in blocks))}"
    return chart(label, lambda width: time_lanes.draw(blocks, width))


def _roofline(found: Measured) -> Chart | None:
    plot = measured_roofline(found.report, found.profile, found.roof)
    if plot is None:
        return None
    points = {layer.path: _told(layer, found.report) for layer in found.profile.layers}
    label = f"What each layer of {found.report.model.class_name} reached, below the roofline"
    return chart(label, lambda width: draw(plot, width, Style(), layers=points, measure=in_page))
