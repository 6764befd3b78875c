"""Put into a program as `sitecustomize`: at the N-th event of writing it fails as a full disk does, or dies.

`TORTURE_FAULT` is `N:HOW`, HOW an errno's name or a signal's. `TORTURE_CLOCK` is a seed: the clock then jumps by up to
ten years each time that it is read.
"""

import errno
import os
import random
import signal
import sys
import time
from typing import Any

_WRITING = {"os.rename", "os.remove", "os.chmod", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.utime"}
_LIMIT, _, _HOW = os.environ.get("TORTURE_FAULT", "").partition(":")
_seen = 0


def _heard(event: str, given: tuple[Any, ...]) -> None:
    global _seen  # noqa: PLW0603
    opens = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
    writes = event in _WRITING or opens
    if not writes or (isinstance(given[0], str) and given[0].startswith("/dev/")):
        return
    _seen += 1
    if _seen != int(_LIMIT):
        return
    if _HOW.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, _HOW))
    else:
        number = getattr(errno, _HOW)
        raise OSError(number, os.strerror(number))


if _LIMIT:
    sys.addaudithook(_heard)


def _jumping(seed: str) -> None:
    """Make the clock jump back and forth; what counts the time that has passed is as it was."""
    chance, real = random.Random(seed), time.time_ns  # noqa: S311 - no secret
    time.time_ns = lambda: real() + chance.choice((0, 1, -1)) * chance.randrange(10 * 366 * 24 * 3600 * 10**9)
    time.time = lambda: time.time_ns() / 1e9


if "TORTURE_CLOCK" in os.environ:
    _jumping(os.environ["TORTURE_CLOCK"])
