"""The memory of one rank over its step, by what it is used for and by layer."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import accumulate

from msgspec import Struct

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.rank import HELD, Held, Rank
from alexnet_cli.tape import Phase


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
    moments = timeline(rank)
    peak = max(moments, key=lambda moment: moment.bytes)
    kept = Counter[Held]()
    for use, storage in zip(rank.held, tape_of(rank.report).storages, strict=True):
        kept[use] += storage.bytes
    return RankMemory(
        peak_bytes=peak.bytes,
        peak=peak,
        weights_bytes=kept["weights"],
        gradient_bytes=max(moment.live_bytes.get("gradients", 0) for moment in moments),
        optimizer_bytes=kept["optimizer"],
        saved_activation_bytes=kept["saved"],
        most_gathered_bytes=max(moment.live_bytes.get("gathered", 0) for moment in moments),
        most_communication_bytes=max(moment.live_bytes.get("communication", 0) for moment in moments),
        layers=_by_layer(rank),
    )


def timeline(rank: Rank) -> tuple[RankMoment, ...]:
    """Return what is live before the step and during each operator."""
    tape = tape_of(rank.report)
    steps = len(tape.operations)
    changes = {use: [0] * (steps + 2) for use in HELD}
    for use, storage in zip(rank.held, tape.storages, strict=True):
        changes[use][storage.born + 1] += storage.bytes
        if storage.died is not None:
            changes[use][storage.died + 1] -= storage.bytes
    moments = []
    live = zip(*(accumulate(changes[use]) for use in HELD), strict=True)
    for done, held in zip((None, *tape.operations), live, strict=False):
        row = None if done is None else done.row
        moments.append(
            RankMoment(
                None if done is None else done.op,
                "forward" if done is None else done.phase,
                None if row is None else rank.report.layers[row].path,
                sum(held),
                {use: size for use, size in zip(HELD, held, strict=True) if size},
            )
        )
    return tuple(moments)


_KEPT: dict[Held, str] = {"weights": "weights_bytes", "optimizer": "optimizer_bytes", "saved": "saved_bytes"}
_AT_ONCE: dict[Held, str] = {
    "gradients": "gradient_bytes",
    "gathered": "gathered_bytes",
    "communication": "communication_bytes",
}


def _by_layer(rank: Rank) -> tuple[LayerShare, ...]:
    kept: dict[int, Counter[str]] = defaultdict(Counter)
    spans: dict[tuple[int, str], Counter[int]] = defaultdict(Counter)
    end = len(tape_of(rank.report).operations) + 1
    for use, row, storage in zip(rank.held, rank.owners, tape_of(rank.report).storages, strict=True):
        if row is None:
            continue
        if use in _KEPT:
            kept[row][_KEPT[use]] += storage.bytes
        elif use in _AT_ONCE:
            span = spans[row, _AT_ONCE[use]]
            span[storage.born] += storage.bytes
            span[end if storage.died is None else storage.died] -= storage.bytes
    for (row, name), span in spans.items():
        kept[row][name] = max(accumulate(span[at] for at in sorted(span)))
    layers = rank.report.layers
    return tuple(LayerShare(path=layers[row].path, type=layers[row].type, **kept[row]) for row in sorted(kept))
