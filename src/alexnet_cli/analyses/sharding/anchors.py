"""What each operator, value and storage of a rank's step is called relative to the block that it belongs to."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property
from itertools import pairwise
from typing import Any

from msgspec import Struct

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.rank import Rank, Repeated
from alexnet_cli.tape import Phase

Ref = tuple[Any, int | None]
"""A name that is the same in each block, and the number of the block; None outside of blocks."""

_PHASES: tuple[Phase, ...] = ("forward", "backward", "optimizer")
_ALIASES: Ref = (("aliases",), None)
"""All re-reads of memory that was written to through another tensor are one unit, which no kernel runs."""

_LEAST = 3
"""So many blocks in a row must do the same, each what the one before did."""


class IrregularError(Exception):
    """Blocks do not do the same, each one block further than the one before."""


class Part(Struct, frozen=True):
    """The operations of a block in a pass, from `start` to before `stop`; `step` -1 where the last block is first."""

    block: int
    start: int
    stop: int
    step: int


class Anchors:
    """Names all that a step consists of. Each list goes with the tape's, `rows` with the report's layers.

    `alike` are the blocks in the middle that do the same.

    Raises:
        IrregularError: a pass does not go through the blocks one by one.
    """

    def __init__(self, rank: Rank, blocks: Repeated) -> None:
        self.rank, self.blocks, self.tape = rank, blocks, tape_of(rank.report)
        self.rows = self._named_rows()
        self.rows_of = [self.row(operation.row) for operation in self.tape.operations]
        self.owners = [self.row(owner) for owner in rank.owners]
        self.passes = [self._pass(phase, span) for phase in _PHASES for span in self._spans(phase)]
        self.end: Ref = (("end",), None)
        self.operations: list[Ref] = [(("alone", at), None) for at in range(len(self.tape.operations))]
        for number, parts in enumerate(self.passes):
            for part in parts:
                for at in range(part.start, part.stop):
                    self.operations[at] = (("in", number, at - part.start), part.block)
        self.storages = self._named_storages()
        self.values = self._named_values()
        self._known = set(self.values)
        self.units = self._named_units()
        self.alike: set[int] = set()

    def row(self, number: int | None) -> Ref | None:
        """Return the name of a row."""
        return None if number is None else self.rows[number]

    def seen(self, value: int, block: int | None) -> Ref:
        """Return the name of a value for an operation of a block.

        Blocks make equal views of what is there for all of them, of which the tape takes the last for each.
        """
        name, where = self.values[value]
        shared = where is not None and self.storages[self.tape.values[value].storage][1] is None
        own = (name, block)
        return own if shared and block is not None and own in self._known else (name, where)

    def moment(self, position: int) -> Ref:
        """Return the name of an operation, or of the end of the step."""
        return self.operations[position] if position < len(self.operations) else self.end

    def parts(self, block: int) -> list[Part]:
        """Return what a block does in each pass."""
        return [part for parts in self.passes for part in parts if part.block == block]

    def repeatable(self) -> list[int]:
        """Return the longest run of blocks that do the same without its ends, those in the middle first.

        Raises:
            IrregularError: there are too few in a row.
        """
        looks = {block: self._looks(block) for block in range(self.blocks.first, self.blocks.first + self.blocks.kept)}
        runs: list[list[int]] = [[]]
        for block, look in looks.items():
            if runs[-1] and look != looks[runs[-1][-1]]:
                runs.append([])
            runs[-1].append(block)
        longest = max(runs, key=len)
        if len(longest) < _LEAST:
            raise IrregularError
        self.alike = set(longest)
        middle = (longest[0] + longest[-1]) / 2
        return sorted(longest[1:-1], key=lambda block: abs(block - middle))

    def _named_rows(self) -> list[Ref]:
        seen: Counter[tuple[str, int | None]] = Counter()
        found: list[Ref] = []
        for layer in self.rank.report.layers:
            pattern, block = self.blocks.pattern(layer.path), self.blocks.block(layer.path)
            found.append((("row", pattern, seen[pattern, block]), block))
            seen[pattern, block] += 1
        return found

    def _spans(self, phase: Phase) -> list[list[int]]:
        """Return the operations of a phase; an update that goes through the parameters several times is cut there."""
        span = [at for at, operation in enumerate(self.tape.operations) if operation.phase == phase]
        if phase != "optimizer":
            return [span]
        spans: list[list[int]] = [[]]
        last = -1
        for at in span:
            block = self._block_of(at)
            if block is not None and block < last:
                spans.append([])
            last = last if block is None else block
            spans[-1].append(at)
        return spans

    def _pass(self, phase: Phase, span: list[int]) -> list[Part]:
        """Cut a pass where each block begins: at the first operation that is for it or reads what it keeps."""
        starts: dict[int, int] = {}
        for at in span:
            block = self._block_of(at)
            if block is not None:
                starts.setdefault(block, at)
        if not starts:
            return []
        order = sorted(starts, key=starts.__getitem__)
        count = len({block for _, block in self.rows if block is not None})
        if span[-1] - span[0] != len(span) - 1 or sorted(order) != list(range(count)) or count < _LEAST:
            raise IrregularError
        step = order[1] - order[0]
        if any(later - earlier != step for earlier, later in pairwise(order)) or abs(step) != 1:
            raise IrregularError
        last = span[-1]
        if phase == "optimizer":  # what follows updates lists of all
            last = max(at for at in span if self._block_of(at) == order[-1])
        ends = [*(starts[block] for block in order[1:]), last + 1]
        return [Part(block, starts[block], end, step) for block, end in zip(order, ends, strict=True)]

    def _block_of(self, at: int) -> int | None:
        """Return the block that an operation is for; an update for the one whose parameters it reads."""
        operation = self.tape.operations[at]
        if operation.phase != "optimizer":
            row = self.rows_of[at]
            return None if row is None else row[1]
        owners = (self.owners[self.tape.values[value].storage] for value in operation.reads)
        read = {owner[1] for owner in owners if owner is not None} - {None}
        return read.pop() if len(read) == 1 else None

    def _named_storages(self) -> list[Ref]:
        seen: Counter[Ref] = Counter()
        makers = self._makers()
        found: list[Ref] = []
        for number, storage in enumerate(self.tape.storages):
            if storage.born < 0:
                owner = self.owners[number]
                what, block = ("kept", self.rank.held[number], storage.role, owner and owner[0]), owner and owner[1]
            else:
                what, block = self.moment(storage.born)
                if block is None and number in makers and makers[number] < number:
                    block = found[makers[number]][1]  # made of a list, as that which it was made of
            name = ("memory", *what)
            found.append(((*name, seen[name, block]), block))
            seen[name, block] += 1
        return found

    def _makers(self) -> dict[int, int]:
        """Return what each storage that an operator on lists makes was made of: the tensor at the same place."""
        made: dict[int, int] = {}
        for operation in self.tape.operations:
            if operation.op.startswith("_foreach") and len(operation.makes) <= len(operation.reads):
                for new, old in zip(operation.makes, operation.reads, strict=False):
                    made.setdefault(self.tape.values[new].storage, self.tape.values[old].storage)
        return made

    def _named_values(self) -> list[Ref]:
        """Name each value by the first operation that has it, and its place there."""
        found: list[Ref | None] = [None] * len(self.tape.values)
        for value in self.tape.inputs:
            found[value] = (("given", value), None)
        for at, operation in enumerate(self.tape.operations):
            name, block = self.operations[at]
            seen: Counter[int | None] = Counter()
            for value in (*operation.reads, *operation.makes):
                if found[value] is None:
                    label = self.storages[self.tape.values[value].storage][1] if block is None else block
                    found[value] = (("value", *name, seen[label]), label)
                    seen[label] += 1
        return [each or (("left", value), None) for value, each in enumerate(found)]

    def _named_units(self) -> list[Ref]:
        first: dict[int, Ref] = {}
        for at, operation in enumerate(self.tape.operations):
            first.setdefault(operation.unit, _ALIASES if operation.op == "alias" else self.operations[at])
        return [first.get(unit, (("none", unit), None)) for unit in range(max(first, default=-1) + 1)]

    def _looks(self, block: int) -> object:
        """Describe all that a block does and keeps relative to it."""

        def near(ref: Ref | None) -> object:
            return ref if ref is None or ref[1] is None else (ref[0], ref[1] - block)

        again, sent = set(self.rank.again), {each.operation: each for each in self.rank.sent}

        def storage(number: int) -> object:
            each, name = self.tape.storages[number], self.storages[number]
            if name[1] is None:
                return name
            ends = None if each.died is None else near(self.moment(each.died))
            saved, owner = near(self.row(each.saved_by)), near(self.owners[number])
            return near(name), each.bytes, each.role, ends, saved, self.rank.held[number], owner

        def value(number: int) -> object:
            each = self.tape.values[number]
            return near(self.seen(number, block)), each.shape, each.dtype, each.bytes, storage(each.storage)

        def operation(at: int) -> object:
            each, message = self.tape.operations[at], sent.get(at)
            told = message and (message.kind, message.group, message.bytes, near(self.row(message.row)), message.phase)
            values = tuple(map(value, each.reads)), tuple(map(value, each.makes))
            how = each.op, each.macs, each.nature, repr(each.arguments), at in again, told
            return how, near(self.rows_of[at]), near(self.units[each.unit]), values

        did = [operation(at) for part in self.parts(block) for at in range(part.start, part.stop)]
        rows = [
            (key[0], layer.type, layer.params, layer.input_shapes, layer.output_shapes)
            for key, layer in zip(self.rows, self.rank.report.layers, strict=True)
            if key[1] == block
        ]
        return did, rows, sorted(map(repr, map(storage, self._by_block[block])))

    @cached_property
    def _by_block(self) -> dict[int | None, list[int]]:
        found: dict[int | None, list[int]] = defaultdict(list)
        for number, (_, block) in enumerate(self.storages):
            found[block].append(number)
        return found
