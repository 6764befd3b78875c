"""Which value of the tape is the output of a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from alexnet_cli.report import Layer
from alexnet_cli.tape import Operation, Shape, Tape


class RowValues:
    """Finds the values that rows put out."""

    def __init__(self, tape: Tape, layers: Sequence[Layer]) -> None:
        self._tape = tape
        self._layers = layers
        self._forward = [operation for operation in tape.operations if operation.phase == "forward"]
        self._of_row = _by_row(self._forward)
        self._last_read = {value: at for at, done in enumerate(self._forward) for value in done.reads}
        self._made = {value: at for at, done in enumerate(self._forward) for value in reversed(done.makes)}

    def of(self, first: int, end: int) -> tuple[int, ...]:
        """Return the value that the rows from `first` to before `end` put out: the first of the first row's outputs.

        A row that ran no operator put out what it was given. Which value that is, is not on the tape: all are
        returned that it may be.
        """
        shapes = self._layers[first].output_shapes
        if not shapes:
            return ()
        done = sorted(at for row in range(first, end) for at in self._of_row.get(row, ()))
        if not done:
            return tuple(self._given(first, shapes[0]))
        for at in reversed(done):
            for value in self._forward[at].makes:
                if self._tape.values[value].shape == shapes[0]:
                    return (value,)
        return ()

    def _given(self, row: int, shape: Shape) -> Iterator[int]:
        """Yield the values of a shape that were there when a row ran and were read after it."""
        now = 1 + max((at for other, places in self._of_row.items() if other < row for at in places), default=-1)
        replaced = {
            value
            for done in self._forward[:now]
            if done.op.endswith("_")
            for value in done.reads[:1]
            if self._tape.values[value].shape == self._tape.values[done.makes[0]].shape
        }
        for value in dict.fromkeys((*self._tape.inputs, *self._made, *self._last_read)):
            died = self._tape.storages[self._tape.values[value].storage].died
            is_there = self._made.get(value, -1) < now and (died is None or died >= now) and value not in replaced
            is_used = self._last_read.get(value, -1) >= now or value in self._tape.outputs
            if is_there and is_used and self._tape.values[value].shape == shape:
                yield value


def _by_row(operations: Sequence[Operation]) -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = {}
    for at, done in enumerate(operations):
        if done.row is not None:
            found.setdefault(done.row, []).append(at)
    return found
