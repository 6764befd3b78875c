"""Tries some cases of a part in one process: `python -m torture.worker PART SEED FIRST COUNT FOLDER`.

The folder holds the material. Writes a JSON line for each case to `FOLDER/../cases.jsonl`: first that it begins, then
how it ended, so that whoever started this knows which case killed it.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from torture.judging import now

MOST_MEMORY = 6 * 2**30
"""Bytes of address space: what takes more ends in a `MemoryError`, which the program must explain."""
PARTS = {"lines": "Lines", "files": "Files", "modules": "Modules", "faults": "Faults"}


def chance_of(seed: int, part: str, number: int) -> random.Random:
    """Return the random numbers of a case, which depend on no other case."""
    return random.Random(f"{seed} {part} {number}")  # noqa: S311 - no secret


def peak_bytes() -> int:
    """Return the most memory that this process and its children had resident."""
    return 1024 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    """Try the cases one after the other."""
    part, (seed, first, count), folder = sys.argv[1], map(int, sys.argv[2:5]), Path(sys.argv[5])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, hard))  # parsers take more, and may lift it again
    os.chdir(folder)
    trier: Any = getattr(import_module(f"torture.{part}"), PARTS[part])(folder)
    with (folder.parent / "cases.jsonl").open("a", encoding="utf-8") as told:
        for number in range(first, first + count):
            chance = chance_of(seed, part, number)
            print(json.dumps({"begins": number}), file=told, flush=True)
            began = now()
            tried = trier.try_one(number, chance)
            case = {"number": number, **tried._asdict(), "cpu_s": round(now() - began, 2), "bytes": peak_bytes()}
            print(json.dumps(case), file=told, flush=True)


if __name__ == "__main__":
    main()
