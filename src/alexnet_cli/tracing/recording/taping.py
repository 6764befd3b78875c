"""Records the operators of a run with their data flow and memory, which becomes the report's tape."""

from __future__ import annotations

import gc
import inspect
import sys
from bisect import bisect_right, insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Any, NamedTuple

import torch
from msgspec import UNSET, UnsetType
from torch import Tensor

from alexnet_cli.tape import Nature, Operation, Phase, Role, Source, State, Tape, Value
from alexnet_cli.torch_insides import DisableTorchFunction, backward_node, is_view, sequence_number
from alexnet_cli.tracing.cpu.workspace import Workspace
from alexnet_cli.tracing.recording.calls import Call
from alexnet_cli.tracing.recording.operators import Operator
from alexnet_cli.tracing.recording.tensors import StorageTable, distinct_bytes, tensors_among, tensors_in
from alexnet_cli.tracing.wiring.lines import NO_LINE, Lines

_ALIAS = "alias"
"""A pseudo-operator: a tensor is read again whose storage was written through another tensor."""


_STRIDED = torch.strided
_IN_PLACE_UNWATCHED = frozenset({"add", "scatter", "scatter_add", "index_add"})
_NOT_OPERATORS = ("profiler::", "prim::")


WorkspaceOf = Callable[[str, Mapping[str, Any], Sequence[Tensor]], Workspace]


class Place(NamedTuple):
    """Where in the model an operator ran: the module call, and the call whose work it is, if any.

    `function` numbers the calls of torch functions, None outside of them, `call` those that the user's source made.
    """

    module: Call | None
    worker: Call | None
    function: int | None
    call: int | None = None


_NOWHERE = Place(None, None, None)


@dataclass(slots=True)
class Draft:
    """An operator that ran, before the rows are known; `line` is the number of its line of code."""

    op: str
    unit: int
    place: Place
    phase: Phase
    macs: int | None
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    arguments: dict[str, Any]
    nature: Nature
    line: int = NO_LINE


