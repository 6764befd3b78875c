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
_FOLLOWING = 12
"""Of how many operators that follow none may come before the one that is looked for."""
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


class _Step(NamedTuple):
    """An operator of the tape as it ran, in seconds: since the one before, and within it."""

    position: int
    seconds: float
    kernel: float
    own: Sequence[_Event]


def _pass(run: _Event, seen: Sequence[_Event], tape: Tape) -> Pass:
    """Find the operators of a tape among those of a run, and the time of each; what is inside another is part of it.

    Watched by a dispatch mode, torch may take other operators than here (`max_pool2d_with_indices` for `max_pool1d`).
    What runs between two operators that are found, and in neither of their calls, is that of those in between.
    """
    operations = tape.operations
    names = [{_named(operation.op), f"{_named(operation.op)}_"} for operation in operations]  # sums are done in place
    working = [position for position, operation in enumerate(operations) if operation.nature != "view"]
    found: list[_Step] = []
    done, at, missed = run.start, 0, -1

    def took(position: int, until: int, kernel: int, after: int) -> None:
        nonlocal done, at
        found.append(_Step(position, (until - done) * _NANO, kernel * _NANO, seen[at:after]))
        done, at = until, after

    for position, operation in enumerate(operations):
        later = bisect_right(working, position)
        following = set().union(*(names[each] for each in working[later : later + _FOLLOWING])) - names[position]
        first = _next(seen, at, names[position], following, done)
        if first is None:
            missed = position if operation.nature != "view" else missed
            continue
        if missed >= 0:
            begun = _call_around(seen, at, first, done)
            took(missed, max(done, seen[begun].start), _busy(seen[at:begun]), begun)
            missed = -1
        event, after = seen[first], first + 1
        while after < len(seen) and seen[after].start < event.end:
            after += 1
        took(position, event.end, event.end - event.start, after)
    if missed >= 0 and at < len(seen):
        took(missed, max(done, *(event.end for event in seen[at:])), _busy(seen[at:]), len(seen))
    return Pass(
        seconds=(run.end - run.start) * _NANO,
        positions=tuple(step.position for step in found),
        steps=tuple(step.seconds for step in found),
        kernels=tuple(step.kernel for step in found),
        events=tuple(len(step.own) for step in found),
        on_device=tuple(sum(event.on_device for event in step.own) * _NANO for step in found),
        launched=tuple(sum(event.launched for event in step.own) for step in found),
        rest=(run.end - done) * _NANO,
        rest_events=len(seen) - at,
    )


def _named(op: str) -> str:
    return op if "::" in op else f"aten::{op}"


def _next(seen: Sequence[_Event], at: int, names: set[str], following: set[str], done: int) -> int | None:
    """Return the first event of these names that begins once the last is done; None if one that follows comes first."""
    for place in range(at, len(seen)):
        if seen[place].start >= done:
            if seen[place].name in names:
                return place
            if seen[place].name in following:
                return None
    return None


def _call_around(seen: Sequence[_Event], at: int, place: int, done: int) -> int:
    """Return the outermost event around one, as `conv1d` is around `convolution`; itself if there is none."""
    end = seen[place].end
    return next((k for k in range(at, place) if seen[k].start >= done and seen[k].end >= end), place)


def _busy(events: Sequence[_Event]) -> int:
    """Return the nanoseconds in which any of the events ran."""
    total = last = 0
    for event in events:
        total += max(0, event.end - max(event.start, last))
        last = max(last, event.end)
    return total


def _is_enough(whole: list[float], spent: float, budget: float) -> bool:
    if len(whole) < LEAST_RUNS:
        return False
    return len(whole) >= MOST_RUNS or spent >= budget or (len(whole) >= _ENOUGH and _varies_little(whole))


def _varies_little(whole: list[float]) -> bool:
    low, middle, high = quantiles(whole, n=4)
    return high - low <= _LITTLE * middle
