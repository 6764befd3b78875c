"""A model with half the outputs of one layer, as a subject that can be traced like any other. No torch before it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from alexnet_cli.report import Report
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions


def narrowed(subject: Subject, path: str, report: Report, options: TraceOptions) -> Subject:
    """Return the subject of the model in which the layer at `path` puts out half, and what takes it in is made to fit.

    `report` is the model's own, traced on `meta` with these options. Loading the subject runs the model once, and
    raises `Refusal` where the change cannot be made. Leaving `within` puts everything back: what the target's code
    hands out may be handed out again.
    """
    undo = ExitStack()

    def load() -> Loaded:
        from alexnet_cli.tracing.narrowing.fitting import load_halved  # imports torch

        return Loaded(load_halved(subject, path, report, options, undo))

    @contextmanager
    def within() -> Iterator[None]:
        with subject.within(), undo:
            yield

    return replace(subject, load=load, within=within)
