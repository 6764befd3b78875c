"""A trace, or the kept answer of an earlier one where that is allowed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path

from alexnet_cli import units
from alexnet_cli.cache import folder as store
from alexnet_cli.cache.entries import Answer, decode, encode
from alexnet_cli.cache.local_files import loaded_files, record, unchanged
from alexnet_cli.cache.question import key_of
from alexnet_cli.models.catalogue import variants
from alexnet_cli.report import Report
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.options import META, TraceOptions
from alexnet_cli.tracing.underway import operators_so_far

Note = Callable[[str], None]
Progress = Callable[[str, Callable[[], str]], AbstractContextManager[None]]


def _no_note(text: str) -> None:
    del text


def _no_progress(what: str, amount: Callable[[], str]) -> AbstractContextManager[None]:
    del what, amount
    return nullcontext()


@dataclass(frozen=True)
class Listener:
    """Who is told what happens on the way.

    `note` gets sentences for the user, `progress` wraps what may take long. If `quiet`, what the model itself writes
    to stderr is dropped: it was written when the model first ran.
    """

    note: Note = _no_note
    progress: Progress = _no_progress
    quiet: bool = False

    def silenced(self) -> Listener:
        """Return a listener that shows progress and nothing else."""
        return replace(self, note=_no_note, quiet=True)

    def tracing(self, what: str = "tracing") -> AbstractContextManager[None]:
        """Show that a trace is running, with the number of operators seen so far."""
        return self.progress(what, _operators)


def _operators() -> str:
    count = operators_so_far()
    return "" if count is None else f"{units.count(count)} operator{'' if count == 1 else 's'}"


def traced(
    subject: Subject, arguments: Sequence[str], how: TraceOptions, listener: Listener, *, cache: bool | None
) -> Report:
    """Return a model's report, from a trace made now or kept earlier; the notes are the same either way.

    With `cache` None only answers about built-in models are kept, with True also those about the user's own code.

    Raises:
        AlexnetError: the model cannot be loaded or run.
    """
    built_in = subject.target in variants()
    if cache is False or not (built_in or cache) or not _can_be_kept(how):
        return _trace(subject, how, listener)
    folder = store.cache_folder()
    if folder is None:
        return _trace(subject, how, listener)
    return _Question(subject, tuple(arguments), how, folder, built_in).answer(listener)


def _can_be_kept(how: TraceOptions) -> bool:
    return how.device == META and how.formulas is None and how.inputs_from is None and not how.traceback


def _trace(subject: Subject, how: TraceOptions, listener: Listener) -> Report:
    silence = redirect_stderr(StringIO()) if listener.quiet and not how.traceback else nullcontext()
    with listener.tracing(), silence:
        from alexnet_cli.tracing.trace import trace  # imports torch

        return trace(subject, how, listener.note)


@dataclass(frozen=True)
class _Question:
    """A question that the cache may answer."""

    subject: Subject
    arguments: tuple[str, ...]
    how: TraceOptions
    folder: Path
    built_in: bool

    def answer(self, listener: Listener) -> Report:
        """Return the kept answer, or trace the model and keep the answer."""
        key = self._key()
        kept = None if key is None else self._look_up(key)
        if kept is None or not unchanged(kept.files):
            return self._trace(key, listener)
        for text in kept.notes:
            listener.note(text)
        return kept.report

    def _look_up(self, key: str) -> Answer | None:
        data = store.read(self.folder, key)
        return None if data is None else decode(key, data)

    def _trace(self, key: str | None, listener: Listener) -> Report:
        watched = _Watched(self.subject)
        notes: list[str] = []

        def note(text: str) -> None:
            notes.append(text)
            listener.note(text)

        subject = self.subject if self.built_in else replace(self.subject, within=watched.within)
        report = _trace(subject, self.how, replace(listener, note=note))
        files = record(watched.files, watched.since_ns)
        if key is not None and files is not None and _is_whole(report) and key == self._key():
            data = encode(key, Answer(report, tuple(notes), files))
            if data is not None:
                store.write(self.folder, key, data)
        return report

    def _key(self) -> str | None:
        return key_of(self.subject.target, self.arguments, self.how, users_code=not self.built_in)


@dataclass
class _Watched:
    """Sees which of the user's files a subject loads, from before it is loaded until its forward has run."""

    subject: Subject
    since_ns: int = field(default_factory=time.time_ns)
    files: set[str] = field(default_factory=set)

    @contextmanager
    def within(self) -> Iterator[None]:
        """Enter the subject's own context, and list the imported modules before they are forgotten."""
        with self.subject.within():
            try:
                yield
            finally:
                self.files |= loaded_files() | set(map(str, self.subject.files))


def _is_whole(report: Report) -> bool:
    return report.error is None and report.run is not None and report.run.complete and report.run.device == META
