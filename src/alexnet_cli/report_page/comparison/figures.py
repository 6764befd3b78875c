"""The pictures of the models."""

from __future__ import annotations

from msgspec import Struct

from alexnet_cli.report_page.comparison.sides import Sides
from alexnet_cli.report_page.section import LeftOut, Section
from alexnet_cli.report_page.sections.figure import Drawing, drawing_of


class Picture(Struct, frozen=True):
    """A model's picture; `number` is the model's place from 0, `why` says why there is no picture."""

    name: str
    number: int
    drawing: Drawing | None
    why: str


def figures(sides: Sides) -> Section | LeftOut:
    """Return the picture of each model that has one."""
    drawn = [drawing_of(report) for report in sides.reports]
    if all(isinstance(one, str) for one in drawn):
        return LeftOut("Figures", str(drawn[0]))
    pictures = tuple(
        Picture(name, number, None if isinstance(one, str) else one, one if isinstance(one, str) else "")
        for number, (name, one) in enumerate(zip(sides.names, drawn, strict=True))
    )
    return Section("figures", "Figures", pictures)
