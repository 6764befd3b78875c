"""Run the tests with each supported torch, in an environment of its own each: `make matrix`.

    python benchmarks/matrix.py [--torch VERSION]... [--python PYTHON] [PYTEST_ARGUMENT...]

The environments are `.venv-torch-VERSION`, and `.venv-torch-VERSION-PYTHON` where `--python` is given; they are kept.
The result is written into RESULTS.md, which keeps the rows of other versions. The exit code is 1 if a test failed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

import results

TORCHES = {"2.6": "torch==2.6.*", "2.9": "torch==2.9.*", "2.13": "torch==2.13.*", "newest": "torch"}
"""What pip is asked for. 2.6 is the oldest that `pyproject.toml` admits."""

ROOT = Path(__file__).parent.parent
TITLE = "## torch versions"
HEAD = f"""{TITLE}

Written by `make matrix`: the whole test suite with each torch, in an environment of its own.

| torch | Python | passed | failed | skipped | date |
|---|---|---|---|---|---|
"""
_PINNED_WITH_TORCH = re.compile(r"(torch|torchao|compressed-tensors|sympy|networkx|fsspec|filelock|setuptools|numpy)==")
_FOR_NEWER = {"torchao.quantization": "torchao"}
"""What pip installs beside any torch, and other libraries import where it is there, but needs a newer one."""
_ROW = re.compile(r"\| (?P<torch>[0-9][^ ]*) \| (?P<python>[0-9.]+) \|.*\|")


def environment(name: str, python: str | None) -> Path:
    """Return the Python of the environment of one torch, made if it is not there or older than its requirements."""
    folder = ROOT / f".venv-torch-{name}{f'-{Path(python).name}' if python else ''}"
    ready = folder / ".ready"
    sources = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    program = folder / "bin" / "python"
    if ready.exists() and ready.stat().st_mtime >= max(source.stat().st_mtime for source in sources):
        return program
    print(f"installing torch {name} into {folder.name}", flush=True)
    subprocess.run([python or sys.executable, "-m", "venv", str(folder)], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        pins = (ROOT / "constraints.txt").read_text().splitlines(keepends=True)
        constraints.writelines(pin for pin in pins if not _PINNED_WITH_TORCH.match(pin))  # each torch has its own
        constraints.flush()
        pip = [str(program), "-m", "pip", "install", "--quiet", "--constraint", constraints.name]
        subprocess.run([*pip, TORCHES[name], "--editable", f"{ROOT}[dev]"], check=True)
    for module, package in _FOR_NEWER.items():
        if subprocess.run([str(program), "-c", f"import {module}"], check=False, capture_output=True).returncode:
            print(f"{package} does not import with torch {name}: tests that need it are skipped", flush=True)
            subprocess.run([str(program), "-m", "pip", "uninstall", "--quiet", "--yes", package], check=True)
    ready.touch()
    return program


def tested(program: Path, arguments: list[str]) -> tuple[str, str, dict[str, int]]:
    """Run the tests; return the versions of torch and Python, and how many tests passed, failed, and were skipped."""
    code = (
        "import json, platform; from importlib.metadata import version; "
        "print(json.dumps([version('torch'), platform.python_version()]))"
    )
    versions = json.loads(subprocess.run([str(program), "-c", code], check=True, capture_output=True).stdout)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tests.xml"
        how = ["-p", "no:cacheprovider", "--numprocesses", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
        command = [str(program), "-m", "pytest", *how, f"--junit-xml={report}", *arguments]
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # as in the Makefile: each core has its worker already
        subprocess.run(command, cwd=ROOT, env=alone, check=False)
        suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 - pytest has just written it
    counts = {key: int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")}
    failed = counts["failures"] + counts["errors"]
    return *versions, {
        "passed": counts["tests"] - failed - counts["skipped"],
        "failed": failed,
        "skipped": counts["skipped"],
    }


def write(rows: dict[tuple[str, str], str]) -> None:
    """Put rows, by the versions of torch and Python, into RESULTS.md."""
    old = results.section(TITLE).splitlines()
    kept = {(match["torch"], match["python"]): match[0] for match in map(_ROW.match, old) if match}
    rows = dict(sorted({**kept, **rows}.items(), key=lambda item: [_numbers(version) for version in item[0]]))
    results.put(TITLE, HEAD + "\n".join(rows.values()) + "\n")


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", action="append", choices=TORCHES, help="only this one; repeatable")
    parser.add_argument("--python", help="the Python of the environments; default: the one that runs this")
    given, arguments = parser.parse_known_args()
    if given.python and not shutil.which(given.python):
        parser.error(f"there is no {given.python}")
    rows, failed = {}, 0
    for name in given.torch or TORCHES:
        torch, python, counts = tested(environment(name, given.python), arguments)
        today = dt.datetime.now(tz=dt.timezone.utc).date()
        rows[torch, python] = f"| {torch} | {python} | {' | '.join(map(str, counts.values()))} | {today} |"
        print(rows[torch, python], flush=True)
        failed += counts["failed"]
    if not arguments:  # the result of some tests only is not for the table
        write(rows)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
