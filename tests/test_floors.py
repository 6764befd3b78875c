"""Which folder may import which, and what must run without torch."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import alexnet_cli
from alexnet_cli import units

ROOT = Path(alexnet_cli.__file__).parent
BASE = {
    "report",
    "tape",
    "stored",
    "wiring",
    "snapshot",
    "users_code",
    "rank",
    "report_checks",
    "report_json",
    "older_reports",
    "document",
    "timing",
    "units",
    "interrupts",
    "quantities",
    "errors",
    "",
}
MAY_IMPORT = {
    "cache": {"cache"},
    "models": {"models"},
    "targets": {"models", "targets", "torch_insides"},
    "tracing": {"targets", "tracing", "torch_insides"},
    "torch_insides": {"torch_insides"},
    "messages": {"messages"},
    "analyses": {"analyses"},
    "views": {"analyses", "messages", "views"},
    "graphics": {"graphics"},
    "renderers": {"graphics", "renderers"},
    "drawing": {"analyses", "graphics", "renderers", "drawing"},
    "report_page": {"analyses", "messages", "views", "graphics", "renderers", "drawing", "report_page"},
    "explorer": {"analyses", "views", "graphics", "answers", "explorer"},
    "api": {"explorer", "session", "answers", "analyses", "drawing", "graphics", "renderers", "api"},
    "session": {"cache", "models", "targets", "tracing", "analyses", "session"},
    "answers": {
        *("cache", "models", "session", "analyses", "messages", "views"),
        *("graphics", "renderers", "drawing", "report_page", "answers"),
    },
    "cli": {
        *("models", "session", "analyses", "messages", "graphics", "renderers", "drawing"),
        *("answers", "explorer", "cli"),
    },
    "__main__": {"cli"},
    "__init__": {"api", "tracing"},  # what is public, by name
}
DOCUMENT_ONLY = {"document", "units", "errors"}


def floor(module: str) -> str:
    """`alexnet_cli.views.summary` is on the floor `views`, `alexnet_cli.units` is `units`."""
    return module.removeprefix("alexnet_cli").removeprefix(".").partition(".")[0]


def imports(path: Path) -> set[str]:
    """Return the floors that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found |= {floor(name) for name in names if name.split(".")[0] == "alexnet_cli"}
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward_only(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    base = DOCUMENT_ONLY | {""} if own in ("graphics", "renderers") else BASE
    assert imports(path) <= base | MAY_IMPORT.get(own, set())


WITHOUT_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('torch', 'numpy', 'torchsummary'):
            raise SystemExit('imported ' + name)
sys.meta_path.insert(0, Refuse())
from alexnet_cli.__main__ import main
sys.argv = ['alexnet', *sys.argv[1:]]
main()
"""


def run_without_torch(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory, report):
    from alexnet_cli.answers.summary import summary_result
    from alexnet_cli.report_json import to_json

    path = tmp_path_factory.mktemp("saved") / "report.json"
    path.write_text(to_json(summary_result(report)))
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["summary", "--help"], 0),
        (["params", "-h"], 0),
        (["models"], 0),
        (["schema"], 0),
        (["summary", "--no-such-option"], 2),
        (["sumary"], 2),
        (["summary", "alexnett"], 2),
        (["summary", "-i", "a,b"], 2),
        (["summary", "--device", "tpu"], 2),
        (["summary", "missing.json"], 3),
    ],
)
def test_runs_without_torch(arguments, code):
    done = run_without_torch(*arguments)
    assert done.returncode == code, done.stderr
    assert "imported" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["summary"],
        ["params", "--by-type"],
        ["params", "--by-layer", "--by-module"],
        ["summary", "--json"],
        ["summary", "--columns", "intensity,receptive_field,saved_bytes"],
        ["cost", "--gpu", "a100"],
        ["receptive-field"],
    ],
)
@pytest.mark.parametrize("name", ["table", "csv", "markdown", "latex", "html", "svg"])
def test_saved_reports_need_no_torch(saved, arguments, name):
    if "--json" in arguments:
        name = "json"
    done = run_without_torch(*arguments, saved, "--format", name)
    assert done.returncode == 0, done.stderr
    assert "Conv2d" in done.stdout or "AlexNet" in done.stdout


PEAK = units.size(4 * 62_378_344 + 4 * 3 * 227 * 227 + 4 * 96 * 55 * 55 + (4 + 8) * 96 * 27 * 27)
"""At the first pooling: weights, the image, what it reads, and its result with the places of the maxima."""


@pytest.mark.parametrize(
    ("command", "said"),
    [("memory", PEAK), ("explain", "5 convolutions"), ("draw", "conv"), ("check --max-params 63M", "yes")],
)
def test_so_do_other_commands(saved, command, said):
    name, *options = command.split()
    done = run_without_torch(name, saved, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


def test_a_saved_report_is_explored_without_torch(saved):
    explored = f"""
import sys
from alexnet_cli.answers.explore import explore
from alexnet_cli.explorer.app import Explorer
from alexnet_cli.graphics.text import Style
from alexnet_cli.session.session import Named, Session
from alexnet_cli.views.explore import entry_facts
exploration = explore(Session(Named({saved!r})))
Explorer(exploration, Style())
print(len(entry_facts(exploration.explored, 2)), {{"torch", "numpy"}} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", explored], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "7 set()\n")


@pytest.mark.parametrize(
    ("words", "known"),
    [("summary --device ", ["meta", "cpu", "cuda", "mps", "xpu"]), ("check --format j", ["json", "junit"])],
)
def test_completion_needs_no_torch(words, known):
    done = run_without_torch(_ALEXNET_COMPLETE="complete_bash", COMP_WORDS=f"alexnet {words}", COMP_CWORD="3")
    assert done.stdout.split() == known


def test_the_proof_can_fail():
    done = run_without_torch("summary")
    assert done.returncode == 1
    assert "imported torch" in done.stderr


def test_a_saved_report_gives_the_same_answer(saved, alexnet):
    fresh = alexnet("summary")
    again = alexnet("summary", saved)
    assert fresh.code == again.code == 0
    assert again.out == fresh.out
    assert alexnet("summary", saved, "--json").json == json.loads(Path(saved).read_text())
