"""`alexnet watch` in a pseudo-terminal, as a person uses it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

LAST_LINE = re.compile(rb"\d\d:\d\d:\d\d  [^\r\n]*\([0-9.]+ s\)\r?\n")


class Watched:
    """A process of the program in a terminal of its own, in a folder."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.seen = b""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads in this process: the child runs another
            self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(folder)
                os.environ |= {"COLUMNS": "100", "TERM": "xterm"}
                signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell starts what is in the background without it
                os.execv(sys.executable, [sys.executable, "-m", "alexnet_cli", "watch", *words])
            finally:
                os._exit(1)

    def answer(self, patience_s: float = 60) -> str:
        """Wait for the next line that ends an answer; return what was printed until then."""
        end = time.monotonic() + patience_s
        while (found := LAST_LINE.search(self.seen)) is None:
            if time.monotonic() > end:
                raise TimeoutError(self.seen[-2000:].decode())
            self.read()
        text, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return text.decode()

    def answer_after(self, change: Callable[[], object]) -> float:
        """Change something, wait for the answer to it, and return the seconds that it took."""
        start = time.perf_counter()
        change()
        self.answer()
        return time.perf_counter() - start

    def read(self) -> None:
        """Read what is there, or wait a moment."""
        if select.select([self._terminal], [], [], 0.01)[0]:
            self.seen += os.read(self._terminal, 65536)

    def kilobytes(self) -> int:
        """Return the memory that the process has written to; files that others map too come and go with these."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Anonymous:"))

    def children(self) -> set[int]:
        """Return the processes that it started and that are alive."""
        return {int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()}

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        os.kill(self.pid, number)
        end = time.monotonic() + 60
        while (ended := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(ended[1])
