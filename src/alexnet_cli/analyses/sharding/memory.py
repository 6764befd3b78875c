"""The memory of one rank over its step, by what it is used for and by layer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from msgspec import Struct

from alexnet_cli.analyses.memory import at_work, live_bytes, most_at_once, tape_of
from alexnet_cli.analyses.sharding.runs import counts_of, runs_of
from alexnet_cli.rank import HELD, Held, Rank
from alexnet_cli.tape import Phase, Storage


class RankMoment(Struct, frozen=True):
    """What is live while an operator runs: `op` None is before the step, `path` is the layer whose work it is."""

    op: str | None
    phase: Phase
    path: str | None
    bytes: int
    live_bytes: dict[Held, int]


class LayerShare(Struct, frozen=True, kw_only=True):
    """What a rank holds for one layer.

    Weights and optimiser state are what it keeps, `saved_bytes` is what it is the first to save for backward. The
    others are the most that is there at once: gradients, weights that it gathers, buffers of collectives.
    """

    path: str
    type: str
    weights_bytes: int = 0
    gradient_bytes: int = 0
    optimizer_bytes: int = 0
    saved_bytes: int = 0
    gathered_bytes: int = 0
    communication_bytes: int = 0


class RankMemory(Struct, frozen=True, kw_only=True):
    """The memory of a rank: its peak with its parts, what it keeps over the step, and each layer's part."""

    peak_bytes: int
    peak: RankMoment
    weights_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    saved_activation_bytes: int
    most_gathered_bytes: int
    most_communication_bytes: int
    layers: tuple[LayerShare, ...]


def rank_memory(rank: Rank) -> RankMemory:
    """Return the memory of a rank."""
    highest, most = _most(rank)
    peak = _moment(rank, *highest)
    kept = Counter[Held]()
    for use, storage, times in zip(rank.held, tape_of(rank.report).storages, _times(rank), strict=True):
        kept[use] += storage.bytes * times
    return RankMemory(
        peak_bytes=peak.bytes,
        peak=peak,
        weights_bytes=kept["weights"],
        gradient_bytes=most["gradients"],
        optimizer_bytes=kept["optimizer"],
        saved_activation_bytes=kept["saved"],
        most_gathered_bytes=most["gathered"],
        most_communication_bytes=most["communication"],
        layers=_by_layer(rank),
    )


def timeline(rank: Rank) -> tuple[RankMoment, ...]:
    """Return what is live before the step and during each operator."""
    live = _live(rank)
    found = [_moment(rank, None, live[0])]
    now = live[0]
    for start, stop in runs_of(rank):
        found += (_moment(rank, at, _added(now, live[start], live[at + 1])) for at in range(start, stop))
        now = _added(now, live[start], live[stop])
    return tuple(found)


_Amounts = tuple[int, ...]
"""Bytes of each use of memory, in the order of `HELD`."""


def _most(rank: Rank) -> tuple[tuple[int | None, _Amounts], dict[Held, int]]:
    """Return the operation at the peak, None before the step, with what is live then, and the most of each use.

    Each stretch of the tape adds the same to what is live, whenever it runs.
    """
    live = _live(rank)
    within = {(start, stop): _most_within(live, start, stop) for start, stop in set(runs_of(rank))}
    now, most = live[0], live[0]
    peak: tuple[int | None, _Amounts] = None, live[0]
    for start, stop in runs_of(rank):
        if stop > start:
            at, highest = within[start, stop]
            there = _added(now, live[start], live[at + 1])
            if sum(there) > sum(peak[1]):
                peak = at, there
            most = tuple(map(max, most, _added(now, live[start], highest)))
        now = _added(now, live[start], live[stop])
    return peak, dict(zip(HELD, most, strict=True))


def _most_within(live: Sequence[_Amounts], start: int, stop: int) -> tuple[int, _Amounts]:
    """Return the operation of a stretch during which most is live, and the most of each use."""
    at = max(range(start, stop), key=lambda at: sum(live[at + 1]), default=start)
    return at, tuple(map(max, zip(*live[start + 1 : stop + 1], strict=True)))


def _added(now: _Amounts, before: _Amounts, after: _Amounts) -> _Amounts:
    return tuple(here + new - old for here, old, new in zip(now, before, after, strict=True))


def _live(rank: Rank) -> list[_Amounts]:
    """Return what is live before the tape's first operation, during each of them, and after them."""
    tape = tape_of(rank.report)
    by_use: dict[Held, list[Storage]] = {use: [] for use in HELD}
    for use, storage in zip(rank.held, tape.storages, strict=True):
        by_use[use].append(storage)
    return list(zip(*(live_bytes(storages, len(tape.operations)) for storages in by_use.values()), strict=True))


def _moment(rank: Rank, at: int | None, held: _Amounts) -> RankMoment:
    done = None if at is None else tape_of(rank.report).operations[at]
    parts = {use: size for use, size in zip(HELD, held, strict=True) if size}
    return RankMoment(*at_work(rank.report, done), sum(held), parts)


def _times(rank: Rank) -> Iterator[int]:
    """Yield how often each storage of the tape is made."""
    times = counts_of(rank)
    return (1 if storage.born < 0 else times[storage.born] for storage in tape_of(rank.report).storages)


_KEPT: dict[Held, str] = {"weights": "weights_bytes", "optimizer": "optimizer_bytes", "saved": "saved_bytes"}
_AT_ONCE: dict[Held, str] = {
    "gradients": "gradient_bytes",
    "gathered": "gathered_bytes",
    "communication": "communication_bytes",
}


def _by_layer(rank: Rank) -> tuple[LayerShare, ...]:
    kept: dict[int, Counter[str]] = defaultdict(Counter)
    at_once: dict[tuple[int, str], list[Storage]] = defaultdict(list)
    every = zip(rank.held, rank.owners, tape_of(rank.report).storages, _times(rank), strict=True)
    for use, row, storage, times in every:
        if row is None:
            continue
        if use in _KEPT:
            kept[row][_KEPT[use]] += storage.bytes * times
        elif use in _AT_ONCE:
            at_once[row, _AT_ONCE[use]].append(storage)
    for (row, name), storages in at_once.items():
        kept[row][name] = most_at_once(storages)
    layers = rank.report.layers
    return tuple(LayerShare(path=layers[row].path, type=layers[row].type, **kept[row]) for row in sorted(kept))
