"""The steps that `fit` tries: each traced with its changes made, once, and weighed against the step as asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.fitting.chain import Block, chain_of
from alexnet_cli.analyses.fitting.choose import Composed, Work, compose
from alexnet_cli.analyses.fitting.halves import Gradients, Update
from alexnet_cli.analyses.fitting.layers import from_block, in_place, linear_layers, scored
from alexnet_cli.analyses.fitting.paging import moved, pageable_bytes
from alexnet_cli.analyses.fitting.parts import Choice
from alexnet_cli.analyses.fitting.tried import Changed, Kind, Tried, is_paged, updates_singly
from alexnet_cli.analyses.fitting.work import step_work, work_again
from alexnet_cli.analyses.memory import peak_of, tape_of, timeline
from alexnet_cli.answers.changes import kinds_of, paths_of, said_of
from alexnet_cli.answers.traces import Traces, until_update
from alexnet_cli.errors import AlexnetError, NothingToTrainError, UsageError
from alexnet_cli.report import Report
from alexnet_cli.session.how import Lora, TrainingStep
from alexnet_cli.session.session import Session
from alexnet_cli.units import count


class Candidates:
    """Steps of a model, by what was changed in them; `tried` has those that were shown, in that order.

    A step is put together of its two halves, each of which is traced once.

    Raises:
        UsageError: there is nothing to train, or no model to run.
        AlexnetError: the step itself fails.
    """

    def __init__(
        self, session: Session, step: TrainingStep, budget: int, roof: Roof | None, *, checkpoints: bool = True
    ) -> None:
        session.model("fit")
        self.asked = step
        self.budget = budget
        self.roof = roof
        self._known: dict[TrainingStep, Tried | None] = {}
        self._traces = Traces(session, roof)
        self._smaller: dict[int, Tried | None] = {}
        self._shown: dict[TrainingStep, None] = {}
        self._composed: dict[TrainingStep, Composed | None] = {}
        try:
            report = self._traces.whole(step)
        except NothingToTrainError:
            raise UsageError(
                "there is nothing to train, so nothing has to fit", "`alexnet memory` shows a forward"
            ) from None
        self.report = report
        self.chain = chain_of(report) if checkpoints else ()
        self.batch = None if report.run is None else report.run.batch_size
        self.dtype = None if report.run is None else report.run.dtype
        self.statistics = any("BatchNorm" in layer.type for layer in report.layers)
        self._pageable = pageable_bytes(tape_of(report))
        self._base = step_work(report, roof)
        self._asked_peak = peak_of(timeline(report)).bytes
        self.run(step)

    @property
    def traces(self) -> int:
        """How many steps were run, or parts of them."""
        return self._traces.count

    @property
    def tried(self) -> tuple[Tried, ...]:
        """What was traced as a candidate, in that order."""
        shown = (*(self._known[step] for step in self._shown), *self._smaller.values())
        return tuple(each for each in shown if each is not None)

    def update_fits(self, step: TrainingStep, *, outputs: bool) -> bool:
        """Tell whether a step's update fits, with or without the outputs that are live while it runs."""
        update = self._update(step)
        gradients = self._traces.gradients(until_update(self._plain(step)))
        beside = gradients.end_bytes if outputs else gradients.fixed_bytes
        return beside + update.held_bytes + update.extra_bytes <= self.budget

    def with_optimizer(self, optimizer: str, amp: str | None) -> TrainingStep:
        """Return the step as asked with another optimiser; some update parameters one by one."""
        foreach = self.asked.foreach and not updates_singly(optimizer)
        return replace(self.asked, optimizer=optimizer, amp=amp, foreach=foreach)

    @property
    def can_cut(self) -> bool:
        """Tell whether the batch is known and can be cut."""
        run = self.report.run
        if self.batch is None or run is None or not any(given.shape[:1] == (self.batch,) for given in run.inputs):
            return False
        return not any(given.per_sample for given in run.inputs)

    def divisors(self) -> list[int]:
        """Return into how many equal parts the batch can be cut."""
        if self.batch is None or not self.can_cut:
            return []
        return [number for number in range(2, self.batch + 1) if self.batch % number == 0]

    def chosen(self, choice: Choice) -> tuple[tuple[str, ...], ...]:
        """Return the paths of the blocks that a choice runs again."""
        return paths_of(self.chain, choice)

    def adapted(self, rank: int, *, four_bits: bool) -> TrainingStep | None:
        """Return the step with adapters beside the model's linear layers; None if it has none that could have any."""
        layers = linear_layers(self.report)
        return replace(self.asked, lora=Lora(rank, layers, four_bits)) if layers else None

    def frozen(self, blocks: int) -> TrainingStep | None:
        """Return the step in which so many of the first blocks, and all before them, are frozen; None if all would."""
        trained = from_block(self.report, self.chain, blocks)
        return replace(self.asked, trained=trained) if trained else None

    def rewritten(self, kind: Kind) -> dict[str, Any]:
        """Return what a step says if its layers run otherwise with the same result; nothing if none could."""
        if kind == "in_place":
            paths = in_place(self.report, self.chain or chain_of(self.report))
            return {"in_place": paths} if paths else {}
        layer = scored(self.report)
        return {} if layer is None else {"chunked": layer}

    def compose(self, start: TrainingStep) -> Composed | None:
        """Return what a step takes with any choice of blocks; None if it has none that can be run again."""
        until = until_update(start)
        if until not in self._composed:
            self._composed[until] = self._composed_of(until)
        composed = self._composed[until]
        if composed is None:
            return None
        update = self._update(start)
        return composed.updated(update.held_bytes, update.bytes_after(self._traces.gradients(until)))

    def _composed_of(self, until: TrainingStep) -> Composed | None:
        if not self.chain:
            return None

        def step(choice: Choice) -> Report:
            return self._traces.report(replace(until, checkpoint=self.chosen(choice)))

        def again(report: Report, chain: Sequence[Block]) -> list[Work]:
            return work_again(report, chain, self.roof)

        parts = until.micro_batches
        whole = self._composed.get(replace(until, micro_batches=1)) if parts > 1 else None
        try:
            return compose(self.chain, step, again, None if whole is None else (whole, parts))
        except AlexnetError:
            return None

    def run(self, step: TrainingStep) -> Tried | None:
        """Trace a step as a candidate; None if it cannot be run like this."""
        if step not in self._known:
            try:
                self._known[step] = self._weighed(step)
            except AlexnetError:
                self._known[step] = None
        self._shown[step] = None
        return self._known[step]

    def _update(self, step: TrainingStep) -> Update:
        """Return what a step's optimiser holds and takes, from the step as asked with that optimiser."""
        return self._traces.update(replace(self._plain(step), optimizer=step.optimizer, foreach=step.foreach))

    def _plain(self, step: TrainingStep) -> TrainingStep:
        """Return the step as asked that trains the same parameters."""
        return replace(self.asked, lora=step.lora, trained=step.trained)

    def smaller(self, batch: int) -> Tried | None:
        """Trace the step as asked with fewer samples; None if it cannot be run like this.

        It is none of those that were tried before `offer` takes it for one.
        """
        try:
            gradients = self._traces.smaller(until_update(self.asked), batch)
        except AlexnetError:
            return None
        return self._weighed(self.asked, gradients, batch)

    def offer(self, batch: int, tried: Tried) -> None:
        """Take a smaller batch for one of the candidates."""
        self._smaller[batch] = tried

    def _weighed(self, step: TrainingStep, gradients: Gradients | None = None, batch: int | None = None) -> Tried:
        """Return what a step takes; `gradients` are those of a smaller `batch`."""
        update = self._update(step)  # of a step that is new it shows the gradients too
        gradients = gradients or self._traces.gradients(until_update(step))
        work, peak = gradients.work.plus(update.work), update.peak_with(gradients)
        if is_paged(step.optimizer) and self.roof is not None:
            work = work.plus(moved(self._pageable, gradients, update, self.budget, self.roof))
        kinds = (*kinds_of(step, self.asked), *(("batch",) if batch else ()))
        said = [f"a batch of {count(batch)}"] if batch else said_of(step, self.asked, self.chain, self.batch)
        changes_result = {"amp", "optimizer", "lora", "qlora", "freeze", "batch"}
        changes_result |= {"micro_batches"} if self.statistics else set()
        changes_result |= set() if self.dtype == "float32" else {"paged"}  # its moments are float32 in any case
        samples = batch or self.batch or 1
        adapters = step.lora or Lora(0, ())
        now, before = work.order[0], self._base.order[0]
        return Tried(
            change=" + ".join(said) or "as asked",
            kinds=kinds,
            same_result=not changes_result.intersection(kinds),
            peak_bytes=peak,
            saves_bytes=self._asked_peak - peak,
            over_bytes=max(peak - self.budget, 0),
            fits=peak <= self.budget,
            seconds_floor=work.seconds,
            flops=work.flops,
            bytes_moved=work.bytes,
            slowdown=(now / before if before else 1.0) * (self.batch or 1) / samples,
            blocks=len(self.chain),
            step=Changed(
                batch or self.batch,
                step.optimizer,
                step.amp,
                step.foreach,
                step.micro_batches,
                step.checkpoint,
                adapters.rank or None,
                adapters.layers,
                adapters.four_bits,
                step.trained,
                step.loss,
                step.in_place,
                step.chunked,
            ),
        )
