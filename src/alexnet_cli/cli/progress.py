"""A line on stderr that says what takes so long.

It is shown on a terminal only, after a second, redrawn in place, and gone before anything else is written. A thread
draws it: that costs what is waited for nothing, and where torch holds Python's lock the line is late, no more.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

PATIENCE = 1.0
"""Seconds before there is a line."""

TICK = 0.25
USUAL_WIDTH = 80


@contextmanager
def progress(what: str, amount: Callable[[], str] = str) -> Iterator[None]:
    """Say `what` is being done, and how much of it, while what is inside takes long; inside another, that one stays."""
    stream = sys.stderr
    if isinstance(stream, _Line) or not _is_for_people(stream):
        yield
        return
    import threading  # only where there is somebody to tell

    line, done, start = _Line(stream), threading.Event(), time.monotonic()

    def draw() -> None:
        wait = PATIENCE
        while not done.wait(wait):
            line.draw(_text(what, amount(), time.monotonic() - start))
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
    """The last line of a terminal, lent to whoever else writes to `stream`: they find it empty."""

    def __init__(self, stream: TextIO) -> None:
        import threading

        self.stream = stream
        self._lock = threading.Lock()
        self._shown = False
        self._free = True
        self._widest = 0

    def draw(self, text: str) -> None:
        """Show a text in place of the one before; nothing where somebody else has begun a line."""
        with self._lock:
            if self._free:
                text = _encodable(text, self.stream)[: _width(self.stream) - 1]  # one that is full would wrap
                self._widest = max(self._widest, len(text))
                self._put(f"\r{text.ljust(self._widest)}")
                self._shown = True

    def end(self) -> None:
        """Leave the line empty."""
        with self._lock:
            if self._widest and self._free:
                self._erase()  # even if it is not shown: it may have been hidden while stderr went elsewhere

    def write(self, text: str) -> int:
        """Write what somebody else has to say."""
        with self._lock:
            if self._shown:
                self._erase()
            self._free = text.endswith("\n") if text else self._free
            return self.stream.write(text)

    def writelines(self, lines: Any) -> None:
        """Write several."""
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _erase(self) -> None:
        """Write over it: not all terminals know the control sequence. An interrupt leaves `^C` behind it."""
        blank = " " * min(self._widest + len("^C"), _width(self.stream) - 1)
        self._put(f"\r{blank}\r")
        self._shown = False

    def _put(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            self._free = False  # the terminal is gone: the work goes on without it


def _is_for_people(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def _text(what: str, amount: str, seconds: float) -> str:
    return f"{what} … {amount + ', ' if amount else ''}{seconds:.0f} s"


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
