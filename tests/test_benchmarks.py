"""What `make bench` makes of measurements: the page that it writes, and whether two rankings are the same."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import profiles
import results
import run

PAGE = """# Benchmark results

of another machine

## Watching

old watching

## By hand

written by hand

## Start-up

old start

## Remarks

old remarks
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    (tmp_path / "RESULTS.md").write_text(PAGE)
    (tmp_path / "notes.md").write_text("## Remarks\n\nnew remarks\n")
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(run, "NOTES", tmp_path / "notes.md")
    return tmp_path / "RESULTS.md"


def test_a_section_that_fails_stays_as_it_was(page, monkeypatch):
    monkeypatch.setattr(run, "table", {"watch": "new watching", "startup": None, "laws": "laws"}.get)
    assert run.main(["watch", "startup", "laws"]) == 1
    parts = results.sections(page.read_text())
    assert "of another machine" not in parts.pop("")
    assert parts == {
        "Watching": "new watching",
        "By hand": "written by hand",
        "Start-up": "old start",
        "Exact laws": "laws",
        "Remarks": "new remarks",
    }
    assert list(parts)[-1] == "Remarks"


def test_what_was_measured_until_an_interruption_is_written(page, monkeypatch):
    def table(module):
        if module == "startup":
            raise KeyboardInterrupt
        return "new watching"

    monkeypatch.setattr(run, "table", table)
    assert run.main(["watch", "startup"]) == 130
    assert results.sections(page.read_text())["Watching"] == "new watching"
    assert results.sections(page.read_text())["Start-up"] == "old start"


def test_a_section_that_takes_too_long_is_given_up(monkeypatch, capsys):
    monkeypatch.setattr(run, "LIMIT", 0.0)
    assert run.table("laws") is None
    assert "given up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"a": [9, 9, 9], "b": [5, 6, 7], "c": [1, 1, 1]}, "yes"),
        ({"a": [5, 6, 7], "b": [6, 7, 8], "c": [1, 1, 1]}, "yes, but for 1 tied pair"),  # 5.5 to 6.5, 6.5 to 7.5
        ({"a": [5, 6, 7], "b": [7, 8, 9], "c": [1, 1, 1]}, "no: a and b"),
        ({"a": [5, 6, 7], "b": [4, 4, 4], "c": [9, 9, 9]}, "no: a and c; b and c"),
    ],
    ids=["same", "tied", "apart", "two apart"],
)
def test_whether_rankings_are_the_same(second, said):
    assert profiles.compared({"a": [8, 9, 10], "b": [5, 6, 7], "c": [1, 1, 1]}, second) == said


def test_calls_of_a_module_are_added_up_by_run():
    """A model that runs one layer twice and another once: of two layers alike the first has twice the calls."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice, self.once = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.once(self.twice(self.twice(x)))

    assert set(profiles.by_torch(Twice(), torch.zeros(1, 4))) == {"twice", "once"}
    runs = [1.0, 2.0] * (profiles._RUNS + 1)
    assert profiles._by_run(runs) == [3.0] * (profiles._RUNS + 1)
