"""The part of the input that one unit of each layer sees."""

from __future__ import annotations

from alexnet_cli import units
from alexnet_cli.analyses.receptive_field.fields import LayerField, ReceptiveFields
from alexnet_cli.graphics.bar_chart import BarRow, Panel
from alexnet_cli.report import Report
from alexnet_cli.report_page.charts import bars
from alexnet_cli.report_page.material import LeftOut, Material, Section
from alexnet_cli.views.parts import layer_name

MOST_BARS = 32
TITLE = "Receptive field"


def receptive_field(material: Material) -> Section | LeftOut:
    """Return how the receptive field grows from layer to layer."""
    known = material.fields
    if isinstance(known, str):
        return LeftOut(TITLE, known)
    grown = _grown(known)
    if not grown:
        return LeftOut(TITLE, "no layer sees more than one place of the input")
    last = len(grown) - 1  # too many are spread evenly, including the first and the last
    spread = (round(place * last / (MOST_BARS - 1)) for place in range(MOST_BARS))
    shown = grown if last < MOST_BARS else [grown[place] for place in spread]
    rows = [_row(item, known.input_sizes, material.report) for item in shown]
    said = "; ".join(f"{row.label} {row.texts[0]}" for row in rows[:8])
    panel = Panel("Places along an axis (dashed: all)", float(max(known.input_sizes)))
    content = {
        "chart": bars(f"Receptive field by layer: {said}", rows, [panel]),
        "input_sizes": known.input_sizes,
        "bounds": any(item.status == "upper_bound" for item in shown),
        "note": "" if shown == grown else f"{len(shown)} of the {len(grown):,} layers at which it grows.",
    }
    return Section("receptive-field", TITLE, content)


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


def _row(item: LayerField, sizes: tuple[int, ...], report: Report) -> BarRow:
    layer = report.layers[item.row]
    name = layer_name(layer)
    seen = tuple(size or whole for size, whole in zip(item.size or sizes, sizes, strict=True))
    short = f"{'at most ' if item.status == 'upper_bound' else ''}{units.shape(seen)}"
    if item.size is None:
        short = "the whole input"
    steps = sorted({jump for jump in item.jump or () if jump is not None})
    apart = f", {' and '.join(f'{step:g}' for step in steps)} apart" if steps and item.size else ""
    text = short + apart
    told = f"{name} ({item.path}): {text}"
    return BarRow(name, layer.family, (float(max(seen)),), (text,), told, (item.path,), (short,))
