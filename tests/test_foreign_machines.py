"""Machines that differ from the one this was written on: their paths, encodings, systems, Pythons and installations.

What needs torch is skipped without it, so that this file runs by every Python that there is (`make pythons`).
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from draw_reports import report_of, row
from windows_like import FORBIDDEN, NO_MODULES, NOT_IN_OS, NOT_IN_SIGNAL

from alexnet_cli.answers.summary import summary_result
from alexnet_cli.models.catalogue import variants
from alexnet_cli.report_json import to_json
from alexnet_cli.targets import resolve

SOURCE = Path(resolve.__file__).parents[1]
NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(x).relu()
"""
RUNNER = """
import json, sys
from alexnet_cli.cli.app import run
for line in json.loads(sys.argv[1]):
    print(f"$ {line}", flush=True)
    print(f"exit {run(line.split())}", flush=True)
"""
LINES = [
    *("summary made.json", "draw made.json", "cost made.json --gpu t4", "explain made.json", "models", "summary -h"),
    *("summary made.json -o table.md", "draw made.json -o figure.svg", "summary nowhere", "cache info", "memory x.pt"),
]
EXITS = [0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3]
WRITTEN = ("table.md", "figure.svg")
MACHINES: dict[str, dict[str, str | None]] = {
    "locale C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": None},
    "an unknown locale": {"LC_ALL": "xx_YY.KOI8-R", "LANG": "?"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "a dumb terminal": {"TERM": "dumb"},
    "20 columns": {"COLUMNS": "20"},
    "no environment": dict.fromkeys(("HOME", "PATH", "USER", "LANG", "TERM", "ALEXNET_CACHE_DIR", "TMPDIR")),
    "no docstrings": {"PYTHONOPTIMIZE": "2"},
    "every warning an error": {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"},
}


@pytest.fixture(scope="module")
def saved() -> bytes:
    rows = [row("fc", params=20), row("a b.é", params=30), row("head", params=40)]
    return to_json(summary_result(report_of(rows, [[0], [1], [2]]))).encode()


def ran(folder, *before, source=SOURCE.parent, **environment):
    """Run all lines in one process in a folder; return what it printed, and the files that it wrote."""
    ours = {"PYTHONPATH": f"{source}{os.pathsep}{Path(__file__).parent}", "ALEXNET_CACHE_DIR": str(folder / "cache")}
    given = {**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80", **ours, **environment}
    command = [sys.executable, "-c", "\n".join((*before, RUNNER)), json.dumps(LINES)]
    kept = {name: value for name, value in given.items() if value is not None}
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr.decode(errors="replace")
    files = {name: (folder / name).read_bytes() for name in WRITTEN}
    return done.stdout.decode(environment.get("PYTHONIOENCODING") or "utf-8"), files


def exits(told):
    return [int(line.removeprefix("exit ")) for line in told.splitlines() if line.startswith("exit ")]


@pytest.fixture(scope="module")
def here(saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("here")
    (folder / "made.json").write_bytes(saved)
    return folder


@pytest.fixture(scope="module")
def ordinary(here):
    told, files = ran(here)
    assert exits(told) == EXITS
    return told, files


@pytest.mark.parametrize("machine", MACHINES)
def test_a_machine_has_the_same_answers(here, ordinary, machine):
    told, files = ran(here, **MACHINES[machine])
    assert exits(told) == EXITS
    assert files == ordinary[1]
    assert r"\x" not in told.replace(r"\xe9", "")  # a name is escaped where its letters are lacking
    if machine in ("an unknown locale", "a dumb terminal", "every warning an error"):
        assert told == ordinary[0]
    else:  # other glyphs, widths and folders, the same numbers
        assert all(number in told for number in ("20", "30", "40", "90"))


def test_from_a_zip_file_that_nothing_is_written_to(here, ordinary, tmp_path):
    wheel = tmp_path / "alexnet_cli-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted(SOURCE.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(SOURCE.parent))
    before = wheel.read_bytes()
    assert ran(here, source=wheel) == ordinary
    assert all(name in ordinary[0] for name in variants())
    assert (wheel.read_bytes(), [*tmp_path.iterdir()]) == (before, [wheel])


def test_windows_lacks_nothing_that_saved_reports_need(here, ordinary):
    before = "import json\nfrom alexnet_cli.cli.app import run\nimport windows_like\nwindows_like.become()"
    assert ran(here, before) == ordinary


def test_modules_and_names_that_windows_lacks_are_asked_for_first():
    """Those that are used stand behind a question whether they are there, in the places that this test names."""
    asked_for = {"cli/child.py": {"fork", "killpg", "SIGKILL", "setpgid", "WNOHANG"}}
    asked_for |= {"cache/folder.py": {"geteuid"}, "targets/pretrained/harmless.py": {"sysconf"}}
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & {*NO_MODULES}, path
        named = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        used = {node.attr for node in named if isinstance(node.value, ast.Name) and node.value.id in ("os", "signal")}
        missing = used & {*NOT_IN_OS, *NOT_IN_SIGNAL}
        assert missing == asked_for.get(path.relative_to(SOURCE).as_posix(), set()), path


def test_text_is_read_and_written_in_a_named_encoding():
    call = re.compile(r"\.(?:read_text|write_text)\((?![^()]*(?:\([^()]*\))*[^()]*encoding=)")
    for path in SOURCE.rglob("*.py"):
        assert not call.search(path.read_text(encoding="utf-8")), path
    assert call.search("path.write_text(of(text))")
    assert not call.search('path.write_text(of(text), encoding="utf-8")')


@pytest.mark.parametrize(
    ("target", "like"),
    [
        (r"C:\my models\net.py:Net", "net.py:Net"),
        (r"C:\net.py", "net.py"),
        ("c:/models/net.py:make.inner", "net.py:Net"),
        (r"\\server\share\net.py:Net", "net.py:Net"),
        (r"C:\net.safetensors", "net.safetensors"),
        (r"\\?\C:\long\net.safetensors.index.json", "net.safetensors"),
        (r"C:\net.onnx", "net.onnx"),
        (r"C:\net.pt2", "net.pt2"),
        (r"C:\net.json", "net.json"),
    ],
)
def test_targets_with_drive_letters(target, like):
    kinds = [resolve._kind_of(each) for each in ("net.py", "net.safetensors", "net.onnx", "net.pt2", "net.json")]
    assert None not in kinds
    assert len(set(kinds)) == len(kinds)
    assert resolve._kind_of(target) == resolve._kind_of(like)


@pytest.mark.skipif(sys.platform == "win32", reason="acts like Windows elsewhere")
def test_a_file_that_windows_does_not_replace_leaves_no_litter(alexnet, here, monkeypatch):
    place = here / "old.md"
    place.write_bytes(b"old")
    place.chmod(0o400)
    unlink = Path.unlink

    def refused(self, target):
        raise PermissionError(13, "Access is denied")

    def removed(self, *, missing_ok=False):
        if self.exists() and not self.stat().st_mode & 0o200:
            raise PermissionError(13, "Access is denied")
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "replace", refused)
    monkeypatch.setattr(Path, "unlink", removed)
    answer = alexnet("summary", str(here / "made.json"), "-o", str(place))
    assert (answer.code, "Access is denied" in answer.err, place.read_bytes()) == (2, True, b"old")
    assert not list(here.glob(".alexnet-*"))
    monkeypatch.undo()
    place.unlink()


def test_hidden_names_are_allowed_on_windows(tmp_path):
    from alexnet_cli.answers.files import _hidden_beside

    with _hidden_beside(tmp_path / "answer.md") as hidden:
        assert not FORBIDDEN.search(hidden.name)
    assert FORBIDDEN.search("a:b")
    assert FORBIDDEN.search("NUL.txt")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"),
        lambda data: b"\xff\xfe" + data.decode().encode("utf-16-le"),
        lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"),
    ],
    ids=["mark and CRLF", "UTF-16 of PowerShell", "UTF-16, big-endian"],
)
def test_a_report_saved_by_another_systems_shell(alexnet, saved, tmp_path, change):
    (tmp_path / "made.json").write_bytes(saved)
    (tmp_path / "other.json").write_bytes(change(saved))
    assert alexnet("params", str(tmp_path / "other.json")) == alexnet("params", str(tmp_path / "made.json"))


