"""The traces of training steps that `fit` looks at: each half of a step once, and no more of it than is new."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from msgspec import UNSET
from msgspec.structs import replace

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.fitting.halves import Gradients, Update, before_update, split
from alexnet_cli.analyses.fitting.turns import by_modules, repeats
from alexnet_cli.report import Report
from alexnet_cli.session.how import Only, TrainingStep
from alexnet_cli.session.session import Session, Variation

_KEPT = 8


class Traces:
    """Traces of a model's training steps; `count` is how many were made.

    Where the whole step has shown which parameters get a gradient, another optimiser needs only its update, and of
    micro-batches one is enough once two have shown that the second does what the first does.

    Raises:
        AlexnetError: the model does not run like that.
    """

    def __init__(self, session: Session, roof: Roof | None) -> None:
        self.session = session
        self.roof = roof
        self.count = 0
        self._updates: dict[TrainingStep, Update] = {}
        self._gradients: dict[TrainingStep, Gradients] = {}
        self._reports: OrderedDict[TrainingStep, Report] = OrderedDict()
        self._without: dict[TrainingStep, tuple[str, ...]] = {}
        self._repeats: dict[TrainingStep, bool] = {}

    def whole(self, step: TrainingStep) -> Report:
        """Trace a whole step, of which all of the batch is run at once and no block again."""
        report = self._trace(step)
        until = until_update(step)
        self._gradients[until], self._updates[step] = split(report, self.roof)
        self._keep(until, before_update(report))
        wiring = report.wiring
        if wiring is not UNSET and not wiring.lazy:
            self._without[_trained(step)] = tuple(each.name for each in wiring.without_gradient)
        return report

    def update(self, step: TrainingStep) -> Update:
        """Return what the update of a step holds and takes."""
        if step not in self._updates:
            only = self._only("update", step)
            if only is None:
                self.whole(step)
            else:
                self._updates[step] = split(self._trace(step, only), self.roof)[1]
        return self._updates[step]

    def gradients(self, until: TrainingStep) -> Gradients:
        """Return what a step without its update takes."""
        if until not in self._gradients:
            self.report(until)
        return self._gradients[until]

    def report(self, until: TrainingStep) -> Report:
        """Trace a step without its update; the last few reports are kept, as some are asked for again."""
        if until not in self._reports:
            parts = until.micro_batches
            only = self._only("another", until) if parts > 1 and self._repeats.get(_trained(until)) else None
            report = self._trace(until, only)
            self._gradients[until] = split(report, self.roof, parts)[0]
            if parts > 1 and only is None and _trained(until) not in self._repeats:
                self._repeats[_trained(until)] = repeats(report)
            self._keep(until, report if only is None else by_modules(report))
        return self._reports[until]

    def smaller(self, until: TrainingStep, batch: int) -> Gradients:
        """Trace a step without its update that has fewer samples."""
        self.count += 1
        report = self.session.once(Variation(step=until, batch_size=batch, on_meta=True))
        return split(report, self.roof)[0]

    def _trace(self, step: TrainingStep, only: Only | None = None) -> Report:
        self.count += 1
        return self.session.once(Variation(step=step, on_meta=True, only=only))

    def _only(self, part: Literal["another", "update"], step: TrainingStep) -> Only | None:
        """Return how just a part of a step is run; None if it is not known which parameters get a gradient."""
        without = self._without.get(_trained(step))
        return None if without is None else Only(part, without)

    def _keep(self, until: TrainingStep, report: Report) -> None:
        self._reports[until] = report
        if len(self._reports) > _KEPT:
            self._reports.popitem(last=False)


def until_update(step: TrainingStep) -> TrainingStep:
    """Return a step that ends with its gradients."""
    return replace(step, optimizer="none", foreach=False)


def _trained(step: TrainingStep) -> TrainingStep:
    """Return what tells which parameters a step trains, and how a forward of its model goes."""
    return replace(until_update(step), amp=None, checkpoint=(), micro_batches=1)
