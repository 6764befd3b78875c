"""What each block of a chain adds to the memory of a traced step, and what it does twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from msgspec import Struct

from alexnet_cli.analyses.fitting.chain import Block, owners
from alexnet_cli.analyses.memory import live_bytes, tape_of
from alexnet_cli.analyses.traffic import turns_of
from alexnet_cli.report import Report
from alexnet_cli.tape import Tape

Choice = tuple[bool, ...]
"""For each block of a chain whether it is run again."""


class Level(Struct, frozen=True):
    """What a block adds to the memory, in bytes, beyond what the blocks before it keep.

    `kept` is live once its forward is over, `peak` the most that is live while it runs, or while its gradients do.
    """

    kept: int
    peak: int


class Levels(Struct, frozen=True):
    """The levels of each block of a step; `tail` is the peak between the last block's forward and its backward.

    `fixed` is the peak before the first block and after the last gradient of one, whatever is run again. A block is
    `safe` to run again unless something writes to what it has read.
    """

    parts: tuple[Level, ...]
    tail: int
    fixed: int
    safe: tuple[bool, ...]


def levels(report: Report, chain: Sequence[Block]) -> Levels:
    """Return what each block of a chain adds to the memory of a step.

    The live memory is cut at the block's first operation in the forward, and in the backward where gradients leave the
    block for those before it.
    """
    tape = tape_of(report)
    live = _Live(tape)
    owner = owners(report, chain)
    forward, backward = _firsts(tape, owner, len(chain))
    base = live.before(forward[0])
    kept = [live.before(at) - base for at in forward]
    parts = []
    for at in range(len(chain)):
        most = max(live.most(forward[at], forward[at + 1]), live.most(backward[at], backward[at - 1]))
        parts.append(Level(kept[at + 1] - kept[at], most - kept[at]))
    tail = live.most(forward[-1], backward[len(chain) - 1]) - kept[-1]
    begin = turns_of(tape.operations).index(max(turns_of(tape.operations)))  # earlier ones hold no more
    fixed = max(live.most(begin, forward[0]), live.most(backward[-1], len(tape.operations)))
    return Levels(tuple(parts), tail, fixed, _safe(tape, owner, forward, len(chain)))


class _Live:
    """The live bytes of a step, during each operation and between them."""

    def __init__(self, tape: Tape) -> None:
        self._during = live_bytes(tape.storages, len(tape.operations))
        self._new: Counter[int] = Counter()
        for storage in tape.storages:
            self._new[storage.born] += storage.bytes

    def before(self, at: int) -> int:
        """Return what is live once all operations before `at` are over."""
        return self._during[at + 1] - self._new[at]

    def most(self, start: int, stop: int) -> int:
        """Return the most that is live during the operations from `start` to before `stop`; at least what was there."""
        return max(self._during[start + 1 : stop + 1], default=self._during[start])


def _firsts(tape: Tape, owner: dict[int, int], count: int) -> tuple[list[int], list[int]]:
    """Return where the forward of each block begins, and where the last ends; and where each one's backward begins.

    The last of the latter is where the backward of the first block ends. A block's backward begins with the first
    operation that is its own or that of a block before it. Of several micro-batches it is the last.
    """
    forward: list[int | None] = [None] * count
    backward: list[int | None] = [None] * count
    turns = turns_of(tape.operations)
    end = stop = 0
    for position, operation in enumerate(tape.operations):
        block = None if operation.row is None else owner.get(operation.row)
        if block is None or turns[position] != turns[-1]:
            continue
        if operation.phase == "forward":
            end = position + 1
            forward[block] = position if forward[block] is None else forward[block]
        elif operation.phase == "backward":
            stop = position + 1
            backward[block] = position if backward[block] is None else backward[block]
    stop = stop or end
    begins = list(_filled(reversed(forward), end))
    return [*reversed(begins), end], [*_filled(backward, stop), stop]


def _filled(begins: Iterable[int | None], end: int) -> Iterator[int]:
    """Let each begin no later than all before it do; one that has no operation begins with the last of them."""
    return accumulate((end if at is None else at for at in begins), min)


def _safe(tape: Tape, owner: dict[int, int], forward: Sequence[int], count: int) -> tuple[bool, ...]:
    """Tell which blocks may be run again: those of which nothing writes to what they read that was there before."""
    readers: dict[int, set[int]] = defaultdict(set)
    unsafe: set[int] = set()
    for operation in tape.operations:
        if operation.phase != "forward":
            continue
        block = None if operation.row is None else owner.get(operation.row)
        read = {tape.values[value].storage for value in operation.reads}
        if block is not None:
            for at in read:
                if tape.storages[at].born < forward[block]:
                    readers[at].add(block)
        if operation.nature != "view":
            written = read & {tape.values[value].storage for value in operation.makes}
            for at in written:
                if tape.storages[at].role in ("activation", "input"):
                    unsafe |= readers[at]
    return tuple(at not in unsafe for at in range(count))
