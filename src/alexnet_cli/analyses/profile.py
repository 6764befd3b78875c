"""Where the time of a run goes, measured: by layer and by type, beside the least time that the hardware allows.

A run is repeated as it is, and under a profiler that tells each operator's time. What the profiler adds is the
difference of the two; it is taken off in equal parts for each event that the profiler noted. All times are medians over
the runs, with the quartiles beside them: half of all runs lie between these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median, quantiles

from msgspec import Struct
from msgspec.structs import asdict

from alexnet_cli.analyses.cost import OUTSIDE, LayerCost, PhasedWork, Roof, cost, owners
from alexnet_cli.analyses.memory import tape_of, timeline
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.report import Report
from alexnet_cli.timing import Captured, Compiled, Pass, Passes

_LAUNCH_BOUND = 0.5
"""An accelerator that works for less than this part of a layer's time waits for launches."""


class Spread(Struct, frozen=True):
    """The median of repeated measurements in seconds, and the quartiles around it."""

    seconds: float
    low: float
    high: float


class MeasuredWork(Struct, frozen=True, kw_only=True):
    """How long some work took, and how far that is from the least.

    `time` is measured, `share` its part of the whole run. `in_kernels` is the part of it within operators, the rest is
    Python and torch on the way. `floor_seconds` is the least time on the hardware, and `of_floor` how many times that
    the measured time is. `flops_per_s` and `bytes_per_s` are what was reached. `launched` counts kernels on an
    accelerator, null on the CPU; `launch_bound` tells that it waited for them for half of the time. `peak_bytes` is the
    most that torch's allocator held while it ran, `predicted_peak_bytes` the same by the lifetimes on the tape; neither
    counts what was there before the run, as weights and inputs.
    """

    time: Spread
    share: float
    in_kernels: float
    operators: int
    launched: int | None
    launch_bound: bool
    floor_seconds: float | None
    of_floor: float | None
    flops_per_s: float | None
    bytes_per_s: float | None
    peak_bytes: int | None
    predicted_peak_bytes: int | None


class LayerTime(MeasuredWork, frozen=True, kw_only=True):
    """A row's time; `row` is its position in the report's layers."""

    row: int
    path: str
    type: str
    family: str


class TypeTime(Struct, frozen=True):
    """The rows of one type, with the sums of their times and floors."""

    type: str
    family: str
    layers: int
    seconds: float
    share: float
    floor_seconds: float | None
    of_floor: float | None


class Whole(Struct, frozen=True):
    """The whole run: its time as it is, the sum of the layers' times, and what the profiler added, which is taken off.

    `runs` of each kind were made; `settled` tells whether they varied little, otherwise the time was up.
    """

    time: Spread
    layers_seconds: float
    profiler_seconds: float
    runs: int
    settled: bool
    samples_per_s: float | None
    floor_seconds: float | None
    of_floor: float | None
    peak_bytes: int | None
    predicted_peak_bytes: int | None


class CapturedTime(Struct, frozen=True):
    """The whole run by a CUDA graph: its time, and how many times that of the run as it is.

    In `first_seconds` it was warmed up and recorded.
    """

    time: Spread
    of_plain: float
    first_seconds: float


class CompiledTime(CapturedTime, frozen=True):
    """The whole run compiled: its time, and how many times that of the run as it is.

    `first_seconds` is the first run, in which it was compiled. Kernels are made of the operators of several layers, so
    there is no time by layer. `graphs` were compiled, with `breaks` between them; null if torch does not tell.
    """

    graphs: int | None
    breaks: int | None


class Profile(Struct, frozen=True):
    """Where the time of a run goes. `outside` is what no layer did, null if nothing; all add up to the whole.

    `compiled` is null where the run was not to be compiled, `cuda_graph` where it was not to be recorded into one.
    """

    batch_size: int | None
    device_name: str
    threads: int | None
    whole: Whole
    layers: tuple[LayerTime, ...]
    outside: MeasuredWork | None
    by_type: tuple[TypeTime, ...]
    compiled: CompiledTime | None = None
    cuda_graph: CapturedTime | None = None


