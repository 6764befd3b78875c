"""The longest context and the largest batch that fit in a memory, and the frontier of both.

The peak of a prompt follows an exact law in batch and context, found from few runs. It suggests the sizes, and runs at
each size and at the next decide. Where there is no law, a search by runs alone decides, within a bound on their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from msgspec import Struct

from alexnet_cli.analyses.capacity import MOST, Room, bracket
from alexnet_cli.analyses.memory import peak_of, timeline
from alexnet_cli.analyses.scale.axes import explore
from alexnet_cli.analyses.scale.envelope import FARTHEST, largest_size
from alexnet_cli.analyses.scale.find import find
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.law import Law
from alexnet_cli.analyses.scale.laws import ScalingLaw, told
from alexnet_cli.analyses.scale.runs import Runs
from alexnet_cli.analyses.scale.samples import of_training, shares_of_training
from alexnet_cli.errors import AlexnetError
from alexnet_cli.report import Report

Part = Literal["prefill", "decode"]
Run = Callable[[Part, int | None, int], Report]
"""Runs a prompt or a token, of a batch (None: the model has none) and with a context; raises AlexnetError."""

TRIES = 40
"""So many sizes at most are tried in the search for one."""
_SHORTEST = 16
"""The frontier ends with contexts as short as this."""
_LEAST = 2
"""At a size of 1 torch leaves out copies that it makes at all others, so laws are looked for from here on."""


class LargestThatFits(Struct, frozen=True):
    """The largest size that fits, 0 if none does, with the peak there and at the least size known not to fit.

    It is `exact` if runs at both were made and one follows on the other: then `next_size` is `size` + 1. `why` says
    what kept a larger size from being run, if it was not the memory.
    """

    size: int
    bytes: int | None
    next_size: int
    next_bytes: int | None
    exact: bool
    why: str | None = None


class FrontierPoint(Struct, frozen=True):
    """A batch with the longest context that fits; `exact` if runs decided, otherwise by the law."""

    batch: int
    context: int
    bytes: int
    exact: bool


class ServingFit(Struct, frozen=True):
    """Whether prompt and token fit, and up to which context and batch; None where the batch cannot be changed.

    `law` is that of the peak of a prompt, None if none was found: then there is no frontier. `runs` counts the runs.
    """

    gpu: str | None
    capacity_bytes: int
    fits: bool
    longest_context: LargestThatFits
    largest_batch: LargestThatFits | None
    frontier: tuple[FrontierPoint, ...]
    law: ScalingLaw | None
    runs: int


@dataclass
class Peaks:
    """The peaks of runs, each made once."""

    run: Run
    known: dict[tuple[Part, int | None, int], int] = field(default_factory=dict)
    refused: dict[tuple[int | None, int], str] = field(default_factory=dict)

    def note(self, part: Part, batch: int | None, context: int, report: Report) -> Report:
        """Note the peak of a run, and return its report."""
        self.known[part, batch, context] = peak_of(timeline(report)).bytes
        return report

    def report(self, part: Part, batch: int | None, context: int) -> Report:
        """Run a prompt or a token, and note its peak."""
        return self.note(part, batch, context, self.run(part, batch, context))

    def of(self, part: Part, batch: int | None, context: int) -> int:
        """Return the peak of a prompt or of a token."""
        if (part, batch, context) not in self.known:
            self.report(part, batch, context)
        return self.known[part, batch, context]

    def within(self, capacity: int, batch: int | None, context: int) -> int:
        """Return the larger of both peaks; where that of the prompt does not fit, this one. Beyond any if refused."""
        try:
            prompt = self.of("prefill", batch, context)
            return prompt if prompt > capacity else max(prompt, self.of("decode", batch, context))
        except AlexnetError as error:
            self.refused[batch, context] = error.message
            return 2 * capacity + 1


def fit(room: Room, peaks: Peaks, batch: int | None, context: int, most_batch: int = MOST) -> ServingFit:
    """Return what fits beside a run of this batch and context; `most_batch` is the largest batch that is tried."""
    capacity = room.bytes
    law, runs = _law(peaks, batch, context)
    fixed = () if batch is None else (batch,)
    of_context = None if law is None else lambda n: int(law.at((*fixed, n)))
    contexts = _largest(peaks, capacity, lambda n: (batch, n), of_context, FARTHEST)
    batches = None
    if batch is not None:
        of_batch = None if law is None else lambda n: int(law.at((n, context)))
        batches = _largest(peaks, capacity, lambda n: (n, context), of_batch, min(most_batch, MOST))
    return ServingFit(
        gpu=room.gpu,
        capacity_bytes=capacity,
        fits=peaks.within(capacity, batch, context) <= capacity,
        longest_context=contexts,
        largest_batch=batches,
        frontier=() if law is None or batch is None else tuple(_frontier(law, capacity, contexts, batch, most_batch)),
        law=None if law is None else told(law, [runs.limits(at) for at in range(len(law.names))]),
        runs=len(peaks.known),
    )


def _law(peaks: Peaks, batch: int | None, context: int) -> tuple[Law | None, Runs]:
    """Return the law of the peak of a prompt, part by part, from storages alone, as of a training step."""
    batched = batch is not None
    names = ("batch", "context") if batched else ("context",)
    base = (max(batch or 0, _LEAST), max(context, _LEAST)) if batched else (max(context, _LEAST),)
    first: dict[str, Report] = {}

    def report(sizes: Sizes) -> Report:
        found = peaks.report("prefill", sizes[0] if batched else None, sizes[-1])
        if sizes == base:
            first["report"] = found
        return found

    runs = Runs(names, base, lambda sizes: of_training(report(sizes)))
    try:
        axes = [explore(runs, at) for at in range(len(names))]
        laws = find(runs, axes, shares_of_training(first["report"])).laws
    except AlexnetError:
        return None, runs
    law = next((law for law in laws if law.total[0] == "peak_training_bytes" and law.pieces), None)
    return None if law is None else replace(law, total=("peak_forward_bytes", "")), runs


def _largest(
    peaks: Peaks,
    capacity: int,
    sizes: Callable[[int], tuple[int | None, int]],
    by_law: Callable[[int], int] | None,
    most: int,
) -> LargestThatFits:
    """Search along one dimension, from the size that the law suggests."""
    first = 1 if by_law is None else largest_size(by_law, capacity, most=most)
    size, above = bracket(lambda n: peaks.within(capacity, *sizes(n)), capacity, most, first, TRIES)
    refused = peaks.refused.get(sizes(above))
    return LargestThatFits(
        size=size,
        bytes=peaks.within(capacity, *sizes(size)) if size else None,
        next_size=above,
        next_bytes=peaks.within(capacity, *sizes(above)) if refused is None and above <= most else None,
        exact=above - size == 1 and above <= most,
        why=refused,
    )


def _frontier(law: Law, capacity: int, longest: LargestThatFits, batch: int, most: int) -> Iterator[FrontierPoint]:
    """Yield the longest contexts of batches that double, and of this one, as long as they are no mere few tokens.

    None is longer than a context that does not run, whatever the batch.
    """
    runs = FARTHEST if longest.why is None else longest.size
    doubling = [2**power for power in range(most.bit_length())]
    for size in sorted({*doubling, batch}):
        if size == batch and longest.exact and longest.bytes is not None:
            yield FrontierPoint(batch, longest.size, longest.bytes, exact=True)
            continue

        def of(context: int, size: int = size) -> int:
            return int(law.at((size, context)))

        context = largest_size(of, capacity, _LEAST, runs)
        if context < _SHORTEST:
            break
        yield FrontierPoint(size, context, of(context), exact=False)
