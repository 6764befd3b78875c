"""The search for what makes a training step fit: each change traced, combined where one alone is not enough."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence

from msgspec.structs import replace

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.fitting.chain import Block, chain_of
from alexnet_cli.analyses.fitting.choose import Composed, Work, compose, regular
from alexnet_cli.analyses.fitting.parts import Choice
from alexnet_cli.analyses.fitting.tried import Changed, Kind, Tried, best_of
from alexnet_cli.analyses.fitting.work import StepWork, step_work, work_again
from alexnet_cli.analyses.memory import peak_of, timeline
from alexnet_cli.errors import AlexnetError, NothingToTrainError, UsageError
from alexnet_cli.report import Report
from alexnet_cli.session.how import TrainingStep
from alexnet_cli.session.session import Session, Variation
from alexnet_cli.units import count

CHEAPER = {"adamw": ("sgd-momentum", "sgd"), "adam": ("sgd-momentum", "sgd"), "sgd-momentum": ("sgd",)}
"""The optimisers that hold less than another."""
NAMES = {"sgd": "SGD", "sgd-momentum": "SGD with momentum", "adam": "Adam", "adamw": "AdamW", "none": "no update"}
_ROUNDS = 4
_WORTH = 1.01
_KEPT = 8
_NEAR = 1.1
"""The best choice of blocks is looked for where running all of them again needs at most that much of the budget."""
"""Micro-batches and checkpoints are combined where one alone fits if that could save more than 1 % of the time."""


class Search:
    """Tries changes of a training step until one fits in `budget` bytes; `tried` has what was traced.

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
    ) -> None:
        if not session.can_run:
            raise UsageError("fit needs a model to run, not a saved report, a checkpoint or an ONNX file")
        self.session = session
        self.asked = step
        self.budget = budget
        self.roof = roof
        self.without = frozenset(without)
        self._known: dict[TrainingStep, Tried | None] = {}
        self._updates: dict[TrainingStep, int] = {}
        self._shown: dict[TrainingStep, None] = {}
        self._reports: OrderedDict[TrainingStep, Report] = OrderedDict()
        self._composed: dict[TrainingStep, Composed | None] = {}
        try:
            report = self._trace(step)
        except NothingToTrainError:
            raise UsageError(
                "there is nothing to train, so nothing has to fit", "`alexnet memory` shows a forward"
            ) from None
        self.report = report
        self.chain = () if "checkpoint" in self.without else chain_of(report)
        self.batch = None if report.run is None else report.run.batch_size
        self.statistics = any("BatchNorm" in layer.type for layer in report.layers)
        self._base = step_work(report, roof)
        self._asked_peak = _peak(report)
        self._note(step, report)
        self._shown[step] = None

    @property
    def tried(self) -> tuple[Tried, ...]:
        """What was traced as a candidate, in that order."""
        return tuple(each for step in self._shown if (each := self._known[step]) is not None)

    @property
    def traces(self) -> int:
        """How many steps were traced."""
        return len(self._known)

    def search(self) -> None:
        """Try changes, those first that leave the training's result as it is, until some fit."""
        if self._fits(self.asked):
            return
        for step in self._singles(self.asked):
            self.run(step)
        for start in self._starts():
            self._make_fit(start)
            if best_of(self.tried) is not None:
                return
        self._least()

    def _singles(self, step: TrainingStep) -> Iterator[TrainingStep]:
        """Yield the step with one thing changed that needs no choice."""
        if step.foreach and step.optimizer != "none" and "foreach" not in self.without:
            yield replace(step, foreach=False)
        for _, choice in regular(len(self.chain)):
            yield replace(step, checkpoint=self._chosen(choice))
        if step.amp is None and self._may_mix:
            yield replace(step, amp="bf16")
        for name in self._cheaper:
            yield replace(step, optimizer=name)

    def _starts(self) -> Iterator[TrainingStep]:
        """Yield the steps from which on blocks and micro-batches are chosen, those first that change least."""
        for optimizer in (self.asked.optimizer, *self._cheaper):
            for amp in dict.fromkeys((self.asked.amp, "bf16" if self._may_mix else self.asked.amp)):
                step = replace(self.asked, optimizer=optimizer, amp=amp)
                self.run(step)
                if step.foreach and "foreach" not in self.without and self._updates.get(step, 0) > self.budget:
                    step = replace(step, foreach=False)
                    self.run(step)
                yield step

    @property
    def _cheaper(self) -> tuple[str, ...]:
        """The optimisers that hold less than the one that was asked for."""
        return () if "optimizer" in self.without else CHEAPER.get(self.asked.optimizer, ())

    @property
    def _may_mix(self) -> bool:
        run = self.report.run
        if "amp" in self.without:
            return False
        known = self.roof is None or self.roof.peak("bfloat16") is not None
        return self.asked.amp is None and run is not None and run.dtype == "float32" and known

    def _make_fit(self, start: TrainingStep) -> None:
        """Choose blocks, micro-batches, or both, unless nothing of that can be enough."""
        if self._fits(start) or self._updates.get(start, 0) > self.budget:
            return
        cuts = self._divisors()
        if not self._choose(start) and not self._can_fit(start, cuts):
            return
        cut = self._least_cut(start, cuts)
        best = best_of(self.tried)
        if best is None:
            self._cut_and_choose(start, cuts)
            return
        for number in (number for number in cuts if cut is None or number < cut):  # fewer parts, and some blocks
            least = self.run(replace(start, micro_batches=number))
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
        everything = self.run(replace(start, checkpoint=self._chosen((True,) * len(self.chain))))
        return everything is not None and everything.peak_bytes <= self.budget * _NEAR

    def _cut_and_choose(self, start: TrainingStep, cuts: Sequence[int]) -> None:
        """Find by bisection the fewest micro-batches with which some choice of blocks fits, and try the next number."""
        low, high = 0, len(cuts) - 1
        while low < high:
            middle = (low + high) // 2
            step = replace(start, micro_batches=cuts[middle])
            low, high = (low, middle) if self._near(step) and self._choose(step) else (middle + 1, high)
        if high + 1 < len(cuts):
            self._choose(replace(start, micro_batches=cuts[high + 1]))

    def _choose(self, start: TrainingStep) -> bool:
        """Run the best choice of blocks; if its trace differs from what was composed, choose again with that margin."""
        composed = self._compose(start)
        if composed is None:
            return False
        budget = self.budget
        for _ in range(_ROUNDS):
            choice = composed.best(budget)
            if choice is None:
                return False
            found = self.run(replace(start, checkpoint=self._chosen(choice)))
            if found is None or found.fits:
                return found is not None
            budget -= max(found.peak_bytes - composed.peak(choice), 1)
        return False

    def _least_cut(self, start: TrainingStep, divisors: Sequence[int]) -> int | None:
        """Find by bisection the fewest micro-batches that fit alone, None if none do."""
        if not divisors or not self._fits(replace(start, micro_batches=divisors[-1])):
            return None
        low, high = 0, len(divisors) - 1
        while low < high:
            middle = (low + high) // 2
            fits = self._fits(replace(start, micro_batches=divisors[middle]))
            low, high = (low, middle) if fits else (middle + 1, high)
        return divisors[high]

    def _least(self) -> None:
        """Trace what needs least memory of all that is known, for a bound where nothing fits."""
        optimizer = (self.asked.optimizer, *self._cheaper)[-1]
        divisors = self._divisors()
        parts = divisors[-1] if divisors else 1
        start = replace(self.asked, optimizer=optimizer, micro_batches=parts)
        start = start if "foreach" in self.without else replace(start, foreach=False)
        for amp in dict.fromkeys((start.amp, "bf16" if self._may_mix else start.amp)):
            step = replace(start, amp=amp)
            composed = self._compose(step)
            choice = None if composed is None else composed.best(composed.least_peak())
            self.run(step if choice is None else replace(step, checkpoint=self._chosen(choice)))

    def _divisors(self) -> list[int]:
        """Return into how many equal parts the batch can be cut."""
        run = self.report.run
        if "micro_batches" in self.without:
            return []
        if self.batch is None or run is None or not any(given.shape[:1] == (self.batch,) for given in run.inputs):
            return []
        if any(given.per_sample for given in run.inputs):
            return []
        return [number for number in range(2, self.batch + 1) if self.batch % number == 0]

    def _chosen(self, choice: Choice) -> tuple[tuple[str, ...], ...]:
        return tuple(block.paths for block, own in zip(self.chain, choice, strict=True) if own)

    def _fits(self, step: TrainingStep) -> bool:
        found = self.run(step)
        return found is not None and found.fits

    def _compose(self, start: TrainingStep) -> Composed | None:
        if start not in self._composed:
            self._composed[start] = self._composed_of(start)
        return self._composed[start]

    def _composed_of(self, start: TrainingStep) -> Composed | None:
        if not self.chain:
            return None

        def step(choice: Choice) -> Report:
            changed = replace(start, checkpoint=self._chosen(choice))
            report = self._trace(changed)
            self._note(changed, report)
            return report

        def again(report: Report, chain: Sequence[Block]) -> list[Work]:
            return work_again(report, chain, self.roof)

        try:
            return compose(self.chain, step, again)
        except AlexnetError:
            return None

    def run(self, step: TrainingStep) -> Tried | None:
        """Trace a step as a candidate; None if it cannot be run like this."""
        if step not in self._known:
            try:
                self._note(step, self._trace(step))
            except AlexnetError:
                self._known[step] = None
        self._shown[step] = None
        return self._known[step]

    def _trace(self, step: TrainingStep) -> Report:
        """Trace a step; the last few reports are kept, as blocks are chosen by some steps that are shown too."""
        if step not in self._reports:
            self._reports[step] = self.session.once(Variation(step=step, on_meta=True))
            if len(self._reports) > _KEPT:
                self._reports.popitem(last=False)
        return self._reports[step]

    def _note(self, step: TrainingStep, report: Report) -> None:
        if step in self._known:
            return
        work, moments = step_work(report, self.roof, step.micro_batches), timeline(report)
        peak = peak_of(moments).bytes
        self._updates[step] = max((at.bytes for at in moments if at.phase == "optimizer"), default=0)
        kinds = tuple(self._kinds(step))
        changes_result = {"amp", "optimizer"} | ({"micro_batches"} if self.statistics else set())
        self._known[step] = Tried(
            change=" + ".join(self._said(step)) or "as asked",
            kinds=kinds,
            same_result=not changes_result.intersection(kinds),
            peak_bytes=peak,
            saves_bytes=self._asked_peak - peak,
            over_bytes=max(peak - self.budget, 0),
            fits=peak <= self.budget,
            seconds_floor=work.seconds,
            flops=work.flops,
            bytes_moved=work.bytes,
            slowdown=_ratio(work, self._base),
            blocks=len(self.chain),
            step=Changed(self.batch, step.optimizer, step.amp, step.foreach, step.micro_batches, step.checkpoint),
        )

    def _kinds(self, step: TrainingStep) -> Iterator[Kind]:
        asked = self.asked
        if step.checkpoint:
            yield "checkpoint"
        if step.micro_batches > 1:
            yield "micro_batches"
        if step.foreach != asked.foreach:
            yield "foreach"
        if step.amp != asked.amp:
            yield "amp"
        if step.optimizer != asked.optimizer:
            yield "optimizer"

    def _said(self, step: TrainingStep) -> Iterator[str]:
        again, blocks = len(step.checkpoint), len(self.chain)
        for kind in self._kinds(step):
            if kind == "checkpoint":
                usual = {self._chosen(choice): name for name, choice in regular(blocks)}
                yield f"checkpoint {usual.get(step.checkpoint) or f'{count(again)} of {count(blocks)} blocks'}"
            elif kind == "micro_batches":
                yield f"{count(step.micro_batches)} micro-batches of {count((self.batch or 0) // step.micro_batches)}"
            elif kind == "foreach":
                yield "parameters updated one by one"
            elif kind == "amp":
                yield f"autocast to {step.amp}"
            elif kind == "optimizer":
                yield f"{NAMES[step.optimizer]} instead of {NAMES[self.asked.optimizer]}"


def _ratio(work: StepWork, base: StepWork) -> float:
    now, before = work.order[0], base.order[0]
    return now / before if before else 1.0


def _peak(report: Report) -> int:
    return peak_of(timeline(report)).bytes