def profile(report: Report, roof: Roof | None = None, depth: int | None = None) -> Profile:
    """Return where the time of a run goes that was repeated; rows below `depth` are added to their ancestor's.

    Raises:
        TypeError: the run was not repeated.
    """
    passes = report.passes
    if not isinstance(passes, Passes):
        raise TypeError("the run was not repeated")
    floors = cost(report, roof, depth)
    taken = _taken(report, passes, owners(report.layers, depth))
    total = median(passes.whole)
    accelerated = passes.threads is None
    layers = tuple(
        LayerTime(
            row=layer.row,
            path=layer.path,
            type=layer.type,
            family=layer.family,
            **asdict(_measured(taken[layer.row], layer, total, accelerated=accelerated)),
        )
        for layer in floors.layers
    )
    outside = _measured(taken[None], floors.outside, total, accelerated=accelerated)
    batch, floor = floors.batch_size, floors.totals.seconds
    summed = sum(layer.time.seconds for layer in layers) + outside.time.seconds
    held = [each for each in taken.values() if each.peak is not None]
    whole = Whole(
        time=spread(passes.whole),
        layers_seconds=summed,
        profiler_seconds=_added(passes),
        runs=len(passes.whole),
        settled=passes.settled,
        samples_per_s=batch / total if batch else None,
        floor_seconds=floor,
        of_floor=total / floor if floor else None,
        peak_bytes=max((each.peak or 0 for each in held), default=None),
        predicted_peak_bytes=max(each.predicted or 0 for each in taken.values()),
    )
    done = [*((layer.type, layer.family, layer) for layer in layers), (OUTSIDE, "other", outside)]
    by_type = _by_type(done, total) if summed else ()
    compiled = captured = None
    if (given := passes.compiled) is not None:
        compiled = CompiledTime(*_against(given, total), given.graphs, given.breaks)
    if passes.cuda_graph is not None:
        captured = CapturedTime(*_against(passes.cuda_graph, total))
    return Profile(batch, passes.device_name, passes.threads, whole, layers, outside, by_type, compiled, captured)


def _against(run: Captured | Compiled, plain: float) -> tuple[Spread, float, float]:
    time = spread(run.whole)
    return time, time.seconds / plain, run.first_seconds


def spread(times: Sequence[float]) -> Spread:
    """Return the median and the quartiles of some measurements."""
    low, middle, high = quantiles(times, n=4, method="inclusive") if len(times) > 1 else (times[0],) * 3
    return Spread(middle, low, high)


def are_tied(one: Spread, other: Spread) -> bool:
    """Tell whether the middle halves of two measurements overlap: which takes longer, they do not say."""
    return one.low <= other.high and other.low <= one.high


def tied_slowest(found: Profile, most: int = 5) -> list[list[LayerTime]]:
    """Return which of the slowest layers have no order: each group is tied, layer by layer, from the slowest on.

    The last of the `most` slowest is held against the next as well, which might be in its place.
    """
    ordered = sorted(found.layers, key=lambda layer: -layer.time.seconds)
    groups: list[list[LayerTime]] = []
    for place, layer in enumerate(ordered):
        if groups and are_tied(groups[-1][-1].time, layer.time):
            groups[-1].append(layer)
        elif place < most:
            groups.append([layer])
        else:
            break
    return [group for group in groups if len(group) > 1]


class _Taken:
    """What one row took, run by run."""

    def __init__(self, runs: int) -> None:
        self.seconds, self.kernels, self.on_device = ([0.0] * runs for _ in range(3))
        self.launched = self.operators = 0
        self.peak: int | None = None
        self.predicted: int | None = None


def _added(passes: Passes) -> float:
    """Return the seconds that the profiler adds to a run.

    On an idle machine medians, lower quartiles and fastest runs differ by the same. Where other work disturbs some runs
    more than others the least difference counts: taking off too much would make layers faster than they can be. For the
    same reason no event cost more than the shortest operator took for each of its own.
    """
    watched, plain = (sorted(times) for times in ([each.seconds for each in passes.passes], passes.whole))
    quartiles = spread(watched).low - spread(plain).low
    at_most = median(_shortest(each) * _noted(each) for each in passes.passes)
    return max(0.0, min(median(watched) - median(plain), quartiles, watched[0] - plain[0], at_most))


