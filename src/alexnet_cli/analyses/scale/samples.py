"""What a run at certain sizes computes, moves and holds, part by part, from its tape.

Each part (the MACs of an operator, the bytes that a kernel moves of a storage, the bytes of a storage) is a product of
sizes along axes, while their sums and the largest of them are not. So laws are found part by part, from few runs.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

from alexnet_cli.analyses.cost import OUTSIDE
from alexnet_cli.analyses.memory import at_work, tape_of
from alexnet_cli.analyses.traffic import moved
from alexnet_cli.report import Report
from alexnet_cli.tape import Tape

Quantity = Literal[
    "macs", "bytes_moved", "peak_forward_bytes", "saved_bytes", "peak_training_bytes", "params", "number"
]

Part = tuple[str, int, int]
"""What a number is of: the `macs` of an operator, what a unit has `read` or `written` of a storage, a `storage`."""

Total = tuple[Quantity, str]
"""A quantity of the whole model, or, by a name other than the empty one, of the layers of a type."""

Changes = tuple[tuple[Part, int], ...]
"""The storages that are allocated (1) or freed (-1) at a moment."""

Where = tuple[str | None, str | None]
"""An operator, and the path of its layer; both None before the first operator."""

Moment = tuple[tuple[str | None, ...], int, str | None, str | None]
"""A place where operators follow each other as nowhere else, how many operators from there, the operator, its layer."""

_NEIGHBOURS, _NEAR = 3, 100
"""How many operators on each side make a place, and how many a few turns of a loop have."""


@dataclass(frozen=True)
class Shares:
    """Which parts of a run make which totals: sums of parts, and for a peak what changes at which moment."""

    sums: dict[Total, tuple[Part, ...]]
    peak: Quantity
    moments: tuple[Changes, ...] = ()
    where: tuple[Where, ...] = ()


@dataclass(frozen=True)
class Sample:
    """What a run at certain sizes did.

    Runs with the same `structure` did the same operators on the same storages, so that their parts can be compared one
    by one. `entries` are the sizes of all values along all their axes. `moments` are the bytes that are live near
    places that a run has once: in a loop over time memory grows or falls, so that a peak is at one of its ends.
    `shares` tell which of its parts make which totals.
    """

    structure: int
    parts: dict[Part, int]
    entries: tuple[int, ...]
    totals: dict[Total, int]
    moments: dict[Moment, int] = field(default_factory=dict)
    operators: int = 0
    shares: Shares | None = None


def of_forward(report: Report) -> Sample:
    """Return what a forward without gradients did.

    Raises:
        UsageError: the report has no operator trace.
    """
    tape = tape_of(report)
    work = dict(_work(tape))
    found = _sample(tape, work | dict(_storages(tape)), _shares_of_forward(report, tape, work))
    found.totals["params", ""] = report.totals.params
    return found


def of_training(report: Report) -> Sample:
    """Return what a training step held.

    Raises:
        UsageError: the report has no operator trace.
    """
    tape = tape_of(report)
    return _sample(tape, dict(_storages(tape)), shares_of_training(report))


def _shares_of_forward(report: Report, tape: Tape, work: Mapping[Part, int]) -> Shares:
    types = [OUTSIDE if each.row is None else report.layers[each.row].type for each in tape.operations]
    macs = {part: types[part[1]] for part in work if part[0] == "macs"}
    sums: dict[Total, tuple[Part, ...]] = {("macs", ""): tuple(macs)}
    for name in dict.fromkeys(macs.values()):
        sums["macs", name] = tuple(part for part in macs if macs[part] == name)
    sums["bytes_moved", ""] = tuple(part for part in work if part[0] != "macs")
    return Shares(sums, "peak_forward_bytes", *_moments(report, tape))


def shares_of_training(report: Report) -> Shares:
    """Return which parts of a training step make its totals."""
    tape = tape_of(report)
    saved = tuple(("storage", at, 0) for at, storage in enumerate(tape.storages) if storage.saved_by is not None)
    return Shares({("saved_bytes", ""): saved}, "peak_training_bytes", *_moments(report, tape))


def _sample(tape: Tape, parts: dict[Part, int], shares: Shares) -> Sample:
    totals = {total: sum(_held(parts, part) for part in of) for total, of in shares.sums.items()}
    live = list(accumulate(sum(sign * parts[part] for part, sign in moment) for moment in shares.moments))
    totals[shares.peak, ""] = max(live)
    entries = tuple(size for value in tape.values for size in value.shape)
    return Sample(_structure(tape), parts, entries, totals, _near_places(shares, live), len(tape.operations), shares)


def _near_places(shares: Shares, live: Sequence[int]) -> dict[Moment, int]:
    ops = [None] * _NEIGHBOURS + [op for op, _ in shares.where] + [None] * _NEIGHBOURS
    around = [tuple(ops[at : at + 2 * _NEIGHBOURS + 1]) for at in range(len(live))]
    often = Counter(around)
    once = [at for at, neighbours in enumerate(around) if often[neighbours] == 1]
    found: dict[Moment, int] = {}
    for at, (where, held) in enumerate(zip(shares.where, live, strict=True)):
        after = bisect(once, at)
        for place in once[max(after - 1, 0) : after + 1]:
            if abs(at - place) <= _NEAR:
                key: Moment = (around[place], at - place, *where)
                found[key] = held
    return found


def limit_of(part: Part) -> Part | None:
    """Return the part that is the most that a part can be: of a storage no more moves than it holds."""
    return ("storage", part[2], 0) if part[0] in ("read", "written") else None


def _held(parts: dict[Part, int], part: Part) -> int:
    limit = limit_of(part)
    return parts.get(part, 0) if limit is None else min(parts.get(part, 0), parts[limit])


def unrolled(report: Report, size: int) -> bool:
    """Tell whether some layer runs one operator as often as a size, as a loop over time does."""
    often = Counter((each.row, each.op) for each in report.tape.operations) if report.tape is not None else Counter()
    return max(often.values(), default=0) >= size


def _structure(tape: Tape) -> int:
    """Return a number that two tapes have alike if they differ in sizes alone."""
    done = ((each.op, each.row, each.phase, each.unit, each.reads, each.makes) for each in tape.operations)
    ranks = ((len(value.shape), value.dtype, value.storage) for value in tape.values)
    held = ((each.role, each.born, each.died, each.saved_by) for each in tape.storages)
    return hash((tuple(done), tuple(ranks), tuple(held)))


def _work(tape: Tape) -> Iterator[tuple[Part, int]]:
    """Yield the MACs of each operator that has any, and what each unit moves of each storage."""
    for at, operation in enumerate(tape.operations):
        if operation.macs is not None and operation.phase == "forward":
            yield ("macs", at, 0), operation.macs
    for at, (read, written) in enumerate(moved(tape)):
        yield from ((("read", at, storage), size) for storage, size in read.items())
        yield from ((("written", at, storage), size) for storage, size in written.items())


def _storages(tape: Tape) -> Iterator[tuple[Part, int]]:
    yield from ((("storage", at, 0), storage.bytes) for at, storage in enumerate(tape.storages))


def _moments(report: Report, tape: Tape) -> tuple[tuple[Changes, ...], tuple[Where, ...]]:
    """Return what is allocated and freed before each operator runs, the first moment being before them all."""
    changes: list[list[tuple[Part, int]]] = [[] for _ in range(len(tape.operations) + 2)]
    for at, storage in enumerate(tape.storages):
        part: Part = ("storage", at, 0)
        changes[storage.born + 1].append((part, 1))
        if storage.died is not None:
            changes[storage.died + 1].append((part, -1))
    where = [(op, path) for op, _, path in (at_work(report, each) for each in (None, *tape.operations))]
    return tuple(map(tuple, changes[: len(where)])), tuple(where)


def by_values(samples: Sequence[Sample]) -> dict[tuple[int, ...], list[Part]]:
    """Group parts by their values in all samples: those with equal values follow one law."""
    groups: dict[tuple[int, ...], list[Part]] = defaultdict(list)
    for part in dict.fromkeys(part for sample in samples for part in sample.parts):
        groups[tuple(sample.parts.get(part, 0) for sample in samples)].append(part)
    return groups
