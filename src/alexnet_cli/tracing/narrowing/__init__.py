"""A model with half the outputs of one layer, and why one cannot be had; torch is imported when it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from msgspec.structs import replace

from alexnet_cli.report import Report
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions


class Refusal(Exception):  # noqa: N818 - an answer, not an error
    """Why a layer's outputs cannot be halved: a key, with the layers and numbers that belong to it.

    `does_not_fit` (`at`): the forward fails where a halved tensor meets a full one; `last_layer`: the model returns
    before any layer takes in the new width; `not_divisible` (`at`, `width`, `groups`); `shared_weights` (`at`);
    `other_weights` (`at`, `type`): the layer does not store its weights as torch's layers do; `too_few` (`width`);
    `other_kind` (`type`): this kind of layer cannot be halved.
    """

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


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
