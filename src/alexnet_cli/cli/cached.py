"""Answer from the cache where that is allowed, else trace and keep the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from alexnet_cli import units
from alexnet_cli.cache import folder as store
from alexnet_cli.cache.entries import Answer, decode, encode
from alexnet_cli.cache.local_files import loaded_files, record, unchanged
from alexnet_cli.cache.question import key_of
from alexnet_cli.cli.progress import progress
from alexnet_cli.models.catalogue import variants
from alexnet_cli.report import Report
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.options import META, TraceOptions
from alexnet_cli.tracing.underway import operators_so_far

Notify = Callable[[str], None]


def cached_trace(
    subject: Subject, arguments: Sequence[str], options: TraceOptions, notify: Notify, *, wanted: bool | None
) -> Report:
    """Return the report of a model, traced now or before; the notes are the same both times.

    `wanted` None means a built-in model's answers only: a user's own file is answered from the cache where it is True.

    Raises:
        AlexnetError: the model cannot be loaded or run.
    """
    built_in = subject.target in variants()
    if wanted is False or not (built_in or wanted) or not _can_be_kept(options):
        return _trace(subject, options, notify)
    folder = store.cache_folder()
    if folder is None:
        return _trace(subject, options, notify)
    return _Question(subject, tuple(arguments), options, folder, built_in).answer(notify)


def _can_be_kept(options: TraceOptions) -> bool:
    return options.device == META and options.formulas is None and not options.traceback


def tracing(what: str = "tracing") -> AbstractContextManager[None]:
    """Tell what takes so long inside, and how many operators of the running forward have been seen."""

    def operators() -> str:
        count = operators_so_far()
        return "" if count is None else f"{units.count(count)} operator{'' if count == 1 else 's'}"

    return progress(what, operators)


def _trace(subject: Subject, options: TraceOptions, notify: Notify) -> Report:
    with tracing():
        from alexnet_cli.tracing.trace import trace  # imports torch

        return trace(subject, options, notify)


@dataclass(frozen=True)
class _Question:
    """A question that the cache may answer."""

    subject: Subject
    arguments: tuple[str, ...]
    options: TraceOptions
    folder: Path
    built_in: bool

    def answer(self, notify: Notify) -> Report:
        """Return the kept answer, or trace the model and keep that."""
        key = self._key()
        kept = None if key is None else self._look_up(key)
        if kept is None or not unchanged(kept.files):
            return self._trace(key, notify)
        for text in kept.notes:
            notify(text)
        return kept.report

    def _look_up(self, key: str) -> Answer | None:
        data = store.read(self.folder, key)
        return None if data is None else decode(key, data)

    def _trace(self, key: str | None, notify: Notify) -> Report:
        watched = _Watched(self.subject)
        notes: list[str] = []

        def tell(text: str) -> None:
            notes.append(text)
            notify(text)

        subject = self.subject if self.built_in else replace(self.subject, within=watched.within)
        report = _trace(subject, self.options, tell)
        files = record(watched.files, watched.since_ns)
        if key is not None and files is not None and _is_whole(report) and key == self._key():
            data = encode(key, Answer(report, tuple(notes), files))
            if data is not None:
                store.write(self.folder, key, data)
        return report

    def _key(self) -> str | None:
        return key_of(self.subject.target, self.arguments, self.options, users_code=not self.built_in)


@dataclass
class _Watched:
    """Sees which of the user's files a subject loads, from before it is loaded until its forward has run."""

    subject: Subject
    since_ns: int = field(default_factory=time.time_ns)
    files: set[str] = field(default_factory=set)

    @contextmanager
    def within(self) -> Iterator[None]:
        """Do what the subject needs, and look at the imported modules before they are forgotten."""
        with self.subject.within():
            try:
                yield
            finally:
                self.files |= loaded_files()


def _is_whole(report: Report) -> bool:
    return report.error is None and report.run is not None and report.run.complete and report.run.device == META
