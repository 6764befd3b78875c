"""Limits and baselines: what holds, what does not, and how CI is told."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from test_compare import layer, made, reports
from test_floors import run_without_torch
from torch import nn

from alexnet_cli import inspect
from alexnet_cli.analyses.check import LIMITS, check_baseline, check_limits, check_time, sentence
from alexnet_cli.analyses.turns import TimedAgainst
from alexnet_cli.answers.check import CheckResult
from alexnet_cli.cli.ci_formats import github, junit
from alexnet_cli.cli.schema import json_schema
from alexnet_cli.quantities import read_fraction
from alexnet_cli.report import ErrorInfo, Model, UncountedOp, UnusedModule
from alexnet_cli.report_json import generator

PARAMS = 62_378_344
NET = """
from torch import nn

def Net(width=8):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 4, 3))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, alexnet):
    """A folder of a project: a network, and the report of it as a baseline."""
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    assert alexnet("summary", "net.py:Net", "-i", "3,8,8", "--json", "-o", "baseline.json").code == 0
    return tmp_path


@given(reports, st.integers(min_value=-1, max_value=1))
def test_a_limit_holds_up_to_the_value_itself(report, off):
    limits = {
        "max-params": report.totals.params + off,
        "max-macs": report.totals.macs + off,
        "max-weights": report.totals.param_bytes + off,
        "max-layers": report.totals.layers + off,
    }
    checks = check_limits(report, limits)
    assert [check.passed for check in checks] == [off >= 0] * 4
    assert {check.name: check.limit for check in checks} == limits


@given(reports)
def test_nothing_grows_against_itself(report):
    checks = check_baseline(report, report, Decimal(0))
    assert [check.name for check in checks] == [
        "baseline-params",
        "baseline-macs",
        "baseline-weights",
        "baseline-layers",
    ]
    assert all(check.passed for check in checks)


@pytest.mark.parametrize(("size", "tolerance", "passed"), [(101, "0", False), (101, "1%", True), (102, "0.01", False)])
def test_the_tolerance_is_relative(size, tolerance, passed):
    before, now = (made(layer("Linear", "fc", width)) for width in (100, size))
    checks = check_baseline(now, before, read_fraction(tolerance, "tolerance"))
    assert {check.name: check.passed for check in checks}["baseline-params"] is passed


def test_the_layers_that_changed_most_are_named_first():
    before = made(layer("Linear", "a", 10), layer("Linear", "b", 10), layer("ReLU", "c"))
    now = made(layer("Linear", "a", 11), layer("Linear", "b", 40), layer("ReLU", "c"), layer("Conv2d", "d", 20))
    params, *_, layers = check_baseline(now, before, Decimal(0))
    assert params.detail == "+51 since the baseline: b (+30), added d (+20), a (+1)"
    assert sentence(params) == f"71 parameters, more than 20; {params.detail}"
    assert layers.detail == "+1 since the baseline: added d"


def test_an_unknown_value_fails_its_check():
    report = made(layer("Linear", "fc"))
    failed = replace(report, error=ErrorInfo("forward_failed", "it failed"))
    limits = {limit.name: 10**6 for limit in LIMITS}
    for unknown in (failed, made(layer("Linear", "fc"), run=None)):
        passed = {check.name: (check.value is not None, check.passed) for check in check_limits(unknown, limits)}
        assert {name for name, states in passed.items() if states == (True, True)} == {"max-params", "max-weights"}
        assert set(passed.values()) == {(True, True), (False, False)}
    now = check_baseline(failed, report, Decimal(0))
    assert [check.passed for check in now] == [True, False, True, False]
    assert "unknown" in sentence(now[1])
    assert [check.name for check in check_baseline(report, made(*report.layers, run=None), Decimal(0))] == [
        "baseline-params",
        "baseline-weights",
    ]


@pytest.mark.parametrize(
    ("interval", "passed", "said"),
    [
        ((0.9, 1.0, 1.1), True, "1.000 times the baseline's time, within 1.200; 95 % interval 0.900 to 1.100"),
        ((1.1, 1.3, 1.5), True, "1.300 times the baseline's time, not surely more than 1.200"),
        (
            (1.0, 1.1, 1.3),
            True,
            "within 1.200; 95 % interval 1.000 to 1.300, from 7 rounds in turns; it holds the limit",
        ),
        ((1.21, 1.3, 1.4), False, "1.300 times the baseline's time, more than 1.200"),
    ],
)
def test_noise_fails_no_limit_on_a_time(interval, passed, said):
    low, ratio, high = interval
    check = check_time(TimedAgainst(1.0, 7, ratio, low, high, differs=True), 1.2)
    assert (check.passed, check.value, check.limit) == (passed, ratio, 1.2)
    assert said in sentence(check)


