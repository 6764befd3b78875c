"""The tape of a graph: what a run would do, operator by operator, and how long each value would be needed."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from alexnet_cli.tape import Operation, Role, Storage, Tape, Value
from alexnet_cli.targets.onnx.held import Held
from alexnet_cli.targets.onnx.parts import Part
from alexnet_cli.targets.onnx.walk import Ran, Walk


def tape_of(walk: Walk, held: Mapping[int, Held], positions: Mapping[Part, int]) -> Tape | None:
    """Return the tape; None if the shape of a value is not known.

    Memory is freed after the last operator that reads it. Views share the memory of what they show. What is a branch's
    is only told as an operator whose MACs are unknown.
    """
    taping = _Taping(walk, held)
    for one in walk.ran:
        if not taping.add(one, positions[one.part]):
            return None
    return taping.finish()


class _Taping:
    def __init__(self, walk: Walk, held: Mapping[int, Held]) -> None:
        self.walk = walk
        self.held = held
        self.operations: list[Operation] = []
        self.values: list[Value] = []
        self.storages: list[Storage] = []
        self.numbers: dict[int, int] = {}
        self.units: dict[object, int] = {}
        for number in (*walk.inputs, *held):
            role: Role = "input" if number not in held else held[number].role
            self._value(number, None, role, born=-1)

    def add(self, one: Ran, row: int) -> bool:
        """Append an operator; return False if the size of what it reads or makes is not known."""
        op, arguments, nature, places = one.as_torch
        unit = self._unit(one)
        if not one.certain:
            if one.macs != 0:
                self.operations.append(Operation(op, unit, row, macs=None))
            return True
        read = [number for place in places if (number := one.reads[place]) is not None]
        made = [number for number in one.makes if number is not None]
        reads = [self._value(number, None, "activation", len(self.operations)) for number in read]
        shows = reads[0] if nature == "view" and reads else None
        makes = [self._value(number, shows, "activation", len(self.operations)) for number in made]
        if None in reads or None in makes:
            return False
        known = (
            tuple(value for value in reads if value is not None),
            tuple(value for value in makes if value is not None),
        )
        self.operations.append(Operation(op, unit, row, "forward", one.macs, *known, arguments, nature))
        return True

    def finish(self) -> Tape | None:
        """Return the tape, with the time that each storage is freed."""
        inputs = [self.numbers.get(number) for number in self.walk.inputs]
        outputs = [self.numbers.get(number) for number in self.walk.outputs if not self.walk.slots[number].is_size]
        if None in inputs or None in outputs:
            return None
        given, results = ([value for value in found if value is not None] for found in (inputs, outputs))
        kept = {self.values[value].storage for value in results}
        last: dict[int, int] = {}
        for position, operation in enumerate(self.operations):
            for value in (*operation.reads, *operation.makes):
                last[self.values[value].storage] = position
        for number, storage in enumerate(self.storages):
            if storage.role == "activation" and number not in kept and last.get(number, -1) + 1 < len(self.operations):
                self.storages[number] = replace(storage, died=last.get(number, storage.born) + 1)
        return Tape(tuple(self.operations), tuple(self.values), tuple(self.storages), tuple(given), tuple(results))

    def _unit(self, one: Ran) -> int:
        """Number the calls: nodes that one function of the Python model became can be one kernel."""
        key = (id(one.part), one.node.call) if one.node.call and one.certain else (len(self.units), "")
        return self.units.setdefault(key, len(self.units))

    def _value(self, number: int, shows: int | None, role: Role, born: int) -> int | None:
        """Return the number of a value on the tape; it is in memory of its own, unless it `shows` another's."""
        if number in self.numbers:
            return self.numbers[number]
        known = self.walk.slots[number].known
        if known.shape is None or known.bytes is None:
            return None
        size = known.bytes
        if shows is None:
            storage = len(self.storages)
            self.storages.append(Storage(size, role, born))
        else:
            storage, size = self.values[shows].storage, min(size, self.values[shows].bytes)
        self.numbers[number] = len(self.values)
        self.values.append(Value(known.shape, known.dtype, storage, size))
        return self.numbers[number]
