"""Measure the zoo in an environment of its own, and write the section of RESULTS.md: `make zoo`.

    python -m zoo [--library NAME]... [--only NAME]... [--lines FILE]
    python -m zoo --kept FILE...

With `--library` or `--only` some architectures are measured and RESULTS.md stays as it is; `--lines` keeps the measured
lines. `--kept` writes the section from such lines, of several runs perhaps, in place of measuring; of two lines about
one architecture the later counts. The exit code is 1 if one was not answered or has other parameters or MACs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import results

from zoo import table, verdict
from zoo.targets import write_target

BENCHMARKS = Path(__file__).resolve().parents[1]
ROOT = BENCHMARKS.parent
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ENVIRONMENT = ROOT / ".venv-zoo"
OFFLINE = {**os.environ, "HF_HUB_OFFLINE": "1"}
WRONG = {"not answered", "other parameters", "other MACs"}


def environment() -> Path:
    """Return the Python of the zoo's environment, made if it is not there or older than its requirements."""
    ready, program = ENVIRONMENT / ".ready", ENVIRONMENT / "bin" / "python"
    sources = [ROOT / "pyproject.toml", REQUIREMENTS]
    if ready.exists() and ready.stat().st_mtime >= max(source.stat().st_mtime for source in sources):
        return program
    print(f"installing the libraries into {ENVIRONMENT.name}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    pip = [str(program), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)]
    subprocess.run([*pip, "--editable", str(ROOT)], check=True)
    ready.touch()
    return program


def versions(program: Path) -> str:
    """Name the versions of what was measured."""
    code = (
        "import sys; from importlib.metadata import version; "
        "print(', '.join(f'{name} {version(name)}' for name in sys.argv[1:]))"
    )
    names = ["torch", "transformers", "timm", "torchvision", "diffusers", "segmentation-models-pytorch"]
    done = subprocess.run([str(program), "-c", code, *names], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def known_of(program: Path) -> dict[str, list[str]]:
    """Return the names of all architectures of each library."""
    code = (
        "import json; from zoo import catalogue; "
        "print(json.dumps({name: list(catalogue.of_library(name)) for name in catalogue.LIBRARIES}))"
    )
    command = [str(program), "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=BENCHMARKS, env=OFFLINE, capture_output=True, text=True, check=True)
    known: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return known


def lines_of(files: Iterable[Path]) -> list[verdict.Line]:
    """Return the last line about each architecture."""
    texts = (text for file in files for text in file.read_text(encoding="utf-8").splitlines())
    found = {(line["library"], line["name"]): line for line in map(json.loads, texts)}
    return list(found.values())


def on_the_command_line(program: Path, lines: list[verdict.Line]) -> str:
    """Ask the command line about one architecture of each library, and say whether it answers the same."""
    first = {line["library"]: line for line in reversed(lines) if line.get("found")}
    same, other = [], []
    with tempfile.TemporaryDirectory() as folder:
        for library, line in first.items():
            target = write_target(library, line["name"], Path(folder))
            command = [str(program), "-m", "alexnet_cli", "summary", f"{target}:model", "--json"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            totals = json.loads(done.stdout)["totals"] if done.returncode == 0 else {}
            alike = totals.get("params") == line["params"] and totals.get("macs") == line["macs"]
            (same if alike else other).append(f"`{line['name']}`")
    wrong = f"; other totals of {', '.join(other)}" if other else ""
    return f"On the command line, in processes of their own, {', '.join(same) or 'none'} had the same totals{wrong}."


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=Path, help="keep the measured lines here")
    parser.add_argument("--kept", type=Path, nargs="+", help="write the section from these lines")
    given, chosen = parser.parse_known_args()
    program = environment()
    with tempfile.TemporaryDirectory() as folder:
        file = given.lines or Path(folder) / "lines.jsonl"
        if not given.kept:
            command = [str(program), "-m", "zoo.measure", str(file.absolute()), *chosen]
            subprocess.run(command, cwd=BENCHMARKS, env=OFFLINE, check=True)
        lines = lines_of(given.kept or [file])
    known = known_of(program)
    lines = [line for line in lines if line["name"] in known.get(line["library"], ())]
    section = table.section(lines, versions(program), on_the_command_line(program, lines), known)
    if chosen:
        print(section)
    else:
        results.put(table.TITLE, section)
    return int(any(kind in WRONG for line in lines for kind, _ in verdict.misses(line)))


if __name__ == "__main__":
    raise SystemExit(main())
