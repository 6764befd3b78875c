"""What was allocated when memory ran out: the snapshot's state, with what happened since taken back."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from alexnet_cli.analyses.oom.allocator import SMALL_SEGMENT, block_bytes
from alexnet_cli.snapshot import Event, Frames, Snapshot

OOM = "oom"
_GOT = ("segment_alloc", "segment_map")
_GAVE_BACK = ("segment_free", "segment_unmap")


class Live(NamedTuple):
    """An allocation: `size` is what it takes, `requested` what was asked for."""

    address: int
    size: int
    requested: int
    frames: Frames


class Reserved(NamedTuple):
    """Memory got from the device, in one piece, for one stream and pool."""

    address: int
    size: int
    stream: int
    is_large: bool
    pool: tuple[int, int]

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.size


class State(NamedTuple):
    """The memory of one device when a request failed; `request` is None where none is recorded.

    Then it is the state when the snapshot was taken.
    """

    device: int
    request: Event | None
    reserved: tuple[Reserved, ...]
    live: tuple[Live, ...]

    def free(self) -> list[tuple[Reserved, list[int]]]:
        """Return the sizes of the free pieces in each piece of reserved memory."""
        addresses = [each.address for each in self.live]
        found = []
        for piece in self.reserved:
            inside = self.live[bisect_right(addresses, piece.address - 1) : bisect_right(addresses, piece.end - 1)]
            edges = [(piece.address, piece.address), *((it.address, it.address + it.size) for it in inside)]
            edges.append((piece.end, piece.end))
            found.append((piece, [after - end for (_, end), (after, _) in pairwise(edges) if after > end]))
        return found


def at_failure(snapshot: Snapshot) -> State:
    """Return the state at the last failure that is recorded, or that of the snapshot."""
    device = _device(snapshot)
    segments = [segment for segment in snapshot.segments if segment.device == device]
    trace = snapshot.traces[device] if device < len(snapshot.traces) else ()
    last = max((at for at, event in enumerate(trace) if event.action == OOM), default=None)
    live = {
        it.address: Live(it.address, it.size, it.requested, it.frames)
        for segment in segments
        for it in segment.blocks
        if it.is_live
    }
    reserved = [Reserved(it.address, it.size, it.stream, it.is_large, it.pool) for it in segments]
    if last is not None:
        _take_back(trace, last, live, reserved)
    ordered = tuple(sorted(live.values()))
    return State(device, None if last is None else trace[last], tuple(sorted(reserved)), ordered)


def _device(snapshot: Snapshot) -> int:
    """Return the device on which memory ran out, else the one that has most of it reserved."""
    failed = [device for device, trace in enumerate(snapshot.traces) if any(event.action == OOM for event in trace)]
    if failed:
        return failed[-1]
    sizes: Counter[int] = Counter()
    for segment in snapshot.segments:
        sizes[segment.device] += segment.size
    return max(sizes, key=sizes.__getitem__, default=0)


def _take_back(trace: Sequence[Event], last: int, live: dict[int, Live], reserved: list[Reserved]) -> None:
    """Undo what came after event `last`, the newest first; the events have the sizes that were asked for."""
    stacks: dict[int, Frames] = {}
    freed: dict[int, Frames] = {}
    for at, event in enumerate(trace):
        if event.action == "alloc":
            stacks[event.address] = event.frames
        elif event.action == "free_completed" and at > last:
            freed[at] = stacks.get(event.address, ())
    for at in range(len(trace) - 1, last, -1):
        event = trace[at]
        if event.action == "alloc":
            live.pop(event.address, None)
        elif event.action == "free_completed":
            live[event.address] = Live(event.address, block_bytes(event.size), event.size, freed[at])
        elif event.action in _GOT:
            reserved[:] = [part for piece in reserved for part in _without(piece, event)]
        elif event.action in _GAVE_BACK:
            is_large = event.size > SMALL_SEGMENT
            reserved.append(Reserved(event.address, event.size, event.stream, is_large, event.pool))


def _without(piece: Reserved, event: Event) -> list[Reserved]:
    """Return what is left of a piece of memory without that of an event."""
    begin, end = max(piece.address, event.address), min(piece.end, event.address + event.size)
    if begin >= end:
        return [piece]
    left = piece._replace(size=begin - piece.address)
    right = piece._replace(address=end, size=piece.end - end)
    return [part for part in (left, right) if part.size]
