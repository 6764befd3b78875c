"""What torch's profiler sees in a run: its operators, found among those of the tape, and what the allocator holds.

The profiler notes when each ATen operator begins and ends; those of the tape are found among them in their order. The
time from the end of one to the end of the next is the next one's: what Python and torch do to get there belongs to it,
so that the operators add up to the run.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from alexnet_cli.tape import Tape
from alexnet_cli.timing import Pass
from alexnet_cli.torch_insides import raw_events
from alexnet_cli.tracing.devices import quiet_profiler

RUN = "alexnet::run"
"""The name of the event around each run."""
_FOLLOWING = 12
"""Of how many operators that follow none may come before the one that is looked for."""
_NANO = 1e-9


class Event(NamedTuple):
    """An operator as the profiler saw it, in nanoseconds; `on_device` is what the kernels took that it launched."""

    start: int
    end: int
    name: str
    on_device: int = 0
    launched: int = 0


@contextmanager
def profiled(device: torch.device, *, memory: bool = False) -> Iterator[tuple[list[Event], list[tuple[int, int]]]]:
    """Yield two lists that are full once it is left: operators by their start, and when how many bytes were allocated.

    What is freed is negative. Without `memory` there are no bytes.
    """
    seen: list[Event] = []
    changes: list[tuple[int, int]] = []
    kinds = {"cuda": ProfilerActivity.CUDA, "xpu": ProfilerActivity.XPU}
    activities = [ProfilerActivity.CPU, *([kinds[device.type]] if device.type in kinds else [])]
    with quiet_profiler(), profile(activities=activities, profile_memory=memory) as profiler:
        yield seen, changes
    kernels: dict[int, list[int]] = defaultdict(list)
    operators = []
    for event in raw_events(profiler) or ():
        if event.name() == "[memory]":
            if event.device_type().name == device.type.upper():
                changes.append((event.start_ns(), event.nbytes()))
        elif event.device_type().name != "CPU":
            kernels[event.linked_correlation_id()].append(event.duration_ns())
        elif "::" in event.name():
            operators.append(event)
    for event in operators:
        own = kernels.get(event.correlation_id(), ())
        start = event.start_ns()
        seen.append(Event(start, start + event.duration_ns(), event.name(), sum(own), len(own)))
    seen.sort()
    changes.sort(key=lambda change: change[0])


def by_run(seen: Sequence[Event]) -> list[tuple[Event, list[Event]]]:
    """Return each run, with the operators inside it by their start."""
    starts = [event.start for event in seen]
    around = [event for event in seen if event.name == RUN]
    return [(run, list(seen[bisect_right(starts, run.start) : bisect_left(starts, run.end)])) for run in around]


class Interval(NamedTuple):
    """An operator of the tape as it ran, in nanoseconds: from the end of the one before, and within it."""

    position: int
    start: int
    end: int
    kernel: int
    own: Sequence[Event]


def steps_of(run: Event, seen: Sequence[Event], tape: Tape) -> tuple[list[Interval], int]:
    """Find the operators of a tape among those of a run; what is inside another is part of it.

    Returns them, and how many of those seen come after the last.

    Watched by a dispatch mode, torch may take other operators than here (`max_pool2d_with_indices` for `max_pool1d`).
    What runs between two operators that are found, and in neither of their calls, is that of those in between.
    """
    operations = tape.operations
    names = [{_named(operation.op), f"{_named(operation.op)}_"} for operation in operations]  # sums are done in place
    working = [position for position, operation in enumerate(operations) if operation.nature != "view"]
    found: list[Interval] = []
    done, at, missed = run.start, 0, -1

    def took(position: int, until: int, kernel: int, after: int) -> None:
        nonlocal done, at
        found.append(Interval(position, done, until, kernel, seen[at:after]))
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
    return found, len(seen) - at


def pass_of(run: Event, seen: Sequence[Event], tape: Tape) -> Pass:
    """Return the time of each operator of a tape in a run."""
    found, after = steps_of(run, seen, tape)
    done = found[-1].end if found else run.start
    return Pass(
        seconds=(run.end - run.start) * _NANO,
        positions=tuple(step.position for step in found),
        steps=tuple((step.end - step.start) * _NANO for step in found),
        kernels=tuple(step.kernel * _NANO for step in found),
        events=tuple(len(step.own) for step in found),
        on_device=tuple(sum(event.on_device for event in step.own) * _NANO for step in found),
        launched=tuple(sum(event.launched for event in step.own) for step in found),
        rest=(run.end - done) * _NANO,
        rest_events=after,
    )


def highest(run: Event, steps: Sequence[Interval], changes: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Return the most bytes that were allocated in a run while each operator ran."""
    live, at, found = 0, bisect_left(changes, (run.start, 0)), []
    for step in steps:
        highest = None
        while at < len(changes) and changes[at][0] <= step.end:
            when, change = changes[at]
            if highest is None and when >= step.end - step.kernel:
                highest = live
            live, at = live + change, at + 1
            highest = None if highest is None else max(highest, live)
        found.append(live if highest is None else highest)
    return tuple(found)


def _named(op: str) -> str:
    return op if "::" in op else f"aten::{op}"


def _next(seen: Sequence[Event], at: int, names: set[str], following: set[str], done: int) -> int | None:
    """Return the first event of these names that begins once the last is done; None if one that follows comes first."""
    for place in range(at, len(seen)):
        if seen[place].start >= done:
            if seen[place].name in names:
                return place
            if seen[place].name in following:
                return None
    return None


def _call_around(seen: Sequence[Event], at: int, place: int, done: int) -> int:
    """Return the outermost event around one, as `conv1d` is around `convolution`; itself if there is none."""
    end = seen[place].end
    return next((k for k in range(at, place) if seen[k].start >= done and seen[k].end >= end), place)


def _busy(events: Sequence[Event]) -> int:
    """Return the nanoseconds in which any of the events ran."""
    total = last = 0
    for event in events:
        total += max(0, event.end - max(event.start, last))
        last = max(last, event.end)
    return total
