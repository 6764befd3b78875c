"""What a command line did, and whether that is allowed: the contract's exit codes, no traceback, no endless run."""

from __future__ import annotations

import io
import json
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

CODES = {0, 1, 2, 3, 4, 5, 130}
"""The exit codes of the contract without 70, which says that the program itself failed."""
LONGEST_S = 20
"""Seconds of CPU that a case may take."""
TRACEBACK = "Traceback (most recent call last)"


class Hang(KeyboardInterrupt):
    """A case took too long; it passes through the program as an interrupt does."""


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    words: tuple[str, ...]
    code: int | str
    out: bytes
    err: str

    @property
    def defect(self) -> str | None:
        """Say what is wrong with it, if anything is."""
        if self.code not in CODES:
            return f"exit {self.code}: {self.err.strip()[-1500:]}"
        if TRACEBACK in self.err and "--traceback" not in self.words:
            return f"traceback: {self.err[-1500:]}"
        if self.code and not self.err:
            return f"exit {self.code} without a message"
        if _wants_json(self.words) and self.out:
            try:
                json.loads(self.out)
            except ValueError as error:
                return f"no JSON on stdout ({error}): {self.out[:300]!r}"
        return None


def _wants_json(words: Sequence[str]) -> bool:
    return "--json" in words and not {"-h", "--help", "--version"} & {*words}


@contextmanager
def limited(seconds: float = LONGEST_S) -> Iterator[list[str]]:
    """Raise `Hang` where the process works for more than so many seconds of CPU; what is yielded is then not empty."""
    hung: list[str] = []

    def late(number: int, frame: FrameType | None) -> None:
        del number, frame
        hung.append(f"hang beyond {seconds} s")
        raise Hang

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)  # and again: a destructor or a callback may have swallowed it
    try:
        yield hung
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def ran(words: Sequence[str]) -> Ran:
    """Run a command line in this process; what escapes it is its exit code by name."""
    from alexnet_cli.cli.app import run

    streams = sys.stdout, sys.stderr
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace", write_through=True) for _ in "oe")
    sys.stdout, sys.stderr = out, err
    code: int | str
    hung: list[str] = []
    try:
        with limited() as hung:
            code = run(words)
    except BaseException as error:  # noqa: BLE001 - nothing may escape
        code = f"{type(error).__name__} escaped: {error}"
    finally:
        sys.stdout, sys.stderr = streams
    code = hung[0] if hung else code
    told = err.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]
    return Ran(tuple(words), code, out.buffer.getvalue(), told)  # type: ignore[attr-defined]


def place_of(defect: str) -> str:
    """Return what several cases with one cause have in common: the line of the program, or the first words."""
    places = re.findall(r"at (\w+\.py:\d+)|File \".*?([^/]+\.py)\", line (\d+)", defect)
    return str(places[-1]) if places else " ".join(defect.split()[:6])


def now() -> float:
    """Return the CPU seconds of this process and its children."""
    import resource

    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
