"""All measurements, written to RESULTS.md: `make bench`."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import correctness
import large_model
import scale
import startup

PACKAGES = ("torch", "torchsummary", "torchinfo", "fvcore", "ptflops", "thop", "torchlens", "typer", "rich")
RESULTS = Path(__file__).parent / "RESULTS.md"
NOTES = Path(__file__).parent / "notes.md"


def machine() -> str:
    """Name what was measured on."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{system}, Python {platform.python_version()}; {versions}."


def main() -> None:
    """Measure everything and write the results."""
    sections = {
        "Start-up": startup.table(),
        "Deep models": scale.table(),
        "A model larger than the machine": large_model.table(),
        "Correctness": correctness.table(),
    }
    body = "\n\n".join(f"## {title}\n\n{table}" for title, table in sections.items())
    head = "# Benchmark results\n\nWritten by `make bench`. Medians; ratios are within one run, tools in turns.\n"
    RESULTS.write_text(f"{head}\n{machine()}\n\n{body}\n\n{NOTES.read_text(encoding='utf-8')}", encoding="utf-8")


if __name__ == "__main__":
    main()
