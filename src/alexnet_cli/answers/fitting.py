"""The search for what makes a training step fit: each change traced, combined where one alone is not enough."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.fitting.choose import regular
from alexnet_cli.analyses.fitting.paging import host_link
from alexnet_cli.analyses.fitting.tried import Kind, Tried, best_of
from alexnet_cli.answers.candidates import Candidates
from alexnet_cli.session.how import Block, TrainingStep
from alexnet_cli.session.session import Session

T = TypeVar("T")
CHEAPER = {
    "adamw": ("adamw-8bit", "sgd-momentum", "sgd"),
    "adam": ("adam-8bit", "sgd-momentum", "sgd"),
    "sgd-momentum": ("sgd",),
}
"""The optimisers that hold less than another."""
PAGED = {"adamw": "adamw-paged", "adam": "adam-paged"}
"""The optimisers that do the same with a state that may be on the host."""
_ROUNDS = 4
_WORTH = 1.01
"""Micro-batches and checkpoints are combined where one alone fits if that could save more than 1 % of the time."""
_LEAST = 1e-6
"""The least part of the time that a change is taken to cost."""
_BATCHES = 8
_LEAST_TO_CUT = 2
RANK = 16
"""The rank of adapters that were not asked for."""
_NEAR = 1.1
"""The best choice of blocks is looked for where running all of them again needs at most that much of the budget."""


class Search:
    """Tries changes of a training step until one fits in `budget` bytes.

    Raises:
        UsageError: there is nothing to train, or no model to run.
        AlexnetError: the step itself fails.
    """

    def __init__(
        self,
        session: Session,
        step: TrainingStep,
        budget: int,
        roof: Roof | None,
        without: Collection[Kind] = (),
        *,
        lora: int | None = None,
    ) -> None:
        self.steps = Candidates(session, step, budget, roof, checkpoints="checkpoint" not in without)
        self.asked = step
        self.budget = budget
        self.without = frozenset(without)
        self.lora = lora
        self._saving: dict[str, Any] = {}
        self._costly: dict[str, Any] = {}
        self._rounded: dict[tuple[Block, ...], int] = {}

    @property
    def tried(self) -> tuple[Tried, ...]:
        """What was traced as a candidate, in that order."""
        return self.steps.tried

    def rounded_bytes(self, tried: Tried) -> int:
        """Return how far below the budget others may be whose work is less: 0 if its blocks were chosen exactly."""
        return self._rounded.get(tried.step.checkpoint, 0)

    def search(self) -> None:
        """Try changes, those first that leave the training's result as it is, until some fit.

        Where none does, fewer parameters are trained. In the end the largest batch is looked for that fits unchanged.
        """
        if self._fits(self.asked):
            return
        for step in self._singles(self.asked):
            self.steps.run(step)
        self._rewrite()
        self._same_training()
        if best_of(self.tried) is None and self._costly != self._saving:
            self._saving = self._costly
            self._same_training()
        if best_of(self.tried) is None:
            self._fewer_trained()
        if best_of(self.tried) is None:
            self._least()
        if "batch" not in self.without:
            self._fewer_samples()

    def _rewrite(self) -> None:
        """Let layers run otherwise with the same result; what saves more for its time than checkpoints goes first."""
        again = [each for each in self.tried if each.kinds == ("checkpoint",)]
        usual = max((each.saves_bytes / max(each.slowdown - 1, _LEAST) for each in again), default=0)
        kinds: tuple[Kind, ...] = ("in_place", "chunked_loss")
        for kind in (kind for kind in kinds if kind not in self.without):
            said = self.steps.rewritten(kind)
            found = self.steps.run(replace(self.asked, **said)) if said else None
            if found is not None and found.saves_bytes > 0:
                self._costly.update(said)
                if found.slowdown < _WORTH or found.saves_bytes > usual * (found.slowdown - 1):
                    self._saving.update(said)
        if len(self._saving) > 1:
            self.steps.run(self._saved(self.asked))

    def _saved(self, step: TrainingStep) -> TrainingStep:
        return replace(step, **self._saving)

    def _same_training(self) -> None:
        """Make each of the steps fit from which on blocks and micro-batches are chosen, until one does."""
        for start in self._starts():
            self._make_fit(start)
            best, own = best_of(self.tried), self.steps.run(start)
            if best is None or own is None or best.change_of_result > own.change_of_result:
                continue
            if not self._pages_quicker(start, best):
                return

    def _pages_quicker(self, start: TrainingStep, best: Tried) -> bool:
        """Tell whether with its state on the host a step could take less time than the best that fits."""
        others = (self.steps.run(self.steps.with_optimizer(name, start.amp)) for name in self._paged)
        quicker = any(other is not None and other.slowdown < best.slowdown for other in others)
        return quicker and start.optimizer == self.asked.optimizer

    def _fewer_trained(self) -> None:
        """Train adapters, or freeze what runs first: the fewest blocks with which a step fits."""
        for step in self._adapted():
            self._make_fit(step)
            if best_of(self.tried) is not None:
                return
        steps = [] if "freeze" in self.without else [self.steps.frozen(at + 1) for at in range(len(self.steps.chain))]
        known = [self._saved(step) for step in steps if step is not None]
        if known:
            self._make_fit(known[_first(known, self._fits)])

    def _adapted(self) -> list[TrainingStep]:
        kinds: tuple[tuple[Kind, bool], ...] = ("lora", False), ("qlora", True)
        steps = (
            self.steps.adapted(self.lora or RANK, four_bits=bits) for kind, bits in kinds if kind not in self.without
        )
        return [self._saved(step) for step in steps if step is not None]

    def _fewer_samples(self) -> None:
        """Find the largest batch that fits as it was asked, by what one sample adds between two that were traced.

        That is exact where memory grows evenly with the batch; else the next tries close in on it.
        """
        whole, asked = self.steps.batch, self.steps.run(self.asked)
        if whole is None or whole < _LEAST_TO_CUT or asked is None or not self.steps.can_cut:
            return
        low, below = next(((n, each) for n in (1, 2) if (each := self.steps.smaller(n)) is not None), (0, None))
        if below is None or not below.fits or low >= whole:
            return
        high, above = whole, asked.peak_bytes
        for _ in range(_BATCHES):
            if high - low == 1:
                break
            share = (self.budget - below.peak_bytes) / max(above - below.peak_bytes, 1)
            middle = min(max(low + int(share * (high - low)), low + 1), high - 1)
            found = self.steps.smaller(middle)
            if found is None:
                break
            if found.fits:
                low, below = middle, found
            else:
                high, above = middle, found.peak_bytes
        self.steps.offer(low, below)

    def _singles(self, step: TrainingStep) -> Iterator[TrainingStep]:
        """Yield the step with one thing changed that needs no choice."""
        if step.foreach and step.optimizer != "none" and "foreach" not in self.without:
            yield replace(step, foreach=False)
        for _, choice in regular(len(self.steps.chain)):
            yield replace(step, checkpoint=self.steps.chosen(choice))
        if step.amp is None and self._may_mix:
            yield replace(step, amp="bf16")
        for name in (*self._paged, *self._cheaper):
            yield self.steps.with_optimizer(name, step.amp)
        if self.lora is not None:
            yield from self._adapted()

    def _starts(self) -> Iterator[TrainingStep]:
        """Yield the steps from which on blocks and micro-batches are chosen, those first that change least.

        Where the optimiser changes the training anyway, mixed precision comes first, as it takes less time.
        """
        kinds = dict.fromkeys((self.asked.amp, "bf16" if self._may_mix else self.asked.amp))
        same = (self.asked.optimizer, *self._paged)
        pairs = [(name, amp) for amp in kinds for name in same]
        for name, amp in (*pairs, *((name, amp) for name in self._cheaper for amp in reversed(kinds))):
            step = self.steps.with_optimizer(name, amp)
            self.steps.run(step)
            if step.foreach and "foreach" not in self.without and not self.steps.update_fits(step, outputs=True):
                step = replace(step, foreach=False)
                self.steps.run(step)
            yield self._saved(step)

    @property
    def _cheaper(self) -> tuple[str, ...]:
        """The optimisers that hold less than the one that was asked for."""
        return () if "optimizer" in self.without else CHEAPER.get(self.asked.optimizer, ())

    @property
    def _paged(self) -> tuple[str, ...]:
        """The optimiser that does the same with its state on the host, where it is known how fast that can come."""
        name = PAGED.get(self.asked.optimizer)
        roof = self.steps.roof
        known = roof is not None and host_link(roof.hardware.name) is not None
        return (name,) if name is not None and known and "paged" not in self.without else ()

    @property
    def _cuts(self) -> list[int]:
        return [] if "micro_batches" in self.without else self.steps.divisors()

    @property
    def _may_mix(self) -> bool:
        run = self.steps.report.run
        if "amp" in self.without:
            return False
        known = self.steps.roof is None or self.steps.roof.peak("bfloat16") is not None
        return self.asked.amp is None and run is not None and run.dtype == "float32" and known

    def _make_fit(self, start: TrainingStep) -> None:
        """Choose blocks, micro-batches, or both, unless nothing of that can be enough."""
        if self._fits(start) or not self.steps.update_fits(start, outputs=False):
            return
        cuts = self._cuts
        if not self._choose(start) and not self._can_fit(start, cuts):
            return
        cut = self._least_cut(start, cuts)
        best = best_of(self.tried)
        if best is None:
            self._cut_and_choose(start, cuts)
            return
        for number in (number for number in cuts if cut is None or number < cut):  # fewer parts, and some blocks
            least = self.steps.run(replace(start, micro_batches=number))
            if least is None or best.slowdown < least.slowdown * _WORTH:
                return
            self._choose(replace(start, micro_batches=number))

    def _can_fit(self, start: TrainingStep, cuts: Sequence[int]) -> bool:
        """Tell whether the step fits that has the least samples at once and runs the best choice of blocks again."""
        if not cuts:
            return False
        deepest = replace(start, micro_batches=cuts[-1])
        return self._fits(deepest) or (self._near(deepest) and self._choose(deepest))

    def _near(self, start: TrainingStep) -> bool:
        """Tell whether some choice of blocks could keep the budget, by the step that runs all of them again."""
        everything = self.steps.run(replace(start, checkpoint=self.steps.chosen((True,) * len(self.steps.chain))))
        return everything is not None and everything.peak_bytes <= self.budget * _NEAR

    def _cut_and_choose(self, start: TrainingStep, cuts: Sequence[int]) -> None:
        """Find by bisection the fewest micro-batches with which some choice of blocks fits, and try the next number."""

        def is_enough(parts: int) -> bool:
            step = replace(start, micro_batches=parts)
            return self._near(step) and self._choose(step)

        fewest = _first(cuts, is_enough)
        if fewest + 1 < len(cuts):
            self._choose(replace(start, micro_batches=cuts[fewest + 1]))

    def _choose(self, start: TrainingStep) -> bool:
        """Run the best choice of blocks; if its trace differs from what was composed, choose again with that margin."""
        composed = self.steps.compose(start)
        if composed is None:
            return False
        budget = self.budget
        for _ in range(_ROUNDS):
            best = composed.best(budget)
            if best is None:
                return False
            blocks = self.steps.chosen(best.choice)
            self._rounded[blocks] = max(best.rounded_bytes, self._rounded.get(blocks, 0))
            found = self.steps.run(replace(start, checkpoint=blocks))
            if found is None or found.fits:
                return found is not None
            budget -= max(found.peak_bytes - composed.peak(best.choice), 1)
        return False

    def _least_cut(self, start: TrainingStep, divisors: Sequence[int]) -> int | None:
        """Find by bisection the fewest micro-batches that fit alone, None if none do."""
        if not divisors or not self._fits(replace(start, micro_batches=divisors[-1])):
            return None
        return divisors[_first(divisors, lambda parts: self._fits(replace(start, micro_batches=parts)))]

    def _least(self) -> None:
        """Trace what needs least memory of all that is known, for a bound where nothing fits."""
        optimizer = (self.asked.optimizer, *self._cheaper)[-1]
        divisors = self._cuts
        parts = divisors[-1] if divisors else 1
        start = replace(self.steps.with_optimizer(optimizer, self.asked.amp), micro_batches=parts)
        start = start if "foreach" in self.without else replace(start, foreach=False)
        for amp in dict.fromkeys((start.amp, "bf16" if self._may_mix else start.amp)):
            step = self._saved(replace(start, amp=amp))
            composed = self.steps.compose(step)
            best = None if composed is None else composed.best(composed.least_peak())
            self.steps.run(step if best is None else replace(step, checkpoint=self.steps.chosen(best.choice)))

    def _fits(self, step: TrainingStep) -> bool:
        found = self.steps.run(step)
        return found is not None and found.fits


def _first(several: Sequence[T], is_enough: Callable[[T], bool]) -> int:
    """Find by bisection the place of the first that is enough: the last if none before it is."""
    return bisect_left(several, 1, hi=len(several) - 1, key=is_enough)
