"""What each layer computes and moves, and on given hardware, what bounds it and the least time it can take.

After Williams, Waterman, Patterson, "Roofline: an insightful visual performance model", CACM 52(4), 2009: a kernel
takes at least as long as its arithmetic at the peak, and as its traffic at the full bandwidth. FLOPs are twice the
MACs, as everywhere in a report; `traffic` counts the bytes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from alexnet_cli.analyses.hardware import Hardware
from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.analyses.traffic import Unit, units
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Layer, Report, UncountedOp

Bound = Literal["compute", "memory"]
OUTSIDE = "outside layers"
"""The type shown for work outside all layers, such as the loss."""


class Roof(Struct, frozen=True):
    """Hardware, and whether float32 runs on its tensor cores as TF32."""

    hardware: Hardware
    tf32: bool = False

    def peak(self, dtype: str) -> float | None:
        """Return the peak FLOP per second of a dtype, None if there is none."""
        peaks = self.hardware.peak_flops_per_s
        if dtype == "float32" and self.tf32 and "tf32" in peaks:
            return peaks["tf32"]
        return peaks.get(dtype)


class Work(Struct, frozen=True, kw_only=True):
    """The work of one or both phases.

    `macs` and `flops` are None if unknown; `seconds` then counts the bytes alone. `intensity` is FLOP per byte.
    `seconds` is a lower bound: the sum over the kernels of the longer of their two times. `bound` is what takes longer
    in total, None if unknown or if nothing is done. Without hardware, `seconds` and `bound` are None.
    """

    macs: int | None
    flops: int | None
    bytes_read: int
    bytes_written: int
    intensity: float | None
    bound: Bound | None
    seconds: float | None


class PhasedWork(Work, frozen=True, kw_only=True):
    """Work with its two parts, which are present if there is a backward."""

    forward: Work | UnsetType = UNSET
    backward: Work | UnsetType = UNSET


class LayerCost(PhasedWork, frozen=True):
    """The work of a row; `row` is its position in the report's layers."""

    row: int
    path: str
    type: str
    family: str


class CostTotals(Work, frozen=True, kw_only=True):
    """The sums over all layers; unknown work is left out and named in `uncounted_ops`.

    `samples_per_s` is an upper bound: the batch size divided by `seconds`. `dtypes` are those in which MACs are done.
    """

    samples_per_s: float | None
    uncounted_ops: tuple[UncountedOp, ...] = ()
    dtypes: tuple[str, ...] = ()
    forward: Work | UnsetType = UNSET
    backward: Work | UnsetType = UNSET


class TypeCost(Struct, frozen=True):
    """The rows of one type, with their shares of the model's work, traffic and time as fractions of 1."""

    type: str
    family: str
    layers: int
    flops: int
    flops_share: float
    bytes: int
    bytes_share: float
    seconds: float | None
    seconds_share: float | None


class Cost(Struct, frozen=True):
    """The cost of a run at one batch size, which is None if the shapes have no batch dimension.

    `outside` is work outside all layers, such as the loss, None if there is none. Layers and `outside` add up to the
    totals.
    """

    batch_size: int | None
    layers: tuple[LayerCost, ...]
    outside: PhasedWork | None
    totals: CostTotals
    by_type: tuple[TypeCost, ...]


def cost(report: Report, roof: Roof | None = None, depth: int | None = None) -> Cost:
    """Return what a run costs, on hardware if `roof` is given; rows below `depth` are added to their ancestor's.

    For the report of a training step this includes the backward.

    Raises:
        UsageError: the report has no operator trace.
    """
    done = units(tape_of(report))
    owner = owners(report.layers, depth)
    by_row: dict[int | None, list[Unit]] = defaultdict(list)
    for unit in done:
        by_row[None if unit.row is None else owner[unit.row]].append(unit)
    both = any(unit.phase == "backward" for unit in done)
    layers = tuple(
        LayerCost(row, layer.path, layer.type, layer.family, **asdict(_phased(by_row[row], roof, both=both)))
        for row, layer in enumerate(report.layers)
        if owner[row] == row and (layer.leaf or by_row.get(row))
    )
    outside = _phased(by_row[None], roof, both=both) if by_row[None] else None
    batch = report.run.batch_size if report.run else None
    work = _phased(done, roof, both=both, partly=True)
    totals = CostTotals(
        **asdict(work),
        samples_per_s=batch / work.seconds if batch and work.seconds else None,
        uncounted_ops=_uncounted(report, done),
        dtypes=tuple(dict.fromkeys(chain.from_iterable(unit.macs for unit in done))),
    )
    return Cost(batch, layers, outside, totals, _by_type(layers, outside, totals))


def backward_of(report: Report) -> Report:
    """Return the report if it is that of a training step.

    Raises:
        UsageError: it has no backward.
    """
    if report.error is None and all(operation.phase != "backward" for operation in tape_of(report).operations):
        raise UsageError(
            f"{report.model.target} was traced forward only", "for --backward give the model itself, not a saved report"
        )
    return report


