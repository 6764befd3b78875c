"""Parameters and MACs by layer type, model beside model."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.analyses.shares import TypeShare, by_type
from alexnet_cli.graphics.bar_chart import BarRow, Panel, draw
from alexnet_cli.report_page.charts import Chart, chart
from alexnet_cli.report_page.comparison.sides import Sides, colour
from alexnet_cli.report_page.section import LeftOut, Section
from alexnet_cli.views.compare import label

MOST_TYPES = 12
TITLE = "Parameters and MACs by type"


class Types(Struct, frozen=True):
    """The chart, which colour stands for which model, and what was left out."""

    chart: Chart
    keys: tuple[tuple[str, str], ...]
    note: str


def types(sides: Sides) -> Section | LeftOut:
    """Return how much of either the layers of each type have, in each model."""
    shares = [{item.type: item for item in by_type(report)} for report in sides.reports]
    names = sorted(
        {name for found in shares for name, item in found.items() if item.params or item.macs},
        key=lambda name: (-max(_weight(found.get(name)) for found in shares), name),
    )
    if not names:
        return LeftOut(TITLE, "no layer has parameters and none does work that is counted")
    keys = tuple((name, colour(number)) for number, name in enumerate(sides.names))
    left_out = len(names) - MOST_TYPES
    note = f"The {MOST_TYPES} types with most; {left_out} more have little." if left_out > 0 else ""
    ran = all(report.run is not None for report in sides.reports)
    return Section("types", TITLE, Types(_chart(names[:MOST_TYPES], shares, ran=ran), keys, note))


def _weight(item: TypeShare | None) -> float:
    return 0.0 if item is None else max(item.params_share, item.macs_share or 0.0)


def _chart(names: Sequence[str], shares: Sequence[dict[str, TypeShare]], *, ran: bool) -> Chart:
    rows: list[BarRow] = []
    for name in names:
        for number, found in enumerate(shares):
            item = found.get(name)
            params, macs = (item.params, item.macs) if item else (0, 0)
            numbers = (params, macs) if ran else (params,)
            texts = tuple(
                "0" if value == 0 else units.UNKNOWN if value is None else units.si(value) for value in numbers
            )
            title = f"{label(number)} {name}"
            told = f"{title}: {' and '.join(f'{value:,}' for value in numbers if value is not None)}"
            rows.append(BarRow(title, colour(number), tuple(float(value or 0) for value in numbers), texts, told))
    panels = [Panel("Parameters"), *([Panel("MACs")] if ran else [])]
    text = f"{' and '.join(panel.title for panel in panels)} by layer type of {len(shares)} models"
    return chart(text, lambda width: draw(rows, panels, width))
