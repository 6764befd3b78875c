"""Devices: whether one is there, and what a forward on it takes."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from alexnet_cli.errors import DeviceError
from alexnet_cli.report import Measured
from alexnet_cli.torch_insides import memory_events
from alexnet_cli.tracing.options import META

_BACKENDS = {"cuda": "CUDA", "mps": "MPS (Apple GPU)", "xpu": "XPU (Intel GPU)"}


def require_device(name: str) -> torch.device:
    """Return the device of that name.

    Raises:
        DeviceError: this build of torch has no such backend, or the machine no such device.
    """
    kind, _, number = name.partition(":")
    if kind in (META, "cpu"):
        return torch.device(name)
    count = _device_count(kind)
    hint = f"devices here: {', '.join(available_devices())}"
    if count == 0:
        raise DeviceError(f"the device {name!r} is not there: {_why_absent(kind)}", hint)
    if number and int(number) >= count:
        raise DeviceError(f"the device {name!r} is not there: this machine has {count} of that kind", hint)
    return torch.device(name)


def available_devices() -> list[str]:
    """Name the devices that `--device` would accept on this machine."""
    accelerators = [f"{kind}:{number}" for kind in ("cuda", "xpu") for number in range(_device_count(kind))]
    return [META, "cpu", *accelerators, *(["mps"] if _device_count("mps") else [])]


def _device_count(kind: str) -> int:
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    backend = getattr(torch, kind)
    return int(backend.device_count()) if backend.is_available() else 0


def _why_absent(kind: str) -> str:
    built = {
        "cuda": torch.version.cuda is not None or torch.version.hip is not None,
        "mps": torch.backends.mps.is_built(),
        "xpu": getattr(torch.version, "xpu", None) is not None,
    }[kind]
    if not built:
        return f"this build of torch ({torch.__version__}) has no {_BACKENDS[kind]}"
    return f"torch {torch.__version__} is built with {_BACKENDS[kind]} but finds no device (is the driver installed?)"


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception says that memory ran out; the CPU's allocator raises a plain RuntimeError."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def measure(forward: Callable[[], object], device: torch.device, resident_bytes: int) -> Measured:
    """Run a warmed-up forward on a real device and say what it took.

    `resident_bytes` is what was allocated before (weights, buffers, inputs). The peak includes it: it is the
    device allocator's own count where there is one; on the CPU the profiler's allocation events are added to it.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        seconds = _seconds(forward, lambda: torch.cuda.synchronize(device))
        return Measured(torch.cuda.get_device_name(device), int(torch.cuda.max_memory_allocated(device)), seconds)
    if device.type == "xpu":
        torch.xpu.reset_peak_memory_stats(device)
        seconds = _seconds(forward, lambda: torch.xpu.synchronize(device))
        return Measured(torch.xpu.get_device_name(device), int(torch.xpu.max_memory_allocated(device)), seconds)
    if device.type == "mps":
        return Measured("Apple GPU (MPS)", None, _seconds(forward, torch.mps.synchronize))
    seconds = _seconds(forward, lambda: None)
    peak = _cpu_peak(forward)
    return Measured(_cpu_name(), None if peak is None else resident_bytes + peak, seconds)


def _seconds(forward: Callable[[], object], synchronize: Callable[[], None]) -> float:
    synchronize()
    start = time.perf_counter()
    forward()
    synchronize()
    return time.perf_counter() - start


def _cpu_peak(forward: Callable[[], object]) -> int | None:
    """Return the most bytes that the CPU allocator had given out at once during the forward, None if not known."""
    from torch.profiler import ProfilerActivity, profile

    with _silent_stderr(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        forward()
    events = memory_events(profiler)
    return None if events is None else peak_of(events)


def peak_of(events: Any) -> int:
    """Return the highest running sum of the allocations and frees among a profiler's events."""
    live = peak = 0
    memory = ((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    for _, change in sorted(memory, key=lambda event: event[0]):
        live += change
        peak = max(peak, live)
    return peak


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep the profiler's own log lines, written by C++, off stderr."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
