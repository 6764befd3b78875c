"""Try to break the program, and write RELIABILITY.md: `make torture`.

    python -m torture [--lines N] [--files N] [--modules N] [--faults N] [--seed N] [--kept FILE]
    python -m torture --case PART NUMBER [--seed N]

Without a size each part has the full one. What was tried is kept in a file, line by line: a run that was stopped goes
on where it was, and a larger one tries only what is new. The exit code is 1 if a defect was found.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torture import BENCHMARKS, ROOT, material, page
from torture.trying import Tried

FULL = {"lines": 20_000, "files": 55_000, "modules": 5_000, "faults": 1_000}
"""How many cases of each part a full run has: 5,000 for each of eleven kinds of files, 500 kills among the faults."""
AT_ONCE = {"lines": 250, "files": 500, "modules": 100, "faults": 25}
"""How many cases one process tries."""
LONGEST_S = 900
"""Seconds without the end of a case after which its process is killed: it waits, as CPU time is limited within."""


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of workers: an own cache, no hub, no browser, one thread."""
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    paths = [ROOT / "src", BENCHMARKS, ROOT / "tests", *given]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ALEXNET_", "PYTHON"))}
    own = {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "ALEXNET_CACHE_DIR": str(folder / "cache"),
        "BROWSER": "true",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "HOME": str(folder),
        "PYTHONWARNINGS": "ignore",
        "TMPDIR": str(folder / "tmp"),
    }
    return {**kept, **own}


def chunk(part: str, seed: int, first: int, count: int, good: Path) -> list[dict[str, Any]]:
    """Try some cases in a process of their own; return a line for each, also for one that killed it."""
    with tempfile.TemporaryDirectory(prefix="torture-") as top:
        folder = Path(top) / "here"
        shutil.copytree(good, folder)
        (Path(top) / "tmp").mkdir()
        told = Path(top) / "cases.jsonl"
        told.touch()
        command = [sys.executable, "-m", "torture.worker", part, *map(str, (seed, first, count)), str(folder)]
        with (Path(top) / "said").open("w+", encoding="utf-8", errors="replace") as said:
            streams = {"stdout": said, "stderr": said, "stdin": subprocess.DEVNULL}
            process = subprocess.Popen(command, env=environment(Path(top)), **streams)
            code = _waited(process, told)
            said.seek(0)
            last = said.read()[-1500:]
        lines = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    cases = [line for line in lines if "number" in line]
    if code and lines and "begins" in lines[-1]:
        why = f"the process ended with {code} ({last})"
        died = Tried("died", why, "", "")._asdict()
        cases.append({"number": lines[-1]["begins"], **died, "cpu_s": 0, "bytes": 0})
    if not cases:
        raise SystemExit(f"{part} does not start: {last}")
    return cases


def _waited(process: subprocess.Popen[bytes], told: Path) -> int:
    """Wait for a process, and kill it if a case takes too long."""
    size, since = -1, time.monotonic()
    while process.poll() is None:
        time.sleep(0.5)
        if told.stat().st_size != size:
            size, since = told.stat().st_size, time.monotonic()
        elif time.monotonic() - since > LONGEST_S:
            process.kill()
            process.wait()
    return process.returncode


def missing(done: set[int], size: int, at_once: int) -> Iterator[tuple[int, int]]:
    """Yield first and count of runs of cases that were not tried yet."""
    first = 0
    while first < size:
        if first in done:
            first += 1
            continue
        count = next((n for n in range(at_once) if first + n in done or first + n == size), at_once)
        yield first, count
        first += count


def tried(kept: Path, part: str, seed: int) -> list[dict[str, Any]]:
    """Read the cases of a part that were tried."""
    lines = map(json.loads, kept.read_text(encoding="utf-8").splitlines()) if kept.exists() else ()
    return [line for line in lines if line["part"] == part and line["seed"] == seed]


def try_part(part: str, seed: int, size: int, kept: Path, good: Path) -> None:
    """Try what is missing of a part, and keep a line for each case."""
    while True:
        done = {case["number"] for case in tried(kept, part, seed)}
        todo = next(missing(done, size, AT_ONCE[part]), None)
        if todo is None:
            return
        if not any(good.iterdir()):
            material.make(good)
        cases = chunk(part, seed, *todo, good)
        with kept.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps({"part": part, "seed": seed, **case}) + "\n" for case in cases)
        for case in cases:
            if case["defect"]:
                print(f"{part} {case['number']}: {case['what']}\n    {case['defect']}", flush=True)
        print(f"{part}: {len(done) + len(cases):,} of {size:,}", flush=True)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for part, size in FULL.items():
        parser.add_argument(f"--{part}", type=int, default=size, metavar="N", help=f"cases, {size:,} by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, default=BENCHMARKS / "torture.jsonl", help="what was tried")
    parser.add_argument("--page", type=Path, default=BENCHMARKS / "RELIABILITY.md", help="where the page is written")
    parser.add_argument("--case", nargs=2, metavar=("PART", "NUMBER"), help="try one case, and print it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="torture-good-") as folder:
        os.environ["PYTHONPATH"] = environment(Path(folder))["PYTHONPATH"]
        os.environ["ALEXNET_CACHE_DIR"] = str(Path(folder) / "cache")
        good = Path(folder) / "good"
        good.mkdir()
        if given.case:
            material.make(good)
            print(json.dumps(chunk(given.case[0], given.seed, int(given.case[1]), 1, good), indent=1))
            return 0
        for part in FULL:
            try_part(part, given.seed, getattr(given, part), given.kept, good)
    cases = [case for part in FULL for case in tried(given.kept, part, given.seed)]
    given.page.write_text(page.page(cases, given.seed, FULL), encoding="utf-8")
    return int(any(case["defect"] for case in cases))


if __name__ == "__main__":
    raise SystemExit(main())
