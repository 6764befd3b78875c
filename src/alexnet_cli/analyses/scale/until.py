"""The largest size that fits in a memory, by the law of a peak, and by runs at that size and at the next."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from alexnet_cli.analyses.capacity import largest_batch
from alexnet_cli.analyses.scale.axes import Axis
from alexnet_cli.analyses.scale.envelope import FARTHEST, largest_size
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.law import Law
from alexnet_cli.analyses.scale.pieces import Scaling
from alexnet_cli.analyses.scale.runs import Runs
from alexnet_cli.errors import AlexnetError, NeedsValuesError

PEAKS = ("peak_forward_bytes", "peak_training_bytes")
_LONGEST = 32
"""Where a run is as long as its sizes are large, none is made at more than so many times the base."""


class Largest(Struct, frozen=True):
    """The largest size of a dimension at which a peak fits, the others being as the model was run; 0 if none fits.

    `bytes` and `next_bytes` are the peaks at that size and at the next, None where there is no such size. They are
    those of runs if `verified`, else the law's, and `why` says what kept runs from being made. `limited` tells that
    larger sizes would fit, but do not run.
    """

    quantity: str
    dimension: str
    size: int
    bytes: int | None
    next_bytes: int | None
    verified: bool
    limited: bool = False
    why: str | None = None


class Until(Struct, frozen=True):
    """A memory size in bytes, and the largest sizes that fit."""

    capacity_bytes: int
    largest: tuple[Largest, ...]


def largest_until(scaling: Scaling, capacity: int) -> Until:
    """Return the largest size of each dimension, alone, with which a forward and a training step fit."""
    found = [
        _Search(law, runs, axis, scaling.base, capacity).largest()
        for quantity, runs in zip(PEAKS, (scaling.forward, scaling.training), strict=True)
        if runs is not None and (law := scaling.law(quantity)) is not None
        for axis in scaling.axes
    ]
    return Until(capacity, tuple(found))


@dataclass(frozen=True)
class _Search:
    law: Law
    runs: Runs
    axis: Axis
    base: Sizes
    capacity: int

    def largest(self) -> Largest:
        """Return the answer of the law, or that of runs where these have other peaks."""
        size = largest_size(lambda size: self.law.at(self.sizes(size)), self.capacity)
        if size and not self.runs.may_run(self.sizes(size)):
            return self.limited()
        if not self.axis.alike and size > _LONGEST * self.axis.sizes[0]:
            return self.told(size, f"a run is as long as {self.axis.name} is large")
        try:
            if not self.is_last(size):
                size = largest_batch(self.peak, self.capacity, FARTHEST)
            return self.told(size)
        except NeedsValuesError as error:
            return self.told(size, error.message)
        except AlexnetError as error:
            self.runs.find_limits(self.axis.dimension)
            return self.told(size, error.message) if self.runs.may_run(self.sizes(size + 1)) else self.limited()

    def sizes(self, size: int) -> Sizes:
        """Return the sizes as the model was run, but for this one."""
        at = self.axis.dimension
        return (*self.base[:at], size, *self.base[at + 1 :])

    def peak(self, size: int) -> int:
        """Return the peak of a run."""
        sample = self.runs.at(self.sizes(size))
        if sample is None:
            raise self.runs.why_not(self.sizes(size))
        return sample.totals[self.law.total]

    def is_last(self, size: int) -> bool:
        """Tell whether a run at this size fits, and one at the next does not."""
        return (not size or self.peak(size) <= self.capacity) and self.peak(size + 1) > self.capacity

    def told(self, size: int, why: str | None = None) -> Largest:
        """Return an answer with the peaks of runs, or if there is a reason why there are none, the law's."""
        peak = self.peak if why is None else lambda size: int(self.law.at(self.sizes(size)))
        here = peak(size) if size else None
        return Largest(self.law.total[0], self.axis.name, size, here, peak(size + 1), why is None, why=why)

    def limited(self) -> Largest:
        """Return the largest size that runs, where larger ones would fit."""
        size = self.runs.limits(self.axis.dimension).stop - 1
        here = int(self.law.at(self.sizes(size)))
        ran = self.runs.at(self.sizes(size)) is not None and self.peak(size) == here
        return Largest(self.law.total[0], self.axis.name, size, here, None, verified=ran, limited=True)
