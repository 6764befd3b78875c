"""How long a run took, as plain values: runs as they are, and the operators of runs under a profiler."""

from __future__ import annotations

from msgspec import Struct


class Pass(Struct, frozen=True):
    """One run under the profiler, in seconds, with what the profiler added.

    `positions` are the operators found among the tape's: `steps` has for each the time from the end of the one before
    to its own end, `kernels` the part of it within the operator, `events` how many events the profiler noted in it,
    `on_device` what the kernels took that it launched on an accelerator, and `launched` how many those are. `rest` and
    `rest_events` follow the last operator.
    """

    seconds: float
    positions: tuple[int, ...]
    steps: tuple[float, ...]
    kernels: tuple[float, ...]
    events: tuple[int, ...]
    on_device: tuple[float, ...]
    launched: tuple[int, ...]
    rest: float
    rest_events: int


class Allocated(Struct, frozen=True):
    """The most bytes that torch's allocator held while each of the operators at `positions` ran.

    What it held before the run, as the weights, is not counted.
    """

    positions: tuple[int, ...]
    bytes: tuple[int, ...]


class Compiled(Struct, frozen=True):
    """The same run compiled: the seconds of the first, in which it was compiled, and of those after it.

    `graphs` is how many were compiled, and `breaks` at how many places of the code one ended; null if torch does not
    tell.
    """

    first_seconds: float
    whole: tuple[float, ...]
    graphs: int | None
    breaks: int | None


class Captured(Struct, frozen=True):
    """The same run by a CUDA graph: the seconds in which it was warmed up and recorded, and those of its runs."""

    first_seconds: float
    whole: tuple[float, ...]


class Passes(Struct, frozen=True):
    """One run that was repeated: the seconds of runs as they are, and those under the profiler.

    `settled` tells whether the runs as they are varied little; otherwise the time was up. `allocated` is null where the
    profiler does not see the allocator, `compiled` where the run was not to be compiled, `cuda_graph` where it was not
    to be recorded.
    """

    device_name: str
    threads: int | None
    whole: tuple[float, ...]
    passes: tuple[Pass, ...]
    settled: bool
    allocated: Allocated | None = None
    compiled: Compiled | None = None
    cuda_graph: Captured | None = None


class Bandwidth(Struct, frozen=True):
    """The bytes per second at which a kernel moved `footprint` bytes again and again: caches hold small ones."""

    footprint: int
    bytes_per_s: float


class Calibration(Struct, frozen=True):
    """What a machine reached: FLOP per second of matrix products by dtype, and bandwidths, the smallest first."""

    device_name: str
    threads: int | None
    flops_per_s: dict[str, float]
    bandwidths: tuple[Bandwidth, ...]
