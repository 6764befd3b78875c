"""The section about many GPUs: what each holds in the layouts that were compared, and what fills the step."""

from __future__ import annotations

from alexnet_cli import units
from alexnet_cli.document import Bar, Bars, Part
from alexnet_cli.report_page.material import Content, Material
from alexnet_cli.views.layouts import falling, memory_bars, name_of, ranked
from alexnet_cli.views.shard import BOUND, lane_bars


def many_gpus(material: Material) -> Content | None:
    """Return how the layouts of a number of GPUs compare; None if they were not asked for."""
    found = material.layouts
    if found is None:
        return None
    hardware, tried = found.hardware, found.tried
    fitting = [each for each in tried if each.fits]
    held = memory_bars(tried, hardware)
    lanes = None if found.floors is None else lane_bars(found.floors)
    return {
        "gpus": found.searched.gpus,
        "hardware": hardware,
        "checkpoint": found.searched.checkpoint,
        "fitting": len(fitting),
        "tried": len(tried),
        "first": name_of(fitting[0]) if fitting else "",
        "step": fitting[0] if fitting else None,
        "bound": BOUND[fitting[0].bound] if fitting and fitting[0].bound else "",
        "held": [] if held is None else [(bar, _said(bar, hardware.capacity_bytes)) for bar in held.bars],
        "uses": [] if held is None else _once(held),
        "ranked": ranked(fitting, hardware) if fitting else None,
        "falling": falling(tried) if len(fitting) < len(tried) else None,
        "lanes": () if lanes is None else lanes.bars,
    }


def _said(bar: Bar, capacity: int | None) -> str:
    """Return the peak of a layout, and the share of the GPU that it takes."""
    peak = int(sum(part.value for part in bar.parts))
    return units.size(peak) if not capacity else f"{units.size(peak)}, {units.share(peak / capacity)} of the GPU"


def _once(held: Bars) -> list[Part]:
    """Return one part of each kind, in the order in which bars show them."""
    return list({part.label: part for bar in held.bars for part in bar.parts}.values())
