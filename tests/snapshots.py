"""Snapshots of CUDA memory without a GPU: a small model of torch's caching allocator that writes what torch writes.

The rules are those of c10/cuda/CUDACachingAllocator.cpp: rounding to 512 bytes, two pools, segments of 2 MiB, 20 MiB
or a multiple of 2 MiB, the smallest free block that fits, a rest that is split off (from 512 bytes in the small pool,
above 1 MiB in the large one), neighbours that are free joined, free segments given back before a request is refused.
The keys are those of torch/csrc/cuda/Module.cpp and of the docstring of `torch.cuda.memory._snapshot`.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field

MIB = 2**20
TORCH = "/venv/lib/python3.11/site-packages/torch"
BASE = 0x7F0000000000


def frames(*users: tuple[str, int, str], native: tuple[str, ...] = ()) -> list[dict]:
    """Return a stack as torch records it, innermost first: C++, torch's Python, the user's."""
    stack = [("??", 0, name) for name in native]
    stack += [(f"{TORCH}/nn/modules/module.py", 1750, "_wrapped_call_impl")]
    return [{"filename": name, "line": line, "name": function} for name, line, function in (*stack, *users)]


@dataclass
class Block:
    address: int
    size: int
    requested: int = 0
    frames: list = field(default_factory=list)
    used: bool = False


@dataclass
class Segment:
    address: int
    size: int
    large: bool
    blocks: list[Block]


class OutOfMemoryError(Exception):
    """A request was refused."""


class Allocator:
    def __init__(self, capacity: int, *, history: bool = True) -> None:
        self.capacity, self.history = capacity, history
        self.segments: list[Segment] = []
        self.trace: list[dict] = []
        self._next = BASE

    @property
    def reserved(self) -> int:
        return sum(segment.size for segment in self.segments)

    def note(self, action: str, size: int, stack: list, **more: int) -> None:
        if self.history:
            entry = {"action": action, **more, "size": size, "stream": 0, "time_us": len(self.trace), "frames": stack}
            self.trace.append({**entry, "compile_context": "N/A", "user_metadata": "", "pool_id": (0, 0)})

    def malloc(self, size: int, stack: list) -> int:
        rounded = max(512, (size + 511) // 512 * 512)
        large = rounded > MIB
        block = self._find(rounded, large=large) or self._grow(size, rounded, stack, large=large)
        segment = next(it for it in self.segments if block in it.blocks)
        rest = block.size - rounded
        if rest > MIB if large else rest >= 512:
            segment.blocks.insert(segment.blocks.index(block) + 1, Block(block.address + rounded, rest))
            block.size = rounded
        block.used, block.requested, block.frames = True, size, stack if self.history else []
        self.note("alloc", size, stack, addr=block.address)
        return block.address

    def free(self, address: int) -> None:
        segment, block = next(
            (segment, block) for segment in self.segments for block in segment.blocks if block.address == address
        )
        self.note("free_requested", block.requested, [], addr=address)
        self.note("free_completed", block.requested, [], addr=address)
        block.used, block.frames = False, []
        joined: list[Block] = []
        for each in segment.blocks:
            if joined and not joined[-1].used and not each.used:
                joined[-1].size += each.size
            else:
                joined.append(each)
        segment.blocks = joined

    def empty_cache(self) -> None:
        for segment in [it for it in self.segments if len(it.blocks) == 1 and not it.blocks[0].used]:
            self.segments.remove(segment)
            self.note("segment_free", segment.size, [], addr=segment.address)

    def _find(self, rounded: int, *, large: bool) -> Block | None:
        free = [
            block
            for segment in self.segments
            if segment.large == large
            for block in segment.blocks
            if not block.used and block.size >= rounded
        ]
        return min(free, key=lambda block: (block.size, block.address), default=None)

    def _grow(self, size: int, rounded: int, stack: list, *, large: bool) -> Block:
        wanted = 2 * MIB if not large else 20 * MIB if rounded < 10 * MIB else -(-rounded // (2 * MIB)) * 2 * MIB
        if self.reserved + wanted > self.capacity:
            self.empty_cache()
        if self.reserved + wanted > self.capacity:
            self.note("oom", size, stack, device_free=self.capacity - self.reserved)
            raise OutOfMemoryError
        segment = Segment(self._next, wanted, large, [Block(self._next, wanted)])
        self._next += wanted + 2 * MIB
        self.segments.append(segment)
        self.note("segment_alloc", wanted, stack, addr=segment.address)
        return segment.blocks[0]

    def dump(self) -> dict:
        return {
            "segments": [self._told(segment) for segment in self.segments],
            "device_traces": [self.trace],
            "allocator_settings": {"PYTORCH_CUDA_ALLOC_CONF": "", "max_split_size": -1, "expandable_segments": False},
            "external_annotations": [],
        }

    def write(self, path) -> str:
        path.write_bytes(pickle.dumps(self.dump()))
        return str(path)

    def _told(self, segment: Segment) -> dict:
        used = [block for block in segment.blocks if block.used]
        return {
            "device": 0,
            "address": segment.address,
            "total_size": segment.size,
            "allocated_size": sum(block.size for block in used),
            "active_size": sum(block.size for block in used),
            "requested_size": sum(block.requested for block in used),
            "stream": 0,
            "segment_type": "large" if segment.large else "small",
            "segment_pool_id": (0, 0),
            "is_expandable": False,
            "frames": [],
            "blocks": [
                {
                    "address": block.address,
                    "size": block.size,
                    "requested_size": block.requested if block.used else 0,
                    "state": "active_allocated" if block.used else "inactive",
                    "frames": block.frames,
                }
                for block in segment.blocks
            ],
        }


def run_step(allocator: Allocator, step, stack_of) -> tuple[int, dict[int, int]]:
    """Allocate and free what the tape of a training step does, until a request is refused.

    Returns the operation that failed and the addresses of the storages that were live.
    """
    tape, live = step.tape, {}
    for number, storage in enumerate(tape.storages):
        if storage.born < 0 and storage.bytes:
            live[number] = allocator.malloc(storage.bytes, stack_of(None))
    for at, operation in enumerate(tape.operations):
        for number in [number for number in live if tape.storages[number].died == at]:
            allocator.free(live.pop(number))
        for number, storage in enumerate(tape.storages):
            if storage.born == at and storage.bytes:
                try:
                    live[number] = allocator.malloc(storage.bytes, stack_of(operation))
                except OutOfMemoryError:
                    return at, live
    raise AssertionError("it fitted")
