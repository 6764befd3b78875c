"""All measurements, written to RESULTS.md: `make bench`."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import matrix
import results
from zoo import table as zoo

PACKAGES = ("torch", "torchsummary", "torchinfo", "fvcore", "ptflops", "thop", "torchlens", "typer", "rich")
HERE = Path(__file__).parent
NOTES = HERE / "notes.md"
SECTIONS = {
    "Start-up": "startup",
    "Deep models": "scale",
    "Exact laws": "laws",
    "A model larger than the machine": "large_model",
    "Memory": "memory",
    "Steps made to fit": "fits",
    "Correctness": "correctness",
    "Measured times": "profiles",
}


def machine() -> str:
    """Name the machine and the versions that were measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{system}, Python {platform.python_version()}; {versions}."


def table(module: str) -> str:
    """Return one section, measured in a process of its own: a child's peak memory includes its parent's."""
    code = f"import {module}; print({module}.table())"
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Measure everything and write the results."""
    sections = {title: table(module) for title, module in SECTIONS.items()}
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    head = "# Benchmark results\n\nWritten by `make bench`. Medians; ratios are within one run, tools in turns.\n"
    kept = [results.section(title) for title in (matrix.TITLE, zoo.TITLE)]
    parts = [head, machine(), *kept, body, NOTES.read_text(encoding="utf-8")]
    results.RESULTS.write_text("\n\n".join(part.strip() for part in parts if part) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
