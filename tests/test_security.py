"""What SECURITY.md promises; `SHOWN` names the test for each line of its table, those of other files included."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[1]
SHOWN = {
    "Code that runs": ("test_security.py", "test_nothing_but_named_code_runs"),
    "Model folders and hubs": ("test_model_folders.py", "test_code_in_the_folder_runs_only_when_asked"),
    "Pickles": ("test_security.py", "test_pickles_are_refused_by_the_name_of_what_they_hold"),
    "Exported programs": ("test_exported_malice.py", "test_an_expression_is_never_evaluated"),
    "Network": ("test_security.py", "test_nothing_connects_but_a_hubs_target"),
    "Cache": ("test_security.py", "test_another_users_entry_is_ignored"),
    "Files that are written": ("test_files.py", "test_while_it_is_written_nobody_else_can_read_it"),
    "Names in a file": ("test_security.py", "test_names_reach_no_terminal_and_no_page_as_they_are"),
    "Damaged files": ("test_torture.py", "test_a_slice_finds_nothing_and_goes_on_where_it_was"),
}
WATCHED = """
import json, sys
from alexnet_cli.cli.app import run

said = []

def heard(event, given):
    if event.startswith("socket.") and event not in ("socket.__new__",) or event in ("os.system", "subprocess.Popen"):
        said.append(f"{event} {given}"[:200])

sys.addaudithook(heard)
codes = [run(line.split()) for line in json.loads(sys.argv[1])]
print(json.dumps([codes, said]), file=sys.stderr)
"""


class Attack:
    """Leaves a file where it is unpickled."""

    def __reduce__(self):
        return (Path("hacked").touch, ())


def test_each_line_has_a_test():
    table = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    promised = re.findall(r"^\| ([A-Z][^|]*) \|", table, re.MULTILINE)
    assert promised == list(SHOWN)
    for file, name in SHOWN.values():
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with an attack in a file of each kind, beside modules that are not named."""
    monkeypatch.chdir(tmp_path)
    for name in ("json.py", "torchsummary.py", "conftest.py", "sitecustomize.py", "llama/modeling_evil.py"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("from pathlib import Path\nPath('hacked').touch()\n", encoding="utf-8")
    Path("evil.pt").write_bytes(pickle.dumps(Attack()))
    Path("evil.pickle").write_bytes(pickle.dumps({"segments": [Attack()], "device_traces": []}))
    torch.save({"weight": Attack()}, "evil.pth")
    torch.save(nn.Linear(2, 3).state_dict(), "good.pt")
    with zipfile.ZipFile("evil.pt2", "w") as archive:
        archive.writestr("evil/models/model.json", pickle.dumps(Attack()))
    config = {"model_type": "llama", "auto_map": {"AutoModel": "modeling_evil.Model"}, "architectures": ["evil.Model"]}
    Path("llama/config.json").write_text(json.dumps(config))
    Path("net.json").write_text('{"__import__": "os"}')
    yield tmp_path
    assert not Path("hacked").exists()


LINES = [
    *("params evil.pt", "params evil.pth", "oom evil.pickle", "params evil.pt2", "params llama", "summary net.json"),
    *("params good.pt", "compare evil.pt good.pt", "check net.json", "summary alexnet", "explain good.pt"),
]


@pytest.mark.parametrize("line", LINES)
def test_nothing_but_named_code_runs(alexnet, here, line):
    assert alexnet(*line.split()).code in (0, 2, 3)


@pytest.mark.parametrize("line", ["params evil.pt", "params evil.pth", "oom evil.pickle"])
def test_pickles_are_refused_by_the_name_of_what_they_hold(alexnet, here, line):
    answer = alexnet(*line.split())
    assert answer.code == 3
    assert "contains Python objects" in answer.err
    assert "never loaded" in answer.err


def test_nothing_connects_but_a_hubs_target(here, tmp_path):
    lines = [*LINES, "draw alexnet -o a.svg", "report alexnet -o a.html", "models", "schema summary", "cache info"]
    for name in ("json.py", "torchsummary.py", "sitecustomize.py"):
        Path(name).unlink()  # `python -c` imports from the current folder, as SECURITY.md says
    program = [sys.executable, "-c", WATCHED, json.dumps(lines)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "ALEXNET_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    codes, said = json.loads(done.stderr.splitlines()[-1])
    assert [each for each in said if "/sbin/ldconfig" not in each] == []  # Triton's, which CUDA builds of torch bring
    assert set(codes) <= {0, 2, 3}
    for name in ("a.svg", "a.html"):
        loads = re.findall(
            r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//[^"')\s]+""", Path(name).read_text(encoding="utf-8")
        )
        assert loads == []


def test_another_users_entry_is_ignored(alexnet, cache_folder, monkeypatch):
    from alexnet_cli.cache import folder

    assert alexnet("summary").code == 0
    [entry] = cache_folder.iterdir()
    assert folder.read(cache_folder, entry.stem) is not None
    monkeypatch.setattr(os, "geteuid", lambda: entry.stat().st_uid + 1)
    assert folder.read(cache_folder, entry.stem) is None


def test_names_reach_no_terminal_and_no_page_as_they_are(alexnet, tmp_path):
    name = "\x1b[31m\u202e<script>alert(1)</script>[/x]"
    torch.save({f"{name}.weight": torch.zeros(2, 3)}, tmp_path / "odd.pt")
    for how in ("table", "markdown", "html", "svg", "csv", "latex"):
        answer = alexnet("summary", str(tmp_path / "odd.pt"), "-f", how)
        assert answer.code == 0
        assert not {"\x1b", "\u202e"} & {*answer.out}
        assert how in ("table", "csv", "latex") or "<script>" not in answer.out
