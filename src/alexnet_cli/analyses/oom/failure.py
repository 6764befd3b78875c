"""What a snapshot of CUDA memory shows of a failure: the request, what was live by line of code, what was free."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from alexnet_cli.analyses.oom.allocator import block_bytes, is_large, segment_bytes
from alexnet_cli.analyses.oom.rewind import Live, State
from alexnet_cli.snapshot import Frame, Frames

PlaceKind = Literal["line", "library", "workspace", "unknown"]

_PYTHON = re.compile(r"\.py$|^<")
_INSTALLED = re.compile(r"(?:site|dist)-packages[/\\]|[/\\]lib[/\\]python3|^<frozen")
_TORCH = re.compile(r"(?:site|dist)-packages[/\\]torch[/\\]|[/\\]lib[/\\]python3\.\d+[/\\](?!(?:site|dist)-packages)")
_WORKSPACE = re.compile(r"workspace|getCurrentCUDABlasHandle|getCurrentCUDASolver", re.IGNORECASE)
"""Functions that allocate the workspaces of cuBLAS and cuDNN: at/cuda/CublasHandlePool.cpp, at/native/cudnn/*.cpp."""
_IN_CUDNN = re.compile(r"raw_cudnn_|run_conv_plan|run_single_conv")
_TENSOR = re.compile(r"empty_(?:generic|cuda|strided)|at::empty|_empty_affine")
"""Functions that allocate a tensor, which convolutions of cuDNN do for their results."""


class Place(Struct, frozen=True):
    """Live allocations of one origin: `bytes` are what they take, `requested_bytes` what was asked for.

    The origin is a `line` of the user's code or of a `library`, a `workspace` of cuBLAS or cuDNN by the functions on
    its stack, or `unknown` where no stack was recorded or none of its frames is Python.
    """

    kind: PlaceKind
    line: str | None
    function: str | None
    bytes: int
    requested_bytes: int
    count: int


class Request(Struct, frozen=True):
    """The request that failed: what it would take as a block, and what the device would have been asked for."""

    bytes: int
    block_bytes: int
    segment_bytes: int
    line: str | None
    function: str | None


class Free(Struct, frozen=True):
    """What was reserved and free: in segments that are in `split`, partly used, or `whole`; the largest piece.

    Of these, `usable_bytes` is what the stream and pool of the failed request may use; None where none is recorded.
    """

    bytes: int
    largest_bytes: int
    split_bytes: int
    whole_bytes: int
    usable_bytes: int | None
    largest_usable_bytes: int | None


class Failure(Struct, frozen=True):
    """The memory of a device when a request failed; without a `request` it is that when the snapshot was taken.

    `reserved_bytes` are `allocated_bytes`, which include `rounding_bytes`, and those of `free`. `device_free_bytes` is
    what the device had left then. It is `fragmented` if enough was usable and free, but in no single piece.
    """

    device: int
    request: Request | None
    device_free_bytes: int | None
    reserved_bytes: int
    segments: int
    allocated_bytes: int
    rounding_bytes: int
    free: Free
    fragmented: bool | None
    places: tuple[Place, ...]


def failure(state: State) -> Failure:
    """Return what a state shows."""
    asked, free = state.request, _free(state)
    allocated, requested = sum(it.size for it in state.live), sum(it.requested for it in state.live)
    request = None
    if asked is not None:
        line, function = _where(asked.frames)
        request = Request(asked.size, block_bytes(asked.size), segment_bytes(asked.size), line, function)
    return Failure(
        device=state.device,
        request=request,
        device_free_bytes=None if asked is None else asked.address,
        reserved_bytes=sum(piece.size for piece in state.reserved),
        segments=len(state.reserved),
        allocated_bytes=allocated,
        rounding_bytes=allocated - requested,
        free=free,
        fragmented=None if request is None else (free.usable_bytes or 0) >= request.block_bytes,
        places=places(state.live),
    )


def _free(state: State) -> Free:
    pieces = state.free()
    sizes = [size for _, free in pieces for size in free]
    whole = sum(free[0] for piece, free in pieces if free == [piece.size])
    usable = None
    if (asked := state.request) is not None:
        mine = (asked.stream, is_large(asked.size), asked.pool)
        usable = [size for it, free in pieces for size in free if (it.stream, it.is_large, it.pool) == mine]
    return Free(
        bytes=sum(sizes),
        largest_bytes=max(sizes, default=0),
        split_bytes=sum(sizes) - whole,
        whole_bytes=whole,
        usable_bytes=None if usable is None else sum(usable),
        largest_usable_bytes=None if usable is None else max(usable, default=0),
    )


def places(live: Iterable[Live]) -> tuple[Place, ...]:
    """Return live allocations by their origin, the largest first."""
    groups: dict[tuple[PlaceKind, str | None, str | None], list[Live]] = {}
    for each in live:
        groups.setdefault(origin(each.frames), []).append(each)
    found = [
        Place(*key, sum(it.size for it in group), sum(it.requested for it in group), len(group))
        for key, group in groups.items()
    ]
    return tuple(sorted(found, key=lambda place: -place.bytes))


def origin(frames: Frames) -> tuple[PlaceKind, str | None, str | None]:
    """Tell where an allocation comes from: its kind, line and function."""
    line, function = _where(frames)
    if _is_workspace([frame.name for frame in frames if not _PYTHON.search(frame.filename)]):
        return "workspace", line, function
    if line is None:
        return "unknown", None, None
    frame = _users(frames)
    return ("line" if frame is not None else "library"), line, function


def _is_workspace(names: list[str]) -> bool:
    """Tell from the functions in C++ whether they allocate a workspace."""
    if any(map(_WORKSPACE.search, names)):
        return True
    return any(map(_IN_CUDNN.search, names)) and not any(map(_TENSOR.search, names))


def _where(frames: Frames) -> tuple[str | None, str | None]:
    frame = _users(frames) or _librarys(frames)
    return (None, None) if frame is None else (f"{frame.filename}:{frame.line}", frame.name)


def _users(frames: Frames) -> Frame | None:
    """Return the innermost frame of Python code that is not installed; the files may be those of another machine."""
    return next((it for it in frames if _PYTHON.search(it.filename) and not _INSTALLED.search(it.filename)), None)


def _librarys(frames: Frames) -> Frame | None:
    """Return the innermost frame of a library other than torch and Python's own."""
    python = (it for it in frames if _PYTHON.search(it.filename) and not it.filename.startswith("<"))
    return next((it for it in python if not _TORCH.search(it.filename)), None)
