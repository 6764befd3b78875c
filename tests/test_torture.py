"""A slice of `make torture`, and what shows that it can find something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("gguf")
pytest.importorskip("onnxscript")
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SIZES = {"lines": 20, "files": 22, "modules": 2, "faults": 5}


@pytest.fixture(scope="module")
def torture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torture")

    def run() -> tuple[subprocess.CompletedProcess[str], list[dict], str]:
        sizes = [word for part, size in SIZES.items() for word in (f"--{part}", str(size))]
        command = [sys.executable, "-m", "torture", *sizes, "--kept", "kept.jsonl", "--page", "page.md"]
        paths = os.pathsep.join((str(BENCHMARKS), os.environ.get("PYTHONPATH", "")))
        environment = {**os.environ, "PYTHONPATH": paths}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        kept = [json.loads(line) for line in (folder / "kept.jsonl").read_text().splitlines()]
        return done, kept, (folder / "page.md").read_text()

    return run


@pytest.mark.skipif(
    torch.__version__ < "2.10",  # compares as versions, not as text
    reason="torch 2.6 cannot export the material to ONNX, and 2.9 writes files of its own, which are disturbed too",
)
def test_a_slice_finds_nothing_and_goes_on_where_it_was(torture):
    done, cases, page = torture()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert {(case["part"], case["number"]) for case in cases} == {
        (part, number) for part, size in SIZES.items() for number in range(size)
    }
    assert "20 of 20,000 command lines" in page
    assert "**0 defects**" in page
    again, same, same_page = torture()
    assert (again.stdout, same, same_page) == ("", cases, page)


@pytest.fixture
def judging(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from torture import judging

    return judging


def test_what_is_wrong_is_found(judging):
    def defect(code, out=b"", err="error: so", words=("summary",)):
        return judging.Ran(tuple(words), code, out, err).defect

    assert defect(2) is None
    assert "exit 70" in defect(70)
    assert "traceback" in defect(3, err="Traceback (most recent call last):\n")
    assert defect(3, err="Traceback (most recent call last):\n", words=["summary", "--traceback"]) is None
    assert "without a message" in defect(3, err="")
    assert "no JSON" in defect(0, out=b"{", words=["summary", "--json"])


def test_ends_have_one_order(judging):
    from torture import page

    order = page._numbers_first
    assert sorted(["hang", "2", "-2", "0"], key=order) == sorted(["-2", "0", "2", "hang"], key=order)


def test_an_endless_run_is_ended(judging):
    def work():
        while True:
            pass

    with judging.limited(0.2) as hung, pytest.raises(judging.Hang):
        work()
    assert hung == ["hang beyond 0.2 s"]


def test_parsers_refuse_what_got_through(judging):
    from torture import parsers

    assert parsers.csv('a,b\n"x"\n').startswith("rows of")
    assert "a formula" in parsers.csv("a\n=1+1\n")
    assert "html_inline" in parsers.markdown("| a |\n|---|\n| <b>x |\n")
    assert "controls" in parsers.terminal("a\x1b[31mb")
    if parsers.RUN["svg"]:
        assert "script" in parsers.svg("<svg><script/></svg>")
    if parsers.RUN["html"]:
        assert "blink" in parsers.html("<div><blink>x</blink></div>")
