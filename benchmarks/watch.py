"""How long `alexnet watch` takes from a save to the new answer, against a cold start: `python benchmarks/watch.py`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import results
from effort import QUICK, runs

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from watched import Watched  # noqa: E402 - a script beside the tests

EDITS = 4 if QUICK else 20
TITLE = "## Watching"
TARGET = ("net.py:AlexNet", "-i", "3,227,227")
BUILD = (
    "import time; from net import AlexNet; import torch; torch.set_default_device('meta'); start = time.perf_counter()"
)
"""What the model itself takes: its constructor, on `meta` as in the program."""


def edited(folder: Path) -> list[float]:
    """Return the seconds from each save of the notebook's AlexNet to the end of the new answer on the terminal."""
    net = folder / "net.py"
    source = net.read_text(encoding="utf-8")
    watched, taken = Watched(folder, *TARGET), []
    try:
        watched.answer()
        watched.answer_after(lambda: net.write_text(source, encoding="utf-8"))  # the first fork has everything loaded
        for edit in range(EDITS):
            time.sleep(0.3)  # nobody saves more often
            width = 4000 + edit
            taken.append(watched.answer_after(lambda width=width: net.write_text(source.replace("4096", str(width)))))
    finally:
        watched.end()
    return taken


def built(folder: Path) -> float:
    """Return the seconds in which the model itself is built."""
    code = f"{BUILD}; AlexNet(); print(time.perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, check=True).stdout)


def cold(folder: Path) -> float:
    """Return the seconds of `alexnet summary` started from nothing."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "alexnet_cli", "summary", *TARGET], cwd=folder, capture_output=True, check=True
    )
    return time.perf_counter() - start


def table() -> str:
    """Measure, and return the section of RESULTS.md."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = ROOT / "src" / "alexnet_cli" / "models" / "alexnet.py"
        (folder / "net.py").write_text(model.read_text(encoding="utf-8"), encoding="utf-8")
        saved = edited(folder)
        build = statistics.median(built(folder) for _ in range(runs(5)))
        start = statistics.median(cold(folder) for _ in range(runs(5)))
    middle, worst = statistics.median(saved), sorted(saved)[-2]
    return f"""`alexnet watch net.py:AlexNet` in a pseudo-terminal, {EDITS} edits of a width, from the save to the last
character of the new answer. `python benchmarks/watch.py` writes this section alone.

| | seconds | against a cold start |
|---|---|---|
| a cold `alexnet summary` | {start:.2f} | 1 |
| from a save to the new answer, median | {middle:.3f} | {middle / start:.2f} |
| the same, second longest | {worst:.3f} | {worst / start:.2f} |
| of which building the model | {build:.3f} | {build / start:.2f} |"""


def main() -> None:
    """Measure, and write the section into RESULTS.md."""
    results.put(TITLE, f"{TITLE}\n\n{table()}\n")
    print(results.section(TITLE))


if __name__ == "__main__":
    main()
