"""From the options of a command to the report of a training step, and to how large a batch may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated

import typer

from alexnet_cli.analyses import memory as analysis
from alexnet_cli.cli.cached import cached_trace
from alexnet_cli.errors import NothingToTrainError, UsageError
from alexnet_cli.report import Report
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.resolve import STDIN, parse_arguments, resolve
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.options import AMP_DTYPES, OPTIMIZERS, TraceOptions, TrainingStep

Optimizer = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"The optimiser of the training step: {', '.join(OPTIMIZERS)}.",
        autocompletion=lambda: list(OPTIMIZERS),
    ),
]
Amp = Annotated[
    str | None,
    typer.Option(
        metavar="DTYPE",
        help="Train in mixed precision: forward under autocast in bf16 or fp16, weights in float32.",
        autocompletion=lambda: list(AMP_DTYPES),
    ),
]


def training_step(optimizer: str, amp: str | None, *, foreach: bool) -> TrainingStep:
    """Read the options that say how a model is trained.

    Raises:
        UsageError: the optimiser or the dtype is not known.
    """
    if optimizer not in OPTIMIZERS:
        near = get_close_matches(optimizer, OPTIMIZERS, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"unknown optimiser {optimizer!r}", f"{guess}known: {', '.join(OPTIMIZERS)}")
    if amp is not None and amp not in AMP_DTYPES:
        raise UsageError(f"unknown dtype {amp!r} for mixed precision", f"known: {', '.join(AMP_DTYPES)}")
    return TrainingStep(optimizer, amp, foreach)


def trained(how: TraceOptions, step: TrainingStep) -> TraceOptions:
    """Return how a training step is traced where `how` says how a forward is."""
    return replace(how, mode="train", step=step)


def as_found(how: TraceOptions, report: Report) -> TraceOptions:
    """Return how to run the model again on the inputs that a report found for it, without looking for them again."""
    if how.inputs is not None or report.run is None or not any(given.found for given in report.run.inputs):
        return how
    first = 0 if how.batch_size is None else 1
    found = (InputSpec(given.shape[first:], given.dtype, given.name) for given in report.run.inputs)
    return replace(how, inputs=tuple(found))


class Tracer:
    """Traces one model in further ways, after its report was obtained: what there is to say was said then."""

    def __init__(self, target: str, arguments: Sequence[str] | None, *, cache: bool | None) -> None:
        self.target = target
        self.arguments = arguments or ()
        self.cache = cache

    @cached_property
    def can_run(self) -> bool:
        """Tell whether the target is a model: a saved report, from a file or standard input, or a checkpoint is not."""
        return self.target not in STDIN and isinstance(self._resolved(), Subject)

    def training(self, how: TraceOptions, step: TrainingStep) -> Report | None:
        """Return the report of a training step, None where there is nothing to train or to run."""
        try:
            return self._trace(trained(how, step))
        except NothingToTrainError:
            return None

    def peak_of_batch(self, how: TraceOptions, step: TrainingStep | None) -> Callable[[int], int]:
        """Return a function from a batch size to the bytes at the peak of a forward, or of a training step.

        It raises UsageError where the model does not run with that batch.
        """

        def peak(batch: int) -> int:
            options = replace(how, batch_size=batch)
            report = self._trace(options if step is None else trained(options, step))
            if report is None or report.tape is None or report.error is not None:
                why = f": {report.error.message}" if report is not None and report.error is not None else ""
                raise UsageError(f"the model does not run with a batch of {batch}{why}")
            return analysis.peak_of(analysis.timeline(report)).bytes

        return peak

    def _trace(self, how: TraceOptions) -> Report | None:
        resolved = self._resolved() if self.can_run else None  # anew: what is kept depends on the files that this loads
        if not isinstance(resolved, Subject):
            return None
        return cached_trace(resolved, self.arguments, how, lambda _: None, wanted=self.cache)

    def _resolved(self) -> Subject | Report:
        return resolve(self.target, parse_arguments(self.arguments))
