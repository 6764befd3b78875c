"""What a prompt or a token must move at least, and what the code moves.

At least: each weight that is used once, each cached element once, what is new in the cache, and the model's inputs and
outputs; all else could stay on the chip. `torch.cat` copies a whole cache to add a token to it: what the code moves,
kernel by kernel, counts that.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from msgspec import Struct

from alexnet_cli.analyses.traffic import Unit, reads_of, writes_of
from alexnet_cli.tape import Role, State, Tape


class Moved(Struct, frozen=True):
    """Bytes by the role of the memory: `parameter`, `buffer`, `cache`, `input`, `activation`."""

    read: dict[Role, int]
    written: dict[Role, int]


class Least(Struct, frozen=True):
    """The bytes of the batch that must be moved beside the weights."""

    cache_read: int
    cache_written: int
    inputs_read: int
    outputs_written: int

    @property
    def total(self) -> int:
        """The sum."""
        return self.cache_read + self.cache_written + self.inputs_read + self.outputs_written


def moved(done: Iterable[Unit]) -> Moved:
    """Return what the code moves, each call of a torch function a kernel that reads its inputs from memory once."""
    read: Counter[Role] = Counter()
    written: Counter[Role] = Counter()
    for unit in done:
        read.update(unit.read)
        written.update(unit.written)
    return Moved(dict(read), dict(written))


def least(tape: Tape, state: State) -> Least:
    """Return what must be moved beside the weights.

    Of a cache no more is read than was there before, and no more is written than what is there afterwards.
    """
    values = tape.values
    read: dict[int, dict[int, int]] = defaultdict(dict)
    new: Counter[int] = Counter()
    kept = {at for at, storage in enumerate(tape.storages) if storage.role == "cache" and storage.born < 0}
    given = {values[value].storage for value in tape.inputs}
    for operation in tape.operations:
        for value, size in reads_of(operation, values):
            read[values[value].storage][value] = size
        cached = (value for value in operation.reads if values[value].storage in kept)
        before = sum(values[value].bytes for value in cached)
        for value, size in writes_of(operation, values):
            number = values[value].storage
            if tape.storages[number].role == "cache":
                copied = before if tape.storages[number].born >= 0 else 0
                new[number] += max(size - copied, 0)
    sizes = {number: sum(parts.values()) for number, parts in read.items()}
    was, left = _by_storage(tape, state.before), _by_storage(tape, state.after)
    made = [value for value in tape.outputs if tape.storages[values[value].storage].born >= 0]
    return Least(
        cache_read=sum(min(size, sizes.get(number, 0)) for number, size in was.items()),
        cache_written=sum(min(size, new[number]) for number, size in left.items()),
        inputs_read=sum(min(tape.storages[number].bytes, sizes.get(number, 0)) for number in given),
        outputs_written=sum(values[value].bytes for value in made),
    )


def _by_storage(tape: Tape, values: Iterable[int]) -> Counter[int]:
    sizes: Counter[int] = Counter()
    for value in values:
        sizes[tape.values[value].storage] += tape.values[value].bytes
    return sizes
