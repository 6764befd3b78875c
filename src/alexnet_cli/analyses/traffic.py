"""The least number of bytes that a run moves to and from memory, from its tape.

The operators of one call of a torch function count as one kernel, a unit, and so does a node of the backward graph. A
unit reads each existing value once and writes what outlives it: it need not write what it allocates and drops again,
and views move nothing. It never moves more of a storage than the storage holds. A lookup reads only the rows that it
looks up, a fill reads nothing, `empty` writes nothing. No kernel for that function can move less, so a time computed
from these bytes is a lower bound.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import prod

from msgspec import Struct

from alexnet_cli.tape import Operation, Phase, Role, Tape, Value

_EMPTY = frozenset({"empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided"})

_FILLS = "copy_ fill_ zero_ normal_ uniform_ bernoulli_ exponential_ random_ cauchy_ geometric_ log_normal_"
_OVERWRITES = frozenset(_FILLS.split())
"""They do not read the argument that they write to."""

_LOOKUPS = frozenset({"embedding", "_embedding_bag", "_embedding_bag_forward_only"})
"""They read a row of their first argument for each element of their second."""

_GATHERS = frozenset({"index", "index_select", "gather", "take", "_unsafe_index"})
"""They read one element of their first argument for each element of their result."""

_ADDING_SCATTERS = frozenset({"scatter_add_", "scatter_reduce_", "index_add_"})
_SCATTERS = _ADDING_SCATTERS | {"index_put_", "_index_put_impl_", "scatter_", "index_copy_", "put_"}

_OF_SHAPE_ONLY = """
    max_pool2d_with_indices_backward max_pool3d_with_indices_backward avg_pool2d_backward avg_pool3d_backward
    _adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward adaptive_max_pool2d_backward
    adaptive_max_pool3d_backward reflection_pad1d_backward reflection_pad2d_backward reflection_pad3d_backward
    replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward nll_loss_backward
    nll_loss2d_backward
"""
_SHAPE_ONLY = frozenset(_OF_SHAPE_ONLY.split())
"""They use only the shape of their second argument, the forward's input."""

Access = tuple[int, int]
"""A value and how many of its bytes are moved."""


def reads_of(operation: Operation, values: Sequence[Value], *, twice: bool = False) -> Iterator[Access]:
    """Yield the values that an operator must read, each with the number of bytes.

    A lookup of more rows than there are reads each once; with `twice` all are counted, as if there were always more.
    """
    op = operation.op
    if operation.nature == "view" or not operation.makes or op.endswith("_like") or op.startswith("new_"):
        return
    for place, value in enumerate(operation.reads):
        if op == "convolution_backward":
            size = values[value].bytes if _convolution_needs(operation, place) else 0
        elif place == 0:
            size = _read_of_first(operation, values, twice=twice)
        else:
            size = 0 if place == 1 and op in _SHAPE_ONLY else values[value].bytes
        if size:
            yield value, size


def is_lookup(operation: Operation) -> bool:
    """Tell whether an operator reads only a part of its first argument, by the indices in another."""
    return operation.op in _LOOKUPS or operation.op in _GATHERS


def writes_of(operation: Operation, values: Sequence[Value]) -> Iterator[Access]:
    """Yield the values that an operator writes, each with the number of bytes."""
    if operation.nature != "view" and operation.op not in _EMPTY:
        for value in operation.makes:
            size = values[value].bytes
            yield value, min(size, _scattered(operation, values)) if operation.op in _SCATTERS else size


