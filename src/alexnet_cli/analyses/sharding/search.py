"""Which layouts fit a GPU and how long a step takes at least in each, by tracing one rank of each that differs.

A layout falls without a trace where what a rank holds for sure is more than the GPU has: its part of weights, of their
gradients and of the optimiser's state, which all are there when the optimiser updates; or the peak that its shards have
without replicas, which all-reduces only add to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from math import ceil
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.sharding.floors import Floors, StepBound
from alexnet_cli.analyses.sharding.memory import RankMemory, rank_memory
from alexnet_cli.errors import AlexnetError, UsageError
from alexnet_cli.rank import Held, Layout, Rank
from alexnet_cli.report import Report

_STATE = {"sgd": 0, "sgd-momentum": 1, "adam": 2, "adamw": 2, "none": 0}
"""How many numbers each optimiser keeps for a weight that it trains."""
_SHRINKS: tuple[Held, ...] = ("weights", "gradients", "optimizer", "communication")
"""What a rank holds less of when more ranks share the state."""
_LARGEST_NUMBER = 8

Key = tuple[int, int, int, bool]
Ranks = Rank | tuple[Rank, ...]
"""What is traced of a layout: a rank, or one of each pipeline stage."""


class Tried(Struct, frozen=True, kw_only=True):
    """A layout that was compared: `place` is its rank among those that fit, the fastest being 1.

    Without a trace `peak_bytes` is None and `at_least_bytes` a lower bound of it. `live_bytes` is what is held at the
    peak. `slower` is how many times longer a sample takes at least than in the first. `refused` says why torch or
    the model does not allow it; `fits` is None then.
    """

    gpus: int
    pp: int
    ddp: int
    fsdp: int
    tp: int
    place: int | None = None
    fits: bool | None = None
    peak_bytes: int | None = None
    at_least_bytes: int | None = None
    over_bytes: int | None = None
    live_bytes: dict[Held, int] = {}
    step_seconds: float | None = None
    samples_per_s: float | None = None
    mfu: float | None = None
    bound: StepBound | None = None
    slower: float | None = None
    refused: str | None = None


class SizeTried(Struct, frozen=True):
    """A number of GPUs that does not do: the least that a GPU would have to hold in any layout of so many.

    `traced` tells whether that is a peak or a lower bound of it; it is None where every layout is refused.
    """

    gpus: int
    least_bytes: int | None
    traced: bool


class Kept(Struct, frozen=True):
    """The bytes of a model's weights, of those that are trained, and what each trained one holds beside itself."""

    weights: int
    trained: int
    times: int

    def at_least(self, layout: Layout) -> int:
        """Return the least bytes that the first rank holds when the optimiser updates."""
        return ceil((self.weights + self.times * self.trained) / (layout.pp * layout.fsdp * layout.tp))


def kept(report: Report, optimizer: str | None) -> Kept:
    """Return what a training step keeps: weights, gradients and the optimiser's state; of a forward only weights.

    Weights that are not trained, or not used, have neither gradients nor a state.
    """
    whole = report.totals.param_bytes
    frozen = sum(layer.param_bytes for layer in report.layers if layer.trainable_params < layer.params)
    unused = _LARGEST_NUMBER * sum(module.params for module in report.totals.unused_modules)
    return Kept(whole, max(0, whole - frozen - unused), 0 if optimizer is None else 1 + _STATE[optimizer])


class Best(Struct, frozen=True):
    """The layout that comes first, with all that is known of its ranks; `memory` is that of the fullest stage."""

    ranks: tuple[Rank, ...]
    memory: RankMemory
    floors: Floors


class Fewest(Struct, frozen=True):
    """The fewest GPUs, None if no number does; the layouts of so many, or of the last number; the numbers before it."""

    gpus: int | None
    tried: tuple[Tried, ...]
    smaller: tuple[SizeTried, ...]


