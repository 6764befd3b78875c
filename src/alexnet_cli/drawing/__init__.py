"""Figures of an architecture, from a report: report → data flow → plan → layout → scene → file."""

from __future__ import annotations

from typing import Literal

from alexnet_cli import units
from alexnet_cli.drawing import bars, blocks, graph, languages
from alexnet_cli.drawing.content import Plan
from alexnet_cli.drawing.page import Width, compose, sheet_for
from alexnet_cli.errors import UsageError
from alexnet_cli.graphics import scene
from alexnet_cli.graphics.palette import Theme
from alexnet_cli.graphics.scene import Scene
from alexnet_cli.graphics.svg import POINTS, converter
from alexnet_cli.graphics.text import Style

FORMATS = {
    "text": (".txt",),
    "svg": (".svg",),
    "png": (".png",),
    "pdf": (".pdf",),
    "dot": (".dot", ".gv"),
    "mermaid": (".mmd", ".mermaid"),
}
"""The formats of a figure, each with the file suffixes that select it."""
MOST_PIXELS = 200_000_000
_LAYOUTS = {"blocks": blocks.draw, "graph": graph.draw, "bars": bars.draw}


def write(
    drawn: Plan,
    file_format: str,
    *,
    theme: Theme = "auto",
    width: Width = "page",
    scale: float = 2.0,
    style: Style | None = None,
) -> str | bytes:
    """Write a plan in one of `FORMATS`.

    `width` is in CSS pixels and `scale` the PNG pixels per CSS pixel; `style` has the width and colours of text.

    Raises:
        UsageError: the library for PNG and PDF is not installed, or the picture would be huge.
    """
    match file_format:
        case "text":
            from alexnet_cli.drawing import terminal

            return terminal.write(drawn, style or Style())
        case "dot":
            return languages.dot(drawn, dark=theme == "dark")
        case "mermaid":
            return languages.mermaid(drawn, dark=theme == "dark")
        case "png" | "pdf":
            return _picture(drawn, file_format, theme, width, scale)
        case _:
            return svg(drawn, theme=theme, width=width)


def svg(drawn: Plan, *, theme: Theme = "auto", width: Width = "page") -> str:
    """Draw a plan as SVG.

    Each layer is a `<g>` with `data-path`, the path of its row; a layer that stands for several rows also has
    `data-paths`, a JSON list. Its `<title>` has path, type, shapes, parameters and MACs.
    """
    return scene.write(scene_of(drawn, width), theme)


def scene_of(drawn: Plan, width: Width) -> Scene:
    """Lay out a plan as a figure of this width."""
    sheet = sheet_for(width)
    return compose(drawn, _LAYOUTS[drawn.style](drawn, sheet), sheet)


def _picture(drawn: Plan, file_format: Literal["png", "pdf"], theme: Theme, width: Width, scale: float) -> bytes:
    """Draw a plan as PNG or PDF; the theme `auto` is light here."""
    settled: Theme = "light" if theme == "auto" else theme
    library, figure = converter(file_format.upper()), scene_of(drawn, width)
    if file_format == "pdf":
        return bytes(library.svg_to_pdf(scene.write(figure, settled, scale=POINTS)))
    across, down = scale * figure.shown_width, scale * figure.height * figure.shown_width / figure.width
    if across * down > MOST_PIXELS:
        raise UsageError(
            f"the picture would have {units.count(round(across))} by {units.count(round(down))} pixels",
            "choose a smaller --width or --scale, or a format without pixels: .svg, .pdf",
        )
    return bytes(library.svg_to_png(scene.write(figure, settled), scale=scale))
