"""Runs a model again and again, as it is and under torch's profiler, and tells how long each operator took.

Runs as they are and runs under the profiler alternate, so that a machine that becomes slower does so for both.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from statistics import quantiles
from time import perf_counter

import torch
from torch.profiler import record_function

from alexnet_cli.tape import Tape
from alexnet_cli.timing import Allocated, Captured, Compiled, Pass, Passes
from alexnet_cli.torch_insides import imports_unwatched
from alexnet_cli.tracing.compiling import CompiledRun, captured, compiled_run
from alexnet_cli.tracing.devices import device_name, synchronizer, timed
from alexnet_cli.tracing.events import RUN, Event, by_run, highest, pass_of, profiled, steps_of
from alexnet_cli.tracing.recording.conditions import calm_collector, plain_kernels
from alexnet_cli.tracing.recording.losses import loss_of
from alexnet_cli.tracing.recording.runs import Forward, Step

LEAST_RUNS, MOST_RUNS = 5, 200
"""How often a run is repeated, as it is and under the profiler each."""
_ENOUGH = 20
"""From how many runs on it is asked whether they vary little."""
_LEAST_S = 1.0
"""Nor is it asked before so long: what else a machine does comes and goes within a second."""
_LITTLE = 0.02
"""The middle half of all runs within this fraction of their median is little."""
_AT_ONCE_S = 0.2
"""How long runs of one kind go on before those of the other kind."""


def time_passes(
    run: Forward | Step,
    tape: Tape,
    device: torch.device,
    budget: float,
    *,
    compiles: bool = False,
    captures: bool = False,
) -> Passes:
    """Repeat a run that was recorded, for about `budget` seconds and at least a few times.

    Runs that are compiled are made in turns with the others, if it `compiles`, and those of a CUDA graph if it
    `captures`.

    Raises:
        UsageError: torch has no compiler here.
        ForwardError: it cannot compile the model, or not record it into a graph.
    """
    stopwatch = _Stopwatch(run, device)
    whole: list[float] = []
    passes: list[Pass] = []
    with calm_collector(), plain_kernels(), imports_unwatched():
        first = stopwatch.whole()  # what was recorded did not warm up what only a plain run uses
        compiled = _Compiled(compiled_run(run), device) if compiles else None
        replayed = _Replayed(stopwatch, device) if captures else None
        others: list[_Compiled | _Replayed] = [each for each in (compiled, replayed) if each is not None]
        at_once = max(1, min(LEAST_RUNS, int(_AT_ONCE_S / first)))
        began = perf_counter()
        while not _is_enough(whole, perf_counter() - began, budget):
            whole += [stopwatch.whole() for _ in range(at_once)]
            passes += [pass_of(*each, tape) for each in stopwatch.by_event(at_once)]
            for other in others:
                other.repeat(at_once)
        allocated = stopwatch.allocated(tape)
    return Passes(
        device_name=device_name(device),
        threads=torch.get_num_threads() if device.type == "cpu" else None,
        whole=tuple(whole),
        passes=tuple(passes),
        settled=_varies_little(whole),
        allocated=allocated,
        compiled=None if compiled is None else compiled.told(),
        cuda_graph=None if replayed is None else replayed.told(),
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
            self.once()
            self.synchronize()
            return perf_counter() - start

    def once(self) -> None:
        """Run the forward, or the forward and its backward."""
        if isinstance(self.run, Forward):
            with torch.no_grad():
                self.run()
        else:
            loss = loss_of(self.run.run_forward(self.device))
            loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped

    def by_event(self, runs: int) -> list[tuple[Event, list[Event]]]:
        """Return the operators of so many runs under the profiler, by their start, each with the run around them."""
        with profiled(self.device) as (seen, _):
            for _ in range(runs):
                self.whole(partial(record_function, RUN))
        return by_run(seen)

    def allocated(self, tape: Tape) -> Allocated | None:
        """Return what torch's allocator held in a run of its own: watching it takes time. None if nobody sees it."""
        with profiled(self.device, memory=True) as (seen, changes):
            self.whole(partial(record_function, RUN))
        if not changes:
            return None
        [(run, events)] = by_run(seen)
        steps = steps_of(run, events, tape)[0]
        return Allocated(tuple(step.position for step in steps), highest(run, steps, changes))


class _Compiled:
    """Times the run that is compiled."""

    def __init__(self, run: CompiledRun, device: torch.device) -> None:
        self.run = run
        self.stopwatch = _Stopwatch(run.run, device)
        with run.explained(), run.compiling():
            self.first = self.stopwatch.whole()
            self.stopwatch.whole()  # torch may have more to do before it repeats itself, as record a graph of CUDA
        self.seconds: list[float] = []

    def repeat(self, runs: int) -> None:
        with self.run.compiling():
            self.seconds += [self.stopwatch.whole() for _ in range(runs)]

    def told(self) -> Compiled:
        return Compiled(self.first, tuple(self.seconds), *self.run.graphs())


class _Replayed:
    """Times the run that is recorded into a CUDA graph."""

    def __init__(self, stopwatch: _Stopwatch, device: torch.device) -> None:
        self.synchronize = synchronizer(device)
        start = perf_counter()
        self.replay = captured(stopwatch.once, stopwatch.run.model, device)
        self.synchronize()
        self.first = perf_counter() - start
        timed(self.replay, self.synchronize)  # the first replay uploads the graph
        self.seconds: list[float] = []

    def repeat(self, runs: int) -> None:
        self.seconds += [timed(self.replay, self.synchronize) for _ in range(runs)]

    def told(self) -> Captured:
        return Captured(self.first, tuple(self.seconds))


def _is_enough(whole: list[float], spent: float, budget: float) -> bool:
    if len(whole) < LEAST_RUNS:
        return False
    return (
        len(whole) >= MOST_RUNS
        or spent >= budget
        or (len(whole) >= _ENOUGH and spent >= _LEAST_S and _varies_little(whole))
    )


def _varies_little(whole: list[float]) -> bool:
    low, middle, high = quantiles(whole, n=4)
    return high - low <= _LITTLE * middle
