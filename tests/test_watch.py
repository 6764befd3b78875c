"""`alexnet watch`, driven through a terminal."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from alexnet_cli.answers.figures import Figure, changes

if sys.platform != "linux":
    pytest.skip("reads /proc", allow_module_level=True)
pytest.importorskip("watchfiles")
from watched import Watched

NET = """
from torch import nn
from helper import WIDTH


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(8, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2))
"""


def params(width: int) -> int:
    return 8 * width + width + width * 2 + 2


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "helper.py").write_text("WIDTH = 16\n")
    return tmp_path


@pytest.fixture
def watching(folder):
    """Start watching; whatever the test does, nothing is left behind."""
    started = []

    def start(*words: str) -> Watched:
        started.append(Watched(folder, *words))
        return started[-1]

    yield start
    for each in started:
        with suppress(ProcessLookupError):
            each.end(signal.SIGKILL)


def test_fifty_edits_and_files_that_break_vanish_and_are_replaced(folder, watching):
    watched = watching("net.py:Net", "-i", "8")
    first = watched.answer()
    assert f"{params(16):,}" in first
    assert "net.py:Net: watching" in first
    helper, net, memory = folder / "helper.py", folder / "net.py", []
    for width in range(17, 67):
        helper.write_text(f"WIDTH = {width}\n")  # of the same size, often within the same second
        shown = watched.answer()
        while "cannot import name 'WIDTH'" in shown:  # on a busy machine it may be read before it is written
            shown = watched.answer()
        assert f"{params(width):,}" in shown
        assert "helper.py: +11 parameters, +10 MACs, peak +" in shown
        memory.append(watched.kilobytes())
        if width % 10 == 0:
            net.write_text("class Net(:\n")
            shown = watched.answer()
            assert f"{params(width):,}" in shown  # the last good answer stays
            assert "error: " in shown
            assert "net.py: failed; the answer above is the last good one" in shown
            net.write_text(NET)
            assert "net.py: no number changed" in watched.answer()
    assert memory[-1] - memory[4] < 1024  # KiB: nothing is gathered
    helper.unlink()
    shown = watched.answer()
    assert "No module named 'helper'" in shown
    assert "helper.py: failed" in shown
    helper.write_text("WIDTH = 16\n")
    assert f"−{params(66) - params(16)} parameters" in watched.answer()
    (folder / ".helper.swp").write_text("WIDTH = 32\n")
    (folder / ".helper.swp").rename(helper)  # as vim and others write
    assert f"+{params(32) - params(16)} parameters" in watched.answer()
    assert watched.end() == 130
    assert not list(folder.glob("**/*.pyc"))


def test_a_failure_in_a_file_that_could_not_be_loaded(folder, watching):
    (folder / "helper.py").write_text("WIDTH = \n")
    watched = watching("net.py:Net", "memory", "-i", "8", "-b", "4")
    assert "net.py:Net: failed (" in watched.answer()
    (folder / "helper.py").write_text("WIDTH = 16\n")
    shown = watched.answer()
    assert "helper.py: watching" in shown
    assert "training step" in shown
    (folder / "helper.py").write_text("WIDTH = 17\n")
    assert re.search(r"helper.py: peak \+\d+ B, training peak \+\d+ B \(", watched.answer())


def test_an_interrupt_ends_what_the_model_started(folder, watching):
    (folder / "net.py").write_text(
        "import subprocess, sys, time\nfrom pathlib import Path\n"
        "started = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "Path('pid').write_text(str(started.pid))\ntime.sleep(600)\n"
    )
    watched = watching("net.py:Net")
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        watched.read()
    started = int((folder / "pid").read_text())
    assert watched.end(signal.SIGTERM) == 130
    for _ in range(500):
        if not Path(f"/proc/{started}").exists() or " Z " in Path(f"/proc/{started}/stat").read_text():
            return
        time.sleep(0.01)
    pytest.fail("what the model started still runs")


def test_an_edit_stops_a_run_that_takes_long(folder, watching):
    (folder / "net.py").write_text("from pathlib import Path\nimport time\nPath('begun').touch()\ntime.sleep(600)\n")
    watched = watching("net.py:Net", "-i", "8")
    while not (folder / "begun").exists():
        watched.read()
    (folder / "net.py").write_text(NET)
    assert f"{params(16):,}" in watched.answer()


def test_changes_are_said_in_few_words():
    before = (Figure("parameters", 1_000), Figure("MACs", 5 * 10**9), Figure("peak", 2**30, "bytes"))
    after = (
        Figure("parameters", 1_201_000),
        Figure("MACs", 4_700_000_000),
        Figure("peak", 2**30 + 40 * 2**20, "bytes"),
    )
    assert changes(before, after) == "+1.20 M parameters, −300 M MACs, peak +40.00 MiB"
    assert changes(before, before) == ""
    assert changes((), after) == ""


def test_commands_that_it_runs(alexnet):
    refused = alexnet("watch", "alexnet", "models")
    assert refused.code == 2
    assert "unknown command to watch 'models'" in refused.err


def test_the_package_it_needs(alexnet, monkeypatch):
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    refused = alexnet("watch", "alexnet")
    assert refused.code == 2
    assert "pip install 'alexnet-cli[watch]'" in refused.err


def test_without_fork_each_run_starts_anew(tmp_path, folder, monkeypatch):
    from alexnet_cli.cli import child

    monkeypatch.setattr(child, "FORKS", False)
    monkeypatch.chdir(folder)
    made = tmp_path / "told"
    made.mkdir()
    ran = child.Child(("summary", "net.py:Net", "-i", "8"), child.Screen(False, 90, "utf-8"), made).wait(lambda: False)
    assert ran is not None
    assert f"{params(16):,}" in ran.out
    assert ran.told.code == 0
    assert {Path(file).name for file in ran.told.files} == {"net.py", "helper.py"}
    assert Figure("parameters", params(16)) in ran.told.figures
    assert not list(folder.glob("**/*.pyc"))


@pytest.mark.parametrize(("target", "shown"), [("alexnet", "62,378,344"), ("no.such:Net", "")])
def test_what_no_file_can_change_is_answered_once(tmp_path, target, shown):
    command = [sys.executable, "-m", "alexnet_cli", "watch", target]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert shown in done.stdout
    assert f"there is no file to watch for {target}" in done.stderr
