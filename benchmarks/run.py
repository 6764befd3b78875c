"""All measurements, written to RESULTS.md: `make bench`. Takes about a quarter of an hour on two idle cores.

Names of modules as arguments measure these sections only. What others write into RESULTS.md (`make zoo`, `make matrix`)
or what is written there by hand stays as it is. A section whose measurement fails stays too, and the exit code is 1.
RESULTS.md is written once, at the end, or when it is interrupted, with what was measured until then. What changed since
the run before is explained in `notes.md`, whose sections go into RESULTS.md as they are.
With `ALEXNET_BENCH_QUICK=1` each thing is measured once and RESULTS.md is not written, to see that everything runs.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import results
from effort import QUICK

PACKAGES = (
    *("torch", "torchsummary", "torchinfo", "fvcore", "ptflops", "thop", "torchlens", "torch-kitsune", "vram-check"),
    *("typer", "rich"),
)
LIMIT = 600.0
"""Seconds after which a section is given up."""
HERE = Path(__file__).parent
NOTES = HERE / "notes.md"
HEAD = "# Benchmark results\n\nWritten by `make bench`. Medians; ratios are within one run, tools in turns."
SECTIONS = {
    "watch": "Watching",
    "profiles": "Measured times",
    "startup": "Start-up",
    "scale": "Deep models",
    "laws": "Exact laws",
    "large_model": "A model larger than the machine",
    "memory": "Memory",
    "fits": "Steps made to fit",
    "correctness": "Correctness",
}


def machine() -> str:
    """Name the machine and the versions that were measured."""
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{system}, Python {platform.python_version()}; {versions}."


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(missing)"


def table(module: str) -> str | None:
    """Return one section, measured in a process of its own: a child's peak memory includes its parent's.

    None if it fails, or takes too long.
    """
    code = f"import {module}; print({module}.table())"
    print(f"{SECTIONS[module]}: ", end="", file=sys.stderr, flush=True)
    start = time.perf_counter()
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        print(f"given up after {LIMIT:.0f} s", file=sys.stderr)
        return None
    failed = f", failed:\n{done.stderr}" if done.returncode else ""
    print(f"{time.perf_counter() - start:.0f} s{failed}", file=sys.stderr)
    return None if done.returncode else done.stdout.strip()


def merged(old: str, measured: dict[str, str], notes: str) -> str:
    """Return RESULTS.md with what was measured and the notes in their old places, what is new before the notes."""
    parts, remarks = results.sections(old), results.sections(notes)
    remarks.pop("")
    kept = {title: text for title, text in parts.items() if title not in remarks}
    return results.joined({**kept, "": f"{HEAD}\n\n{machine()}", **measured, **remarks})


def main(modules: list[str]) -> int:
    """Measure all sections or some, and write the results."""
    unknown = set(modules) - set(SECTIONS)
    if unknown:
        print(f"there is no section {', '.join(sorted(unknown))}: {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    asked, code = modules or list(SECTIONS), 0
    measured: dict[str, str] = {}
    try:
        for module in asked:
            text = table(module)
            measured |= {} if text is None else {SECTIONS[module]: text}
    except KeyboardInterrupt:
        code = 130
    page = merged(results.RESULTS.read_text(encoding="utf-8"), measured, NOTES.read_text(encoding="utf-8"))
    if QUICK:
        print(page)
    elif measured:
        results.RESULTS.write_text(page, encoding="utf-8")
    return code or int(len(measured) < len(asked))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
