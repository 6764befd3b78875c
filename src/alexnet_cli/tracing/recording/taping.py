"""Records the operators of a run with their data flow and memory, which becomes the report's tape."""

from __future__ import annotations

import gc
import inspect
import sys
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from msgspec import UNSET, Struct, UnsetType
from torch import Tensor

from alexnet_cli.tape import Nature, Operation, Phase, Role, Source, State, Tape
from alexnet_cli.torch_insides import DisableTorchFunction, backward_node, is_view, sequence_number
from alexnet_cli.tracing.cpu.workspace import Workspace
from alexnet_cli.tracing.recording.calls import Call
from alexnet_cli.tracing.recording.operators import Operator
from alexnet_cli.tracing.recording.tensors import StorageTable, tensors_among, tensors_in
from alexnet_cli.tracing.recording.values import ValueTable
from alexnet_cli.tracing.wiring.lines import NO_LINE, Lines

_ALIAS = "alias"
"""A pseudo-operator: a tensor is read again whose storage was written through another tensor."""
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

    def row(self, row_of: Callable[[Call], int | None]) -> int | None:
        """Return the row of the work, or else that of the module; `row_of` maps a call to its row."""
        own = row_of(self.worker) if self.worker is not None else None
        return own if own is not None or self.module is None else row_of(self.module)


_NOWHERE = Place(None, None, None)


class Draft(Struct, eq=False):
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
    kernel allocates beside its results. `drafts` are the operators so far, `again` the positions of those that
    checkpoints run again.
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
        self.values = ValueTable(self.storages, self._alias)
        self.again: list[int] = []
        self._packed: Mapping[int, Tensor] = {}
        self.drafts: list[Draft] = []
        self._units: dict[object, int] = {}
        self._forward_marks: list[int] = []
        self._forward_places: list[Place] = []
        self._sums: list[int] = []
        self._modules = len(sys.modules)

    def begin(
        self, given: Iterable[Tensor], held: Mapping[Role, Iterable[Tensor]], packed: Mapping[int, Tensor] | None = None
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
        self.inputs = tuple(self.values.number(tensor) for tensor in inputs)

    def end_forward(self, output: object) -> None:
        """Note what the model returned."""
        with DisableTorchFunction():  # the recorder's function mode would take looking at a tensor for a call
            self.outputs = self.values.numbers(tensors_in(output))

    def continued(self, known: Collection[int], results: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Yield those known values that are part of a result as long in all dimensions but one, with that result."""
        wanted = set(results)
        for draft in self.drafts:
            made = next((value for value in draft.makes if value in wanted), None)
            if made is not None and draft.nature != "view":
                parts = (value for value in draft.reads if value in known)
                yield from ((part, made) for part in parts if self.values.is_longer(made, part))

    def end_state(self, before: Iterable[int], after: Iterable[int]) -> None:
        """Note which values a language model keeps from one token to the next."""
        self.state = State(tuple(dict.fromkeys(before)), tuple(dict.fromkeys(after)))
        self.storages.mark(self.values.storages_of((*self.state.before, *self.state.after)), "cache")
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
        reads = tuple([self.values.number(tensor) for tensor in read])
        position = self.storages.clock = len(self.drafts)  # reading may have added an alias
        place, unit = self._whose()
        results = tensors_in(output)
        makes = [self.values.make(tensor, position) for tensor in results]
        if op.written:
            written = tensors_among(named[name] for name in op.written if name in named)
            makes += self.values.write(written, {id(tensor) for tensor in results}, position)
        if self.workspace_of is not None:
            work = self.workspace_of(op.name, named, results)
            self.storages.work(work.bytes, position, exact=work.exact)
        arguments = {name: value for name, value in named.items() if _is_plain(value)}
        line = NO_LINE if self.lines is None or self.phase != "forward" else self.lines.here(inspect.currentframe())
        self.drafts.append(
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
        return len(self.drafts)

    def saved(self, tensor: Tensor) -> Tensor:
        """Note that autograd saves a tensor for backward; a hook for `saved_tensors_hooks`."""
        self.storages.save(tensor, self.where())
        return tensor

    def finish(self, row_of: Callable[[Call], int | None]) -> Tape:
        """Return the tape; `row_of` maps a call to its row, None if it has none of its own."""
        self._accumulate_in_place()
        again = set(self.again)
        operations = tuple(
            Operation(  # positional: in a third of the time
                d.op,
                d.unit,
                d.place.row(row_of),
                d.phase,
                d.macs,
                d.reads,
                d.makes,
                d.arguments,
                d.nature,
                d.place.call,
                at in again,
            )
            for at, d in enumerate(self.drafts)
        )
        storages = self.storages.finish(lambda place: place.row(row_of), lambda place: place.call)
        return Tape(operations, self.values.finish(), storages, self.inputs, self.outputs, self.state, self.source)

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
        writer = {value: draft for draft in self.drafts if draft.phase == "backward" for value in draft.makes}
        for position in self._sums:
            draft = self.drafts[position]
            target, made = self.values[draft.reads[0]], self.values[draft.makes[0]]
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
            self.again.append(len(self.drafts))
            return here, self._unit(len(self.drafts) if here.function is None else ("again", here.function))
        if self.phase == "forward":
            self._forward_marks.append(sequence_number())
            self._forward_places.append(here)
            return here, self._unit(len(self.drafts) if here.function is None else ("function", here.function))
        node = backward_node() if self.phase == "backward" else None
        if node is None:
            return _NOWHERE, self._unit(len(self.drafts))
        after = bisect_right(self._forward_marks, node[1])
        place = self._forward_places[after] if after < len(self._forward_places) else _NOWHERE
        return place, self._unit(node)

    def _unit(self, key: object) -> int:
        return self._units.setdefault(key, len(self._units))

    def _alias(self, reads: tuple[int, ...], value: int) -> None:
        """Note that a value is read again that was written to through other tensors; `reads` are what it comes from."""
        unit = self._unit(_ALIAS)
        self.drafts.append(Draft(_ALIAS, unit, self.where(), self.phase, 0, reads, (value,), {}, "view"))


def _is_plain(value: Any) -> bool:
    """Tell whether JSON can hold an argument unchanged: numbers, strings, and lists of them."""
    if isinstance(value, Tensor) or value is None:  # most arguments
        return False
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain_scalar, value))
    return _is_plain_scalar(value)


def _is_plain_scalar(value: Any) -> bool:
    return isinstance(value, (bool, int, str)) or (type(value) is float and isfinite(value))
