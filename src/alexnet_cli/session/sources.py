"""Where a model comes from: a target by its name, a module in memory, or another source with one layer changed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.report import Report
from alexnet_cli.targets.example import Example
from alexnet_cli.targets.resolve import parse_arguments, resolve
from alexnet_cli.targets.subject import Loaded, Subject, live_subject
from alexnet_cli.tracing.narrowing import narrowed
from alexnet_cli.tracing.options import TraceOptions

if TYPE_CHECKING:
    from torch import nn


class Source(Protocol):
    """Where the model comes from."""

    @property
    def key(self) -> tuple[str, ...]:
        """Return what the model is built with, as text: it tells one answer in the cache from another."""

    def resolve(self, how: TraceOptions) -> Subject | Report:
        """Return the model to trace, or the report that stands for it."""


class Named(Struct, frozen=True):
    """A target as it is typed, the `name=value` arguments that it is built with, and what its forward is given.

    If `trusted`, code that a model folder brings may run.
    """

    target: str = "alexnet"
    arguments: tuple[str, ...] = ()
    example: Example | None = None
    trusted: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Return the arguments, and whether the folder's code may run."""
        return (*self.arguments, *(["--trust-remote-code"] if self.trusted else []))

    def resolve(self, how: TraceOptions) -> Subject | Report:
        """Resolve the target anew each time: what the cache keeps depends on all the files that this loads."""
        found = resolve(
            self.target,
            parse_arguments(self.arguments) if self.arguments else None,
            trusted=self.trusted,
            batch_size=how.batch_size,
            inputs=how.inputs,
        )
        return replace(found, example=self.example) if self.example and isinstance(found, Subject) else found


class Live(Struct, frozen=True):
    """A module that the caller holds, and what its forward is given."""

    module: nn.Module
    example: Example | None = None
    key: tuple[str, ...] = ()

    def resolve(self, how: TraceOptions) -> Subject:
        """Return the module as it is; a trace works on a copy that shares its weights or has none."""
        del how
        return live_subject(self.module, self.example)


class Built(Struct, frozen=True):
    """A model as it was resolved, built by the first run and kept for the others, which are on the same device."""

    subject: Subject
    key: tuple[str, ...] = ()

    @classmethod
    def once(cls, subject: Subject, key: tuple[str, ...]) -> Built:
        """Return the source of a model whose runs get copies that share the weights of one instance."""
        return cls(replace(subject, load=cache(lambda: Loaded(subject.load().module, shared=True))), key)

    def resolve(self, how: TraceOptions) -> Subject:
        """Return the model as it was resolved."""
        del how
        return self.subject


class Halved(Struct, frozen=True):
    """A model in which one layer has half its outputs; `before` is its report without that change."""

    whole: Source
    path: str
    before: Report

    @property
    def key(self) -> tuple[str, ...]:
        """Return the whole model's key and the layer."""
        return (*self.whole.key, f"half the outputs of {self.path}")  # no argument can be written like this

    def resolve(self, how: TraceOptions) -> Subject | Report:
        """Return the model with that layer narrowed; a report has none to narrow."""
        subject = self.whole.resolve(how)
        return narrowed(subject, self.path, self.before, how) if isinstance(subject, Subject) else subject
