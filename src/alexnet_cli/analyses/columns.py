"""The columns of the layer table by name, with values from all analyses of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from alexnet_cli.analyses.shares import fraction
from alexnet_cli.document import Unit, Value
from alexnet_cli.report import Layer, Report, subtree_ends

if TYPE_CHECKING:  # each analysis is imported when one of its columns is asked for
    from alexnet_cli.analyses.cost import LayerCost
    from alexnet_cli.analyses.receptive_field.fields import LayerField

Rows = Sequence[int]
"""Positions of rows in a report: a single row, or a container and all rows below it."""


@dataclass
class Joined:
    """A model's report with the results of its analyses by row, computed on first use.

    `step` is the report of a training step, None if it was not traced.
    """

    report: Report
    step: Report | None = None

    @cached_property
    def costs(self) -> dict[int, LayerCost]:
        """Bytes moved by each row."""
        from alexnet_cli.analyses.cost import cost

        return {layer.row: layer for layer in cost(self.report).layers}

    @cached_property
    def fields(self) -> dict[int, LayerField]:
        """The receptive field of each row."""
        from alexnet_cli.analyses.receptive_field.fields import receptive_fields

        return {layer.row: layer for layer in receptive_fields(self.report).layers}

    @cached_property
    def saved(self) -> dict[tuple[str, int], int]:
        """Bytes that each row of the training step saves for backward, by path and call."""
        if self.step is None or self.step.error is not None:
            return {}
        from alexnet_cli.analyses import memory

        rows = self.step.layers
        return {(layer.path, rows[layer.row].call): layer.saved_bytes for layer in memory.by_layer(self.step)}

    def layers(self, rows: Rows) -> list[Layer]:
        """Return the rows at these positions."""
        return [self.report.layers[row] for row in rows]


class ColumnOf(NamedTuple):
    """A column: its title, its unit, and its value for some rows."""

    title: str
    unit: Unit
    value: Callable[[Joined, Rows], Value]
    of_step: bool = False
    bar: bool = False


def _sum(of: Callable[[Layer], int | None]) -> Callable[[Joined, Rows], Value]:
    return lambda joined, rows: _total([of(layer) for layer in joined.layers(rows)])


def _total(values: Sequence[int | None]) -> int | None:
    """Add up; None if no value is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known or not values else None


def _first(of: Callable[[Layer], Value]) -> Callable[[Joined, Rows], Value]:
    return lambda joined, rows: of(joined.report.layers[rows[0]])


def _share_of_params(joined: Joined, rows: Rows) -> Value:
    return fraction(sum(layer.params for layer in joined.layers(rows)), joined.report.totals.params)


def _share_of_macs(joined: Joined, rows: Rows) -> Value:
    macs = _total([layer.macs for layer in joined.layers(rows)])
    return None if macs is None or not joined.report.totals.macs else fraction(macs, joined.report.totals.macs)


def _moved(of: Callable[[LayerCost], int]) -> Callable[[Joined, Rows], Value]:
    return lambda joined, rows: sum(of(joined.costs[row]) for row in rows if row in joined.costs)


def _intensity(joined: Joined, rows: Rows) -> Value:
    """FLOPs of the rows per byte that they move."""
    flops = _total([layer.flops for layer in joined.layers(rows)])
    moved = sum(joined.costs[row].bytes_read + joined.costs[row].bytes_written for row in rows if row in joined.costs)
    return None if flops is None or not moved else flops / moved


def _saved(joined: Joined, rows: Rows) -> Value:
    if joined.step is None:
        return None
    return sum(joined.saved.get((layer.path, layer.call), 0) for layer in joined.layers(rows))


def _last_field(joined: Joined, rows: Rows) -> LayerField | None:
    return next((joined.fields[row] for row in reversed(rows) if row in joined.fields), None)


def _field(joined: Joined, rows: Rows) -> Value:
    """The field of the last row that has one; its status if it has no size."""
    field = _last_field(joined, rows)
    return None if field is None else _whole(field.size) or field.status