def test_a_time_that_was_not_measured_does_not_hold():
    check = check_time(None, 1.2)
    assert (check.passed, check.value) == (False, None)
    assert sentence(check) == "times the baseline's time unknown, because the model was not run to its end"


def test_flags_name_what_they_found():
    report = made(layer("Linear", "fc"))
    totals = replace(
        report.totals,
        uncounted_ops=(UncountedOp("cdist", 2, ("head",)),),
        unused_modules=(UnusedModule("old", 5), UnusedModule("older", 0)),
    )
    uncounted, unused = check_limits(replace(report, totals=totals), {"no-uncounted": 0, "no-unused": 0})
    assert (uncounted.passed, unused.passed) == (False, False)
    assert sentence(uncounted) == "1 uncounted operator; cdist in head"
    assert sentence(unused) == "2 unused modules; old, older"


# What CI reads


def result(name: str, *, passed: bool, detail: str = "") -> CheckResult:
    check = replace(check_limits(made(), {"max-params": 0})[0], passed=passed, detail=detail, limit=1, value=2)
    return CheckResult(
        generator=generator(), command="check", model=Model(name, "Net", ""), passed=passed, checks=(check,)
    )


def test_annotations_escape_what_would_end_them():
    text = github(result("a:b,c%d\r\n::error::e", passed=False, detail="100% of\r\na: b, c"))
    assert text == (
        "::error title=max-params of a%3Ab%2Cc%25d%0D%0A%3A%3Aerror%3A%3Ae::"
        "2 parameters, more than 1; 100%25 of%0D%0Aa: b, c\n"
    )
    assert github(result("net", passed=True)).startswith("::notice title=net::1 of 1 checks hold")


@given(st.text())
def test_an_annotation_is_one_line(name):
    text = github(result(name, passed=False, detail=name))
    assert text.count("\n") == 1
    assert "\r" not in text
    assert text.startswith("::error title=")


