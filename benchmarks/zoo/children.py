"""Functions run in processes of their own, forked from one that has imported the libraries, with a time limit each."""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

Job = tuple[str, Callable[[], Any]]


def results(jobs: Iterable[Job], *, at_once: int, seconds: float) -> Iterator[tuple[str, Any]]:
    """Run jobs, `at_once` of them side by side; yield each one's name and result as it ends.

    The result of a job that fails, dies or takes longer than `seconds` is `{"failed": why}`.
    """
    waiting, running = iter(jobs), dict[int, tuple[str, int, float, bytearray]]()
    with selectors.DefaultSelector() as selector:
        while True:
            while len(running) < at_once and (job := next(waiting, None)) is not None:
                process, pipe = _forked(job[1])
                running[pipe] = job[0], process, monotonic() + seconds, bytearray()
                selector.register(pipe, selectors.EVENT_READ)
            if not running:
                return
            for key, _ in selector.select(timeout=1.0):
                running[key.fd][3].extend(os.read(key.fd, 2**16) or b"\0")
            for pipe, (name, process, until, told) in list(running.items()):
                late = monotonic() > until
                if not (told.endswith(b"\0") or late):
                    continue
                if late:
                    os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                selector.unregister(pipe)
                os.close(pipe)
                del running[pipe]
                yield name, _result(bytes(told).rstrip(b"\0"), f"took over {seconds:.0f} s" if late else "died")


def _result(told: bytes, otherwise: str) -> Any:
    return json.loads(told) if told else {"failed": otherwise}


def _forked(job: Callable[[], Any]) -> tuple[int, int]:
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    os.close(reading)
    try:
        result = job()
    except BaseException as error:  # noqa: BLE001 - told to the parent
        result = {"failed": f"{type(error).__name__}: {error}"[:500], "traceback": traceback.format_exc()[-3000:]}
    with suppress(BrokenPipeError):
        told = json.dumps(result).encode()
        while told:
            told = told[os.write(writing, told) :]
    sys.stdout.flush()
    os._exit(0)
