"""What goes to stderr: notes, errors and hints, and a line that says what is taking so long.

That line appears on a terminal only, after a second, is redrawn in place, and is gone before anything else is written.
A thread draws it, so the work itself is not slowed down; while torch holds Python's lock, the line is merely late.
CONTRIBUTING.md says why this is not rich's `Status`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from alexnet_cli.report import ErrorInfo
from alexnet_cli.session.kept import Listener

PATIENCE = 1.0
"""Seconds before the line appears."""

TICK = 0.25
USUAL_WIDTH = 80


def note(text: str) -> None:
    """Print a note."""
    _say("note", text)


def complain(error: ErrorInfo) -> None:
    """Print an error with its hints."""
    _say("error", error.message)
    for line in (error.hint or "").splitlines():
        _say("hint", line)


def interrupted() -> None:
    """Print that the user has ended it."""
    _write("interrupted")


def _say(label: str, text: str) -> None:
    _write(f"{label}: " + "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text))


def _write(line: str) -> None:
    """Print a line; where stderr cannot be written the exit code has to say it all."""
    encoding = getattr(sys.stderr, "encoding", None) or "ascii"
    try:
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
    except (OSError, ValueError):  # a full disk; a stream that was closed
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for what comes until the end


@contextmanager
def progress(what: str, amount: Callable[[], str] = str) -> Iterator[None]:
    """Show `what` is being done, and how much of it, if the block takes long; nested uses show the outermost only."""
    stream = sys.stderr
    if isinstance(stream, _Line) or stream is None or not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    import threading  # only if somebody is watching

    line, done, start = _Line(stream), threading.Event(), time.monotonic()

    def draw() -> None:
        wait = PATIENCE
        while not done.wait(wait):
            counted = amount()
            line.draw(f"{what} … {counted + ', ' if counted else ''}{time.monotonic() - start:.0f} s")
            wait = TICK

    ticker = threading.Thread(target=draw, name="progress", daemon=True)
    ticker.start()
    sys.stderr = line
    try:
        yield
    finally:
        sys.stderr = stream
        done.set()
        ticker.join()
        line.end()


class _Line:
    """The last line of a terminal. It stands in for stderr, so that whoever else writes there finds the line empty."""

    def __init__(self, stream: TextIO) -> None:
        import threading

        self.stream = stream
        self._lock = threading.Lock()
        self._shown = False
        self._free = True
        self._widest = 0

    def draw(self, text: str) -> None:
        """Replace the text of the line, unless somebody else has begun to write on it."""
        with self._lock:
            if self._free:
                text = _encodable(text, self.stream)[: _width(self.stream) - 1]  # a full line would wrap
                self._widest = max(self._widest, len(text))
                self._put(f"\r{text.ljust(self._widest)}")
                self._shown = True

    def end(self) -> None:
        """Clear the line."""
        with self._lock:
            if self._widest and self._free:
                self._erase()  # even if hidden: it may have been hidden while stderr was redirected

    def write(self, text: str) -> int:
        """Clear the line and write somebody else's text."""
        with self._lock:
            if self._shown:
                self._erase()
            self._free = text.endswith("\n") if text else self._free
            return self.stream.write(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _erase(self) -> None:
        """Overwrite with spaces, which every terminal understands; an interrupt leaves `^C` behind the text."""
        blank = " " * min(self._widest + len("^C"), _width(self.stream) - 1)
        self._put(f"\r{blank}\r")
        self._shown = False

    def _put(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            self._free = False  # the terminal is gone; the work goes on


def _encodable(text: str, stream: TextIO) -> str:
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return text.replace("…", "...")
    return text


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL_WIDTH
    except OSError:
        return USUAL_WIDTH


LISTENER = Listener(note, progress)
"""Prints notes, and shows progress."""
