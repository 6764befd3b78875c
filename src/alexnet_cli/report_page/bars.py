"""The sections with bars, a row for each layer: parameters against MACs, and how much of the input a unit sees."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli import units
from alexnet_cli.analyses.receptive_field.fields import LayerField, ReceptiveFields
from alexnet_cli.analyses.shares import by_type, family_held, fold, fraction
from alexnet_cli.graphics.bar_chart import BarRow, Panel
from alexnet_cli.report import Layer, Report
from alexnet_cli.report_page.charts import Chart, bars
from alexnet_cli.report_page.material import Content, Material
from alexnet_cli.views.parts import NEVER_CALLED, layer_name, never_called

MOST_BARS, MOST_FIELDS = 24, 32


def balance(material: Material) -> Content:
    """Return who holds the parameters and who does the work, by type and by layer."""
    report = material.report
    if not _bearing(report):
        return "no layer has parameters or counted MACs"
    types = [_row(report, t.type, t.family, "", t.params, t.macs) for t in by_type(report) if t.params or t.macs]
    rows, grouped, note = _chosen(report)
    idle = never_called(report)
    others = [_row(report, NEVER_CALLED, "other", "", idle, None if report.totals.macs is None else 0)] if idle else []
    first = _chart([*types[:MOST_BARS], *others], report, "By type")
    second = _chart([*rows, *others], report, grouped)
    return {"by_type": first, "title": grouped, "second": second, "note": note}


def _bearing(report: Report) -> list[Layer]:
    return [layer for layer in report.layers if layer.params or layer.macs]


def _chosen(report: Report) -> tuple[list[BarRow], str, str]:
    """Return all layers; if they are too many, the modules at a depth; if those are too many, the largest layers.

    Return also how they are grouped, and what is left out or summed.
    """
    layers = _bearing(report)
    every = [_of_layer(report, layer) for layer in layers]
    if len(every) <= MOST_BARS:
        return every, "By layer", ""
    deepest = max(row.depth for row in report.layers)
    for depth in range(deepest - 1, 0, -1):
        modules = _bearing(fold(report, depth))
        if len(modules) <= MOST_BARS:
            note = f"{len(every):,} layers, summed into the modules at depth {depth}."
            return [_of_layer(report, module) for module in modules], "By module", note
    ranked = sorted(range(len(every)), key=lambda place: max(every[place].amounts), reverse=True)
    others = [layers[place] for place in ranked[MOST_BARS:]]
    macs = None if report.totals.macs is None else sum(layer.macs or 0 for layer in others)
    rest = _row(report, f"{len(others):,} others", "other", "", sum(layer.params for layer in others), macs)
    note = f"The {MOST_BARS} largest of {len(every):,} layers; the layer table has all of them."
    return [*(every[place] for place in sorted(ranked[:MOST_BARS])), rest], "By layer", note


def _of_layer(report: Report, layer: Layer) -> BarRow:
    name = (not layer.leaf and layer.path) or layer_name(layer)
    family = layer.family if layer.leaf else family_held(layer)
    return _row(report, name, family, layer.path, layer.params, layer.macs)


def _row(report: Report, name: str, family: str, path: str, *amounts: int | None) -> BarRow:
    """Return the bars of a layer, a module or several layers: its parameters, and its MACs if there was a forward."""
    totals: dict[str, int | None] = {"parameters": report.totals.params}
    if report.run is not None:
        totals["MACs"] = report.totals.macs
    shares, texts, short, told = [], [], [], []
    for (what, total), amount in zip(totals.items(), amounts, strict=False):
        share = fraction(amount or 0, total)
        shares.append(share)
        none = units.UNKNOWN if amount is None else "0"
        texts.append(f"{units.si(amount)} · {units.share(share)}" if amount else none)
        short.append(units.share(share) if amount else none)
        told.append(f"{units.text(amount, 'count')} {what}, {units.share(share)}")
    title = f"{name} ({path})" if path and path != name else name
    tooltip = f"{title}: {'; '.join(told)}"
    return BarRow(name, family, tuple(shares), tuple(texts), tooltip, (path,) if path else (), tuple(short))


def _chart(rows: Sequence[BarRow], report: Report, title: str) -> Chart:
    panels = [Panel("Parameters"), *([Panel("MACs")] if report.run is not None else [])]
    said = "; ".join(f"{row.label} {' and '.join(map(units.share, row.amounts))}" for row in rows[:6])
    return bars(f"{' and '.join(panel.title for panel in panels)}, {title.lower()}: {said}", rows, panels)


def receptive_field(material: Material) -> Content:
    """Return how the receptive field grows from layer to layer."""
    known = material.fields
    if isinstance(known, str):
        return known
    grown = _grown(known)
    if not grown:
        return "no layer sees more than one place of the input"
    last = len(grown) - 1  # too many are spread evenly, including the first and the last
    spread = (round(place * last / (MOST_FIELDS - 1)) for place in range(MOST_FIELDS))
    shown = grown if last < MOST_FIELDS else [grown[place] for place in spread]
    rows = [_field(item, known.input_sizes, material.report) for item in shown]
    said = "; ".join(f"{row.label} {row.texts[0]}" for row in rows[:8])
    panel = Panel("Places along an axis (dashed: all)", float(max(known.input_sizes)))
    return {
        "chart": bars(f"Receptive field by layer: {said}", rows, [panel]),
        "input_sizes": known.input_sizes,
        "bounds": any(item.status == "upper_bound" for item in shown),
        "note": "" if shown == grown else f"{len(shown)} of the {len(grown):,} layers at which it grows.",
    }


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


def _field(item: LayerField, sizes: tuple[int, ...], report: Report) -> BarRow:
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
