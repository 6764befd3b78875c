"""All measurements, written to RESULTS.md: `make bench`. Takes more than a quarter of an hour on two idle cores.

Names of modules as arguments measure these sections only. What others write into RESULTS.md (`make zoo`, `make matrix`)
or what is written there by hand stays as it is. A section whose measurement fails stays too, and the exit code is 1.
With `ALEXNET_BENCH_QUICK=1` each thing is measured once and RESULTS.md is not written, to see that everything runs.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import results
from effort import QUICK

PACKAGES = (
    *("torch", "torchsummary", "torchinfo", "fvcore", "ptflops", "thop", "torchlens", "torch-kitsune", "vram-check"),
    *("typer", "rich"),
)
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
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{system}, Python {platform.python_version()}; {versions}."


def table(module: str) -> str | None:
    """Return one section, measured in a process of its own: a child's peak memory includes its parent's."""
    code = f"import {module}; print({module}.table())"
    print(f"{SECTIONS[module]}: ", end="", file=sys.stderr, flush=True)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=False)
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
    tables = {module: table(module) for module in modules or SECTIONS}
    measured = {SECTIONS[module]: text for module, text in tables.items() if text is not None}
    text = merged(results.RESULTS.read_text(encoding="utf-8"), measured, NOTES.read_text(encoding="utf-8"))
    if QUICK:
        print(text)
    else:
        results.RESULTS.write_text(text, encoding="utf-8")
    return int(len(measured) < len(tables))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