def _noted(each: Pass) -> int:
    return sum(each.events) + each.rest_events


def _shortest(each: Pass) -> float:
    """Return the least that an operator took for each event that the profiler noted in it; without any the run's."""
    found = (step / events for step, events in zip(each.steps, each.events, strict=True) if events)
    return min(found, default=each.seconds)


def _taken(report: Report, passes: Passes, owner: Sequence[int]) -> dict[int | None, _Taken]:
    operations, runs = tape_of(report).operations, len(passes.passes)
    taken: dict[int | None, _Taken] = defaultdict(lambda: _Taken(runs))
    added = _added(passes)
    rows = [None if operation.row is None else owner[operation.row] for operation in operations]
    for at, each in enumerate(passes.passes):
        for_event = added / (_noted(each) or 1)
        for place, position in enumerate(each.positions):
            own = taken[rows[position]]
            step = max(0.0, each.steps[place] - for_event * each.events[place])
            own.seconds[at] += step
            own.kernels[at] += min(each.kernels[place], step)
            own.on_device[at] += each.on_device[place]
            if at == 0:
                own.operators += 1
                own.launched += each.launched[place]
        taken[None].seconds[at] += max(0.0, each.rest - for_event * each.rest_events)
    before, *moments = timeline(report)
    for row, moment in zip(rows, moments, strict=True):
        own = taken[row]
        own.predicted = max(own.predicted or 0, moment.bytes - before.bytes)
    if passes.allocated is not None:
        for position, size in zip(passes.allocated.positions, passes.allocated.bytes, strict=True):
            own = taken[rows[position]]
            own.peak = max(own.peak or 0, size)
    return taken


def _measured(taken: _Taken, work: PhasedWork | LayerCost | None, total: float, *, accelerated: bool) -> MeasuredWork:
    seconds = spread(taken.seconds)
    floor = None if work is None else work.seconds
    moved = None if work is None else work.bytes_read + work.bytes_written
    on_device = median(taken.on_device)
    busy = fraction(on_device if accelerated else median(taken.kernels), seconds.seconds)
    return MeasuredWork(
        time=seconds,
        share=fraction(seconds.seconds, total),
        in_kernels=min(1.0, busy),
        operators=taken.operators,
        launched=taken.launched if accelerated else None,
        launch_bound=accelerated and taken.launched > 0 and busy < _LAUNCH_BOUND,
        floor_seconds=floor,
        of_floor=seconds.seconds / floor if floor else None,
        flops_per_s=_rate(None if work is None else work.flops, seconds.seconds),
        bytes_per_s=_rate(moved, seconds.seconds),
        peak_bytes=taken.peak,
        predicted_peak_bytes=taken.predicted,
    )


def _rate(amount: int | None, seconds: float) -> float | None:
    return amount / seconds if amount and seconds else None


def _by_type(done: Iterable[tuple[str, str, MeasuredWork]], total: float) -> tuple[TypeTime, ...]:
    groups: dict[tuple[str, str], list[MeasuredWork]] = defaultdict(list)
    for name, family, work in done:
        if work.time.seconds:
            groups[name, family].append(work)
    found = []
    for (name, family), works in groups.items():
        seconds = sum(work.time.seconds for work in works)
        known = [work.floor_seconds for work in works if work.floor_seconds is not None]
        floor = sum(known) if known else None
        over = seconds / floor if floor else None
        found.append(TypeTime(name, family, len(works), seconds, fraction(seconds, total), floor, over))
    return tuple(sorted(found, key=lambda each: -each.seconds))


def median_pass(passes: Passes) -> Pass:
    """Return the run under the profiler that took the median time, or the one just below it."""
    ordered = sorted(passes.passes, key=lambda each: each.seconds)
    return ordered[(len(ordered) - 1) // 2]
