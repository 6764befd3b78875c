"""The part of the input that one unit of each layer sees."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.analyses.receptive_field.fields import LayerField, ReceptiveFields
from alexnet_cli.graphics.bar_chart import BarRow, Panel, draw
from alexnet_cli.report import Report
from alexnet_cli.report_page.charts import NARROW, Chart, chart
from alexnet_cli.report_page.material import LeftOut, Material, Section
from alexnet_cli.views.parts import layer_name

MOST_BARS = 32
TITLE = "Receptive field"


class Fields(Struct, frozen=True):
    """The chart, the size of the input, and the layers left out."""

    chart: Chart
    input_sizes: tuple[int, ...]
    bounds: bool
    note: str


def receptive_field(material: Material) -> Section | LeftOut:
    """Return how the receptive field grows from layer to layer."""
    known = material.fields
    if isinstance(known, str):
        return LeftOut(TITLE, known)
    grown = _grown(known)
    if not grown:
        return LeftOut(TITLE, "no layer sees more than one place of the input")
    shown = _spread(grown)
    note = "" if len(shown) == len(grown) else f"{len(shown)} of the {len(grown):,} layers at which it grows."
    bounds = any(item.status == "upper_bound" for item in shown)
    drawn = _chart(shown, known.input_sizes, material.report)
    return Section("receptive-field", TITLE, Fields(drawn, known.input_sizes, bounds, note))


def _grown(known: ReceptiveFields) -> list[LayerField]:
    """Return the first layer of each size and jump."""
    found: list[LayerField] = []
    for item in known.layers:
        if item.status == "undefined" or (found and (found[-1].size, found[-1].jump) == (item.size, item.jump)):
            continue
        if found or item.size is None or any(size != 1 for size in item.size):
            found.append(item)
        if item.status == "global":
            break
    return found


def _spread(fields: list[LayerField]) -> list[LayerField]:
    """Return at most `MOST_BARS`, evenly spread, including the first and the last."""
    if len(fields) <= MOST_BARS:
        return fields
    last = len(fields) - 1
    return [fields[round(place * last / (MOST_BARS - 1))] for place in range(MOST_BARS)]


def _chart(fields: Sequence[LayerField], sizes: tuple[int, ...], report: Report) -> Chart:
    names = [layer_name(report.layers[item.row]) for item in fields]

    def rows(*, short: bool) -> list[BarRow]:
        return [
            BarRow(
                name,
                report.layers[item.row].family,
                (float(max((size or whole for size, whole in zip(item.size or sizes, sizes, strict=True)))),),
                (_text(item, sizes, short=short),),
                f"{name} ({item.path}): {_text(item, sizes)}",
                (item.path,),
            )
            for name, item in zip(names, fields, strict=True)
        ]

    said = (f"{name} {_text(item, sizes)}" for name, item in zip(names[:8], fields[:8], strict=True))
    panels = [Panel("Places along an axis (dashed: all)", float(max(sizes)))]
    return chart(
        f"Receptive field by layer: {'; '.join(said)}", lambda width: draw(rows(short=width <= NARROW), panels, width)
    )


def _text(field: LayerField, sizes: tuple[int, ...], *, short: bool = False) -> str:
    """Write a field: its size along each axis, and the distance between the fields of neighbouring units."""
    if field.size is None:
        return "the whole input"
    seen = tuple(whole if size is None else size for size, whole in zip(field.size, sizes, strict=True))
    text = f"{'at most ' if field.status == 'upper_bound' else ''}{units.shape(seen)}"
    if short or field.jump is None:
        return text
    steps = sorted({jump for jump in field.jump if jump is not None})
    return f"{text}, {' and '.join(f'{step:g}' for step in steps)} apart" if steps else text