def _jump(joined: Joined, rows: Rows) -> Value:
    field = _last_field(joined, rows)
    return None if field is None else _whole(field.jump)


def _whole(numbers: Sequence[float | None] | None) -> tuple[int, ...] | None:
    """Return whole numbers; None if one of them is not whole, or not known."""
    whole = tuple(int(number) for number in numbers or () if number is not None and number == int(number))
    return whole if numbers and len(whole) == len(numbers) else None


COLUMNS: dict[str, ColumnOf] = {
    "path": ColumnOf("Path", "text", _first(lambda layer: layer.path)),
    "family": ColumnOf("Family", "text", _first(lambda layer: layer.family)),
    "input_shapes": ColumnOf("Input", "shapes", _first(lambda layer: layer.input_shapes)),
    "output_shapes": ColumnOf("Output", "shapes", _first(lambda layer: layer.output_shapes)),
    "params": ColumnOf("Parameters", "count", _sum(lambda layer: layer.params)),
    "params_share": ColumnOf("% of params", "share", _share_of_params, bar=True),
    "trainable_params": ColumnOf("Trainable", "count", _sum(lambda layer: layer.trainable_params)),
    "param_bytes": ColumnOf("Weights", "bytes", _sum(lambda layer: layer.param_bytes)),
    "buffers": ColumnOf("Buffers", "count", _sum(lambda layer: layer.buffers)),
    "macs": ColumnOf("MACs", "macs", _sum(lambda layer: layer.macs)),
    "macs_share": ColumnOf("% of MACs", "share", _share_of_macs, bar=True),
    "flops": ColumnOf("FLOPs", "flops", _sum(lambda layer: layer.flops)),
    "output_bytes": ColumnOf("Output bytes", "bytes", _sum(lambda layer: layer.output_bytes if layer.leaf else 0)),
    "saved_bytes": ColumnOf("Saved", "bytes", _saved, of_step=True),
    "bytes_read": ColumnOf("Read", "bytes", _moved(lambda layer: layer.bytes_read)),
    "bytes_written": ColumnOf("Written", "bytes", _moved(lambda layer: layer.bytes_written)),
    "intensity": ColumnOf("Intensity", "intensity", _intensity),
    "receptive_field": ColumnOf("Field", "shape", _field),
    "jump": ColumnOf("Jump", "shape", _jump),
}
"""All columns by name. `intensity`, bytes moved and fields follow the conventions of `cost` and `receptive-field`."""


class ChosenRow(Struct, frozen=True):
    """A row of a chosen table; a `group` is a container with the sums of all rows below it.

    `values` has a `Value` under each column's name, of which JSON Schema cannot say the type: it has two kinds of list.
    """

    path: str
    type: str
    call: int
    depth: int
    group: bool
    row: int
    values: dict[str, Any]


def choose(joined: Joined, names: Sequence[str], depth: int | None = None) -> tuple[ChosenRow, ...]:
    """Return the rows down to `depth` with these columns; containers come first, with the sums of their rows."""
    chosen = []
    layers = joined.report.layers
    for row, (layer, end) in enumerate(zip(layers, subtree_ends(layers), strict=True)):
        if depth is not None and layer.depth > depth:
            continue
        cut = depth is not None and layer.depth == depth
        values = {name: COLUMNS[name].value(joined, range(row, end)) for name in names}
        chosen.append(
            ChosenRow(layer.path, layer.type, layer.call, layer.depth, end > row + 1 and not cut, row, values)
        )
    return tuple(chosen)


def largest(rows: Sequence[ChosenRow], by: str, top: int | None = None) -> tuple[ChosenRow, ...]:
    """Return the rows that are not groups, the largest value of a column first, unknown values last."""
    single = [row for row in rows if not row.group]
    known = [row for row in single if isinstance(row.values[by], (int, float))]
    others = [row for row in single if not isinstance(row.values[by], (int, float))]
    return (*sorted(known, key=lambda row: -row.values[by]), *others)[:top]
