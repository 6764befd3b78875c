"""How much of the input each layer sees."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli import units
from alexnet_cli.analyses.receptive_field.fields import LayerField, ReceptiveFields, share_seen
from alexnet_cli.document import Block, Column, Document, Fact, Facts, Note, Table, Value
from alexnet_cli.report import Report
from alexnet_cli.views.parts import Columns, layer_name, look_of, run_line, table, titled

NOTHING, ALL = "", "all"
_WITH_A_FIELD = ("exact", "upper_bound")
_CONVENTION = (
    "Field: how many input pixels, from the first to the last, a unit in the middle of the map sees along each axis. "
    "Jump: how many pixels its neighbour's field is shifted. Start: the centre of the first unit's field, where the "
    "first pixel's centre is 0 (Araujo, Norris, Sim, Distill 2019)."
)
_BOUND = "upper bound: no unit sees more, some may see less; after upsampling, jump is an average."
_NO_AXIS = "no input has a spatial or time axis, so layers have no receptive field"


def receptive_field_document(report: Report, fields: ReceptiveFields) -> Document:
    """Show the field of each layer, the last local layer, and what the numbers mean."""
    blocks: list[Block] = [_table(report, fields)]
    if fields.axes:
        blocks.append(Facts(_facts(report, fields)))
    return Document(f"Receptive fields of {titled(report)}", (*blocks, *_notes(report, fields)), run_line(report.run))


def _table(report: Report, fields: ReceptiveFields) -> Table:
    def share(layer: LayerField) -> Value:
        return NOTHING if layer.status == "undefined" else share_seen(layer, fields.input_sizes)

    columns: Columns[LayerField] = {
        Column("layer", "Layer"): lambda layer: layer_name(report.layers[layer.row]),
        Column("path", "Path", priority=5): lambda layer: layer.path,
        Column("output_shape", "Output", "shape", priority=3): (
            lambda layer: NOTHING if layer.output_shape is None else layer.output_shape
        ),
        Column("size", "Field", "shape"): _size,
        Column("jump", "Jump", "count", priority=7): lambda layer: _number(layer.jump),
        Column("start", "Start", "count", priority=4): lambda layer: _number(layer.start),
        Column("status", "Status", priority=8): lambda layer: layer.status.replace("_", " "),
        Column("share", "% of input", "share", priority=6, bar=True): share,
    }
    return table("by_layer", columns, fields.layers, look=lambda layer: look_of(report.layers[layer.row]))


def _size(layer: LayerField) -> Value:
    if layer.size is None:
        return ALL if layer.status == "global" else NOTHING
    known = tuple(size for size in layer.size if size is not None)
    return known if len(known) == len(layer.size) else _listed(layer.size)


def _number(numbers: Sequence[float | None] | None) -> Value:
    """Return one number if all axes agree, otherwise one per axis; blank if everything is seen."""
    if numbers is None or set(numbers) == {None}:
        return NOTHING
    return numbers[0] if len(set(numbers)) == 1 else _listed(numbers, "none")


def _listed(numbers: Sequence[float | None], missing: str = ALL) -> str:
    return ", ".join(missing if number is None else f"{number:g}" for number in numbers)


def _facts(report: Report, fields: ReceptiveFields) -> tuple[Fact, ...]:
    facts = [Fact("Input", fields.input_sizes, "shape", _which(report, fields))]
    last = next((layer for layer in reversed(fields.layers) if layer.status in _WITH_A_FIELD), None)
    if last is not None:
        seen = f"{units.text(_size(last), 'shape')} of the input's {units.shape(fields.input_sizes)}"
        share = units.share(share_seen(last, fields.input_sizes) or 0.0)
        facts.append(Fact("Last local layer", _named(report, last)))
        facts.append(Fact("sees", seen, note=f"{last.status.replace('_', ' ')}, {share} of it", level=1))
    whole = next((layer for layer in fields.layers if layer.status == "global"), None)
    if whole is not None:
        facts.append(Fact("Global from", _named(report, whole)))
    return tuple(facts)


def _which(report: Report, fields: ReceptiveFields) -> str:
    inputs = report.run.inputs if report.run is not None else ()
    name = "" if len(inputs) == 1 or fields.input is None else f"input {fields.input + 1} of {len(inputs)}, "
    axes = ", ".join(str(axis) for axis in fields.axes)
    word = "axis" if len(fields.axes) == 1 else "axes"
    return f"{name}{word} {axes} of {units.shape(fields.input_shape or ())}"


def _named(report: Report, layer: LayerField) -> str:
    return layer_name(report.layers[layer.row]) + (f" ({layer.path})" if layer.path else "")


def _notes(report: Report, fields: ReceptiveFields) -> tuple[Note, ...]:
    if not fields.axes:
        return (Note(_NO_AXIS, "warning"),)
    found = [Note(_CONVENTION)]
    if any(layer.status == "upper_bound" for layer in fields.layers):
        found.append(Note(_BOUND))
    sizes = fields.input_sizes
    larger = [
        layer
        for layer in fields.layers
        if any(one is not None and one > size for one, size in zip(layer.size or (), sizes, strict=False))
    ]
    if larger:
        what = f"{len(larger)} layers have fields" if len(larger) > 1 else "One layer has a field"
        where = f"larger than the input, from {_named(report, larger[0])} on"
        found.append(Note(f"{what} {where}: a unit in the middle sees all of the input along that axis, and padding."))
    return tuple(found)
