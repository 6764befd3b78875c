"""Charts of the page: each drawn at two widths, and tied to the layers that their marks stand for."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup
from msgspec import Struct

from alexnet_cli.graphics import bar_chart, plot_svg
from alexnet_cli.graphics.palette import Page
from alexnet_cli.graphics.svg import Drawing, inline

WIDE, NARROW = 960, 360
"""Every chart is drawn twice, in pixels: for a page as wide as it gets, and for a phone."""

_PAGE = Page("var(--page)", "var(--ink)", "var(--faint)", "var(--faint)", "var(--rule)")


class Chart(Struct, frozen=True):
    """A chart as SVG at two widths; `label` says in a sentence what it shows."""

    label: str
    wide: Markup
    narrow: Markup


def chart(label: str, draw: Callable[[int], Drawing]) -> Chart:
    """Draw a chart at both widths."""
    wide, narrow = (Markup(inline(draw(width), label)) for width in (WIDE, NARROW))  # noqa: S704 - escaped by the writer
    return Chart(label, wide, narrow)


def style() -> Markup:
    """Return the style rules of all charts, in the colours of the page."""
    return Markup(f"{plot_svg.rules('.plot', _PAGE)}\n{bar_chart.rules('.plot', _PAGE)}\n")  # noqa: S704 - our own text