@given(st.text(alphabet=st.characters(), max_size=30))
def test_junit_parses_whatever_the_names(name):
    text = junit(result(name, passed=False, detail=f'{name}<>&"'))
    suite = ET.fromstring(text)
    assert (suite.tag, suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("testsuite", "1", "1", "0")
    assert suite.find("testcase").get("name") == "max-params"
    assert suite.find("testcase/failure").get("type") == "limit"


def test_junit_tells_a_failed_forward_apart(alexnet):
    answer = alexnet("check", "-i", "3,224,224", "--max-params", "65M", "--max-macs", "2G", "-f", "junit")
    assert answer.code == 4
    suite = ET.fromstring(answer.out)
    assert [(case.get("name"), [child.tag for child in case]) for case in suite] == [
        ("max-params", []),
        ("max-macs", ["failure"]),
        ("forward", ["error"]),
    ]


# The command


def test_limits_that_hold_exit_0(alexnet):
    answer = alexnet("check", "--max-params", str(PARAMS), "--max-macs", "1.2G", "--max-weights", "238MiB")
    assert (answer.code, answer.err) == (0, "")
    assert "all 3 hold" in answer.out


def test_each_failed_limit_has_a_line_on_stderr(alexnet):
    answer = alexnet("check", "--max-params", "60M", "--max-macs", "2G", "--max-layers", "18", "--no-unused", "--json")
    assert answer.code == 1
    assert answer.json["passed"] is False
    assert answer.json["error"] is None
    assert {check["name"]: check["passed"] for check in answer.json["checks"]} == {
        "max-params": False,
        "max-macs": True,
        "max-layers": False,
        "no-unused": True,
    }
    lines = answer.err.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["max-params", "max-layers"]
    assert "most in architecture.14 (37,752,832)" in lines[0]


def test_the_json_is_as_its_schema_says(alexnet):
    schema = alexnet("schema", "check").json
    for limit in ("65M", "6M"):
        answer = alexnet("check", "--max-params", limit, "--json")
        jsonschema.validate(answer.json, schema)
        assert list(answer.json)[6:] == ["passed", "checks"]
        assert list(answer.json["checks"][0]) == ["name", "limit", "value", "passed", "unit", "detail"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "no limit was given"),
        (["--max-params", "65Q"], 2, "invalid number '65Q'"),
        (["--max-weights", "240M"], 2, "write it as 240MiB"),
        (["--tolerance", "0.1", "--max-params", "65M"], 2, "--tolerance goes with --baseline"),
        (["--baseline", "b.json", "--tolerance", "some"], 2, "invalid fraction 'some'"),
        (["--baseline", "missing.json"], 3, "cannot read missing.json"),
        (["--max-time-ratio", "1.1", "--max-params", "65M"], 2, "needs a model as the --baseline"),
        (["--max-time-ratio", "1.1", "--baseline", "baseline.json"], 2, "as in --baseline before.py:Net"),
        (["--max-time-ratio", "0", "--baseline", "net.py:Net"], 2, "is no ratio"),
        (["--max-time-ratio", "much", "--baseline", "net.py:Net"], 2, "invalid fraction 'much'"),
        (["--max-time-ratio", "1.1", "--baseline", "net.py:Net", "--seconds", "0"], 2, "is no time"),
        (["baseline.json", "--max-time-ratio", "1.1", "--baseline", "net.py:Net"], 2, "needs a model to run"),
        (["--baseline", "alexnet", "-i", "3,8,8"], 3, "alexnet cannot be a baseline: its model failed"),
        (["--max-params", "65M", "--format", "github", "--json"], 2, "exclude each other"),
        (["--max-params", "65M", "--format", "teamcity"], 2, "github, junit"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_errors_have_a_code_and_say_what_to_do(alexnet, arguments, code, said):
    answer = alexnet("check", *arguments)
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_usage_errors_and_saved_reports_need_no_torch(folder):
    assert run_without_torch("check", "--max-params", "65Q").returncode == 2
    done = run_without_torch("check", "baseline.json", "--baseline", "baseline.json")
    assert done.returncode == 0, done.stderr


def test_a_baseline_whose_model_failed_is_refused(alexnet, tmp_path):
    path = tmp_path / "failed.json"
    assert alexnet("summary", "-i", "3,224,224", "--json", "-o", str(path)).code == 4
    answer = alexnet("check", "--baseline", str(path))
    assert answer.code == 3
    assert "cannot be a baseline" in answer.err


def test_a_note_says_that_the_baseline_had_another_input(alexnet, folder):
    answer = alexnet("check", "net.py:Net", "-i", "3,16,16", "--baseline", "baseline.json")
    assert answer.code == 1
    assert "another input" in answer.err


@pytest.mark.parametrize("name", ["table", "csv", "markdown", "latex", "html", "svg"])
def test_every_format_shows_the_check(alexnet, name):
    answer = alexnet("check", "--max-params", "60M", "-f", name)
    assert answer.code == 1
    assert "max-params" in answer.out.replace("{}", "")


SLOWER = """
from torch import nn

class Net(nn.Module):
    def __init__(self, times=1):
        super().__init__()
        self.times, self.layer = times, nn.Linear(256, 256)

    def forward(self, x):
        for _ in range(self.times):
            x = self.layer(x)
        return x

def Often():
    return Net(40)
"""


@pytest.fixture
def slower(tmp_path, monkeypatch):
    """A module that runs one layer once, and one that runs it forty times."""
    (tmp_path / "slower.py").write_text(SLOWER)
    monkeypatch.chdir(tmp_path)
    return ("-i", "64,256", "--seconds", "0.3", "--max-time-ratio")


def test_a_time_is_limited_by_that_of_a_baseline_in_the_same_run(alexnet, slower):
    """Forty times the work takes more than twice the time, and a fortieth of the work less than ten times."""
    schema = json_schema("check")
    failed = alexnet(
        "check", "slower.py:Often", "--baseline", "slower.py:Net", "--tolerance", "100", *slower, "2", "--json"
    )
    assert failed.code == 1, failed.err
    assert failed.json["checks"][-1]["name"] == "max-time-ratio"
    assert failed.json["checks"][-1]["value"] > failed.json["checks"][-1]["limit"] == 2
    assert "times the baseline's time, more than 2.000; 95 % interval" in failed.err
    held = alexnet("check", "slower.py:Net", "--baseline", "slower.py:Often", *slower, "1000%", "--json")
    assert held.code == 0, held.err
    assert held.json["checks"][-1]["value"] < 10
    for answer in (failed, held):
        jsonschema.validate(answer.json, schema)


def test_a_live_module_is_a_baseline(slower):
    once, often = (nn.Sequential(*[nn.Linear(64, 64)] * times) for times in (1, 40))
    looks = [inspect(model, torch.zeros(64, 64)) for model in (once, often)]
    found = looks[0].check(baseline=looks[1], max_time_ratio=10, seconds=0.3)
    assert found.passed
    assert found.checks[-1].name == "max-time-ratio"


# pyproject.toml


@pytest.fixture
def settings(folder):
    if sys.version_info < (3, 11):
        pytest.importorskip("tomli")

    def write(*lines: str, section: str = "[tool.alexnet.check]") -> None:
        (folder / "pyproject.toml").write_text("\n".join([section, *lines]))

    return write


def test_limits_stand_in_pyproject_and_options_win(alexnet, settings):
    settings('max-params = "1k"', "max-layers = 2", "no-unused = true", 'baseline = "baseline.json"')
    target = ("check", "net.py:Net", "-i", "3,8,8", "--json")
    answer = alexnet(*target)
    assert answer.code == 1
    names = [check["name"] for check in answer.json["checks"]]
    assert names[:3] == ["max-params", "max-layers", "no-unused"]
    assert {name.partition("-")[0] for name in names[3:]} == {"baseline"}
    answer = alexnet(*target, "--max-layers", "3", "--allow-unused")
    assert answer.code == 0
    assert "no-unused" not in {check["name"] for check in answer.json["checks"]}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("max-param = 5", "did you mean max-params"),
        ("colour = 5", "known: max-params"),
        ("max-params = true", "invalid number True"),
        ("max-params = 6.5", "invalid number 6.5"),
        ('max-params = "many"', "invalid number 'many'"),
        ("max-time-ratio = 1.1", "needs a model as the --baseline"),
        ('no-unused = "yes"', "no-unused must be true or false"),
        ("baseline = 3", "invalid baseline 3"),
        ('baseline = "baseline.json"\ntolerance = true', "invalid fraction 'True'"),
        ("max-params = ", "cannot parse"),
    ],
)
def test_invalid_settings_are_refused(alexnet, settings, line, said):
    settings(line)
    answer = alexnet("check", "baseline.json")
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_other_peoples_settings_are_left_alone(alexnet, settings, folder):
    settings("this is no toml", section="[tool.other]")
    assert alexnet("check", "baseline.json", "--max-params", "1M").code == 0
    settings('check = "all"', section="[tool.alexnet]")
    assert "is not a table" in alexnet("check", "baseline.json", "--max-params", "1M").err
    (folder / "pyproject.toml").unlink()
    (folder / "pyproject.toml").mkdir()
    assert "cannot read pyproject.toml" in alexnet("check", "baseline.json", "--max-params", "1M").err


