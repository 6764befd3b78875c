"""A prompt or a token of a language model: what it computes and moves, the time at least, and what bounds it.

The floor in time is that of one kernel for the whole run: the longer of its FLOPs at the peak, and the bytes that it
must move at the full bandwidth (Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009). With B sequences the
MACs, the cache, inputs and outputs are B times those of one; weights are read once, of a mixture of experts those that
are touched. A token is thus bound by memory for few sequences, and by arithmetic from that B on for which

    2 B macs / peak >= (weights(B) + B moved) / bandwidth

where the left side grows faster; otherwise by memory however many there are.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from msgspec import Struct
from msgspec.structs import asdict, replace

from alexnet_cli.analyses.capacity import first_that
from alexnet_cli.analyses.cost import Bound, Roof
from alexnet_cli.analyses.serving.cached import Cache, cache, state_of
from alexnet_cli.analyses.serving.causal import spared_macs
from alexnet_cli.analyses.serving.moved import Least, Moved, least, moved
from alexnet_cli.analyses.serving.weights import Experts, Weights, active_params, weights
from alexnet_cli.analyses.traffic import units
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report

MOST_SEQUENCES = 2**40
"""More sequences than that are not looked at."""


class Floor(Struct, frozen=True):
    """The least that a run of the whole batch moves and takes.

    `weights_read` is expected under uniform routing where there are experts. `macs` are those that no kernel can spare:
    of causal attention the pairs that it attends to, where the operators say that it is causal. Without hardware
    `seconds` and what follows from it are None.
    """

    macs: int
    weights_read: int
    cache_read: int
    cache_written: int
    inputs_read: int
    outputs_written: int
    bytes: int
    intensity: float
    seconds: float | None = None
    bound: Bound | None = None
    tokens_per_s: float | None = None
    compute_bound_from: int | None = None


class ServingCost(Struct, frozen=True):
    """What a prompt of `context` tokens costs, or the token at that place after a cache, for the whole batch.

    `tokens` are those that are run, in all sequences. `causal_macs` are those of a prompt in which each token attends
    to none after it; None where the operators do not say so, and for a token. `active_params` are the parameters that
    one token uses.
    """

    part: Literal["prefill", "decode"]
    context: int | None
    batch_size: int | None
    tokens: int
    macs: int
    causal_macs: int | None
    params: int
    active_params: int | None
    experts: tuple[Experts, ...]
    cache: Cache
    moved: Moved
    floor: Floor


def serving(report: Report, roof: Roof | None = None) -> ServingCost:
    """Return what a prompt or a token costs, on hardware if `roof` is given.

    Raises:
        UsageError: the report is of another run, or has no operator trace.
    """
    served = report.run.serving if report.run else None
    if not report.run or not served:
        raise UsageError(f"{report.model.target} was not run with its cache")
    tape, state = state_of(report)
    done = units(tape)
    shapes = (tape.values[value].shape for value in tape.inputs)
    sequences = report.run.batch_size or next((shape[0] for shape in shapes if shape), 1)
    tokens = sequences * (served.context or 1 if served.part == "prefill" else 1)
    macs: Counter[str] = Counter()
    for unit in done:
        macs.update(unit.macs)
    total = sum(macs.values())
    spared = spared_macs(report, tape) if served.part == "prefill" else None
    used = weights(report, tape, tokens)
    law = _Law(sequences, tokens // sequences, macs, total - (spared or 0), least(tape, state), used)
    return ServingCost(
        part=served.part,
        context=served.context,
        batch_size=report.run.batch_size,
        tokens=tokens,
        macs=total,
        causal_macs=None if spared is None else total - spared,
        params=report.totals.params,
        active_params=active_params(report, used),
        experts=used.experts,
        cache=cache(report),
        moved=moved(done),
        floor=law.floor(roof),
    )


class _Law(Struct, frozen=True):
    """How a run of `sequences` sequences, each of so many tokens, grows with their number.

    `macs` are those that cannot be spared, of those in `macs_by_dtype`; `moved` is beside the weights.
    """

    sequences: int
    tokens: int
    macs_by_dtype: Counter[str]
    macs: int
    moved: Least
    weights: Weights

    def floor(self, roof: Roof | None) -> Floor:
        """Return the least that the run moves and takes."""
        read = round(self.weights.read(self.sequences * self.tokens))
        size = read + self.moved.total
        known = Floor(
            macs=self.macs,
            weights_read=read,
            **asdict(self.moved),
            bytes=size,
            intensity=2 * self.macs / size if size else 0.0,
        )
        if roof is None:
            return known
        compute, memory = self._compute(roof), self._memory(self.sequences, roof)
        seconds = max(compute or 0.0, memory)
        return replace(
            known,
            seconds=seconds,
            bound=None if compute is None else "compute" if compute > memory else "memory",
            tokens_per_s=self.sequences * self.tokens / seconds if seconds else None,
            compute_bound_from=None if compute is None else self._turn(compute / self.sequences, roof),
        )

    def _compute(self, roof: Roof) -> float | None:
        """Return the seconds of the arithmetic at the peak of each dtype, None where one is not known."""
        total = sum(self.macs_by_dtype.values())
        peaks = {dtype: roof.peak(dtype) for dtype in self.macs_by_dtype}
        if not total or not all(peaks.values()):
            return None
        share = self.macs / total
        return sum(2 * macs * share / (peaks[dtype] or 1) for dtype, macs in self.macs_by_dtype.items())

    def _memory(self, sequences: int, roof: Roof) -> float:
        size = self.weights.read(sequences * self.tokens) + self.moved.total * sequences / self.sequences
        return size / roof.hardware.bandwidth_bytes_per_s

    def _turn(self, compute: float, roof: Roof) -> int | None:
        """Return the least number of sequences whose arithmetic takes longer than what they move, None if none does.

        The difference is convex in their number, as of experts ever fewer are new, and negative at 0: it turns once.
        """
        high = 1
        while high * compute < self._memory(high, roof):
            high *= 2
            if high > MOST_SEQUENCES:
                return None
        tried = range(high // 2 + 1, high)
        return first_that(tried, lambda size: size * compute >= self._memory(size, roof))
