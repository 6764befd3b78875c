"""Runs a model again and again, as it is and under torch's profiler, and tells how long each operator took.

The profiler notes when each ATen operator begins and ends; those of the tape are found among them in their order. The
time from the end of one to the end of the next is the next one's: what Python and torch do to get there belongs to it,
so that the operators add up to the run. Runs as they are and runs under the profiler alternate, so that a machine that
becomes slower does so for both.
"""

from __future__ import annotations

import gc
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from statistics import quantiles
from time import perf_counter
from typing import NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from alexnet_cli.tape import Tape
from alexnet_cli.timing import Pass, Passes
from alexnet_cli.torch_insides import imports_unwatched, raw_events
from alexnet_cli.tracing.devices import device_name, quiet_profiler
from alexnet_cli.tracing.recording.modes import calm_collector, plain_kernels
from alexnet_cli.tracing.recording.runs import Forward, Step, loss_of

LEAST_RUNS, MOST_RUNS = 5, 200
"""How often a run is repeated, as it is and under the profiler each."""
_ENOUGH = 20
"""From how many runs on it is asked whether they vary little."""
_LITTLE = 0.02
"""The middle half of all runs within this fraction of their median is little."""
_AT_ONCE_S = 0.2
"""How long runs of one kind go on before those of the other kind."""
_RUN = "alexnet::run"
_AHEAD = 500
"""How many events are looked through for an operator."""
_NANO = 1e-9


class _Event(NamedTuple):
    """An operator as the profiler saw it, in nanoseconds; `on_device` is what the kernels took that it launched."""

    start: int
    end: int
    name: str
    on_device: int = 0
    launched: int = 0


def time_passes(run: Forward | Step, tape: Tape, device: torch.device, budget: float) -> Passes:
    """Repeat a run that was recorded, for about `budget` seconds and at least a few times."""
    stopwatch = _Stopwatch(run, device)
    whole: list[float] = []
    passes: list[Pass] = []
    with calm_collector(), plain_kernels(), imports_unwatched():
        first = stopwatch.whole()  # what was recorded did not warm up what only a plain run uses
        at_once = max(1, min(LEAST_RUNS, int(_AT_ONCE_S / first)))
        began = perf_counter()
        while not _is_enough(whole, perf_counter() - began, budget):
            whole += [stopwatch.whole() for _ in range(at_once)]
            passes += [_pass(*each, tape) for each in stopwatch.by_event(at_once)]
    return Passes(
        device_name=device_name(device),
        threads=torch.get_num_threads() if device.type == "cpu" else None,
        whole=tuple(whole),
        passes=tuple(passes),
        settled=_varies_little(whole),
    )


class _Stopwatch:
    """Runs what is timed, and reads the clock."""

    def __init__(self, run: Forward | Step, device: torch.device) -> None:
        self.run = run
        self.device = device
        self.synchronize = synchronizer(device)

    def whole(self, within: Callable[[], AbstractContextManager[object]] = nullcontext) -> float:
        """Return the seconds of one run."""
        self.run.model.zero_grad(set_to_none=True)
        gc.collect(0)
        self.synchronize()
        with within():
            start = perf_counter()
            if isinstance(self.run, Forward):
                with torch.no_grad():
                    self.run()
            else:
                loss = loss_of(self.run.run_forward(self.device))
                loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
            self.synchronize()
            return perf_counter() - start

    def by_event(self, runs: int) -> list[tuple[_Event, list[_Event]]]:
        """Return the operators of so many runs under the profiler, by their start, each with the run around them."""
        with _profiled(self.device) as seen:
            for _ in range(runs):
                self.whole(partial(record_function, _RUN))
        starts = [event.start for event in seen]
        around = [event for event in seen if event.name == _RUN]
        return [(run, seen[bisect_right(starts, run.start) : bisect_left(starts, run.end)]) for run in around]


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Return what waits until a device has done all that it was asked to."""
    if device.type == "cpu":
        return lambda: None
    wait: Callable[[], None] = getattr(torch, device.type).synchronize
    return wait


@contextmanager
def _profiled(device: torch.device) -> Iterator[list[_Event]]:
    """Yield a list that has the operators seen inside, by their start, once it is left."""
    seen: list[_Event] = []
    kinds = {"cuda": ProfilerActivity.CUDA, "xpu": ProfilerActivity.XPU}
    activities = [ProfilerActivity.CPU, *([kinds[device.type]] if device.type in kinds else [])]
    with quiet_profiler(), profile(activities=activities) as profiler:
        yield seen
    kernels: dict[int, list[int]] = defaultdict(list)
    operators = []
    for event in raw_events(profiler) or ():
        if event.device_type().name != "CPU":
            kernels[event.linked_correlation_id()].append(event.duration_ns())
        elif "::" in event.name():
            operators.append(event)
    for event in operators:
        own = kernels.get(event.correlation_id(), ())
        start = event.start_ns()
        seen.append(_Event(start, start + event.duration_ns(), event.name(), sum(own), len(own)))
    seen.sort()


def _pass(run: _Event, seen: Sequence[_Event], tape: Tape) -> Pass:
    """Find the operators of a tape among those of a run, and the time of each; what is inside another is part of it."""
    found: list[tuple[int, float, float, int, float, int]] = []
    done, at = run.start, 0
    for position, operation in enumerate(tape.operations):
        first = _next(seen, range(at, min(at + _AHEAD, len(seen))), operation.op, done)
        if first is None:
            continue  # a tensor that is only read through another view, or what the profiler does not list
        event, after = seen[first], first + 1
        while after < len(seen) and seen[after].start < event.end:
            after += 1
        own = seen[at:after]
        on_device, launched = sum(each.on_device for each in own) * _NANO, sum(each.launched for each in own)
        step, kernel = (event.end - done) * _NANO, (event.end - event.start) * _NANO
        found.append((position, step, kernel, len(own), on_device, launched))
        done, at = event.end, after
    return Pass(
        seconds=(run.end - run.start) * _NANO,
        positions=tuple(each[0] for each in found),
        steps=tuple(each[1] for each in found),
        kernels=tuple(each[2] for each in found),
        events=tuple(each[3] for each in found),
        on_device=tuple(each[4] for each in found),
        launched=tuple(each[5] for each in found),
        rest=(run.end - done) * _NANO,
        rest_events=len(seen) - at,
    )


def _next(seen: Sequence[_Event], among: range, op: str, done: int) -> int | None:
    """Return the first of these events that is an operator and begins after the last one is done; None if none is.

    torch adds gradients in place, but not where a tape is made.
    """
    name = op if "::" in op else f"aten::{op}"
    return next((at for at in among if seen[at].start >= done and seen[at].name in (name, f"{name}_")), None)


def _is_enough(whole: list[float], spent: float, budget: float) -> bool:
    if len(whole) < LEAST_RUNS:
        return False
    return len(whole) >= MOST_RUNS or spent >= budget or (len(whole) >= _ENOUGH and _varies_little(whole))


def _varies_little(whole: list[float]) -> bool:
    low, middle, high = quantiles(whole, n=4)
    return high - low <= _LITTLE * middle
