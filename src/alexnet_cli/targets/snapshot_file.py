"""A snapshot of CUDA memory, read from the pickle that torch writes, as plain values: no code in it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alexnet_cli.errors import TargetError, first_line
from alexnet_cli.snapshot import Block, Event, Frame, Frames, Segment, Snapshot
from alexnet_cli.targets.checkpoint.contents import damaged, opened
from alexnet_cli.targets.checkpoint.plain_pickle import read_plain

LARGEST = 2**29
"""How many bytes of a snapshot are read, which take some ten times as many in memory."""
MOST = 10_000_000
"""How many segments, blocks and events are read: lists may occur in a file many times without taking space there."""
_LARGEST_ADDRESS = 2**64
_KIND = "snapshot"
_HOW = 'torch.cuda.memory._dump_snapshot("snapshot.pickle") writes one'


def read_snapshot(path: Path) -> Snapshot:
    """Read the segments and the events of a snapshot.

    Raises:
        TargetError: it cannot be read, holds Python objects, is too large, or is no snapshot.
    """
    with opened(path, _KIND) as (file, size):
        if size > LARGEST:
            limit = f"more than {LARGEST:,}: record a shorter history, by max_entries"
            raise TargetError(f"{path} has {size:,} bytes", limit)
        data = file.read()
    found = read_plain(path, data, lambda _: False, f"a snapshot holds none: {_HOW}", _KIND)
    del data
    if not isinstance(found, dict) or not {"segments", "device_traces"} <= found.keys():
        raise TargetError(f"{path} is no snapshot of CUDA memory", _HOW)
    try:
        return _Reader().snapshot(found)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"it is no snapshot that torch writes ({first_line(error)})", _KIND) from error


class _Reader:
    """Reads the values; equal frames are kept once, as torch repeats the stacks."""

    def __init__(self) -> None:
        self._frames: dict[Frame, Frame] = {}
        self._stacks: dict[int, tuple[object, Frames]] = {}
        self._left = MOST

    def snapshot(self, found: dict[str, Any]) -> Snapshot:
        segments = tuple(self._segment(each) for each in self._list(found["segments"]))
        traces = tuple(
            tuple(self._event(each) for each in self._list(trace)) for trace in self._list(found["device_traces"])
        )
        return Snapshot(segments, traces)

    def _segment(self, given: dict[str, Any]) -> Segment:
        address, size = _number(given["address"]), _number(given["total_size"])
        blocks, at = [], address
        for each in self._list(given["blocks"]):
            block = self._block(each, at)
            blocks.append(block)
            at = block.address + block.size
        if at > address + size:
            raise ValueError("blocks beyond their segment")
        is_large = given.get("segment_type", "large") == "large"
        pool, device = _pool(given.get("segment_pool_id", (0, 0))), _number(given.get("device", 0))
        return Segment(address, size, _number(given.get("stream", 0)), is_large, device, pool, tuple(blocks))

    def _block(self, given: dict[str, Any], at: int) -> Block:
        address, size = _number(given.get("address", at)), _number(given["size"])
        if address < at:
            raise ValueError("blocks that overlap")
        requested = _number(given.get("requested_size", size))
        return Block(address, size, requested, _is_live(given["state"]), self._stack(given.get("frames", [])))

    def _event(self, given: dict[str, Any]) -> Event:
        action = given["action"]
        if not isinstance(action, str):
            raise TypeError(f"an action that is a {type(action).__name__}")
        address = _number(given.get("device_free" if action == "oom" else "addr", 0))
        frames, pool = self._stack(given.get("frames", [])), _pool(given.get("pool_id", (0, 0)))
        return Event(action, address, _number(given["size"]), _number(given.get("stream", 0)), frames, pool)

    def _stack(self, given: object) -> Frames:
        known = self._stacks.get(id(given))
        if known is None:  # the list is kept, so that its id stays its own
            known = self._stacks[id(given)] = given, tuple(self._frame(frame) for frame in self._list(given))
        return known[1]

    def _frame(self, given: dict[str, Any]) -> Frame:
        filename, name = given["filename"], given["name"]
        if not isinstance(filename, str) or not isinstance(name, str):
            raise TypeError("a frame without names")
        frame = Frame(filename, _number(given["line"]), name)
        return self._frames.setdefault(frame, frame)

    def _list(self, value: object) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError(f"a {type(value).__name__} instead of a list")
        self._left -= len(value)
        if self._left < 0:
            raise ValueError(f"more than {MOST:,} entries")
        return value


def _is_live(state: object) -> bool:
    """Tell whether a block is in use: `active_allocated`, or still by another stream."""
    if not isinstance(state, str):
        raise TypeError(f"a state that is a {type(state).__name__}")
    return state.startswith("active")


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST_ADDRESS:
        raise ValueError(f"a number that is {str(value)[:50]!r}")
    return value


def _pool(value: object) -> tuple[int, int]:
    if not isinstance(value, tuple) or len(value) != 2:  # noqa: PLR2004 - a pair
        raise TypeError("a pool that is no pair")
    return _number(value[0]), _number(value[1])
