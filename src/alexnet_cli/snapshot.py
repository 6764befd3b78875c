"""A snapshot of CUDA's caching allocator, as plain values: what `torch.cuda.memory._dump_snapshot` wrote.

Sizes are in bytes, addresses are numbers. The format is that of torch's `torch/csrc/cuda/Module.cpp` (`memorySnapshot`)
and of the docstring of `torch.cuda.memory._snapshot`.
"""

from __future__ import annotations

from typing import NamedTuple


class Frame(NamedTuple):
    """A frame of Python or C++; of a stack the innermost comes first."""

    filename: str
    line: int
    name: str


Frames = tuple[Frame, ...]


class Block(NamedTuple):
    """A piece of a segment: `size` is what it takes there, `requested` what was asked for."""

    address: int
    size: int
    requested: int
    is_live: bool
    frames: Frames


class Segment(NamedTuple):
    """Memory that the allocator got from the device, for one stream and one of its two pools."""

    address: int
    size: int
    stream: int
    is_large: bool
    device: int
    pool: tuple[int, int]
    blocks: tuple[Block, ...]


class Event(NamedTuple):
    """Something that the allocator did; of an `oom` the `address` is what the device still had free."""

    action: str
    address: int
    size: int
    stream: int
    frames: Frames
    pool: tuple[int, int]


class Snapshot(NamedTuple):
    """The segments when the snapshot was taken, and for each device what happened before, oldest first."""

    segments: tuple[Segment, ...]
    traces: tuple[tuple[Event, ...], ...]
