"""`alexnet watch`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet_cli.answers.figures import changes
from alexnet_cli.cli import options
from alexnet_cli.cli.child import FORKS, Child, Ran, load, screen_here
from alexnet_cli.cli.stderr import note, progress
from alexnet_cli.errors import ExitCode, UsageError, one_of

if TYPE_CHECKING:
    from types import FrameType

EPILOG = """
\b
Examples:
  alexnet watch net.py:Net                       the summary, anew at each save
  alexnet watch net.py:Net -i 3,32,32 --depth 2  with options of summary
  alexnet watch net.py:Net memory -b 64          any other command about the model
"""
SETTINGS = {"allow_interspersed_args": False}
"""What follows the target belongs to the command that runs."""

COMMANDS = (
    *("summary", "params", "cost", "profile", "memory", "fit", "annotate", "scale", "shard"),
    *("receptive-field", "draw", "explain", "compare", "check"),
)
"""Those whose first argument is the model."""

READ = ("--weights", "--formulas", "--baseline", "--plan", "--inputs")
"""Options that name a file that is read."""

_SETTLED_S = 0.01
"""Files that stay as they are for so long have been written."""

_TOGETHER_MS = 20
"""Changes that follow one another this closely are one."""

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[COMMAND] [OPTIONS]...", help="The command to run, summary by default, and its options."),
]


def watch(target: options.Target, words: Words = None) -> None:
    """Answer again whenever a file of the model changes, and say what changed."""
    command, rest = _command(words or [])
    if not FORKS:
        note("on this system each run loads torch anew")
    with tempfile.TemporaryDirectory(prefix="alexnet-") as folder, closing(_changes()) as source, _ended_by_signals():
        Watch(target, (command, target, *rest), Path(folder), source).run()


def _command(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    if not words or words[0].startswith("-"):
        return "summary", words
    return one_of(words[0], COMMANDS, "command to watch"), words[1:]


def _changes() -> Changes:
    try:
        import watchfiles  # noqa: F401 - whether it is there
    except ImportError as error:
        raise UsageError(
            "watch needs the package watchfiles", "install with: pip install 'alexnet-cli[watch]'"
        ) from error
    return Changes()


class Watch:
    """One target that is answered again and again."""

    def __init__(self, target: str, words: Sequence[str], folder: Path, source: Changes) -> None:
        self.target = target
        self.words = words
        self.folder = folder
        self.source = source
        self.good: Ran | None = None
        self.files = _named(target, words)

    def run(self) -> None:
        """Answer at once, then at each change, until it is interrupted.

        Raises:
            UsageError: what was answered is not made from any file that could change.
        """
        load(("torch", "alexnet_cli.tracing.trace"))
        changed: frozenset[Path] = frozenset()
        while True:
            self.source.watch(self.files)
            self.source.begin()
            start = time.monotonic()
            ran = self._run()
            if ran is None:  # a file changed in the meantime
                changed |= self.source.found()
                continue
            self.files |= frozenset(map(Path, ran.told.files))
            self._show(ran, changed, time.monotonic() - start)
            if not self.files:
                raise UsageError(
                    f"there is no file to watch for {self.target}",
                    "name one of your own, as in alexnet watch net.py:Net",
                )
            self.source.watch(self.files, any_python=_failed(ran))
            load(ran.told.installed)
            changed = self.source.next()

    def _run(self) -> Ran | None:
        child = Child(self.words, screen_here(), self.folder)
        try:
            with progress(f"running {self.words[0]}"):
                return child.wait(self.source.pending)
        finally:
            child.end()

    def _show(self, ran: Ran, changed: frozenset[Path], seconds: float) -> None:
        """Show the answer with what changed; after a failure the last good one with the error below it."""
        before, self.good = self.good, self.good if _failed(ran) else ran
        _clear()
        names = ", ".join(sorted(path.name for path in changed)) or self.target
        what = _what(ran, before, changed) if self.files else "answered"
        last = f"{time.strftime('%H:%M:%S')}  {names}: {what} ({seconds:.2f} s)\n"
        encoding = sys.stdout.encoding or "ascii"
        shown = (self.good.out if self.good else "") + ran.err + last
        sys.stdout.write(shown.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()


def _failed(ran: Ran) -> bool:
    return ran.told.code not in (ExitCode.OK, ExitCode.CHECK_FAILED)


def _what(ran: Ran, before: Ran | None, changed: Collection[Path]) -> str:
    """Say how a run ended, against the last good one."""
    if _failed(ran):
        return "failed" if before is None else "failed; the answer above is the last good one"
    if before is None or not changed:
        return "watching"
    return changes(before.told.figures, ran.told.figures) or "no number changed"


def _clear() -> None:
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        sys.stdout.write("\x1b[H\x1b[2J\x1b[3J")


def _named(target: str, words: Sequence[str]) -> frozenset[Path]:
    """Return the files that a command line names to be read."""
    names = [target, target.rpartition(":")[0] or target]
    names += [word for option, word in pairwise(words) if option in READ]
    names += [word.partition("=")[2] for word in words if word.startswith(tuple(f"{name}=" for name in READ))]
    return frozenset(Path(name).absolute() for name in names if Path(name).exists())


class Changes:
    """Which of the watched files changed since a run began.

    Their times and sizes decide. A thread that watches their folders only says when to look: folders, as editors save
    by writing another file and renaming it, and as files that are deleted may come back. Once a second they are looked
    at anyway, as not every file system tells of changes.
    """

    def __init__(self) -> None:
        self._files: frozenset[Path] = frozenset()
        self._any_python = False
        self._began_ns = 0
        self._stamps: dict[Path, Stamp | None] = {}
        self._folders: frozenset[Path] = frozenset()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._news = threading.Event()

    def watch(self, files: frozenset[Path], *, any_python: bool = False) -> None:
        """Watch these files and folders from now on; with `any_python` all Python files beside them, too.

        That is for a run that failed, as it may have failed in a file that it could not load.
        """
        self._files, self._any_python = files, any_python
        folders = frozenset(file if file.is_dir() else file.resolve().parent for file in files) | {
            file.parent for file in files
        }
        folders = frozenset(folder for folder in folders if folder.is_dir())
        if folders != self._folders:
            self.close()
            self._folders, self._stop = folders, threading.Event()
            self._thread = threading.Thread(target=self._follow, args=(folders, self._stop), daemon=True)
            self._thread.start()

    def begin(self) -> None:
        """Take the files as they are for unchanged: a run begins that reads them."""
        self._began_ns = time.time_ns()
        self._news.clear()
        self._stamps = self._now()

    def pending(self) -> bool:
        """Tell whether a file changed; quick while nothing happens."""
        if not self._news.is_set():
            return False
        self._news.clear()
        return bool(self.found())

    def next(self) -> frozenset[Path]:
        """Wait until files have changed, and return them."""
        while not self.found():
            self._news.wait(1)
            self._news.clear()
        while True:
            before = self._now()
            time.sleep(_SETTLED_S)
            if self._now() == before:  # else somebody has emptied a file and is about to write it
                return self.found()

    def _now(self) -> dict[Path, Stamp | None]:
        return {file: _stamp(file) for file in self._watched()}

    def found(self) -> frozenset[Path]:
        """Return the files that changed since the run began."""
        return frozenset(file for file in self._watched() if self._changed(file))

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def _watched(self) -> Iterator[Path]:
        yield from self._files
        for folder in self._folders:
            if folder in self._files or self._any_python:
                with suppress(OSError):
                    yield from (path for path in folder.iterdir() if folder in self._files or path.suffix == ".py")

    def _changed(self, file: Path) -> bool:
        stamp = _stamp(file)
        if file in self._stamps:
            return stamp != self._stamps[file]
        return stamp is not None and stamp[0] >= self._began_ns  # the run was the first to load it

    def _follow(self, folders: Collection[Path], stop: threading.Event) -> None:
        from watchfiles import watch as changes_in

        for _ in changes_in(
            *folders,
            watch_filter=None,
            debounce=4 * _TOGETHER_MS,
            step=_TOGETHER_MS,
            stop_event=stop,
            recursive=False,
            raise_interrupt=False,
        ):
            self._news.set()


Stamp = tuple[int, int, int]
"""The time in nanoseconds at which a file was written, its size in bytes, and its number."""


def _stamp(file: Path) -> Stamp | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turn SIGTERM into the interrupt that Ctrl-C is, so that what was started is ended too."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
