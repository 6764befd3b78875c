"""Each line of the user's source: what it made, held to a truth written behind it, and sums that are the report's."""

from __future__ import annotations

import ast
import json
import linecache
import re
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import torch
from annotated import models
from helpers import trace_target
from torch import nn

import alexnet_cli
from alexnet_cli.analyses.annotate import annotate
from alexnet_cli.analyses.cost import Roof, cost
from alexnet_cli.analyses.hardware import find_hardware
from alexnet_cli.analyses.memory import memory
from alexnet_cli.analyses.source_lines import commented, uncommented
from alexnet_cli.cli.schema import json_schema
from alexnet_cli.tape import Tape
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.options import TrainingStep
from alexnet_cli.units import shapes

FILE = Path(models.__file__)
FILES = [str(FILE), str(FILE.with_name("elsewhere.py"))]
NAMES = [name for name, each in vars(models).items() if hasattr(each, "takes") and name not in ("Base", "Failing")]
ROOF = Roof(find_hardware("h100-sxm", ""))
TRUTH = re.compile(r"# -> (?P<shapes>.*?)(?: x(?P<runs>\d+))?(?P<sum> sum)?$")


def traced(name: str, **options):
    inputs = (InputSpec(getattr(models, name).takes),)
    return trace_target(f"{FILE}:{name}", inputs=inputs, source=(), **options)


@cache
def reports(name: str):
    """Return the forward of a model, and a training step if it has anything to train."""
    trains = any(True for _ in getattr(models, name)().parameters())
    return traced(name), traced(name, mode="train", step=TrainingStep("none")) if trains else None


def truth(path: str) -> dict[int, tuple[str, int, bool]]:
    """Read what stands behind the lines: the shapes, how often they run, and whether they lead to others."""
    found = {}
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        said = TRUTH.search(line)
        if said is not None:
            found[number] = said["shapes"], int(said["runs"] or 1), bool(said["sum"])
    return found


def seen(line) -> tuple[str, int, bool]:
    return "; ".join(shapes(each, "x") for each in line.shapes), line.runs, line.below is not None


def functions_of(path: str, firsts: set[int]) -> set[int]:
    """Return the lines of the functions that begin at these lines."""
    nodes = [node for node in ast.walk(ast.parse(Path(path).read_text())) if isinstance(node, ast.FunctionDef)]
    begin = {min([node.lineno, *(each.lineno for each in node.decorator_list)]): node for node in nodes}
    return {line for first in firsts & set(begin) for line in range(first, begin[first].end_lineno + 1)}


@pytest.mark.parametrize("name", NAMES)
def test_each_line_makes_what_is_written_behind_it(name):
    files = {file.path: file for file in annotate(*reports(name)).files}
    assert files
    assert set(files) <= set(FILES)
    for path, file in files.items():
        expected, found = truth(path), {line.line: seen(line) for line in file.lines if line.runs}
        assert found == {line: expected.get(line) for line in found}
        ran = functions_of(path, {line.first for line in file.lines})
        assert {line for line in expected if line in ran} <= set(found)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_the_lines_own_adds_up_to_the_reports_totals(name):
    report, step = reports(name)
    found = annotate(report, step, ROOF)
    own = [line.own for file in found.files for line in file.lines]
    assert sum(row.macs or 0 for row in report.layers) == found.totals.macs
    assert sum(work.macs or 0 for work in own) + found.outside.macs == found.totals.macs == report.totals.macs
    seconds = sum(work.seconds for work in own) + found.outside.seconds
    assert seconds == pytest.approx(found.totals.seconds) == pytest.approx(cost(report, ROOF).totals.seconds)
    if step is not None:
        saved = sum(work.saved_bytes for work in own) + found.outside.saved_bytes
        held = memory(report, step).training
        assert saved == found.totals.saved_bytes == held.saved_activation_bytes


@pytest.mark.parametrize("name", ["Loop", "Elsewhere", "Super", "InSequential", "LoopInLoop"])
def test_the_lines_of_forward_hold_the_whole_work_with_what_is_below(name):
    found = annotate(*reports(name), ROOF)
    lines = [line for file in found.files for line in file.lines if line.function == f"{name}.forward"]
    whole = [line.own if line.below is None else line.own + line.below for line in lines]
    assert sum(work.macs or 0 for work in whole) == found.totals.macs - found.outside.macs
    assert sum(work.seconds for work in whole) == pytest.approx(found.totals.seconds - found.outside.seconds)


