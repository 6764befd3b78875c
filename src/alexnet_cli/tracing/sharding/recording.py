"""Watches one rank's step: what the recorder of any run sees, and the collectives, and what memory is for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

import torch
from msgspec.structs import replace
from torch import Tensor, nn

from alexnet_cli.rank import CollectiveKind, Held, Pass, Sent
from alexnet_cli.tape import Phase, Role, Tape
from alexnet_cli.torch_insides import (
    distributed_classes,
    fsdp_collectives_told,
    local_tensor,
    own_modules,
    replaced,
    storages_resized,
)
from alexnet_cli.tracing.recording.calls import Call
from alexnet_cli.tracing.recording.conditions import recording_conditions
from alexnet_cli.tracing.recording.modes import OperatorMode
from alexnet_cli.tracing.recording.operators import Operator
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.taping import Place, TapeRecorder
from alexnet_cli.tracing.recording.tensors import tensors_in
from alexnet_cli.tracing.sharding.collectives import Group, is_in_place, kind_of, message_of

_WAITS = "_c10d_functional::wait_tensor"
_COPIES_IN, _COPIES_OUT, _CHUNKS = "fsdp::all_gather_copy_in", "fsdp::split_with_sizes_copy", "fsdp::chunk_cat"


class RankOperators(OperatorMode):  # type: ignore[no-untyped-call] # torch leaves the base untyped
    """Sees the operators of one rank: distributed tensors first turn theirs into those on the parts they hold."""

    apart: ClassVar[tuple[type, ...]] = ()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(issubclass(each, self.apart) for each in types):
            return NotImplemented
        return super().__torch_dispatch__(func, types, args, kwargs)


class RankTape(TapeRecorder):
    """A tape that also notes collectives, and what FSDP's and DDP's own memory is for.

    `unit` is the module whose parameters FSDP gathers or reduces just now.
    """

    def __init__(self, where: Callable[[], Place], groups: Mapping[str, Group]) -> None:
        super().__init__(where)
        self.groups = groups
        self.unit: nn.Module | None = None
        self._sent: list[tuple[Sent, Place]] = []
        self._uses: dict[int, Held] = {}
        self._passed: dict[int, Phase] = {}
        self._received: set[int] = set()
        self.micro_batches: list[Pass] = []
        self._owners: dict[int, Call] = {}

    def own(self, module: nn.Module, tensors: Iterable[Tensor]) -> None:
        """Note that some memory is there for a module: its weights, their gradients, their optimiser's state."""
        for tensor in tensors:
            self._owners.setdefault(self.storages.number(local_tensor(tensor)), _call_of(module))

    def begin(
        self, given: Iterable[Tensor], held: Mapping[Role, Iterable[Tensor]], packed: Mapping[int, Tensor] | None = None
    ) -> None:
        """Register what exists before the run: of distributed tensors the parts that this rank holds."""
        parts: dict[Role, Iterable[Tensor]] = {role: list(map(local_tensor, each)) for role, each in held.items()}
        super().begin(map(local_tensor, given), parts, packed)

    def passes(self, tensors: Iterable[Tensor], phase: Phase) -> None:
        """Note that stages pass these tensors to each other: activations in the forward, gradients in the backward."""
        for tensor in tensors:
            self._passed[self.storages.number(local_tensor(tensor))] = phase

    def begin_pass(self, phase: Phase, micro_batch: int, sort: str = "") -> None:
        """Note that a micro-batch runs forward or backward from here on, or what else a rank does for its parts."""
        self.phase = phase
        self.micro_batches.append(Pass(phase, micro_batch, len(self.drafts), sort))

    def receives_into(self, tensors: Iterable[Tensor]) -> None:
        """Note that some memory is there to receive into all along."""
        self.storages.register(tensors, "buffer")
        self._received.update(map(self.storages.number, tensors))

    def end_forward(self, output: object) -> None:
        """Note what the model returned."""
        super().end_forward(list(map(local_tensor, tensors_in(output))))

    def saved(self, tensor: Tensor) -> Tensor:
        """Note that autograd saves a tensor for backward."""
        super().saved(local_tensor(tensor))
        return tensor

    def saw(self, op: Operator, args: Any, kwargs: dict[str, Any], output: Any, macs: int | None) -> None:
        """Note that an operator ran, and the collective that it is."""
        position = len(self.drafts)
        super().saw(op, args, kwargs, output, macs)
        if "::" not in op.name or len(self.drafts) == position:
            return
        self._note_uses(op, args, kwargs, output)
        message = message_of(op, args, kwargs, output, self.groups)
        if message is not None:
            operation, phase = len(self.drafts) - 1, self._phase_of(message.kind, args)
            sent = Sent(operation, message.kind, *message.group, message.bytes, None, phase)
            self._sent.append((sent, self.drafts[-1].place))

    def _phase_of(self, kind: CollectiveKind, args: Any) -> Phase:
        if kind not in ("send", "recv"):
            return self.phase
        numbers = (self.storages.number(tensor) for tensor in tensors_in(args))
        return next((self._passed[number] for number in numbers if number in self._passed), self.phase)

    def finish(self, row_of: Callable[[Call], int | None]) -> Tape:
        """Return the tape; what a collective made is, once it has been waited for, the same memory."""
        for position, draft in enumerate(self.drafts):
            if draft.op == _WAITS and draft.reads and draft.makes:
                old, new = (self.values[each[0]].storage for each in (draft.reads, draft.makes))
                self.storages.go_on(old, new, position)
        return super().finish(row_of)

    def _note_uses(self, op: Operator, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        if op.name == _COPIES_OUT:
            self._use("gathered", kwargs.get("out", ()))
        elif op.name == _CHUNKS:
            self._use("gradients", args[:1])
            self._use("communication", kwargs.get("out", ()))
        elif op.name == _COPIES_IN or (kind_of(op.name) not in (None, "send") and is_in_place(op.name)):
            self._use("communication", (args, kwargs, output))  # what a stage sends is what its last layer made

    def _use(self, use: Held, among: object) -> None:
        for tensor in tensors_in(among):
            number = self.storages.number(tensor)
            self._uses.setdefault(number, use)
            if self.unit is not None:
                self._owners.setdefault(number, _call_of(self.unit))

    def _whose(self) -> tuple[Place, int]:
        """Return the current place: FSDP's unit, or that of any tape."""
        if self.unit is not None:
            return Place(_call_of(self.unit), None, None), self._unit(("unit", len(self.drafts)))
        return super()._whose()

    def sent(self, row_of: Callable[[Call], int | None]) -> tuple[Sent, ...]:
        """Return the collectives with their rows."""
        return tuple(replace(sent, row=place.row(row_of)) for sent, place in self._sent)

    def uses(self) -> dict[int, Held]:
        """Return what storages are for that are neither the model's nor the optimiser's, by number."""
        return {**self._uses, **dict.fromkeys(self._received, "communication")}

    def owners(self, row_of: Callable[[Call], int | None], model: nn.Module) -> dict[int, int | None]:
        """Return the rows that storages belong to, by number.

        A module that is not called has no row, as the projection that torch's attention reads itself: its holder has.
        """
        holders = {id(each): holder for holder in model.modules() for each in own_modules(holder).values()}

        def row(call: Call) -> int | None:
            found, holder = row_of(call), holders.get(id(call.module))
            return row(_call_of(holder)) if found is None and holder is not None else found

        return {number: row(call) for number, call in self._owners.items()}


class RankRecorder(Recorder):
    """Records one rank's step. `units` are the modules that FSDP shards as one, by the id of each module in them.

    `watching` is the one that watches just now, `roots` are the calls that no other call made.
    """

    operator_mode = RankOperators
    watching: ClassVar[RankRecorder | None] = None

    def __init__(
        self, device: torch.device, model: nn.Module, groups: Mapping[str, Group], units: Mapping[int, nn.Module]
    ) -> None:
        self.groups = groups
        self.units = units
        self.roots: list[Call] = []
        super().__init__(device, model, taping=True)
        RankOperators.apart = distributed_classes()

    def _enter(self, call: Call) -> None:
        if not self._stack:
            self.roots.append(call)
        super()._enter(call)

    def _taping(self) -> RankTape:
        return RankTape(self._where, self.groups)

    @property
    def rank_tape(self) -> RankTape:
        """The tape of the rank."""
        assert isinstance(self.tape, RankTape)  # noqa: S101 - for the type checker
        return self.tape

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Watch everything that runs inside, and when FSDP frees and gathers weights."""
        storages = self.rank_tape.storages
        told = fsdp_collectives_told(self._for_unit)
        with storages_resized(storages.resized), told, super().recording(), replaced(RankRecorder, watching=self):
            yield

    @contextmanager
    def settling(self) -> Iterator[None]:
        """Run a first step inside as it is when it is watched, unseen."""
        with recording_conditions(self.device, as_on_cpu=self.as_on_cpu):
            yield

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Run what the engine adds to a module: its operators are the module's, not functions that its code calls."""
        self._functions += 1  # no part of the function that ran before
        with replaced(self, _current=self._stack[-1] if self._stack else None, _in_function=True):
            yield

    @contextmanager
    def _for_unit(self, modules: Sequence[nn.Module]) -> Iterator[None]:
        unit = self.units.get(id(modules[0])) if modules else None
        with replaced(self.rank_tape, unit=unit), self.aside():
            yield


@contextmanager
def aside() -> Iterator[None]:
    """Run what parallelism adds to a module: if a recorder watches, its operators are the module's."""
    watching = RankRecorder.watching
    with nullcontext() if watching is None else watching.aside():
        yield


def _call_of(module: nn.Module) -> Call:
    """Return a call that stands for a module: it has the row of the module's first call."""
    return Call(module, type(module).__name__, 0)
