"""A rank's step that was traced with some of many equal blocks, unfolded to all of them.

Where blocks are alike, each does what the one before did, one block further: its operators read what belongs to as many
blocks before or after it, and free what they hold as many blocks later. `unfolded` puts a step's operators in passes
(forward, backward, update), cuts each pass where a block begins, and describes all that a part refers to relative to
its block. Blocks in the middle must then be described equally; one of them is repeated for those that were left out.
What does not follow that rule is `IrregularError`, and has to be traced in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec.structs import replace

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.sharding.anchors import Anchors, IrregularError, Ref
from alexnet_cli.analyses.sharding.unfolded_rows import more_rows
from alexnet_cli.rank import Rank, Repeated, Sent
from alexnet_cli.tape import Operation, Storage, Value

__all__ = ["IrregularError", "Repeated", "unfolded"]

T = TypeVar("T")


def unfolded(rank: Rank, blocks: Repeated) -> Rank:
    """Return the step of a rank with `blocks.left_out` more blocks, as if they had been traced.

    Positions in the tape are those of the whole step; values and storages are numbered in another order. The totals of
    the report stay those of the blocks that were traced.

    Raises:
        IrregularError: the blocks do not follow one another in one way.
    """
    anchors = Anchors(rank, blocks)
    for block in anchors.repeatable():  # what the others refer to may be too near to the ends
        with suppress(IrregularError):
            return _Unfolding(rank, anchors, block).rank()
    raise IrregularError


@dataclass
class _Pool:
    """What an unfolded step has of one sort, made when it is first referred to."""

    keys: Sequence[Ref]
    at: Callable[[int | None], tuple[int | None, int]]
    make: Callable[[int, int], Any]

    def __post_init__(self) -> None:
        self.templates = {key: number for number, key in enumerate(self.keys)}
        self.made: list[Any] = []
        self.template_of: list[tuple[int, int]] = []
        self._numbers: dict[Ref, int] = {}

    def number(self, key: Ref) -> int:
        """Return the number in the unfolded step of what an anchor names in a block."""
        known = self._numbers.get(key)
        if known is not None:
            return known
        before, shift = self.at(key[1])
        template = self.templates.get((key[0], before))
        if template is None:
            raise IrregularError
        number = self._numbers[key] = len(self.made)
        self.made.append(None)
        self.template_of.append((template, shift))
        self.made[number] = self.make(template, shift)
        return number


class _Unfolding:
    """Unfolds a step; `cut` is the block that is repeated, `more` how often."""

    def __init__(self, rank: Rank, anchors: Anchors, cut: int) -> None:
        self.old, self.anchors, self.tape = rank, anchors, tape_of(rank.report)
        self.cut, self.more = cut, anchors.blocks.left_out
        self.order = list(self._order())
        self.positions = {
            (name, None if block is None else block + shift): new
            for new, (at, shift) in enumerate(self.order)
            for name, block in [anchors.operations[at]]
        }
        self.positions[anchors.end] = len(self.order)
        self.layers = more_rows(anchors, self.cut, self.more)
        self.rows = {key: number for number, (key, _) in enumerate(self.layers)}
        self.storages = _Pool(anchors.storages, self._template, self._storage)
        self.values = _Pool(anchors.values, self._template, self._value)
        self.units = _Pool(anchors.units, self._template, lambda *_: None)

    def rank(self) -> Rank:
        """Return the rank with all blocks."""
        operations = tuple(self._operation(at, shift) for at, shift in self.order)
        for key in self._every(self.anchors.storages):
            self.storages.number(key)
        inputs, outputs = (
            tuple(self._list([self.anchors.values[value] for value in each]))
            for each in (self.tape.inputs, self.tape.outputs)
        )
        tape = replace(
            self.tape,
            operations=operations,
            values=tuple(self.values.made),
            storages=tuple(self.storages.made),
            inputs=inputs,
            outputs=outputs,
        )
        again = set(self.old.again)
        owners = self.anchors.owners
        return replace(
            self.old,
            report=replace(self.old.report, layers=tuple(layer for _, layer in self.layers), tape=tape),
            sent=tuple(self._sent()),
            held=tuple(self.old.held[at] for at, _ in self.storages.template_of),
            owners=tuple(
                self._row(owners[at], self.anchors.storages[at][1], shift) for at, shift in self.storages.template_of
            ),
            again=tuple(new for new, (at, _) in enumerate(self.order) if at in again),
        )

    def _template(self, block: int | None) -> tuple[int | None, int]:
        """Return the block that was traced for a block, and how many blocks further on that is."""
        if block is None or block <= self.cut:
            return block, 0
        before = max(self.cut, block - self.more)
        return before, block - before

    def _every(self, keys: Sequence[Ref]) -> Iterator[Ref]:
        for anchor, block in keys:
            if block is None or block < self.cut:
                yield anchor, block
            elif block > self.cut:
                yield anchor, block + self.more
            else:
                yield from ((anchor, block + further) for further in range(self.more + 1))

    def _order(self) -> Iterator[tuple[int, int]]:
        """Yield the operations in their new order: the position that each had, and how many blocks it is shifted."""
        repeated = {part.start: part for part in self.anchors.parts(self.cut)}
        at = 0
        while at < len(self.tape.operations):
            part = repeated.get(at)
            if part is None:
                block = self.anchors.operations[at][1]
                yield at, self.more if block is not None and block > self.cut else 0
                at += 1
                continue
            copies = range(self.more + 1)
            for shift in reversed(copies) if part.step < 0 else copies:
                yield from ((each, shift) for each in range(part.start, part.stop))
            at = part.stop

    def _ref(self, target: Ref, block: int | None, shift: int) -> Ref:
        """Return what something of a block, which is shifted, refers to."""
        anchor, there = target
        if there is None:
            return target
        if block is not None and not self._spans_all(block, there):
            return anchor, there + shift
        if there == self.cut:
            raise IrregularError
        return anchor, there + (self.more if there > self.cut else 0)

    def _spans_all(self, block: int, there: int) -> bool:
        """Tell whether a reference goes from one end of the blocks to the other, as the last update after the first.

        Raises:
            IrregularError: it reaches over the middle, and not among blocks that are known to be alike.
        """
        ends = {block, there} - self.anchors.alike
        if not ends or (block <= self.cut) is (there <= self.cut):
            return False
        if len(ends) == 1:
            raise IrregularError
        return True

    def _row(self, key: Ref | None, block: int | None, shift: int) -> int | None:
        return None if key is None else self.rows[self._ref(key, block, shift)]

    def _operation(self, at: int, shift: int) -> Operation:
        old, block = self.tape.operations[at], self.anchors.operations[at][1]
        reads, makes = ([self.anchors.seen(value, block) for value in each] for each in (old.reads, old.makes))
        if block is None:
            read, made = self._list(reads), self._list(makes)
        else:
            read, made = ([self.values.number(self._ref(key, block, shift)) for key in each] for each in (reads, makes))
        return replace(
            old,
            unit=self.units.number(self._ref(self.anchors.units[old.unit], block, shift)),
            row=self._row(self.anchors.rows_of[at], block, shift),
            reads=tuple(read),
            makes=tuple(made),
            arguments=_lengthened(old, len(made)),
        )

    def _list(self, keys: Sequence[Ref]) -> list[int]:
        """Return what an operator outside of blocks refers to: of those in lists, all blocks' parts."""
        found: list[int] = []
        at = 0
        while at < len(keys):
            if keys[at][1] != self.cut:
                found.append(self.values.number(self._ref(keys[at], None, 0)))
                at += 1
                continue
            stop = next((end for end in range(at, len(keys)) if keys[end][1] != self.cut), len(keys))
            own = [anchor for anchor, _ in keys[at:stop]]
            before, after = keys[max(0, at - len(own)) : at], keys[stop : stop + len(own)]
            step = self._step(own, before, after)
            copies = range(self.cut, self.cut + self.more + 1)
            for block in reversed(copies) if step < 0 else copies:
                found += [self.values.number((anchor, block)) for anchor in own]
            at = stop
        return found

    def _step(self, own: Sequence[object], before: Sequence[Ref], after: Sequence[Ref]) -> int:
        """Return 1 if a list goes from block to block up, -1 if it goes down."""
        for step in (1, -1):
            blocks = self.cut - step, self.cut + step
            if [[*before], [*after]] == [[(each, block) for each in own] for block in blocks]:
                return step
        raise IrregularError

    def _value(self, template: int, shift: int) -> Value:
        old, block = self.tape.values[template], self.anchors.values[template][1]
        return replace(old, storage=self.storages.number(self._ref(self.anchors.storages[old.storage], block, shift)))

    def _storage(self, template: int, shift: int) -> Storage:
        old, block = self.tape.storages[template], self.anchors.storages[template][1]
        died = None if old.died is None else self.positions[self._ref(self.anchors.moment(old.died), block, shift)]
        born = old.born
        if born >= 0:
            maker = self.anchors.moment(born)
            born = self.positions[maker if maker[1] is None else self._ref(maker, block, shift)]
        saved = self._row(self.anchors.row(old.saved_by), block, shift)
        return replace(old, born=born, died=died, saved_by=saved)

    def _sent(self) -> Iterator[Sent]:
        by_operation = {sent.operation: sent for sent in self.old.sent}
        for new, (at, shift) in enumerate(self.order):
            sent = by_operation.get(at)
            if sent is not None:
                row = self._row(self.anchors.row(sent.row), self.anchors.operations[at][1], shift)
                yield replace(sent, operation=new, row=row)


def _lengthened(old: Operation, number: int) -> dict[str, Any]:
    """Return an operator's arguments, lists of one number for each tensor as long as they are then."""
    return {
        name: value[:1] * number
        if isinstance(value, (list, tuple)) and len(value) == len(old.makes) != number and len(set(value)) == 1
        else value
        for name, value in old.arguments.items()
    }
