"""A command line run in a process of its own, for `watch`: what it printed, its numbers, and the files it loaded.

Where that is safe, the process is forked: a copy of this one, with torch loaded. Elsewhere it starts from nothing: on
Windows, and on macOS, whose own libraries may crash in a fork of a process that has used them.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

import msgspec
from msgspec import Struct

from alexnet_cli.answers.figures import Figure, figures
from alexnet_cli.cli import output
from alexnet_cli.errors import ExitCode
from alexnet_cli.users_code import files_ever_loaded, is_installed

FORKS = hasattr(os, "fork") and sys.platform != "darwin"
_GROUPS = hasattr(os, "killpg")
_POLL_S = 0.004
_OUT, _ERR, _TOLD = "stdout", "stderr", "told.json"


class Told(Struct, frozen=True):
    """What the process tells beside what it prints.

    `files` are the user's files that it loaded, `installed` the modules that came from installed packages.
    """

    code: int
    figures: tuple[Figure, ...] = ()
    files: tuple[str, ...] = ()
    installed: tuple[str, ...] = ()


class Screen(Struct, frozen=True):
    """What the answer is to be printed on."""

    terminal: bool
    columns: int
    encoding: str


class Ran(Struct, frozen=True):
    """A command line that ended, with what it wrote to stdout and stderr."""

    told: Told
    out: str
    err: str


class Process(Protocol):
    """What runs, forked or spawned."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""


class Child:
    """A command line that runs."""

    def __init__(self, words: Sequence[str], screen: Screen, folder: Path) -> None:
        self.folder = folder
        self._encoding = screen.encoding
        for name in (_OUT, _ERR, _TOLD):
            (folder / name).unlink(missing_ok=True)
        self._process: Process = _forked(words, screen, folder) if FORKS else _spawned(words, screen, folder)

    def wait(self, stop: Any) -> Ran | None:
        """Return how it ended; None if `stop`, a function, became true before: then it is ended."""
        while (code := self._process.poll()) is None:
            if stop():
                self.end()
                return None
            time.sleep(_POLL_S)
        self.end()  # what it may have started itself
        return self._ran(code)

    def end(self) -> None:
        """End the process and everything that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if _GROUPS:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()  # type: ignore[attr-defined] # a Popen
        while self._process.poll() is None:
            time.sleep(_POLL_S)

    def _ran(self, code: int) -> Ran:
        told = Told(code)
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            told = msgspec.json.decode((self.folder / _TOLD).read_bytes(), type=Told)
        out, err = (_text(self.folder / name, self._encoding) for name in (_OUT, _ERR))
        if code < 0:
            err += f"error: the process was ended by signal {signal.Signals(-code).name}\n"
        return Ran(told, out, err)


def load(modules: Sequence[str]) -> None:
    """Import installed modules, so that the next fork has them. One that cannot be imported alone is left out."""
    for name in modules:
        if name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def _text(path: Path, encoding: str) -> str:
    try:
        return path.read_text(encoding=encoding, errors="replace")
    except OSError:
        return ""


class _Forked:
    """A forked process, asked as a `subprocess.Popen` is."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, minus the signal that ended it; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code


def _forked(words: Sequence[str], screen: Screen, folder: Path) -> _Forked:
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the thread that watches files holds no lock
        pid = os.fork()
    if pid == 0:
        _run_forked(words, screen, folder)
    with contextlib.suppress(OSError):  # the child does it too: whoever comes first
        os.setpgid(pid, pid)
    return _Forked(pid)


def _run_forked(words: Sequence[str], screen: Screen, folder: Path) -> NoReturn:
    """Run in the forked process, which never returns to the caller's code."""
    code: int = ExitCode.INTERNAL
    try:
        os.setpgid(0, 0)  # a group of its own, so that all that it starts can be ended with it
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for name, descriptor in ((_OUT, 1), (_ERR, 2)):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
        code = answered(words, screen, folder)
    finally:
        os._exit(code)


def _spawned(words: Sequence[str], screen: Screen, folder: Path) -> subprocess.Popen[bytes]:
    here = f"from {__name__} import *; import sys; sys.exit(spawned(sys.argv[1:]))"
    command = [sys.executable, "-c", here, msgspec.json.encode(screen).decode(), str(folder), *words]
    with (folder / _OUT).open("wb") as out, (folder / _ERR).open("wb") as err:
        return subprocess.Popen(  # noqa: S603 - this program
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=_GROUPS
        )


def spawned(arguments: Sequence[str]) -> int:
    """Run in a process that was started from nothing."""
    screen, folder, *words = arguments
    return answered(words, msgspec.json.decode(screen, type=Screen), Path(folder))


def answered(words: Sequence[str], screen: Screen, folder: Path) -> int:
    """Run a command line here, and write what is told of it into the folder."""
    from alexnet_cli.cli.app import run

    os.environ["COLUMNS"] = str(screen.columns)
    sys.stdout, sys.stderr = _Stream(1, screen), _Stream(2, screen)
    found: list[tuple[Figure, ...]] = []
    output.listeners.append(lambda answer: found.append(figures(answer.result)))
    code = run(words)
    sys.stdout.flush()
    sys.stderr.flush()
    told = Told(code, found[-1] if found else (), tuple(sorted(files_ever_loaded())), tuple(_installed()))
    (folder / _TOLD).write_bytes(msgspec.json.encode(told))
    return code


class _Stream(io.TextIOWrapper):
    """A file that stands for the terminal: with its encoding, and its colours on stdout."""

    def __init__(self, descriptor: int, screen: Screen) -> None:
        self._terminal = screen.terminal and descriptor == 1
        super().__init__(io.FileIO(descriptor, "w", closefd=False), encoding=screen.encoding, errors="backslashreplace")

    def isatty(self) -> bool:
        return self._terminal


def _installed() -> list[str]:
    """Return the imported modules of installed packages, in the order of their import."""
    own = f"{__package__.partition('.')[0]}."
    return [
        name
        for name, module in list(sys.modules.items())
        if name.startswith(own) or is_installed(str(getattr(module, "__file__", None)))
    ]


def screen_here() -> Screen:
    """Return what this process prints on."""
    terminal = sys.stdout.isatty()
    return Screen(terminal, shutil.get_terminal_size().columns, sys.stdout.encoding or "ascii")
