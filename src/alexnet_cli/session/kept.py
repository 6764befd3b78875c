"""A trace, or the kept answer of an earlier one where that is allowed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from io import StringIO

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli import units
from alexnet_cli.cache import folder as store
from alexnet_cli.cache.entries import Answer, LocalFile, decode, encode, record, unchanged
from alexnet_cli.cache.question import key_of
from alexnet_cli.models.catalogue import variants
from alexnet_cli.report import Report
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.options import META, TraceOptions
from alexnet_cli.tracing.underway import operators_so_far
from alexnet_cli.users_code import loaded_files

Note = Callable[[str], None]
Progress = Callable[[str, Callable[[], str]], AbstractContextManager[None]]


class Listener(Struct, frozen=True):
    """Who is told what happens on the way.

    `note` gets sentences for the user, `progress` wraps what may take long. If `quiet`, what the model itself writes
    to stderr is dropped: it was written when the model first ran.
    """

    note: Note = lambda _: None
    progress: Progress = lambda *_: nullcontext()
    quiet: bool = False

    def silenced(self) -> Listener:
        """Return a listener that shows progress and nothing else."""
        return replace(self, note=Listener().note, quiet=True)

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
    may_be_kept = how.device == META and how.formulas is None and how.inputs_from is None and not how.traceback
    folder = store.cache_folder() if may_be_kept and cache is not False and (built_in or cache) else None
    if folder is None:
        return _trace(subject, how, listener)

    def key() -> str | None:
        return key_of(subject.target, arguments, how, users_code=not built_in)

    asked = key()
    data = None if asked is None else store.read(folder, asked)
    kept = None if asked is None or data is None else decode(asked, data)
    if kept is not None and unchanged(kept.files):
        for text in kept.notes:
            listener.note(text)
        return kept.report
    report, notes, files = _watched(subject, how, listener, built_in=built_in)
    if asked is not None and files is not None and report.error is None and is_on_meta(report) and asked == key():
        entry = encode(asked, Answer(report, notes, files))
        if entry is not None:
            store.write(folder, asked, entry)
    return report


def is_on_meta(report: Report) -> bool:
    """Tell whether a whole forward ran on `meta`."""
    return report.run is not None and report.run.complete and report.run.device == META


def _trace(subject: Subject, how: TraceOptions, listener: Listener) -> Report:
    silence = redirect_stderr(StringIO()) if listener.quiet and not how.traceback else nullcontext()
    with listener.tracing(), silence:
        from alexnet_cli.tracing.trace import trace  # imports torch

        return trace(subject, how, listener.note)


def _watched(
    subject: Subject, how: TraceOptions, listener: Listener, *, built_in: bool
) -> tuple[Report, tuple[str, ...], tuple[LocalFile, ...] | None]:
    """Trace a model; return its report, the notes, and the user's files it was loaded from, None if unknown."""
    since_ns, files, notes = time.time_ns(), set[str](), list[str]()

    @contextmanager
    def within() -> Iterator[None]:
        """Enter the subject's own context, and list the imported modules before they are forgotten."""
        with subject.within():
            try:
                yield
            finally:
                files.update(loaded_files(), map(str, subject.files))

    def note(text: str) -> None:
        notes.append(text)
        listener.note(text)

    seen = subject if built_in else replace(subject, within=within)
    report = _trace(seen, how, replace(listener, note=note))
    return report, tuple(notes), record(files, since_ns)