def test_without_a_toml_reader_it_says_so(alexnet, settings, monkeypatch):
    settings("max-params = 5")
    monkeypatch.setattr("alexnet_cli.cli.pyproject.find_spec", lambda name: None)
    answer = alexnet("check", "baseline.json")
    assert answer.code == 2
    assert "pip install tomli" in answer.err


# A CI job

SCRIPT = """
set -uo pipefail
alexnet() { "$PYTHON" -m alexnet_cli "$@"; }
check() { alexnet check net.py:Net -i 3,8,8 "$@" >>checks.txt 2>>errors.txt; echo "$?"; }

check --max-params 1k --baseline baseline.json
sed -i 's/width=8/width=9/' net.py
check --max-params 1k --baseline baseline.json
check --max-params 1k --baseline baseline.json --tolerance 20%
check --max-params lots
check --baseline last-year.json
"""


def test_a_ci_script_passes_and_fails_as_it_should(folder):
    done = subprocess.run(
        ["bash", "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.stdout.split() == ["0", "1", "0", "2", "3"], done.stderr
    errors = (folder / "errors.txt").read_text()
    # one more channel: 3·3·3 weights and a bias before it, 4·3·3 weights behind it
    more = [4 * 3 * 3, 3 * 3 * 3 + 1]
    assert f"+{sum(more)} since the baseline: 2 (+{more[0]}), 0 (+{more[1]})" in errors
    assert "Traceback" not in errors
