"""The picture of the architecture that `alexnet draw` makes."""

from __future__ import annotations

from markupsafe import Markup
from msgspec import Struct

from alexnet_cli.drawing import draw_svg
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report
from alexnet_cli.report_page.section import LeftOut, Material, Section

WIDE, NARROW = 1000, 300


class Drawing(Struct, frozen=True):
    """The picture at two widths."""

    wide: Markup
    narrow: Markup


def figure(material: Material) -> Section | LeftOut:
    """Return the picture of the architecture."""
    drawn = drawing_of(material.report)
    return LeftOut("Figure", drawn) if isinstance(drawn, str) else Section("figure", "Figure", drawn)


def drawing_of(report: Report) -> Drawing | str:
    """Return the picture, or why there is none."""
    try:
        wide, narrow = (Markup(draw_svg(report, width=width)) for width in (WIDE, NARROW))  # noqa: S704 - it escapes
    except UsageError as error:
        return error.message
    return Drawing(wide, narrow)