def test_a_report_in_half_a_utf_16_is_refused(alexnet, saved, tmp_path):
    (tmp_path / "half.json").write_bytes(b"\xff\xfe" + saved.decode().encode("utf-16-le")[:-1])
    answer = alexnet("params", str(tmp_path / "half.json"))
    assert (answer.code, "is not a saved report" in answer.err) == (3, True)


def test_settings_with_a_mark_and_carriage_returns(alexnet, here, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_bytes(b'\xef\xbb\xbf[tool.alexnet.check]\r\nmax-params = "10"\r\n')
    monkeypatch.chdir(tmp_path)
    answer = alexnet("check", str(here / "made.json"))
    assert (answer.code, "90 parameters, more than 10" in answer.err) == (1, True)


def test_a_chinese_terminal_shows_what_watch_prints(here, tmp_path, monkeypatch):
    from alexnet_cli.cli import child

    monkeypatch.chdir(here)
    screen = child.Screen(False, 80, "gb18030")
    ran = child.Child(("summary", "made.json"), screen, tmp_path).wait(lambda: False)
    assert ran is not None
    assert "a b.é" in ran.out
    assert "\ufffd" not in ran.out


def test_macos_starts_processes_from_nothing():
    """Its own libraries may crash in a forked process, so `multiprocessing` does not fork there either."""
    code = "import sys; sys.platform = 'darwin'; from alexnet_cli.cli import child; print(child.FORKS, child._GROUPS)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", str(hasattr(os, "killpg"))]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_spawned_process_started_ends_with_it(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from alexnet_cli.cli import child

    (tmp_path / "net.py").write_text(
        "import subprocess, sys, time\nfrom pathlib import Path\n"
        "started = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "Path('pid').write_text(str(started.pid))\ntime.sleep(600)\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(child, "FORKS", False)
    pid = tmp_path / "pid"
    process = child.Child(("summary", "net.py:Net"), child.Screen(False, 80, "utf-8"), tmp_path)
    assert process.wait(lambda: pid.exists() and pid.read_text()) is None
    for _ in range(500):
        state = Path(f"/proc/{pid.read_text()}/stat")
        if not state.exists() or " Z " in state.read_text():
            return
        time.sleep(0.01)
    pytest.fail("what the model started still runs")


@pytest.fixture
def far(tmp_path, monkeypatch):
    """A folder whose path has blanks, other scripts, emoji, quotes and more than 400 characters."""
    folder = tmp_path / "a b" / "ü 层 שלום 👩" / "it's [x] $HOME %d" / ("long " * 40).strip() / ("more " * 40).strip()
    folder.mkdir(parents=True)
    monkeypatch.setenv("ALEXNET_CACHE_DIR", str(folder / "cache"))
    assert len(str(folder)) > 400
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="Windows takes such paths only where its registry says so")
def test_a_path_of_blanks_scripts_and_400_characters(alexnet, far):
    pytest.importorskip("torch")
    net = far / "my net.py"
    net.write_text(NET, encoding="utf-8")
    asked = [f"{net}:Net", "-i", "4"]
    table = alexnet("summary", *asked, "--cache")
    assert (table.code, table.err) == (0, "")
    assert alexnet("summary", *asked, "--cache").out == table.out
    assert list((far / "cache").iterdir())
    for words, name in (
        (["summary", *asked], "é.json"),
        (["draw", *asked], "a b.svg"),
        (["report", *asked], "it's.html"),
        (["annotate", *asked, "--comments"], "commented.py"),
        (["export", *asked], "net 层.pt2"),
    ):
        done = alexnet(*words, "-o", str(far / name))
        assert (done.code, done.err) == (0, ""), words
        assert (far / name).stat().st_size > 100
    for name in ("é.json", "net 层.pt2"):
        assert alexnet("params", str(far / name), "--json").json["totals"]["params"] == 25
    assert alexnet("check", *asked, "--baseline", str(far / "é.json")).code == 0
    assert sorted(path.name for path in far.iterdir() if path.name.startswith(".")) == []


def test_source_in_cp1252_with_carriage_returns(alexnet, tmp_path):
    pytest.importorskip("torch")
    text = "# -*- coding: cp1252 -*-\n# größer: 3 €\n" + NET
    (tmp_path / "net.py").write_bytes(text.replace("\n", "\r\n").encode("cp1252"))
    asked = [f"{tmp_path / 'net.py'}:Net", "-i", "4"]
    shown = alexnet("annotate", *asked)
    assert (shown.code, "return self.fc(x).relu()" in shown.out) == (0, True)
    copy = tmp_path / "copy.py"
    assert alexnet("annotate", *asked, "--comments", "-o", str(copy)).code == 0
    assert "# größer: 3 €\r\n".encode("cp1252") in copy.read_bytes()
    assert copy.read_bytes().count(b"\n") == copy.read_bytes().count(b"\r\n")


def test_what_this_python_lacks_is_said_with_its_place(alexnet, tmp_path):
    """As where pipx has put the program into an environment of its own, without what the model needs."""
    pytest.importorskip("torch")
    (tmp_path / "net.py").write_text(f"import no_such_package.inner\n{NET}", encoding="utf-8")
    answer = alexnet("summary", f"{tmp_path / 'net.py'}:Net")
    assert answer.code == 3
    assert f"hint: alexnet runs by {sys.executable}, which does not have no_such_package\n" in answer.err


def test_a_schema_is_the_same_by_every_msgspec(alexnet):
    for definition in alexnet("schema").json["$defs"].values():
        said = definition.get("description", "")
        assert said == inspect.cleandoc(said)
