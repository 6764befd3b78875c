"""A model, or a checkpoint with its tensors, as a tree with numbers by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from alexnet_cli.analyses.columns import COLUMNS, Joined
from alexnet_cli.analyses.exploring.called_at import Place, called_at
from alexnet_cli.analyses.exploring.outline import Entry, Outline
from alexnet_cli.document import Unit, Value
from alexnet_cli.report import Layer, Report
from alexnet_cli.stored import StoredTensor

_OF_TAPE = ("bytes_read", "bytes_written", "intensity", "receptive_field", "jump")
_OF_CHECKPOINT = ("shape", "dtype", "params", "params_share", "bytes", "buffers")
_MEASURES = ("params", "macs", "param_bytes", "bytes", "saved_bytes", "output_bytes")
_NOTHING = ""


class Title(NamedTuple):
    """What a column is called, and the unit of its values."""

    title: str
    unit: Unit


class Explored:
    """What is explored. `step` is a training step of the model, if it was traced, `tensors` are a checkpoint's."""

    def __init__(
        self, report: Report, step: Report | None = None, tensors: Sequence[StoredTensor] | None = None
    ) -> None:
        self.report, self.step = report, step
        self.joined = Joined(report, step)
        self.is_checkpoint = tensors is not None
        self.outline = Outline(_entries(report, tensors or ()))
        self._values: dict[tuple[int, str], Value] = {}

    @cached_property
    def columns(self) -> Mapping[str, Title]:
        """The columns that can be shown, by name."""
        if self.is_checkpoint:
            own = {"shape": Title("Shape", "shape"), "dtype": Title("Dtype", "text"), "bytes": Title("Bytes", "bytes")}
            return {name: own.get(name) or _title(name) for name in _OF_CHECKPOINT}
        run = self.report.run
        left_out = {"path"}
        if self.report.tape is None or run is None:
            left_out |= {*_OF_TAPE, "input_shapes", "output_shapes"} if run is None else {*_OF_TAPE}
        if run is None:
            left_out |= {"macs", "macs_share", "flops", "output_bytes"}
        return {
            name: _title(name)
            for name, column in COLUMNS.items()
            if name not in left_out and not (column.of_step and self.step is None)
        }

    @property
    def usual(self) -> tuple[str, ...]:
        """The columns that are shown unless others are chosen, the most important first."""
        wanted = ("shape", "dtype", "bytes") if self.is_checkpoint else ("output_shapes", "params", "macs")
        return tuple(name for name in wanted if name in self.columns)

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The columns that a treemap can show: those that add up, and of which there is anything."""
        return tuple(
            name
            for name in _MEASURES
            if name in self.columns and not (self.is_checkpoint and name == "param_bytes") and self.size(0, name)
        )

    def value(self, at: int, name: str) -> Value:
        """Return the value of an entry in a column: of a layer with others below it, that of all of them."""
        key = at, name
        if key not in self._values:
            self._values[key] = self._value(at, name)
        return self._values[key]

    def size(self, at: int, name: str) -> int:
        """Return the value of an entry in a column that adds up, 0 where it is not known."""
        value = self.value(at, name)
        return int(value) if isinstance(value, (int, float)) else 0

    def own_size(self, at: int, name: str) -> int:
        """Return what of an entry's size is not in those below it."""
        return max(self.size(at, name) - sum(self.size(child, name) for child in self.outline.children(at)), 0)

    def layer(self, at: int) -> Layer:
        """Return the layer of an entry, or that its tensor is stored for."""
        return self.report.layers[self.outline.entries[at].row]

    def full_name(self, at: int) -> str:
        """Return an entry's path from the top, or a tensor's key."""
        tensor = self.outline.entries[at].tensor
        return self.layer(at).path or self.report.model.class_name if tensor is None else tensor.key

    def place(self, at: int) -> Place | None:
        """Return where in the user's source an entry was called, None if that is not known."""
        return self._places.get(self.outline.entries[at].row)

    @cached_property
    def _places(self) -> dict[int, Place]:
        return called_at(self.report)

    def rows(self, at: int) -> range:
        """Return the positions in the report of an entry's layer and all below it."""
        entries, end = self.outline.entries, self.outline.ends[at]
        return range(entries[at].row, entries[end - 1].row + 1)

    def _value(self, at: int, name: str) -> Value:
        if not self.is_checkpoint:
            return COLUMNS[name].value(self.joined, self.rows(at))
        tensor = self.outline.entries[at].tensor
        if tensor is None:
            if name in ("shape", "dtype"):
                return _NOTHING
            if name == "bytes":
                return sum(self.size(child, name) for child in self.outline.children(at))
            return COLUMNS[name].value(self.joined, self.rows(at))
        return self._of_tensor(tensor, name)

    def _of_tensor(self, tensor: StoredTensor, name: str) -> Value:
        counted = 0 if tensor.same_as else tensor.elements
        params = 0 if tensor.buffer else counted
        values: dict[str, Value] = {
            "shape": tensor.shape,
            "dtype": tensor.packed or tensor.dtype,
            "params": params,
            "params_share": params / self.report.totals.params if self.report.totals.params else 0.0,
            "bytes": 0 if tensor.same_as else tensor.bytes,
            "buffers": counted if tensor.buffer else 0,
        }
        return values[name]


def _title(name: str) -> Title:
    return Title(COLUMNS[name].title, COLUMNS[name].unit)


def _entries(report: Report, tensors: Sequence[StoredTensor]) -> list[Entry]:
    """Return an entry for each row, and after the row of a module those for the tensors directly in it."""
    held: dict[str, list[StoredTensor]] = {}
    for tensor in tensors:
        held.setdefault(tensor.key.rpartition(".")[0], []).append(tensor)
    entries: list[Entry] = []
    above: list[str] = []
    for row, layer in enumerate(report.layers):
        del above[layer.depth :]
        parent = above[-1] if above else ""
        above.append(layer.path)
        entries.append(_layer_entry(report, row, layer, parent))
        entries += [
            Entry(
                row,
                layer.depth + 1,
                tensor.key.rpartition(".")[2],
                "" if tensor.packed is None else tensor.packed,
                f"{tensor.key} {tensor.dtype} {tensor.packed or ''}".lower(),
                tensor,
            )
            for tensor in held.pop(layer.path, ())
        ]
    return entries


def _layer_entry(report: Report, row: int, layer: Layer, parent: str) -> Entry:
    name = layer.path[len(parent) + 1 :] if parent and layer.path.startswith(f"{parent}.") else layer.path
    kind = layer.type if name != layer.type else ""
    if not layer.path:
        name, kind = report.model.class_name, ""
    if layer.call > 1:
        kind = f"{kind} (call {layer.call})".strip()
    elif layer.reuses:
        kind = f"{kind} (shared)".strip()
    return Entry(row, layer.depth, name, kind, f"{layer.path} {layer.type} {layer.family}".lower())
