"""The package and what comes with it: built the same twice, its licences, and the files that other systems read."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from alexnet_cli import __version__
from alexnet_cli.cli.commands import COMMANDS

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("src", "docs", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore", "Makefile")
PYPROJECT = '[tool.alexnet.check]\nmax-params = "10"\n'


def built(folder, umask):
    """Build both from a copy of the project, whose files have other times and permissions; return their bytes."""
    before = os.umask(umask)
    try:
        for name in BUILT_FROM:
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__")
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, folder / name, **({"ignore": ignored} if source.is_dir() else {}))
        for number, path in enumerate(sorted(folder.rglob("*"))):
            os.utime(path, (10**9 + 1000 * umask + number,) * 2)
    finally:
        os.umask(before)
    command = [sys.executable, "-m", "hatchling", "build"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in (folder / "dist").iterdir()}


def test_wheel_and_sdist_are_the_same_bytes_when_built_again(tmp_path):
    folders = [tmp_path / "one", tmp_path / "a longer name"]
    for folder in folders:
        folder.mkdir()
    first, second = (built(folder, umask) for folder, umask in zip(folders, (0o022, 0o077), strict=True))
    assert sorted(name.rpartition(".")[2] for name in first) == ["gz", "whl"]
    assert first == second


@pytest.fixture
def third_party(monkeypatch):
    pytest.importorskip("tomllib")
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import third_party

    return third_party


def test_pip_downloads_at_most_15_megabytes_beside_torch(third_party):
    """Also numpy is left out: torch does without declaring it, and needs it, as its own source says."""
    packages = third_party.beside_torch()
    assert {"alexnet-cli", "typer", "rich", "msgspec"} <= set(packages)
    assert all(packages.values())
    assert sum(map(third_party.packed, packages.values())) <= 15_000_000
    timer = Path(torch.__path__[0]) / "utils" / "benchmark" / "utils"
    assert any("import numpy" in path.read_text(encoding="utf-8") for path in timer.glob("*.py"))


def test_all_that_the_project_requires_stands_among_the_licences(third_party):
    page = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    for extra, names in third_party.declared().items():
        assert not extra or f"| `{extra}` |" in page
        for name in names:
            assert re.search(rf"\b{re.escape(name)}( \||\s\()", page), name
    if any(name.startswith("nvidia-") for name in third_party.closure(["torch"])):
        pytest.skip("this build of torch brings CUDA's libraries, and those of the pinned one are listed")
    for name in third_party.closure(third_party.declared()[""]):
        assert f"| {name} |" in page, name
    assert "not installed" not in page


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "net.py").write_text("from torch import nn\n\n\ndef model():\n    return nn.Linear(4, 5)\n")
    return tmp_path


def run(command, folder, **environment):
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_the_hook_of_pre_commit_runs(project):
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert (hook["language"], hook["pass_filenames"]) == ("python", False)
    program, *words = shlex.split(hook["entry"])
    assert program == "alexnet"
    done = run([sys.executable, "-m", "alexnet_cli", *words, "net.py:model", "-i", "4"], project)
    assert (done.returncode, "max-params: 25 parameters, more than 10" in done.stderr) == (1, True)


@pytest.mark.parametrize(("arguments", "code"), [("-i 4", 1), ("-i 4 --max-params 1K", 0), ("", 1), ("$(id) -i 4", 2)])
def test_the_action_checks_and_annotates(project, arguments, code):
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    install, check = action["runs"]["steps"]
    assert install["run"] == '"$PYTHON" -m pip install --quiet "$GITHUB_ACTION_PATH"'
    assert "${{" not in check["run"]  # what users type comes by variables, never as text of the script
    assert {name for name in action["inputs"] if f"inputs.{name} " in str(action["runs"])} == set(action["inputs"])
    given = {"PYTHON": sys.executable, "TARGET": "net.py:model", "ARGUMENTS": arguments}
    assert set(check["env"]) == set(given)
    done = run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", check["run"]], project, **given)
    assert done.returncode == code, done.stderr
    assert ("::error" in done.stdout) == (code == 1)


def test_ci_on_other_systems_runs_what_ci_runs_here():
    ci = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    job = ci["jobs"]["test"]
    assert job["strategy"]["matrix"]["system"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    steps = [step.get("run", "") for step in job["steps"]]
    assert "make test" in steps
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("\nmake test")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = [
        re.search(rf"^{name}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1] for name in ("lint", "types", "check")
    ]
    lines = "".join(recipes).replace("$(BIN)/", "").splitlines()
    commands = [line.partition(" #")[0].strip() for line in lines]
    assert steps[-1].strip().splitlines()[1:] == commands


def test_the_changelog_has_the_version_in_the_form_of_keep_a_changelog():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d", versions[1])
    allowed = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert {*re.findall(r"^### (.*)$", text, re.MULTILINE)} <= allowed
    told = text.partition(f"## [{__version__}]")[2]
    assert all(re.search(rf"`(alexnet )?{name}\b", told) for name in COMMANDS)
