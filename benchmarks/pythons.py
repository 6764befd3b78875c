"""Run what needs no torch by every Python that is there: `make pythons`, or `make pythons PYTHONS=python3.13`.

Each gets an environment of its own, in `.venv-python-*`, with this project's dependencies but torch. Answers from saved
reports, help, errors and schemas are held to those that are expected; what traces a model is left to `make matrix`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = tuple(f"python3.{minor}" for minor in range(10, 15))
WITH_TORCH = ("torch", "torchsummary", "numpy")
TESTED_BY = ("pytest", "hypothesis", "jinja2")


def dependencies() -> list[str]:
    """Return what pyproject.toml requires, without what belongs to torch."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("\ndependencies = [\n")[2].partition("\n]")[0]
    needed = re.findall(r'^  "([^"]+)"', section, re.MULTILINE)
    return [each for each in needed if re.split(r"[>=<; ]", each)[0] not in WITH_TORCH]


def tried(python: str) -> bool:
    """Return whether the tests pass by a Python."""
    folder = ROOT / f".venv-python-{Path(python).name.removeprefix('python')}"
    subprocess.run([python, "-m", "venv", folder], check=True)
    own = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([own, "-m", "pip", "install", "--quiet", *dependencies(), *TESTED_BY], check=True)
    tests = [own, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_foreign_machines.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode == 0


def main() -> int:
    """Try each Python, and say how it went."""
    there = sys.argv[1:] or [name for name in PYTHONS if shutil.which(name)]
    passed = {python: tried(python) for python in there}
    for python, good in passed.items():
        print(f"{python}: {'passed' if good else 'failed'}")
    return int(not all(passed.values()))


if __name__ == "__main__":
    raise SystemExit(main())
