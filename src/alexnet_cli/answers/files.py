"""Files that answers are written to: whole before or after, never half."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from alexnet_cli.errors import OutputError, UsageError
from alexnet_cli.renderers import FORMATS, format_for_suffix

JSON = "json"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class _Terminated(KeyboardInterrupt):
    """SIGTERM came, and ends a model's run as an interrupt does.

    What is half written is removed, and the process then ends by that signal after all.
    """


def write_file(path: Path, data: bytes) -> None:
    """Replace a file at once, keeping its permissions; links are followed, devices and pipes written to.

    Raises:
        OutputError: it cannot be written.
    """
    place = Path(os.path.realpath(path))
    try:
        if place.exists() and not place.is_file():
            place.write_bytes(data)
            return
        with _hidden_beside(place) as hidden:
            _make(hidden, data)
            hidden.chmod(_mode(place))
            hidden.replace(place)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _make(place: Path, data: bytes) -> None:
    """Make a file; where the system can, it has no name before it is whole, so a process that is killed leaves none."""
    try:
        with open(os.open(place.parent, os.O_WRONLY | os.O_TMPFILE, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
            file.flush()
            # with a folder's descriptor Python follows the link in /proc, whose path is absolute
            os.link(f"/proc/self/fd/{file.fileno()}", place, src_dir_fd=file.fileno())
    except (AttributeError, OSError):
        with open(os.open(place, _NEW, 0o600), "wb") as file:  # noqa: PTH123 - opens a descriptor
            file.write(data)


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a place in a folder of its own beside `path`, with its name; what was written there then replaces it.

    Other files in that folder go beside `path` too, before it.

    Raises:
        OutputError: it cannot be written.
    """
    place = Path(os.path.realpath(path))
    try:
        with _hidden_beside(place) as folder:
            folder.mkdir(0o700)
            made = folder / path.name
            yield made
            mode = _mode(place)
            for each in sorted(folder.iterdir(), key=made.__eq__):  # the file itself last
                each.chmod(mode)
                each.replace(place if each == made else place.parent / each.name)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def _hidden_beside(place: Path) -> Iterator[Path]:
    """Yield a free name beside a file; what has it afterwards is removed, also when the process is told to end.

    The name is known before anything has it, so that no interrupt comes between, and short, whatever the file's is.
    """
    hidden = place.with_name(f".alexnet-{os.urandom(8).hex()}")
    before = _on_termination(_terminate)
    try:
        yield hidden
    except _Terminated:
        _removed(hidden)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        raise
    finally:
        _removed(hidden)
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _on_termination(handler: Callable[[int, FrameType | None], None]) -> Any:
    """Set what SIGTERM does, and return what it did; None where that is somebody else's to decide."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return None
    return signal.signal(signal.SIGTERM, handler)


def _terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise _Terminated


def _removed(hidden: Path) -> None:
    if hidden.is_dir():
        import shutil  # only where there is a folder

        shutil.rmtree(hidden, ignore_errors=True)
    elif hidden.exists():
        hidden.chmod(0o600)  # Windows removes no file that is read-only
        hidden.unlink()


def _mode(place: Path) -> int:
    """Return the permissions of a file, or those that a new one gets."""
    return stat.S_IMODE(place.stat().st_mode) if place.exists() else 0o666 & ~_umask()


def check_place(file: Path) -> None:
    """See that a file can stand where the answer is to go.

    Raises:
        UsageError: it is a folder, there is no folder for it, or no file can have its name.
    """
    try:
        if file.is_dir():
            raise UsageError(f"cannot write {file}: it is a folder", "name a file in it")
        if not file.absolute().parent.is_dir():
            raise UsageError(f"cannot write {file}: the folder {file.parent} is not there", "make it first")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}", "name another file") from error


def format_of(file: Path) -> str:
    """Return the format that a file's suffix names; a table for what is no plain file, as `/dev/stdout`.

    Raises:
        UsageError: the suffix names no format.
    """
    if file.suffix.lower() == ".json":
        return JSON
    named = format_for_suffix(str(file))
    if named is None and (file.is_file() or not file.exists()):
        known = [suffix for suffixes in FORMATS.values() for suffix in suffixes]
        raise UsageError(
            f"{file} has no suffix that names a format", f"known: .json, {', '.join(known)}; or choose with --format"
        )
    return named or "table"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
