"""Figures of an architecture, from a report: what flows where, at what size."""

from __future__ import annotations

from typing import Literal

from alexnet_cli import units
from alexnet_cli.drawing import dot, mermaid
from alexnet_cli.drawing.figure import scene_of
from alexnet_cli.drawing.plan import AnyStyle, Plan, plan
from alexnet_cli.errors import UsageError
from alexnet_cli.graphics import scene_svg
from alexnet_cli.graphics.palette import Theme
from alexnet_cli.report import Report

Width = int | Literal["page", "slide"]
FORMATS = {
    "text": (".txt",),
    "svg": (".svg",),
    "png": (".png",),
    "pdf": (".pdf",),
    "dot": (".dot", ".gv"),
    "mermaid": (".mmd", ".mermaid"),
}
"""The formats of a figure, each with the file suffixes that choose it."""
MOST_PIXELS = 200_000_000


def draw_svg(
    report: Report,
    *,
    style: AnyStyle = "auto",
    depth: int | None = None,
    theme: Theme = "auto",
    width: Width = "page",
) -> str:
    """Draw a report's architecture as SVG.

    Each layer is a `<g>` with `data-path`, the path of its row, and where it stands for several rows `data-paths`, a
    JSON list of them; its `<title>` tells path, type, shapes, parameters and MACs. `width` is in CSS pixels.

    Raises:
        UsageError: there is nothing to draw, or not in this style.
    """
    return scene_svg.write(scene_of(plan(report, style, depth), width), theme)


def picture(drawn: Plan, file_format: Literal["png", "pdf"], theme: Theme, width: Width, scale: float) -> bytes:
    """Draw a plan as PNG, of `scale` pixels for each CSS pixel, or as PDF; where the theme is `auto` it is light.

    Raises:
        UsageError: the library for it is not installed, or the picture would be huge.
    """
    from alexnet_cli.graphics import convert

    settled: Theme = "light" if theme == "auto" else theme
    scene = scene_of(drawn, width)
    across, down = scale * scene.shown_width, scale * scene.height * scene.shown_width / scene.width
    if file_format == "png" and across * down > MOST_PIXELS:
        raise UsageError(
            f"the picture would have {units.count(round(across))} by {units.count(round(down))} pixels",
            "choose a lesser --width or --scale, or a format that has no pixels: .svg, .pdf",
        )
    if file_format == "pdf":
        return convert.pdf(scene_svg.write(scene, settled, scale=convert.POINTS))
    return convert.png(scene_svg.write(scene, settled), scale)


def source(drawn: Plan, file_format: Literal["svg", "dot", "mermaid"], theme: Theme, width: Width) -> str:
    """Draw a plan as SVG, or write its graph in the language of another tool."""
    match file_format:
        case "svg":
            return scene_svg.write(scene_of(drawn, width), theme)
        case "dot":
            return dot.write(drawn, dark=theme == "dark")
        case "mermaid":
            return mermaid.write(drawn, dark=theme == "dark")
