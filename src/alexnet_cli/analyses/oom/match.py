"""What of the live memory a traced training step predicts, by the sizes of its tensors: which layers were live.

A snapshot knows no tensors, but each allocation's size, and a step predicts which sizes are live at each operator. The
moment of the failure is where both agree best; of moments that ask for the size that failed, if any does.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from msgspec import Struct

from alexnet_cli.analyses.memory import at_work, kind_of, tape_of
from alexnet_cli.analyses.oom.allocator import block_bytes
from alexnet_cli.analyses.oom.failure import Place, origin, places
from alexnet_cli.analyses.oom.rewind import Live, State
from alexnet_cli.report import Report
from alexnet_cli.tape import Phase, Tape


class LiveLayer(Struct, frozen=True):
    """Tensors of one use that a layer made, or its weights; `path` is empty for the model itself, None for no layer."""

    path: str | None
    kind: str
    bytes: int
    count: int


class Matched(Struct, frozen=True):
    """A traced step held against live memory, at the `operation` where they agree best; all sizes as blocks.

    `asks` tells whether that operator makes a tensor of the size that failed. `matched_bytes` are live and predicted,
    as `layers` has them by layer; `missing_bytes` are predicted only. What is live only is `workspace_bytes` of cuBLAS
    and cuDNN and what nobody predicted, `unpredicted`.
    """

    operation: int
    op: str | None
    phase: Phase
    path: str | None
    asks: bool
    predicted_bytes: int
    matched_bytes: int
    missing_bytes: int
    workspace_bytes: int
    unpredicted_bytes: int
    layers: tuple[LiveLayer, ...]
    unpredicted: tuple[Place, ...]


def match(state: State, step: Report) -> Matched:
    """Hold a training step against the live memory of a snapshot.

    Raises:
        UsageError: the report has no operator trace.
    """
    tape = tape_of(step)
    workspace = [live for live in state.live if origin(live.frames)[0] == "workspace"]
    others = [live for live in state.live if origin(live.frames)[0] != "workspace"]
    observed = Counter(block_bytes(live.requested) for live in others)
    wanted = None if state.request is None else block_bytes(state.request.size)
    at, asks = _moment(tape, observed, wanted)
    predicted = [  # what was there before that operator made its own: when one of those failed
        number
        for number, it in enumerate(tape.storages)
        if it.bytes and it.born < at and (it.died is None or it.died > at)
    ]
    paths, left = _paths(step, tape), Counter(observed)
    groups: dict[tuple[str | None, str], list[int]] = defaultdict(list)
    missing = 0
    for number in predicted:
        size = block_bytes(tape.storages[number].bytes)
        if left[size] > 0:
            left[size] -= 1
            groups[paths.get(number), kind_of(tape.storages[number])].append(size)
        else:
            missing += size
    beyond = _beyond(others, left)
    layers = [LiveLayer(path, kind, sum(sizes), len(sizes)) for (path, kind), sizes in groups.items()]
    op, phase, path = at_work(step, tape.operations[at] if at < len(tape.operations) else None)
    matched = sum(layer.bytes for layer in layers)
    return Matched(
        operation=at,
        op=op,
        phase=phase,
        path=path,
        asks=asks,
        predicted_bytes=matched + missing,
        matched_bytes=matched,
        missing_bytes=missing,
        workspace_bytes=sum(live.size for live in workspace),
        unpredicted_bytes=sum(live.size for live in beyond),
        layers=tuple(sorted(layers, key=lambda layer: -layer.bytes)),
        unpredicted=places(beyond),
    )


def _moment(tape: Tape, observed: Counter[int], wanted: int | None) -> tuple[int, bool]:
    """Return the operator before whose results predicted and observed sizes agree best, and whether it asks for one.

    The bytes that both have count twice, those that only one has, once against them: what the observed have is the
    same at each operator.
    """
    changes: dict[int, list[tuple[int, int]]] = defaultdict(list)
    asked: set[int] = set()
    for storage in tape.storages:
        if not storage.bytes:
            continue
        size = block_bytes(storage.bytes)
        changes[storage.born + 1].append((size, 1))
        if storage.died is not None:
            changes[storage.died].append((size, -1))
        if size == wanted and storage.born >= 0:
            asked.add(storage.born)
    live: Counter[int] = Counter()
    score, best, found = 0, None, 0
    for at in range(len(tape.operations)):
        for size, by in changes.get(at, ()):
            both = min(live[size], observed[size])
            live[size] += by
            score += size * (2 * (min(live[size], observed[size]) - both) - by)
        if (not asked or at in asked) and (best is None or score > best):
            best, found = score, at
    return found, bool(asked)


def _paths(step: Report, tape: Tape) -> dict[int, str]:
    """Return the layer of each storage: the one that made it, or was the first to read it."""
    found: dict[int, str] = {}
    for operation in tape.operations:
        if operation.row is None:
            continue
        path = step.layers[operation.row].path
        for value in (*operation.makes, *operation.reads):
            found.setdefault(tape.values[value].storage, path)
    return found


def _beyond(live: list[Live], left: Counter[int]) -> list[Live]:
    """Return as many allocations of each size as are left over; those of the fewest of one origin first."""
    counts = Counter(origin(each.frames) for each in live)
    beyond, more = [], Counter(left)
    for each in sorted(live, key=lambda it: (counts[origin(it.frames)], it.address)):
        size = block_bytes(each.requested)
        if more[size] > 0:
            more[size] -= 1
            beyond.append(each)
    return beyond
