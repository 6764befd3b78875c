"""Where the parameters sit."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.shares import ModuleShare, TypeShare, by_type, fraction
from alexnet_cli.document import Column, Document, Facts, Note, Row, Table
from alexnet_cli.report import Layer, Report
from alexnet_cli.units import share
from alexnet_cli.views.parts import Columns, are_few, given, notes, run_line, split, table, totals_facts

_SHARE = Column("params_share", "Share", "share", priority=7, bar=True)
_PARAMS = Column("params", "Parameters", "count", priority=8)


def params_document(
    report: Report,
    *,
    types: Sequence[TypeShare] | None = None,
    layers: Sequence[Layer] | None = None,
    modules: Sequence[ModuleShare] | None = None,
) -> Document:
    """Show the totals, and the tables that were asked for."""
    blocks = given(
        None if types is None else _type_table(types),
        None if types is None else Note(_sentence(report)),
        None if layers is None else _layer_table(layers, report),
        None if modules is None else _module_table(modules),
        Facts(totals_facts(report.totals)),
        split(report) if types is None else None,
    )
    return Document(f"Parameters of {report.model.class_name}", (*blocks, *notes(report)), run_line(report.run))


def _type_table(types: Sequence[TypeShare]) -> Table:
    stored: Columns[TypeShare] = {
        Column("param_bytes", "Weights", "bytes", priority=5): lambda item: item.param_bytes,
        Column("bits_per_weight", "Bits/weight", "bits", priority=6): lambda item: item.bits_per_weight or "",
    }
    columns: Columns[TypeShare] = {
        Column("type", "Type"): lambda item: item.type,
        Column("family", "Family", priority=1): lambda item: item.family,
        Column("layers", "Layers", "count", priority=6): lambda item: item.layers,
        _PARAMS: lambda item: item.params,
        _SHARE: lambda item: item.params_share,
        **(stored if any(are_few(item.bits_per_weight) for item in types) else {}),
        Column("macs", "MACs", "macs", priority=4): lambda item: item.macs,
        Column("macs_share", "% of MACs", "share", priority=3): lambda item: item.macs_share,
    }
    return table("by_type", columns, types, "By type")


def _layer_table(layers: Sequence[Layer], report: Report) -> Table:
    columns: Columns[Layer] = {
        Column("layer", "Layer"): lambda row: row.type if row.index is None else f"{row.type}-{row.index}",
        Column("path", "Path", priority=5): lambda row: row.path,
        _PARAMS: lambda row: row.params,
        _SHARE: lambda row: fraction(row.params, report.totals.params),
    }
    return table("by_layer", columns, layers, "By layer, largest first")


def _module_table(modules: Sequence[ModuleShare]) -> Table:
    columns: Columns[ModuleShare] = {
        Column("module", "Module", tree=True): lambda module: module.type,
        Column("path", "Path", priority=5): lambda module: module.path,
        _PARAMS: lambda module: module.params,
        _SHARE: lambda module: module.params_share,
        Column("macs", "MACs", "macs", priority=4): lambda module: module.macs,
    }
    return table("by_module", columns, modules, "By module, submodules included", lambda item: Row((), item.depth))


def _sentence(report: Report) -> str:
    """State what the course assignment concludes from the table, with this model's numbers."""
    holders = [item for item in by_type(report) if item.params]
    without = [item.type for item in by_type(report) if not item.params and item.layers]
    if not holders:
        return "No layer has parameters."
    types = list(dict.fromkeys(item.type for item in holders))
    none = f"; {_listed(without)} have none" if without else ""
    said = f"Only {_listed(types)} {'have' if len(types) > 1 else 'has'} parameters{none}."
    if len(holders) == 1:
        return said
    first, second, *_ = holders
    return (
        f"{said} The {_layers(first)} {'hold' if first.layers != 1 else 'holds'} {share(first.params_share)} of them, "
        f"{first.params / second.params:.1f} times as many as the {_layers(second)}."
    )


def _layers(item: TypeShare) -> str:
    """Name the layers of a type; what holds parameters itself and has submodules is a module."""
    kind = "layers" if item.layers else "modules"
    return f"one {item.type} layer" if item.layers == 1 else f"{item.layers or ''} {item.type} {kind}".strip()


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