def _read_of_first(operation: Operation, values: Sequence[Value], *, twice: bool) -> int:
    op, first = operation.op, values[operation.reads[0]]
    if op in _OVERWRITES:
        return 0
    if op in _SCATTERS:
        adds = op in _ADDING_SCATTERS or operation.arguments.get("accumulate", False)
        return min(first.bytes, _scattered(operation, values)) if adds else 0
    if op in _LOOKUPS and first.shape[0]:
        looked_up = prod(values[operation.reads[1]].shape) * (first.bytes // first.shape[0])
        return looked_up if twice else min(first.bytes, looked_up)
    if op in _GATHERS:
        gathered = sum(values[value].bytes for value in operation.makes)
        return gathered if twice else min(first.bytes, gathered)
    return first.bytes


def _scattered(operation: Operation, values: Sequence[Value]) -> int:
    """Return the bytes that a scatter writes to its first argument: those of its values, or an element per index."""
    target, *others = (values[value] for value in operation.reads)
    if len(others) > 1 or others[-1].dtype == target.dtype:
        return others[-1].bytes
    return prod(others[-1].shape) * target.bytes // max(prod(target.shape), 1)


def _convolution_needs(operation: Operation, place: int) -> bool:
    """Tell whether a convolution's backward reads an argument: the input for the weight's gradient and vice versa."""
    to_input, to_weight, _ = operation.arguments.get("output_mask", (True, True, True))
    return bool((True, to_weight, to_input)[place])


_FLOATS = ("float64", "float32", "float16", "bfloat16")


class Unit(Struct, frozen=True):
    """The work of one kernel: MACs by the dtype they are done in, and the least number of bytes that it moves.

    `read` and `written` are these bytes by the role of the storage. `row` is the position of its row in the report's
    layers, None outside all of them. `uncounted` names its operators that compute something for which there is no MAC
    formula. `call` is the call in the source that it began in, where that was recorded.
    """

    row: int | None
    phase: Phase
    macs: dict[str, int]
    uncounted: tuple[str, ...]
    read: dict[Role, int]
    written: dict[Role, int]
    call: int | None = None

    @property
    def bytes_read(self) -> int:
        """The bytes read, from storages of any role."""
        return sum(self.read.values())

    @property
    def bytes_written(self) -> int:
        """The bytes written, to storages of any role."""
        return sum(self.written.values())


def units(tape: Tape, without: Collection[int] = (), within: range | None = None) -> tuple[Unit, ...]:
    """Return the units of forward and backward in the order they started; the optimiser's update is left out.

    The operations at the positions `without` are left out too, as are all outside of the stretch `within`.
    """
    flow = _Flow(tape)
    groups = _grouped(tape.operations, frozenset(without), within)
    return tuple(flow.unit(group) for group in groups if any(tape.operations[at].nature != "view" for at in group))


def moved(tape: Tape) -> Iterator[tuple[dict[int, int], dict[int, int]]]:
    """Yield for each unit the bytes that it reads and those that it writes, by the storage that they are in.

    More than a storage holds is what lookups of rows, or of overlapping views, come to; no more than that moves.
    """
    flow = _Flow(tape)
    yield from (flow.moved(group) for group in _grouped(tape.operations))


def update(tape: Tape) -> Unit | None:
    """Return the optimiser's update as one unit, None if there is none: a fused kernel passes over all once."""
    positions = [at for at, operation in enumerate(tape.operations) if operation.phase == "optimizer"]
    return _Flow(tape).unit(positions) if positions else None


def _grouped(
    operations: Sequence[Operation], without: Collection[int] = (), within: range | None = None
) -> list[list[int]]:
    """Return the positions of each unit's operations, but for those `without`; `within` a stretch if one is given.

    Where one call of a function did all of a row's MACs, as for an LSTM, one kernel can do all of its backward too,
    however many nodes that has. What a checkpoint runs again is a forward of its own.
    """
    at_work: dict[int | None, set[int]] = defaultdict(set)
    for position, operation in enumerate(operations):
        if operation.phase == "forward" and operation.macs != 0 and position not in without:
            at_work[operation.row].add(operation.unit)
    groups: dict[object, list[int]] = {}
    for position in range(len(operations)) if within is None else within:
        operation = operations[position]
        if operation.phase != "optimizer" and position not in without:
            known = operation.phase == "backward" and operation.row is not None and not operation.again
            whole = known and len(at_work[operation.row]) == 1
            key = ("row", operation.row) if whole else (operation.phase, operation.unit)
            groups.setdefault(key, []).append(position)
    return list(groups.values())


def turns_of(operations: Sequence[Operation]) -> list[int]:
    """Return for each operation of which micro-batch it is, from 0 on: each is a forward and its backward."""
    turns: list[int] = []
    for before, operation in zip((None, *operations), operations, strict=False):
        begins = before is not None and before.phase == "backward" and operation.phase == "forward"
        turns.append((turns[-1] if turns else 0) + begins)
    return turns


class _Flow:
    """Which memory each value of a tape is in, and which operation wrote it.

    `region` gives values of the same memory the same number: a view of all of it, and what is written there in place.
    `writer` is the position of the last operation that wrote to a value.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.kept = {tape.values[value].storage for value in tape.outputs}
        self.region = list(range(len(tape.values)))
        self.writer = [tape.storages[value.storage].born for value in tape.values]
        for position, operation in enumerate(tape.operations):
            reads: dict[int, list[int]] = defaultdict(list)
            for read in operation.reads if operation.makes else ():
                reads[tape.values[read].storage].append(read)
            for made in operation.makes:
                self._place(made, position, operation, reads.get(tape.values[made].storage, []))

    def unit(self, positions: list[int]) -> Unit:
        """Return the combined work of the operations at these positions."""
        operations = [self.tape.operations[position] for position in positions]
        macs: Counter[str] = Counter()
        for operation in operations:
            if operation.macs:
                macs[self._dtype(operation)] += operation.macs
        read, written = map(self._by_role, self.moved(positions))
        uncounted = tuple(operation.op for operation in operations if operation.macs is None)
        first = operations[0]
        return Unit(first.row, first.phase, dict(macs), uncounted, read, written, first.call)

    def moved(self, positions: list[int]) -> tuple[dict[int, int], dict[int, int]]:
        """Return the bytes that these operations read and write together, by storage, of which it may hold less."""
        values, inside, last = self.tape.values, set(positions), positions[-1]
        read: list[Access] = []
        written: list[Access] = []
        for operation in (self.tape.operations[position] for position in positions):
            asked = reads_of(operation, values, twice=True)
            read += (access for access in asked if not self._is_made_in(access[0], inside))
            written += (access for access in writes_of(operation, values) if self._is_left(access[0], inside, last))
        return self._by_storage(read), self._by_storage(written)

    def _by_storage(self, accesses: Iterable[Access]) -> dict[int, int]:
        """Sum up the bytes of each storage, each place once; values at different places may overlap."""
        sizes: dict[int, dict[int, int]] = defaultdict(dict)
        for value, size in accesses:
            places, region = sizes[self.tape.values[value].storage], self.region[value]
            places[region] = max(places.get(region, 0), size)
        return {at: sum(places.values()) for at, places in sizes.items()}

    def _by_role(self, moved: Mapping[int, int]) -> dict[Role, int]:
        """Sum up bytes by the role of the storage, of each storage at most its size."""
        sizes: dict[Role, int] = {}
        for at, size in moved.items():
            storage = self.tape.storages[at]
            sizes[storage.role] = sizes.get(storage.role, 0) + min(size, storage.bytes)
        return sizes

    def _place(self, made: int, position: int, operation: Operation, same: Sequence[int]) -> None:
        """Note where a value is that an operation made; `same` are those that it read of the same storage."""
        value = self.tape.values[made]
        whole = next((read for read in same if self.tape.values[read].bytes == value.bytes), made)
        self.region[made] = self.region[whole]
        is_view = operation.nature == "view" and same
        self.writer[made] = max(self.writer[read] for read in same) if is_view else position

    def _is_made_in(self, value: int, inside: set[int]) -> bool:
        return self.writer[value] in inside or self.tape.storages[self.tape.values[value].storage].born in inside

    def _is_left(self, value: int, inside: set[int], last: int) -> bool:
        """Tell whether a value's memory outlives the operation at `last`, the unit's last."""
        number = self.tape.values[value].storage
        storage = self.tape.storages[number]
        outlives = storage.died is None or storage.died > last + 1 or number in self.kept
        return storage.born not in inside or outlives

    def _dtype(self, operation: Operation) -> str:
        """Return the dtype that an operator computes in, that of the first floating-point value that it reads."""
        dtypes = [self.tape.values[value].dtype for value in operation.reads]
        return next((dtype for dtype in dtypes if dtype in _FLOATS), dtypes[0] if dtypes else "unknown")
