"""What a language model holds at work: its cache by groups of equal layers, the peaks of a prompt and of a token."""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from alexnet_cli.analyses.memory import Peak, peak_of, tape_of, timeline
from alexnet_cli.analyses.serving.assumed import Assumptions
from alexnet_cli.analyses.serving.cached import Cache, CachedLayer, cache, paths_of, state_of, values_by_path
from alexnet_cli.analyses.serving.room import ServingFit
from alexnet_cli.report import Report
from alexnet_cli.tape import Shape

Keeps = Literal["full", "sliding", "encoder", "state"]
"""What a layer keeps: every token, the last ones, what an encoder read, or a state of one size."""


class RunMemory(Struct, frozen=True):
    """The memory of a prompt, or of one token; the parts add up to `peak_bytes`.

    `cache_bytes` and `logits_bytes` are those live at the peak; `results_bytes` are those of the logits, and of what
    else the model returns beside its cache, whenever they are live. `activation_bytes` are the rest, the input
    included.
    """

    peak_bytes: int
    weights_bytes: int
    buffer_bytes: int
    cache_bytes: int
    logits_bytes: int
    activation_bytes: int
    results_bytes: int
    peak: Peak


class CacheGroup(Struct, frozen=True):
    """Layers that keep alike: `layers` of them, from `first` to `last`, each read by `readers` modules.

    `bytes` and `bytes_per_token` are those of one layer, the former of the whole batch, the latter of one sequence.
    `keeps` is None where one run alone, which was saved, does not tell.
    """

    keeps: Keeps | None
    type: str
    layers: int
    first: str
    last: str
    readers: int
    shapes: tuple[Shape, ...]
    dtypes: tuple[str, ...]
    bytes: int
    bytes_per_token: int | None


class CacheMemory(Struct, frozen=True):
    """What is kept after the last token: bytes of the whole batch, and what that token added for one sequence.

    `bytes` are those of the elements that are kept, `allocated_bytes` those of the storages behind them.
    """

    bytes: int
    allocated_bytes: int
    bytes_per_token: int | None
    groups: tuple[CacheGroup, ...]
    layers: tuple[CachedLayer, ...]


class ServingMemory(Struct, frozen=True):
    """The memory of a prompt of `context` tokens, and of the token at that place; None: a saved report has not both."""

    context: int
    batch_size: int | None
    cache: CacheMemory
    prefill: RunMemory | None
    decode: RunMemory | None
    assumptions: Assumptions
    fit: ServingFit | UnsetType = UNSET


def run_memory(report: Report) -> RunMemory:
    """Return the memory of a prompt, or of a token.

    Raises:
        UsageError: the report has no operator trace.
    """
    tape, peak = tape_of(report), peak_of(timeline(report))
    returned = {tape.values[value].storage for value in tape.outputs}
    results = [storage for at, storage in enumerate(tape.storages) if at in returned and storage.role == "activation"]
    live = (it for it in results if it.born <= peak.operation and (it.died is None or it.died > peak.operation))
    logits = sum(storage.bytes for storage in live)
    weights, buffers, cached = (peak.live_bytes.get(kind, 0) for kind in ("weights", "buffers", "cache"))
    return RunMemory(
        peak_bytes=peak.bytes,
        weights_bytes=weights,
        buffer_bytes=buffers,
        cache_bytes=cached,
        logits_bytes=logits,
        activation_bytes=peak.bytes - weights - buffers - cached - logits,
        results_bytes=sum(storage.bytes for storage in results),
        peak=peak,
    )


def kinds_of(token: Report, other: Report) -> dict[str, Keeps]:
    """Return what each module keeps, by its path, from a token with a cache, and one with a cache of another length."""
    before = set(state_of(token)[1].before)
    sizes = {layer.path: layer.bytes for layer in cache(other).layers}
    unwritten = {path for path, values in values_by_path(token).items() if before.issuperset(values)}
    layers = cache(token).layers
    return {layer.path: _kind(layer, sizes.get(layer.path), unwritten=layer.path in unwritten) for layer in layers}


def _kind(layer: CachedLayer, otherwise: int | None, *, unwritten: bool) -> Keeps:
    if unwritten:
        return "encoder"
    if layer.bytes == otherwise:
        return "state"
    return "full" if layer.bytes_per_token else "sliding"


def cache_memory(report: Report, kinds: dict[str, Keeps]) -> CacheMemory:
    """Return what is kept after a run, where `kinds_of` told what each layer keeps."""
    found = cache(report)
    groups = _groups(report, kinds, found)
    return CacheMemory(found.bytes, found.allocated_bytes, found.bytes_per_token, groups, found.layers)


def _groups(report: Report, kinds: dict[str, Keeps], found: Cache) -> tuple[CacheGroup, ...]:
    """Return the layers of a cache in groups that keep alike, in the order of their first layers."""
    readers = _readers(report)
    groups: dict[tuple[object, ...], list[CachedLayer]] = defaultdict(list)
    for layer in found.layers:
        alike = (kinds.get(layer.path), layer.type, layer.shapes, layer.dtypes, layer.bytes_per_token)
        groups[alike, readers.get(layer.path, 1)].append(layer)
    return tuple(
        CacheGroup(
            keeps=kinds.get(group[0].path),
            type=group[0].type,
            layers=len(group),
            first=group[0].path,
            last=group[-1].path,
            readers=readers.get(group[0].path, 1),
            shapes=group[0].shapes,
            dtypes=group[0].dtypes,
            bytes=group[0].bytes,
            bytes_per_token=group[0].bytes_per_token,
        )
        for group in groups.values()
    )


def _readers(report: Report) -> dict[str, int]:
    """Return how many modules read what a layer keeps, by the layer's path: others may share it."""
    tape = tape_of(report)
    paths = paths_of(report)
    by: dict[int, set[str]] = defaultdict(set)
    for operation in tape.operations:
        if operation.nature != "view" and operation.row is not None:
            for value in operation.reads:
                by[tape.values[value].storage].add(paths[operation.row])
    return {
        path: max(len(by[tape.values[value].storage]) for value in values)
        for path, values in values_by_path(report).items()
    }