def test_the_file_of_forward_comes_before_those_that_it_calls():
    assert [file.path for file in annotate(*reports("Elsewhere")).files] == FILES


@pytest.mark.parametrize("name", ["Loop", "Recurrent", "Checkpointed"])
def test_to_note_the_lines_changes_nothing_else_of_a_trace(name):
    inputs = (InputSpec(getattr(models, name).takes),)
    plain = trace_target(f"{FILE}:{name}", inputs=inputs)
    noted = reports(name)[0]
    assert noted.layers == plain.layers
    assert noted.totals == plain.totals
    assert [each.died for each in noted.tape.storages] == [each.died for each in plain.tape.storages]
    assert [(it.op, it.reads, it.makes) for it in noted.tape.operations] == [
        (it.op, it.reads, it.makes) for it in plain.tape.operations
    ]
    assert plain.tape.source is Tape.__struct_defaults__[-1]


def test_what_failed_is_marked_with_the_lines_that_led_there(alexnet):
    done = alexnet("annotate", f"{FILE}:Failing", "-i", "3,8,8", "--json")
    assert done.code == 4
    [file] = done.json["files"]
    expected = truth(str(FILE))
    said = {line["line"]: line for line in file["lines"]}
    marked = {number: line["failed"] for number, line in said.items() if "failed" in line}
    source = FILE.read_text().splitlines()
    assert {source[number - 1].strip(): how for number, how in marked.items()} == {
        "return self.fc(x)": "here",
        "return self.head(x)": "below",
    }
    assert {number for number in said if number not in marked} == {n for n in expected if n > min(said) - 5}
    shown = alexnet("annotate", f"{FILE}:Failing", "-i", "3,8,8")
    assert re.search(r"✗ \d+ +return self.fc\(x\)", shown.out)


def test_the_json_is_as_the_schema_says(alexnet):
    done = alexnet("annotate", f"{FILE}:Loop", "-i", "4,8,8", "--gpu", "h100-sxm", "--json")
    assert done.code == 0, done.err
    jsonschema.validate(done.json, json_schema("annotate"))
    assert done.json["totals"]["seconds"] > 0


def test_a_module_in_memory_is_annotated():
    shown = alexnet_cli.inspect(models.Loop(), torch.empty(1, 4, 8, 8)).annotate()
    assert [file.path for file in shown.files] == [str(FILE)]
    assert "x = block(x)" in str(shown)


@pytest.mark.parametrize("name", ["table", "html", "markdown", "csv", "latex", "svg"])
def test_every_format_shows_the_source(alexnet, name):
    done = alexnet("annotate", f"{FILE}:Functional", "-i", "3,8,8", "-f", name)
    assert done.code == 0, done.err
    assert "log" in done.out
    assert "softmax" in done.out


def test_names_and_source_are_escaped(alexnet, tmp_path):
    file = tmp_path / "evil.py"
    file.write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n    def forward(self, x):\n"
        "        return x + 1  # <script>alert(1)</script> [/x] \x1b[31m\n"
    )
    page = alexnet("annotate", f"{file}:Net", "-i", "3", "-f", "html").out
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    shown = alexnet("annotate", f"{file}:Net", "-i", "3").out
    assert "[/x]" in shown
    assert "\x1b" not in shown


def test_a_built_in_model_and_one_of_torchs_own(alexnet):
    done = alexnet("annotate", "alexnet", "--json")
    [file] = done.json["files"]
    assert file["path"].endswith("alexnet.py")
    assert sum(line["own"]["macs"] for line in file["lines"]) == 1_135_256_096
    shown = alexnet_cli.inspect(nn.Sequential(nn.Linear(3, 2)), torch.empty(1, 3)).annotate()
    assert "no line of your own source ran" in str(shown)
    named = alexnet("annotate", f"{FILE}:InSequential", "-i", "4", "--source", "torch.nn.modules.container", "--json")
    assert [Path(file["path"]).name for file in named.json["files"]] == ["models.py", "container.py"]


def test_a_model_of_a_notebooks_cell_is_annotated():
    text = "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x + 1\n"
    name = "/tmp/ipykernel_0/1234.py"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    namespace = {"__name__": "cell"}
    exec(compile(text, name, "exec"), namespace)
    look = alexnet_cli.inspect(namespace["Net"](), torch.empty(1, 3))
    assert "return x + 1" in str(look.annotate())


