"""Where the parameters sit."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.shares import ModuleShare, TypeShare, by_type, fraction
from alexnet_cli.document import Block, Column, Document, Facts, Note, Row, Table
from alexnet_cli.report import Layer, Report
from alexnet_cli.units import share
from alexnet_cli.views.parts import notes, run_line, split, totals_facts

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
    blocks: list[Block] = []
    if types is not None:
        blocks += [_type_table(types), Note(_sentence(report))]
    if layers is not None:
        blocks.append(_layer_table(layers, report))
    if modules is not None:
        blocks.append(_module_table(modules))
    blocks.append(Facts(totals_facts(report.totals)))
    bars = split(report)
    if bars is not None and types is None:
        blocks.append(bars)
    return Document(f"Parameters of {report.model.class_name}", (*blocks, *notes(report)), run_line(report.run))


def _type_table(types: Sequence[TypeShare]) -> Table:
    columns = (
        Column("type", "Type"),
        Column("family", "Family", priority=1),
        Column("layers", "Layers", "count", priority=6),
        _PARAMS,
        _SHARE,
        Column("macs", "MACs", "macs", priority=4),
        Column("macs_share", "% of MACs", "share", priority=3),
    )
    rows = (
        Row((t.type, t.family, t.layers, t.params, t.params_share, t.macs, t.macs_share), family=t.family)
        for t in types
    )
    return Table("by_type", columns, tuple(rows), "By type")


def _layer_table(layers: Sequence[Layer], report: Report) -> Table:
    columns = (Column("layer", "Layer"), Column("path", "Path", priority=5), _PARAMS, _SHARE)
    rows = (
        Row(
            (
                row.type if row.index is None else f"{row.type}-{row.index}",
                row.path,
                row.params,
                fraction(row.params, report.totals.params),
            ),
            family=row.family,
        )
        for row in layers
    )
    return Table("by_layer", columns, tuple(rows), "By layer, largest first")


def _module_table(modules: Sequence[ModuleShare]) -> Table:
    columns = (
        Column("module", "Module", tree=True),
        Column("path", "Path", priority=5),
        _PARAMS,
        _SHARE,
        Column("macs", "MACs", "macs", priority=4),
    )
    rows = (Row((m.type, m.path, m.params, m.params_share, m.macs), m.depth) for m in modules)
    return Table("by_module", columns, tuple(rows), "By module, submodules included")


def _sentence(report: Report) -> str:
    """State what the course assignment concludes from the table, with this model's numbers."""
    holders = [item for item in by_type(report) if item.params]
    without = [item.type for item in by_type(report) if not item.params and item.layers]
    if not holders:
        return "No layer has parameters."
    names = _listed([item.type for item in holders])
    none = f"; {_listed(without)} have none" if without else ""
    said = f"Only {names} {'have' if len(holders) > 1 else 'has'} parameters{none}."
    if len(holders) == 1:
        return said
    first, second, *_ = holders
    return (
        f"{said} The {_layers(first)} {'hold' if first.layers != 1 else 'holds'} {share(first.params_share)} of them, "
        f"{first.params / second.params:.1f} times as many as the {_layers(second)}."
    )


def _layers(item: TypeShare) -> str:
    return f"{item.layers} {item.type} layers" if item.layers != 1 else f"one {item.type} layer"


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
