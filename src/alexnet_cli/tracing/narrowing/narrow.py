"""A subject for a model with half the outputs of one layer; torch is imported when the subject is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from msgspec.structs import replace

from alexnet_cli.report import Report
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions


def narrowed(subject: Subject, path: str, report: Report, options: TraceOptions) -> Subject:
    """Return a subject in which the layer at `path` has half its outputs, and the layers after it are made to fit.

    `report` is the unchanged model's, traced on `meta` with these options. Loading the subject runs the model once
    and raises `Refusal` if the change is impossible. Leaving `within` undoes it, as the target's code may return the
    same module again.
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
