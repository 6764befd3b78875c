"""From what to draw to the figure."""

from __future__ import annotations

from typing import Literal

from alexnet_cli.drawing import bars, blocks, graph
from alexnet_cli.drawing.page import compose, sheet_for
from alexnet_cli.drawing.plan import Plan
from alexnet_cli.graphics.scene import Scene


def scene_of(plan: Plan, width: int | Literal["page", "slide"]) -> Scene:
    """Lay out a figure of that width in pixels."""
    sheet, total = sheet_for(width)
    match plan.style:
        case "blocks":
            body = blocks.draw(plan, sheet)
        case "graph":
            body = graph.draw(plan, sheet)
        case "bars":
            body = bars.draw(plan, sheet)
    return compose(plan, body, sheet, total)
