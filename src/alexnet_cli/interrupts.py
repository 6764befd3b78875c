"""What Ctrl-C does while a library's extension is loaded: the extension may abort, or raise it as another error."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_noticed() -> Iterator[list[int]]:
    """Yield the interrupts that came, however they were raised: pybind11 makes one an `ImportError`."""
    seen: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield seen  # somebody else decides what an interrupt does
        return
    with _handled(interrupt):
        yield seen


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let an interrupt wait until the block is done: an extension that nanobind made aborts on one in its start-up."""
    seen: list[int] = []
    try:
        with _handled(lambda number, _: seen.append(number)):
            yield
    finally:
        if seen:
            signal.raise_signal(seen[-1])


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle interrupts so in the main thread, which alone gets them."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:  # not Python's to set
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is handler:  # unless a model's code changed it
            signal.signal(signal.SIGINT, before)
