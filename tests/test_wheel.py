"""The wheel of this project, installed into a fresh environment outside the repository, has everything it needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from older_torch import skip_without_pipelines

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "alexnet_cli"

REFUSES_THE_NETWORK = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"{event} {arguments}")

sys.addaudithook(refuse)
"""

COMMANDS = {
    "summary": "",
    "params": "--by-type",
    "cost": "--gpu t4",
    "profile": "--seconds 1",
    "memory": "--optimizer adam",
    "fit": "--gpu t4 --emit patch.py",
    "annotate": "",
    "watch": "--help",
    "oom": "snapshot.pickle",
    "scale": "--until 1GiB",
    "receptive-field": "",
    "shard": "--gpus 2",
    "explore": "--help",
    "draw": "-o figure.svg",
    "report": "-o page.html",
    "explain": "--lang ko",
    "compare": "alexnet caffenet",
    "check": "--max-params 65M",
    "export": "-o net.pt2",
    "models": "",
    "schema": "summary",
    "cache": "info",
}
"""A command line for each command."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Run the installed program in an empty folder; dependencies come from this environment, the program does not."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    python = folder / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, str(wheel)], check=True)
    [packages] = (folder / "env" / "lib").glob("python*/site-packages")
    dependencies = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (packages / "refuses_the_network.py").write_text(REFUSES_THE_NETWORK)
    lines = (*dependencies, "import refuses_the_network")  # not their own .pth files: no editable
    (packages / "dependencies.pth").write_text("\n".join(lines) + "\n")
    here = folder / "here"
    here.mkdir()
    shutil.copy(ROOT / "docs" / "snapshot.pickle", here)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ALEXNET_"))}
    environment = {**kept, "ALEXNET_CACHE_DIR": str(folder / "cache")}

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(folder / "env" / "bin" / program), *arguments]
        return subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)

    run.here = here
    return run


def test_the_wheel_has_every_file_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    files = {path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.relative_to(SOURCE.parent).as_posix() for path in files} <= packed
    assert any(path.suffix not in (".py", ".typed") for path in files)  # templates and styles


def test_the_installed_program_is_the_one_in_the_wheel(installed):
    place = installed("python", "-c", "import alexnet_cli; print(alexnet_cli.__file__)").stdout
    assert "site-packages" in place
    assert "installed" in place
    assert str(SOURCE) not in place


def test_nothing_but_its_own_environment_is_needed(installed):
    """As pipx installs it: no current folder, no user's packages, no variables of Python's."""
    done = installed("python", "-I", "-m", "alexnet_cli", "summary", "alexnet")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == installed("alexnet", "summary", "alexnet").stdout


def test_the_installed_environment_refuses_the_network(installed):
    done = installed("python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')")
    assert done.stderr.startswith("socket.")


def test_every_command_is_tried(installed):
    told = installed("alexnet", "--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    assert {line.split()[0] for line in told.splitlines() if not line.startswith("   ")} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_when_installed(installed, command):
    if command == "shard":
        skip_without_pipelines()  # without notes
    done = installed("alexnet", command, *COMMANDS[command].split())
    assert (done.returncode, done.stderr) == (0, "")
    written = [word for word in COMMANDS[command].split() if "." in word]
    assert done.stdout or written
    for name in written:
        assert (installed.here / name).stat().st_size > 1000


def test_the_report_of_an_installed_program_has_its_styles_scripts_and_charts(installed):
    assert installed("alexnet", "report", "-o", "page.html").returncode == 0
    page = (installed.here / "page.html").read_text(encoding="utf-8")
    for part in ("<style", "<script", "<svg", "</html>"):
        assert part in page, part


def test_an_installed_program_draws_pixels_and_gives_json(installed):
    assert installed("alexnet", "draw", "-o", "figure.png").returncode == 0
    assert (installed.here / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(installed("alexnet", "explain", "--lang", "ko", "--json").stdout)["findings"]


CONSUMER = """
from alexnet_cli import AlexnetError, compare, inspect, macs_formula

def parameters(target: str) -> int:
    try:
        return inspect(target, batch_size=2).report.totals.params
    except AlexnetError as error:
        raise SystemExit(error.exit_code) from None

wrong: str = inspect("alexnet").report.totals.params
"""


def test_a_consumer_under_strict_mypy_sees_the_types(installed):
    (installed.here / "consumer.py").write_text(CONSUMER)
    python = installed("python", "-c", "import sys; print(sys.executable)").stdout.strip()
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python]
    done = subprocess.run([*command, "consumer.py"], cwd=installed.here, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[:-1] == [
        (
            "consumer.py:10: error: Incompatible types in assignment "
            '(expression has type "int", variable has type "str")  [assignment]'
        )
    ]