class TapeRecorder:
    """Notes every operator; `phase` is the current phase of the run, `where` returns the current place in the model.

    With `lines` it notes the line of code that ran each operator of the forward, with `workspace_of` what each one's
    kernel allocates beside its results. `again` has the positions of the operations that checkpoints run again.
    """

    def __init__(self, where: Callable[[], Place], workspace_of: WorkspaceOf | None = None) -> None:
        self.phase: Phase = "forward"
        self.where = where
        self.workspace_of = workspace_of
        self.inputs: tuple[int, ...] = ()
        self.outputs: tuple[int, ...] = ()
        self.state: State | UnsetType = UNSET
        self.lines: Lines | None = None
        self.source: Source | UnsetType = UNSET
        self.storages = StorageTable()
        self.again: list[int] = []
        self._packed: Mapping[int, Tensor] = {}
        self._drafts: list[Draft] = []
        self._values: list[Value] = []
        self._current: dict[tuple[Any, ...], int] = {}
        self._writes: dict[int, list[int]] = {}
        self._units: dict[object, int] = {}
        self._forward_marks: list[int] = []
        self._forward_places: list[Place] = []
        self._sums: list[int] = []
        self._modules = len(sys.modules)

    def begin(
        self,
        given: Iterable[Tensor],
        held: Mapping[Role, Iterable[Tensor]],
        packed: Mapping[int, Tensor] | None = None,
    ) -> None:
        """Register what exists before the run: the inputs, and by role what the model and the optimizer hold.

        `packed` stands for the weights that quantised layers hold in other objects than tensors, by the layer's id.
        """
        for role, tensors in held.items():
            self.storages.register(tensors, role)
        self._packed = packed or {}
        self.storages.register(self._packed.values(), "parameter")
        inputs = list(given)
        self.storages.register(inputs, "input")
        self.inputs = tuple(self._value(tensor) for tensor in inputs)

    def end_forward(self, output: object) -> None:
        """Note what the model returned."""
        with DisableTorchFunction():  # the recorder's function mode would take looking at a tensor for a call
            self.outputs = tuple([self._value(tensor) for tensor in tensors_in(output)])

    def values(self, tensors: Iterable[Tensor]) -> tuple[int, ...]:
        """Return the numbers of tensors' current values."""
        with DisableTorchFunction():
            return tuple([self._value(tensor) for tensor in tensors])

    def storages_of(self, values: Iterable[int]) -> set[int]:
        """Return the numbers of the storages that values are in."""
        return {self._values[value].storage for value in values}

    def written(self) -> list[int]:
        """Return the numbers of the storages that an operator wrote to in place."""
        return list(self._writes)

    def continued(self, known: Collection[int], results: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Yield those known values that are part of a result as long in all dimensions but one, with that result."""
        wanted = set(results)
        for draft in self._drafts:
            made = next((value for value in draft.makes if value in wanted), None)
            if made is not None and draft.nature != "view":
                parts = (value for value in draft.reads if value in known)
                yield from ((part, made) for part in parts if _is_longer(self._values[made], self._values[part]))

    def end_state(self, before: Iterable[int], after: Iterable[int]) -> None:
        """Note which values a language model keeps from one token to the next."""
        self.state = State(tuple(dict.fromkeys(before)), tuple(dict.fromkeys(after)))
        self.storages.mark(self.storages_of((*self.state.before, *self.state.after)), "cache")
        self.outputs = tuple(value for value in self.outputs if value not in self.state.after)

    def saw(self, op: Operator, args: Any, kwargs: dict[str, Any], output: Any, macs: int | None) -> None:
        """Note that an operator ran; `macs` is None if unknown."""
        if "::" in op.name and op.name.startswith(_NOT_OPERATORS):
            return
        if op.view and self.phase != "forward":
            return  # data flow is only followed through the forward
        if len(sys.modules) != self._modules:
            self._forget_imports()
        named = dict(zip(op.arguments, args, strict=False))
        if kwargs:
            named.update(kwargs)
        read = tensors_among(named.values())
        if op.packs:
            read += self._packed_here()
        reads = tuple([self._value(tensor) for tensor in read])
        position = self.storages.clock = len(self._drafts)  # reading may have added an alias
        place, unit = self._whose()
        results = tensors_in(output)
        makes = [self._make(tensor, position) for tensor in results]
        if op.written:
            makes += self._write(op, named, {id(tensor) for tensor in results}, position)
        if self.workspace_of is not None:
            work = self.workspace_of(op.name, named, results)
            self.storages.work(work.bytes, position, exact=work.exact)
        arguments = {name: value for name, value in named.items() if _is_plain(value)}
        line = NO_LINE if self.lines is None or self.phase != "forward" else self.lines.here(inspect.currentframe())
        self._drafts.append(
            Draft(op.name, unit, place, self.phase, macs, reads, tuple(makes), arguments, op.nature, line)
        )
        if self.phase == "backward" and op.name in _IN_PLACE_UNWATCHED and not is_view(args[0]):
            self._sums.append(position)  # torch tracks what else shares a view's memory
        self.storages.clock = position + 1

    def _packed_here(self) -> list[Tensor]:
        module = self.where().module
        packed = self._packed.get(id(module.module)) if module is not None else None
        return [] if packed is None else [packed]

    @property
    def position(self) -> int:
        """How many operations were noted so far."""
        return len(self._drafts)

    def numbers(self, tensors: Iterable[Tensor]) -> list[int]:
        """Return the numbers of tensors' values as they are known, -1 for one that no operation made."""
        known = [self.storages.known(tensor) for tensor in tensors]
        keys = zip(tensors, known, strict=True)
        return [-1 if number is None else self._current.get(_key(tensor, number), -1) for tensor, number in keys]

    def saved(self, tensor: Tensor) -> Tensor:
        """Note that autograd saves a tensor for backward; a hook for `saved_tensors_hooks`."""
        self.storages.save(tensor, self.where())
        return tensor

    def finish(self, row_of: Callable[[Call], int | None]) -> Tape:
        """Return the tape; `row_of` maps a call to its row, None if it has none of its own."""

        def row(place: Place) -> int | None:
            own = row_of(place.worker) if place.worker is not None else None
            return own if own is not None or place.module is None else row_of(place.module)

        self._accumulate_in_place()
        again = set(self.again)
        operations = tuple(
            Operation(
                op=d.op,
                unit=d.unit,
                row=row(d.place),
                phase=d.phase,
                macs=d.macs,
                reads=d.reads,
                makes=d.makes,
                arguments=d.arguments,
                nature=d.nature,
                call=d.place.call,
                again=at in again,
            )
            for at, d in enumerate(self._drafts)
        )
        storages = self.storages.finish(row, lambda place: place.call)
        return Tape(operations, tuple(self._values), storages, self.inputs, self.outputs, self.state, self.source)

    @property
    def drafts(self) -> Sequence[Draft]:
        """The operators so far."""
        return self._drafts

    def _forget_imports(self) -> None:
        """Free what an import during the run holds: torch.fx keeps its frame, with the callers' tensors, in a cycle.

        The garbage collector is off while a run is recorded.
        """
        gc.collect(0)
        self._modules = len(sys.modules)

    def _accumulate_in_place(self) -> None:
        """Let a gradient sum reuse the memory of the first gradient, if nothing else needs that one.

        torch adds gradients in place and scatters into zeros in place, but out of place under a dispatch mode. The
        zeros come from the node that scatters; the gradient to add to comes from an earlier node.
        """
        writer = {value: draft for draft in self._drafts if draft.phase == "backward" for value in draft.makes}
        for position in self._sums:
            draft = self._drafts[position]
            target, made = self._values[draft.reads[0]], self._values[draft.makes[0]]
            before = writer.get(draft.reads[0])
            alike = (target.shape, target.dtype, target.bytes) == (made.shape, made.dtype, made.bytes)
            if alike and before is not None and (before.unit == draft.unit) == (draft.op != "add"):
                self.storages.hand_over(target.storage, made.storage, position)

    def _whose(self) -> tuple[Place, int]:
        """Return the place of the current operator, and its unit.

        A module that runs in the backward is one that a checkpoint runs again.
        """
        here = self.where() if self.phase != "optimizer" else _NOWHERE
        if self.phase == "backward" and here.module is not None:
            self.again.append(len(self._drafts))
            return here, self._unit(len(self._drafts) if here.function is None else ("again", here.function))
        if self.phase == "forward":
            self._forward_marks.append(sequence_number())
            self._forward_places.append(here)
            return here, self._unit(len(self._drafts) if here.function is None else ("function", here.function))
        node = backward_node() if self.phase == "backward" else None
        if node is None:
            return _NOWHERE, self._unit(len(self._drafts))
        after = bisect_right(self._forward_marks, node[1])
        place = self._forward_places[after] if after < len(self._forward_places) else _NOWHERE
        return place, self._unit(node)

    def _unit(self, key: object) -> int:
        return self._units.setdefault(key, len(self._units))

    def _value(self, tensor: Tensor) -> int:
        """Return the number of a tensor's current value."""
        number = self.storages.number(tensor)
        key = _key(tensor, number)
        known = self._current.get(key)
        writes = self._writes.get(number)
        if known is not None and (writes is None or writes[-1] <= known):
            return known
        value = self._current[key] = self._new(tensor, number)
        if writes is not None:
            reads = tuple(writes) if known is None else (known, *writes[bisect_right(writes, known) :])
            draft = Draft(_ALIAS, self._unit(_ALIAS), self.where(), self.phase, 0, reads, (value,), {}, "view")
            self._drafts.append(draft)
        return value

    def _make(self, tensor: Tensor, position: int) -> int:
        number = self.storages.number(tensor, position)
        value = self._current[_key(tensor, number)] = self._new(tensor, number)
        return value

    def _write(self, op: Operator, named: dict[str, Any], results: set[int], position: int) -> list[int]:
        """Return the new values of what an operator wrote to, without those among its results."""
        written = tensors_among(named[name] for name in op.written if name in named)
        others = [self._make(tensor, position) for tensor in written if id(tensor) not in results]
        for tensor in written:
            number = self.storages.number(tensor)
            insort(self._writes.setdefault(number, []), self._current[_key(tensor, number)])
        return others

    def _new(self, tensor: Tensor, number: int) -> int:
        self._values.append(Value(tuple(tensor.shape), _name(tensor.dtype), number, distinct_bytes(tensor)))
        return len(self._values) - 1


def _is_longer(value: Value, part: Value) -> bool:
    """Tell whether a value has the shape of a part but for one dimension, in which it is longer."""
    alike = len(value.shape) == len(part.shape) and value.dtype == part.dtype
    longer = [size - before for size, before in zip(value.shape, part.shape, strict=False) if size != before]
    return alike and len(longer) == 1 and longer[0] > 0


def _key(tensor: Tensor, number: int) -> tuple[Any, ...]:
    """Identify the part of a storage that a tensor shows: tensors with equal keys hold the same value."""
    if tensor.layout is not _STRIDED:
        return (number,)
    return number, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype


@cache
def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _is_plain(value: Any) -> bool:
    """Tell whether JSON can hold an argument unchanged: numbers, strings, and lists of them."""
    if isinstance(value, Tensor) or value is None:  # most arguments
        return False
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain_scalar, value))
    return _is_plain_scalar(value)


def _is_plain_scalar(value: Any) -> bool:
    return isinstance(value, (bool, int, str)) or (type(value) is float and isfinite(value))
