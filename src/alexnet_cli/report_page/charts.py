"""Charts of the page: each drawn at two widths, and tied to the layers that their marks stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup
from msgspec import Struct

from alexnet_cli.graphics import bar_chart, plot_svg, time_lanes
from alexnet_cli.graphics.palette import BY_VARIABLES
from alexnet_cli.graphics.svg import Drawing, inline

WIDE, NARROW = 960, 360
"""Every chart is drawn twice, in pixels: for a page as wide as it gets, and for a phone."""


class Chart(Struct, frozen=True):
    """A chart or a figure as SVG at two widths."""

    wide: Markup
    narrow: Markup


def chart(label: str, draw: Callable[[int], Drawing]) -> Chart:
    """Draw a chart at both widths; `label` says in a sentence what it shows."""
    return Chart(*(Markup(inline(draw(width), label)) for width in (WIDE, NARROW)))  # noqa: S704 - escaped by the writer


def bars(label: str, rows: Sequence[bar_chart.BarRow], panels: Sequence[bar_chart.Panel]) -> Chart:
    """Draw rows of bars, with short texts on the narrow page."""
    return chart(label, lambda width: bar_chart.draw(rows, panels, width, short=width == NARROW))


def style() -> Markup:
    """Return the style rules of all charts, in the colours of the page."""
    rules = (writer.rules(".plot", BY_VARIABLES) for writer in (plot_svg, bar_chart, time_lanes))
    return Markup("".join(f"{rule}\n" for rule in rules))  # noqa: S704 - our own text
