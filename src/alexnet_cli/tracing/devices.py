"""Devices: which are available, and the memory and time a forward takes on them."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from operator import itemgetter
from pathlib import Path

import torch

from alexnet_cli.errors import DeviceError
from alexnet_cli.report import Measured
from alexnet_cli.torch_insides import raw_events
from alexnet_cli.tracing.options import META

_BACKENDS = {"cuda": "CUDA", "mps": "MPS (Apple GPU)", "xpu": "XPU (Intel GPU)"}


def require_device(name: str) -> torch.device:
    """Return the device of that name.

    Raises:
        DeviceError: this build of torch lacks the backend, or the machine the device.
    """
    kind, _, number = name.partition(":")
    if kind in (META, "cpu"):
        return torch.device(name)
    count = _device_count(kind)
    hint = f"available devices: {', '.join(available_devices())}"
    if count == 0:
        raise DeviceError(f"device {name!r} is not available: {_why_absent(kind)}", hint)
    if number and int(number) >= count:
        raise DeviceError(f"device {name!r} is not available: this machine has {count} of that kind", hint)
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
    return f"torch {torch.__version__} supports {_BACKENDS[kind]} but finds no device (is the driver installed?)"


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means out of memory; the CPU's allocator raises a plain RuntimeError."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def no_memory(device: object) -> DeviceError:
    """Return the error of a run that takes more memory than there is on a device."""
    return DeviceError(f"out of memory on {device}", "--device meta allocates nothing")


def device_name(device: torch.device) -> str:
    """Return the name of the device that a model runs on."""
    if device.type in ("cuda", "xpu"):
        return str(getattr(torch, device.type).get_device_name(device))
    return "Apple GPU (MPS)" if device.type == "mps" else _cpu_name()


def measure(forward: Callable[[], object], device: torch.device, resident_bytes: int) -> Measured:
    """Run a forward, already warmed up, on a real device and measure its peak memory and time.

    `resident_bytes` were allocated before (weights, buffers, inputs) and count towards the peak: the device
    allocator's own number if it keeps one; on the CPU the profiler's allocation events on top of the resident bytes.
    """
    if device.type in ("cuda", "xpu"):
        backend = getattr(torch, device.type)
        backend.reset_peak_memory_stats(device)
        seconds = timed(forward, synchronizer(device))
        return Measured(device_name(device), int(backend.max_memory_allocated(device)), seconds)
    seconds = timed(forward, synchronizer(device))
    peak = _cpu_peak(forward) if device.type == "cpu" else None
    return Measured(device_name(device), None if peak is None else resident_bytes + peak, seconds)


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Return what waits until a device has done all that it was asked to."""
    if device.type == "cpu":
        return lambda: None
    if device.type == "mps":
        return torch.mps.synchronize
    return partial(getattr(torch, device.type).synchronize, device)


def timed(work: Callable[[], object], synchronize: Callable[[], None]) -> float:
    """Return the seconds that some work takes on a device."""
    synchronize()
    start = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - start


def _cpu_peak(forward: Callable[[], object]) -> int | None:
    """Return the CPU allocator's peak during the forward, None if the profiler does not tell."""
    from torch.profiler import ProfilerActivity, profile

    with quiet_profiler(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        forward()
    events = raw_events(profiler)
    if events is None:
        return None
    memory = ((int(event.start_ns()), int(event.nbytes())) for event in events if event.name() == "[memory]")
    return max(accumulate((change for _, change in sorted(memory, key=itemgetter(0))), initial=0))


@contextmanager
def quiet_profiler() -> Iterator[None]:
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
