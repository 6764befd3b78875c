"""How much of the input a unit of each layer sees."""

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


class Field(Struct, frozen=True):
    """A layer from which on more of the input is seen, or units are further apart; `size` None is all of it."""

    name: str
    path: str
    family: str
    size: tuple[int | None, ...] | None
    jump: tuple[float | None, ...] | None
    bound: bool


class Fields(Struct, frozen=True):
    """The chart, the input that is seen, and which layers it leaves out."""

    chart: Chart
    input_sizes: tuple[int, ...]
    bounds: bool
    note: str


def receptive_field(material: Material) -> Section | LeftOut:
    """Return how the receptive field grows."""
    known = material.fields
    if isinstance(known, str):
        return LeftOut(TITLE, known)
    grown = _grown(known, material.report)
    if not grown:
        return LeftOut(TITLE, "no layer sees more of the input than one place")
    shown = _spread(grown)
    note = "" if len(shown) == len(grown) else f"{len(shown)} of the {len(grown):,} layers at which it grows."
    bounds = any(field.bound for field in shown)
    return Section("receptive-field", TITLE, Fields(_chart(shown, known.input_sizes), known.input_sizes, bounds, note))


def _grown(known: ReceptiveFields, report: Report) -> list[Field]:
    """Return the first layer of each size and jump."""
    found: list[Field] = []
    for item in known.layers:
        if item.status == "undefined" or (found and (found[-1].size, found[-1].jump) == (item.size, item.jump)):
            continue
        if found or item.size is None or any(size != 1 for size in item.size):
            found.append(_field(item, report))
        if item.status == "global":
            break
    return found


def _field(item: LayerField, report: Report) -> Field:
    row = report.layers[item.row]
    return Field(layer_name(row), row.path, row.family, item.size, item.jump, item.status == "upper_bound")


def _spread(fields: list[Field]) -> list[Field]:
    """Return not too many, evenly, with the first and the last."""
    if len(fields) <= MOST_BARS:
        return fields
    last = len(fields) - 1
    return [fields[round(place * last / (MOST_BARS - 1))] for place in range(MOST_BARS)]


def _chart(fields: Sequence[Field], sizes: tuple[int, ...]) -> Chart:
    largest = max(sizes)

    def row(field: Field, *, short: bool) -> BarRow:
        amount = max((size or whole for size, whole in zip(field.size or sizes, sizes, strict=True)), default=largest)
        text = text_of(field, sizes, short=short)
        told = f"{field.name} ({field.path}): {text_of(field, sizes)}"
        return BarRow(field.name, field.family, (float(amount),), (text,), told, (field.path,))

    label = "Receptive field by layer: " + "; ".join(f"{field.name} {text_of(field, sizes)}" for field in fields[:8])
    panels = [Panel("Places along an axis (dashed: all)", float(largest))]
    return chart(label, lambda width: draw([row(field, short=width <= NARROW) for field in fields], panels, width))


def text_of(field: Field, sizes: tuple[int, ...], *, short: bool = False) -> str:
    """Write a field: its size along each axis, and how far apart the fields of neighbours are."""
    if field.size is None:
        return "the whole input"
    seen = tuple(whole if size is None else size for size, whole in zip(field.size, sizes, strict=True))
    text = f"{'at most ' if field.bound else ''}{units.shape(seen)}"
    if short or field.jump is None:
        return text
    steps = sorted({jump for jump in field.jump if jump is not None})
    return f"{text}, {' and '.join(f'{step:g}' for step in steps)} apart" if steps else text
