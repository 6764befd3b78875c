"""Measure every architecture; one line of JSON each: `python -m zoo.measure [--library NAME] [--only TEXT] FILE`."""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo import catalogue, children
from zoo.architecture import Architecture
from zoo.look import look
from zoo.targets import write_target
from zoo.truth import truth

AT_ONCE = 2
SECONDS = 400.0
TRUTH_SECONDS, TRUTH_BYTES = 100, 16 << 30
"""The first are told by the clock, and torch alone has half of them; the second are those that the CPU works."""


def measured(architectures: list[Architecture], folder: Path) -> Iterator[dict[str, Any]]:
    """Look at each architecture, and then ask torch alone about those that the program answered."""
    by_name = {each.name: each for each in architectures}
    looks = ((each.name, lambda each=each: _looked(each, folder)) for each in architectures)
    for name, result in children.results(looks, at_once=AT_ONCE, seconds=SECONDS):
        each = by_name[name]
        yield {"library": each.library, "name": name, "modality": each.modality, **result}


def _looked(architecture: Architecture, folder: Path) -> dict[str, Any]:
    _quiet()
    try:
        architecture.make()
    except Exception as error:  # noqa: BLE001 - it may fail in any way, and is then no architecture to look at
        return {"unbuilt": f"{type(error).__name__}: {error}"[:300]}
    seen = look(architecture, write_target(architecture.library, architecture.name, folder))
    asked = [(architecture.name, lambda: _told(architecture, seen))]
    told = next(children.results(asked, at_once=1, seconds=SECONDS / 2))[1]  # if it dies, what was seen is not lost
    return {**seen, "truth": {"params": None, "macs": [], **told}}


def _told(architecture: Architecture, seen: dict[str, Any]) -> dict[str, Any]:
    _limit()
    try:
        return truth(architecture, seen["inputs"], found=seen["found"])
    except Exception as error:  # noqa: BLE001 - it may fail in any way, and then there is no truth
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def _limit() -> None:
    """Let torch alone fail where it takes too much."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"torch alone took over {TRUTH_SECONDS} s")

    resource.setrlimit(resource.RLIMIT_AS, (TRUTH_BYTES, TRUTH_BYTES))
    signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, TRUTH_SECONDS)


def _quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="where the lines go")
    parser.add_argument("--library", action="append", choices=catalogue.LIBRARIES, help="repeatable; default: all")
    parser.add_argument("--only", action="append", help="only these names; repeatable")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)  # threads do not survive a fork, and two processes run side by side
    with tempfile.TemporaryDirectory() as folder, given.file.open("w", encoding="utf-8") as lines:
        for library in given.library or catalogue.LIBRARIES:
            chosen = [
                each for name, each in catalogue.of_library(library).items() if not given.only or name in given.only
            ]
            for result in measured(chosen, Path(folder)):
                lines.write(json.dumps(result) + "\n")
                lines.flush()
                print(library, result["name"], result.get("exit", result.get("unbuilt", "")), flush=True)


if __name__ == "__main__":
    main()