def test_what_is_kept_without_lines_is_no_answer_for_annotate(alexnet):
    assert alexnet("summary", "alexnet").code == 0
    first, second = (alexnet("annotate", "alexnet") for _ in range(2))
    assert first.code == second.code == 0
    assert first.out == second.out


# ── saved reports ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_saved_report_knows_its_lines_and_whether_the_source_changed(alexnet, tmp_path):
    file, saved = tmp_path / "net.py", tmp_path / "seen.json"
    file.write_text("from torch import nn\n\nclass Net(nn.Module):\n    def forward(self, x):\n        return x + 1\n")
    alexnet("summary", f"{file}:Net", "-i", "3", "--lines", "-o", str(saved))
    assert json.loads(saved.read_text())["tape"]["source"]["files"][0]["path"] == str(file)
    assert "return x + 1" in alexnet("annotate", str(saved)).out
    file.write_text(file.read_text().replace("x + 1", "x + 2"))
    changed = alexnet("annotate", str(saved))
    assert changed.code == 0
    assert "is not as it was when it ran" in changed.out
    assert "return" not in changed.out
    refused = alexnet("annotate", str(saved), "--comments")
    assert refused.code == 2
    without = tmp_path / "without.json"
    alexnet("summary", f"{file}:Net", "-i", "3", "-o", str(without))
    refused = alexnet("annotate", str(without))
    assert refused.code == 2
    assert "--lines" in refused.err


# ── comments ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ODD = '''\
from torch import nn\r
\r
class Net(nn.Module):\r
    def forward(self, x):\r
        """Doc\r
        # alexnet: no comment\r
        """\r
        x = x + \\\r
            1\r
        y = x * 2   # höre \r
        return """
            """ and y.relu()'''


@pytest.fixture
def odd(tmp_path):
    file = tmp_path / "odd.py"
    file.write_bytes(b"# -*- coding: latin-1 -*-\r\n" + ODD.encode("latin-1"))
    return file


def test_comments_are_written_replaced_and_taken_out_again(alexnet, odd):
    before = odd.read_bytes()
    target = f"{odd}:Net"
    copy = alexnet("annotate", target, "-i", "3", "--comments")
    assert odd.read_bytes() == before
    assert "# alexnet: 1x3" in copy.out
    alexnet("annotate", target, "-i", "3", "--comments", "--in-place")
    first = odd.read_bytes()
    compile(first, "odd.py", "exec")
    assert first.count(b"  # alexnet: ") == 4  # one of them is in the docstring, and stays there
    assert b"1\r\n" not in first
    assert b"  # alexnet: line 9: 1x3\r\n" in first
    alexnet("annotate", target, "-i", "5", "--comments", "--in-place")
    assert odd.read_bytes() == first.replace(b"1x3", b"1x5")
    alexnet("annotate", target, "--in-place", "--remove")
    assert odd.read_bytes() == before


def test_comments_are_taken_out_of_a_model_that_no_longer_runs(alexnet, tmp_path):
    file = tmp_path / "net.py"
    file.write_text("import nowhere_to_be_found\nx = 1  # alexnet: 1x3\n")
    assert alexnet("annotate", f"{file}:Net", "--in-place", "--remove").code == 0
    assert file.read_text() == "import nowhere_to_be_found\nx = 1\n"


def test_installed_files_are_not_written(alexnet):
    done = alexnet("annotate", "alexnet", "--comments", "--in-place")
    assert done.code == 2
    assert "is not yours" in done.err


@pytest.mark.parametrize(
    "options",
    [
        ["--in-place"],
        ["--remove"],
        ["--file", "x.py"],
        ["--comments", "--json"],
        ["--comments", "--in-place", "-o", "x.py"],
        ["--comments", "--file", "nowhere.py"],
        ["--gpu", "no-such"],
    ],
)
def test_options_that_do_not_go_together(alexnet, options):
    assert alexnet("annotate", "alexnet", *options).code == 2


def test_a_source_without_comments_is_unchanged():
    for path in FILES:
        text = Path(path).read_text()
        assert uncommented(text) == text
        assert uncommented(commented(text, dict.fromkeys(range(1, text.count("\n") + 1), "said"))) == text
