"""A file of Python for each architecture, as a user would have one: `model` builds it, `make` its inputs."""

from __future__ import annotations

from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]


def write_target(library: str, name: str, folder: Path) -> Path:
    """Write the file of an architecture, and return its path."""
    place = f"{library!r}, {name!r}"
    lines = [
        "import sys",
        f"sys.path.insert(0, {str(BENCHMARKS)!r})",
        "from zoo import catalogue",
        f"def model(): return catalogue.model({place})",
        f"def make(): return catalogue.inputs({place})",
    ]
    kept = "".join(letter if letter.isalnum() else "_" for letter in f"{library}_{name}")
    file = folder / f"zoo_{kept}.py"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
