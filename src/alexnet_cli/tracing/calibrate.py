"""Measures what a machine can do: arithmetic by dtype, and the bandwidth of reads and copies of several sizes.

The best of several rounds counts, as everything that disturbs only makes it slower. For arithmetic it is the best of
matrix products and of a convolution, as their kernels come from different libraries; for bandwidth that of a copy and
of a product of a matrix and a vector, which only reads. What a few kilobytes need stays in the caches, where a kernel
may find it too: the bandwidth that bounds it depends on how much it moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

import torch
from torch import Tensor

from alexnet_cli.timing import Bandwidth, Calibration
from alexnet_cli.tracing.devices import device_name, out_of_memory, synchronizer

_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
_SIDES = {"cpu": (256, 512, 1024, 2048), "other": (2048, 4096, 8192)}
_FOOTPRINTS = {
    "cpu": tuple(2**power for power in range(14, 29)),
    "other": tuple(2**power for power in range(20, 31)),
}
_CHANNELS, _PIXELS, _WIDEST = 256, 28, 4096
_ROUND_S = {"cpu": 0.002, "other": 0.02}
"""A round on the CPU is shorter than what a scheduler gives to one process, so that some are never interrupted."""
_LONG_S, _ROUNDS, _MOST_CALLS = 0.4, {"cpu": 50, "other": 8}, 1000


def calibrate(device: torch.device, tell: Callable[[str], None]) -> Calibration:
    """Measure a device for some seconds; `tell` gets what is being measured."""
    kind = "cpu" if device.type == "cpu" else "other"
    peaks = {}
    for dtype in _DTYPES:
        name = str(dtype).removeprefix("torch.")
        tell(name)
        if best := _peak(_SIDES[kind], dtype, device):
            peaks[name] = best
    bandwidths = []
    for footprint in _FOOTPRINTS[kind]:
        tell(f"{footprint:,} bytes")
        bandwidths.append(Bandwidth(footprint, _bandwidth(footprint, device)))
    threads = torch.get_num_threads() if device.type == "cpu" else None
    return Calibration(device_name(device), threads, peaks, tuple(bandwidths))


def _peak(sides: Sequence[int], dtype: torch.dtype, device: torch.device) -> float:
    """Return the most FLOP per second of products of these sizes and of a convolution; 0 if the device has none.

    Products that take long are left out.
    """
    best = 0.0
    for side in sides:
        reached = _product(side, dtype, device)
        best = max(best, reached)
        if not reached or 2 * (2 * side) ** 3 / reached > _LONG_S:
            break
    work = 2 * _CHANNELS**2 * 9 * _PIXELS**2
    return best if not best or work / best > _LONG_S else max(best, _convolution(work, dtype, device))


def _product(side: int, dtype: torch.dtype, device: torch.device) -> float:
    """Return the FLOP per second of a product of square matrices."""
    return _reached(
        2 * side**3,
        lambda: torch.rand(2, side, side, device=device).to(dtype),
        lambda given: torch.mm(given[0], given[1]),
        device,
    )


def _convolution(work: int, dtype: torch.dtype, device: torch.device) -> float:
    """Return the FLOP per second of a convolution with windows of 3 × 3."""
    weight = torch.rand(_CHANNELS, _CHANNELS, 3, 3, device=device).to(dtype)
    return _reached(
        work,
        lambda: torch.rand(1, _CHANNELS, _PIXELS, _PIXELS, device=device).to(dtype),
        lambda given: torch.nn.functional.conv2d(given, weight, padding=1),
        device,
    )


def _reached(flops: int, make: Callable[[], Tensor], work: Callable[[Tensor], Tensor], device: torch.device) -> float:
    """Return the FLOP per second of some work; 0 where the device has no such kernel, or no memory for it."""
    try:
        given = make()
        return flops / _least(lambda: work(given), device)
    except Exception as error:
        if isinstance(error, (RuntimeError, TypeError)) or out_of_memory(error):
            return 0.0
        raise


def _bandwidth(footprint: int, device: torch.device) -> float:
    """Return the bytes per second that a copy reads and writes, or that a product reads, whichever are more."""
    half, width = footprint // 2, min(_WIDEST, footprint // 64)
    source, target = (torch.zeros(half, dtype=torch.uint8, device=device) for _ in range(2))
    copied = 2 * half / _least(lambda: target.copy_(source), device)
    matrix, vector = torch.zeros(footprint // 4 // width, width, device=device), torch.zeros(width, device=device)
    return max(copied, matrix.numel() * 4 / _least(lambda: torch.mv(matrix, vector), device))


def _least(work: Callable[[], object], device: torch.device) -> float:
    """Return the least seconds of a call, over rounds of several calls each."""
    synchronize, kind = synchronizer(device), "cpu" if device.type == "cpu" else "other"

    def seconds(calls: int) -> float:
        synchronize()
        start = perf_counter()
        for _ in range(calls):
            work()
        synchronize()
        return (perf_counter() - start) / calls

    with torch.no_grad():
        first = min(seconds(1), seconds(1))
        calls = max(1, min(_MOST_CALLS, int(_ROUND_S[kind] / max(first, 1e-9))))
        rounds = max(2, min(_ROUNDS[kind], int(_LONG_S / max(first * calls, 1e-9))))
        return min(first, *(seconds(calls) for _ in range(rounds)))