class Search:
    """Tries layouts on a GPU of `capacity` bytes; ranks that differ only in the number of replicas share a trace.

    `trace` runs one rank, or one of each pipeline stage, `timed` gives the least time of their step.
    """

    def __init__(
        self, trace: Callable[[Layout], Ranks], timed: Callable[[Ranks], Floors], kept: Kept, capacity: int
    ) -> None:
        self.trace, self.timed, self.kept, self.capacity = trace, timed, kept, capacity
        self.traces = 0
        self.best: Best | None = None
        self._first: Tried | None = None
        self._known: dict[Key, RankMemory] = {}
        self._refused: dict[int, str] = {}

    def among(self, layouts: Sequence[Layout]) -> tuple[Tried, ...]:
        """Return the layouts with those that fit first, by the least time of a sample, then those that need least.

        All work on as many samples at once for each replica, so that steps are compared by the sample. Of equals the
        one that holds less comes first.

        Raises:
            UsageError: GPUs are in several nodes, and no network between them is known.
        """
        self.best = self._first = None
        groups = groupby(sorted(layouts, key=lambda layout: (_key(layout), layout.ddp)), key=_key)
        found = [tried for key, alike in groups for tried in self._alike(key, list(alike))]
        fitting = sorted((tried for tried in found if tried.fits), key=_speed)
        first = _seconds(fitting[0]) if fitting else 0.0
        ranked = (
            replace(tried, place=place, slower=_seconds(tried) / first if first else None)
            for place, tried in enumerate(fitting, 1)
        )
        others = (tried for tried in found if not tried.fits)
        return (*ranked, *sorted(others, key=lambda it: (it.refused is not None, it.at_least_bytes or 0)))

    def _alike(self, key: Key, layouts: Sequence[Layout]) -> Iterable[Tried]:
        """Try layouts that differ only in the number of their replicas."""
        first = layouts[0]
        least = self.kept.at_least(first)
        alone = self._known.get((*key[:3], False))
        if alone is not None:
            least = max(least, alone.peak_bytes)
        if least > self.capacity and key not in self._known:
            short = {"fits": False, "at_least_bytes": least, "over_bytes": least - self.capacity}
            return [_tried(layout, **short) for layout in layouts]
        if first.tp in self._refused:
            return [_tried(layout, refused=self._refused[first.tp]) for layout in layouts]
        if key in self._known and self._known[key].peak_bytes > self.capacity:
            return [_too_large(layout, self._known[key], self.capacity) for layout in layouts]
        try:
            ranks = self.trace(first)
        except AlexnetError as error:
            if isinstance(error, UsageError) and first.tp > 1:
                self._refused[first.tp] = error.message
            return [_tried(layout, refused=error.message) for layout in layouts]
        self.traces += len(_each(ranks))
        memories = map(rank_memory, _each(ranks))
        memory = self._known[key] = max(memories, key=lambda each: each.peak_bytes)
        if memory.peak_bytes > self.capacity:
            return [_too_large(layout, memory, self.capacity) for layout in layouts]
        return [self._fitting(_among(ranks, layout.ddp), memory) for layout in layouts]

    def _fitting(self, ranks: Ranks, memory: RankMemory) -> Tried:
        floors = self.timed(ranks)
        tried = _tried(
            _each(ranks)[0].layout,
            fits=True,
            peak_bytes=memory.peak_bytes,
            at_least_bytes=memory.peak_bytes,
            live_bytes=memory.peak.live_bytes,
            step_seconds=floors.step_seconds,
            samples_per_s=floors.samples_per_s,
            mfu=floors.mfu,
            bound=floors.bound,
        )
        if self._first is None or _speed(tried) < _speed(self._first):
            self._first, self.best = tried, Best(_each(ranks), memory, floors)
        return tried

    def fewest(self, numbers: Iterable[int], layouts: Callable[[int], list[Layout]]) -> Fewest:
        """Return the first number of GPUs of which a layout fits, and those before it.

        The search ends where more GPUs do not help: what a rank holds beside its part of the state is too much.
        """
        smaller: list[SizeTried] = []
        tried: tuple[Tried, ...] = ()
        finest = 0
        for number in numbers:
            tried = self.among(layouts(number))
            if self.best is not None:
                return Fewest(number, tried, tuple(smaller))
            smaller.append(_size(number, tried))
            sharded = [each for each in tried if each.refused is None and each.ddp == 1]
            if not sharded or (
                finest == max(each.tp for each in sharded) and all(self._rest(each) > self.capacity for each in sharded)
            ):
                break
            finest = max(each.tp for each in sharded)
        return Fewest(None, tried, tuple(smaller))

    def _rest(self, tried: Tried) -> int:
        """Return what a rank holds at its peak that more ranks do not share; 0 where that is not known."""
        return (tried.peak_bytes or 0) - sum(tried.live_bytes.get(use, 0) for use in _SHRINKS)


def _each(ranks: Ranks) -> tuple[Rank, ...]:
    return (ranks,) if isinstance(ranks, Rank) else ranks


def _among(ranks: Ranks, ddp: int) -> Ranks:
    return ranks.among(ddp) if isinstance(ranks, Rank) else tuple(rank.among(ddp) for rank in ranks)


def _key(layout: Layout) -> Key:
    """Return what tells traces apart: all but how many replicas there are."""
    return layout.pp, layout.tp, layout.fsdp, layout.ddp > 1


def _tried(layout: Layout, **found: Any) -> Tried:
    return Tried(gpus=layout.gpus, pp=layout.pp, ddp=layout.ddp, fsdp=layout.fsdp, tp=layout.tp, **found)


def _too_large(layout: Layout, memory: RankMemory, capacity: int) -> Tried:
    size, live = memory.peak_bytes, memory.peak.live_bytes
    return _tried(layout, fits=False, peak_bytes=size, at_least_bytes=size, over_bytes=size - capacity, live_bytes=live)


def _seconds(tried: Tried) -> float:
    """Return the least time of as many samples as a replica has."""
    return (tried.step_seconds or 0.0) / (tried.ddp * tried.fsdp)


def _speed(tried: Tried) -> tuple[float, int, int]:
    """Order by time, then by memory; times that differ by rounding only are equal."""
    parts = sum(size > 1 for size in (tried.pp, tried.ddp, tried.fsdp, tried.tp))
    return float(f"{_seconds(tried):.9g}"), tried.peak_bytes or 0, parts


def _size(number: int, tried: Sequence[Tried]) -> SizeTried:
    known = [each for each in tried if each.at_least_bytes is not None]
    least = min(known, key=lambda each: each.at_least_bytes or 0, default=None)
    return SizeTried(
        number, None if least is None else least.at_least_bytes, least is not None and least.peak_bytes is not None
    )