def owners(layers: Sequence[Layer], depth: int | None) -> list[int]:
    """Return, for each row, the row that shows its work: itself, or its ancestor at `depth`."""
    owners: list[int] = []
    for row, layer in enumerate(layers):
        owners.append(row if depth is None or layer.depth <= depth else owners[-1])
    return owners


def _phased(done: Sequence[Unit], roof: Roof | None, *, both: bool, partly: bool = False) -> PhasedWork:
    """Sum up units, and if there are `both` phases, those of each."""
    whole = PhasedWork(**asdict(_work(done, roof, partly=partly)))
    if not both:
        return whole
    forward, backward = ([unit for unit in done if unit.phase == phase] for phase in ("forward", "backward"))
    return replace(whole, forward=_work(forward, roof), backward=_work(backward, roof))


def _work(done: Sequence[Unit], roof: Roof | None, *, partly: bool = False) -> Work:
    """Sum up units; `partly` counts what is known even if some is not."""
    macs: int | None = sum(sum(unit.macs.values()) for unit in done)
    if not macs and not partly and any(unit.uncounted for unit in done):
        macs = None
    flops = None if macs is None else 2 * macs
    read, written = sum(unit.bytes_read for unit in done), sum(unit.bytes_written for unit in done)
    seconds, bound = (None, None) if roof is None else _time(done, roof)
    return Work(
        macs=macs,
        flops=flops,
        bytes_read=read,
        bytes_written=written,
        intensity=flops / (read + written) if flops is not None and read + written else None,
        bound=bound,
        seconds=seconds,
    )


def _time(done: Sequence[Unit], roof: Roof) -> tuple[float, Bound | None]:
    """Return the least time of units, and what takes longer in total."""
    least = work_seconds(done, roof)
    if least.compute > least.memory:
        return least.kernels, "compute"
    whole = least.known and not any(unit.uncounted for unit in done)  # missing arithmetic could take longer
    return least.kernels, "memory" if least.memory and whole else None


class WorkSeconds(Struct, frozen=True):
    """The least seconds of units: their arithmetic, their traffic, and the longer of the two for each unit.

    `known` tells whether all arithmetic has a peak, so that it is counted whole.
    """

    compute: float
    memory: float
    kernels: float
    known: bool


def work_seconds(done: Sequence[Unit], roof: Roof) -> WorkSeconds:
    """Return the least time of units on hardware."""
    times = [_times(unit, roof) for unit in done]
    compute, memory = (sum((time[part] for time in times), 0.0) for part in (0, 1))
    kernels = sum((max(time) for time in times), 0.0)
    return WorkSeconds(compute, memory, kernels, all(roof.peak(dtype) for unit in done for dtype in unit.macs))


def _times(unit: Unit, roof: Roof) -> tuple[float, float]:
    """Return the seconds of the known part of a unit's arithmetic, and those of its traffic."""
    peaks = {dtype: roof.peak(dtype) for dtype in unit.macs}
    compute = sum((2 * macs / peak for dtype, macs in unit.macs.items() if (peak := peaks[dtype])), 0.0)
    moved = unit.bytes_read + unit.bytes_written
    return compute, moved / roof.hardware.bandwidth(moved)


def _uncounted(report: Report, done: Iterable[Unit]) -> tuple[UncountedOp, ...]:
    calls: Counter[str] = Counter()
    paths: dict[str, dict[str, None]] = defaultdict(dict)
    for unit in done:
        for op in unit.uncounted:
            calls[op] += 1
            paths[op]["" if unit.row is None else report.layers[unit.row].path] = None
    return tuple(UncountedOp(op, count, tuple(paths[op])) for op, count in calls.most_common())


def _by_type(layers: Iterable[LayerCost], outside: PhasedWork | None, totals: CostTotals) -> tuple[TypeCost, ...]:
    """Sum up the layers of each type, the longest time first, or most bytes if no time is known."""
    groups: dict[tuple[str, str], list[PhasedWork]] = defaultdict(list)
    for layer in layers:
        groups[layer.type, layer.family].append(layer)
    if outside is not None:
        groups[OUTSIDE, "other"].append(outside)
    shares = [_type_cost(name, family, rows, totals) for (name, family), rows in groups.items()]
    return tuple(sorted(shares, key=lambda share: (-(share.seconds or 0.0), -share.bytes, -share.flops, share.type)))


def _type_cost(name: str, family: str, rows: Sequence[PhasedWork], totals: CostTotals) -> TypeCost:
    flops = sum(row.flops or 0 for row in rows)
    moved = sum(row.bytes_read + row.bytes_written for row in rows)
    seconds = None if totals.seconds is None else sum((row.seconds or 0.0 for row in rows), 0.0)
    return TypeCost(
        type=name,
        family=family,
        layers=len(rows),
        flops=flops,
        flops_share=fraction(flops, totals.flops),
        bytes=moved,
        bytes_share=fraction(moved, totals.bytes_read + totals.bytes_written),
        seconds=seconds,
        seconds_share=None if seconds is None else fraction(seconds, totals.seconds),
    )
