"""Every hint that names a command or an option works when followed: the error is provoked, the hint obeyed."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest
from test_docs import ROOT

from alexnet_cli.cli.commands import COMMANDS

NETS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.linear = nn.Linear(width * 36, 10)

    def forward(self, x):
        return self.linear(self.conv(x).flatten(1))


class OneNumber(Net):
    def forward(self, x):
        return super().forward(x).mean(1)


class Needs(Net):
    def __init__(self, width):
        super().__init__(width)


class OnlyOnMeta(Net):
    def forward(self, x):
        if x.device.type != "meta":
            raise RuntimeError("not here")
        return super().forward(x)


def frozen():
    return Net().requires_grad_(False)


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(x)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(9, 4)

    def forward(self, ids):
        return self.table(ids)


class Strange(nn.Module):
    def forward(self, first, second):
        if first.shape[-2:] != (7, 3) or second.shape[-2:] != (3, 7) or first.dtype != torch.float32:
            raise ValueError("neither")
        return first @ second


class Given(nn.Module):
    def forward(self, x, steps):
        return x * len(steps)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.conv(x) + self.conv(x * 2)


class Huge(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(10**8, 10**8)

    def forward(self, x):
        return self.linear(x)


class Broad(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, x):
        return self.linear(x).expand(10**8, 10**8).clone()


class Views(nn.Module):
    def forward(self, x):
        return x.view(-1)


class Keeps(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(9, 4)

    def forward(self, ids, past=None):
        seen = self.table(ids)
        past = seen if past is None else torch.cat([past, seen], 1)
        return {"sum": past.sum(1), "past": past}


class Tuples(Keeps):
    def forward(self, ids, past=None):
        return tuple(super().forward(ids, past).values())


def one_token():
    return {"ids": torch.zeros(1, 1, dtype=torch.int64), "past": torch.zeros(1, 7, 4)}


def tall():
    return nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(40)))


def make():
    return torch.zeros(7, 3), torch.zeros(3, 7)


net = Net()
"""


class Case(NamedTuple):
    """A command line that fails, the part of its hint that is followed, and how.

    The part comes after `then`, or is a whole command; `fill` completes it: a value, or nothing where it is left out.
    """

    fails: str
    part: str
    then: str = ""
    fill: Mapping[str, str] = MappingProxyType({})


SHAPES = {"first=SHAPE": "first=7,3", "second=SHAPE": "second=3,7"}
CASES = [
    Case("check", "as in (--max-params 65M), --baseline", "check"),
    Case("check", "(--baseline report.json), or", "check"),
    Case("check --baseline ''", "`(alexnet summary --json -o FILE)` saved", fill={"FILE": "saved.json"}),
    Case("cost alexnet --amp bf16", "(--dtype bfloat16) runs", "cost alexnet"),
    Case("cost --gpu nothing", "give (--peak-flops and --bandwidth)", "cost", {"s and": "s 312T", "th": "th 2.0TB"}),
    Case("cost --peak-flops 312T", "as in (--peak-flops 312T --bandwidth 2.0TB)", "cost"),
    Case("cost --tf32", "with (--peak-flops) the peak is what you say", "cost --bandwidth 2.0TB", {"ops": "ops 312T"}),
    Case("cost --gpu v100 --tf32", "leave (--tf32) out", "cost --gpu v100", {"--tf32": ""}),
    Case("cost nets.py:Keeps --context 64", "as in (--context 64 --decode)", "cost nets.py:Keeps"),
    Case("cost nets.py:Keeps --decode", "as in (--context 8192 --decode)", "cost nets.py:Keeps"),
    Case(
        "cost nets.py:Tuples --context 64 --decode",
        "cache included: (--inputs file.py:NAME)",
        "cost nets.py:Tuples --decode",
        {"file.py:NAME": "nets.py:one_token"},
    ),
    Case(
        "cost nets.py:Net -i 3,8,8 --context 64 --decode",
        "for one token, cache included: (--inputs file.py:NAME)",
        "cost nets.py:Tuples --decode",
        {"file.py:NAME": "nets.py:one_token"},
    ),
    Case("cost report.json --backward", "for (--backward) give the model itself", "cost alexnet"),
    Case("profile --seconds 0", "as in (--seconds 5)", "profile", {"5": "0.1"}),
    Case(
        "compare nets.py:Net nets.py:Net -i 3,8,8 --profile --seconds 0",
        "as in (--seconds 10)",
        "compare nets.py:Net nets.py:Net -i 3,8,8 --profile",
        {"10": "0.1"},
    ),
    Case(
        "fit nets.py:OneNumber -i 3,8,8 --loss cross-entropy --gpu t4",
        "leave out (--loss)",
        "fit nets.py:OneNumber -i 3,8,8 --gpu t4",
        {"--loss": ""},
    ),
    Case("summary -o table.abc", "choose with (--format)", "summary -o table.abc", {"at": "at csv"}),
    Case("draw -o figure.abc", "choose with (--format)", "draw -o figure.abc", {"at": "at svg"}),
    Case(
        "report nets.py:OnlyOnMeta -i 3,8,8 --profile -o page.html",
        "leave out (--profile)",
        "report nets.py:OnlyOnMeta -i 3,8,8 -o page.html",
        {"--profile": ""},
    ),
    Case(
        "report nets.py:Net nets.py:Net -i 3,8,8 --profile -o page.html",
        "`alexnet compare (--profile)` measures",
        "compare nets.py:Net nets.py:Net -i 3,8,8 --seconds 1",
    ),
    Case("memory --gpu nothing", "as in (--capacity 24GiB)", "memory"),
    Case("fit --gpu nothing", "as in (--budget 24GiB)", "fit"),
    Case("fit nets.py:frozen -i 3,8,8 --budget 1GiB", "`alexnet (memory)`", ""),
    Case("fit", "as in (--budget 24GiB)", "fit"),
    Case(
        "fit nets.py:Net -i 3,8,8 --budget 24GiB --lora 0",
        "as in (--lora 16)",
        "fit nets.py:Net -i 3,8,8 --budget 24GiB",
    ),
    Case("fit --gpu t4 --emit patch.txt", "as in (--emit patch.py)", "fit --gpu t4"),
    Case("memory report.json --context 64", "(--context) needs a model", "memory nets.py:Keeps", {"xt": "xt 64"}),
    Case(
        "memory nets.py:Keeps --context 64 --optimizer adam",
        "leave out (--optimizer, --amp, --foreach and --loss)",
        "memory nets.py:Keeps --context 64",
        {"--optimizer, --amp, --foreach and --loss": ""},
    ),
    Case("annotate report.json", "`(alexnet summary --json --lines)` saved"),
    Case("annotate alexnet --comments --in-place", "(--comments -o FILE) writes", "annotate", {"FILE": "seen.py"}),
    Case("annotate alexnet --remove", "as in (--in-place --remove)", "annotate nets.py:Net"),
    Case("annotate alexnet --in-place", "(--in-place --remove) takes", "annotate nets.py:Net"),
    Case("explore", "`(alexnet summary)` prints"),
    Case("memory cut.json", "`(alexnet summary --json)` saved without --depth"),
    Case("summary --top 5", "as in (--sort params --top 5)", "summary"),
    Case("summary conf.json", "`(alexnet summary --json -o report.json)`"),
    Case("summary nets.py:Norm -i 4 --train", "(--batch-size 2) runs", "summary nets.py:Norm -i 4 --train"),
    Case("summary nets.py:Words -i 5", "as in (--input-size 16:int64)", "summary nets.py:Words"),
    Case(
        "summary nets.py:Net -i 3,8,8:float16",
        "(--dtype) sets",
        "summary nets.py:Net -i 3,8,8:float16",
        {"pe": "pe float16"},
    ),
    Case("summary nets.py:Net -i 3,9,9", "as in (--input-size [0-9,]+)", "summary nets.py:Net"),
    Case("compare alexnet nets.py:Net -i 227 -i 3,9,9", "as in (--input-size .+)", "compare alexnet nets.py:Net"),
    Case("summary nets.py:Strange", "as in (alexnet summary nets.py:Strange .+), with shapes", fill=SHAPES),
    Case(
        "summary nets.py:Strange",
        ": (alexnet summary nets.py:Strange --inputs file.py:make)",
        fill={"file.py": "nets.py"},
    ),
    Case("summary 'a folder/nets.py:Strange'", "as in (alexnet summary .+), with shapes", fill=SHAPES),
    Case(
        "summary nets.py:Strange --inputs make",
        "as in (--inputs net.py:make_inputs)",
        "summary nets.py:Strange",
        {"net.py:make_inputs": "nets.py:make"},
    ),
    Case(
        "summary nets.py:Needs -i 3,8,8",
        "pass arguments with (--arg name=value)",
        "summary nets.py:Needs -i 3,8,8",
        {"name=value": "width=4"},
    ),
    Case("summary alexnet --arg ten", "for example (--arg num_classes=10)", "summary alexnet"),
    Case(
        "summary alexnet --formulas none.py",
        "(--formulas) takes a Python file",
        "summary alexnet",
        {"las": "las formulas.py"},
    ),
    Case(
        "summary report.json --format torchsummary",
        "leave out (--format torchsummary)",
        "summary report.json",
        {"--format torchsummary": ""},
    ),
    Case(
        "summary nets.py:Given -i 4 -i steps=[1,2] --format torchsummary",
        "leave out (--format torchsummary)",
        "summary nets.py:Given -i 4 -i steps=[1,2]",
        {"--format torchsummary": ""},
    ),
    Case(
        "summary nets.py:Words -i 5:int64 --format torchsummary",
        "`(alexnet summary)` says",
        "",
        {"summary": "summary nets.py:Words -i 5:int64"},
    ),
    Case("draw nets.py:Views -i 4 --style bars", "with (--style graph)", "draw nets.py:Views -i 4"),
    Case("draw nets.py:Branches -i 3,8,8 --style blocks", "use (--style graph)", "draw nets.py:Branches -i 3,8,8"),
    Case(
        "draw -o figure.png --width 20000 --scale 20",
        "a smaller (--width) or --scale",
        "draw -o figure.png",
        {"dth": "dth 900"},
    ),
    Case(
        "draw -o figure.png --width 20000 --scale 20",
        "or (--scale), or a format",
        "draw -o figure.png",
        {"ale": "ale 1"},
    ),
    Case("draw -o figure.svg --scale 2", "see (--width)", "draw -o figure.svg", {"dth": "dth 900"}),
    Case("compare alexnet", "as in (alexnet compare alexnet alexnet)"),
    Case(
        "compare 'a folder/nets.py:net' -i 3,8,8", "as in (alexnet compare .+)", fill={"net'": "net' -i 227 -i 3,8,8"}
    ),
    Case("summary --nothing", r"see .+? (summary --help)"),  # by the name that it was called by
    Case("summary nets.py:Huge -i 1 --device cpu", "(--device meta) allocates", "summary nets.py:Huge -i 100000000"),
    Case("summary nets.py:Broad -i 1 --device cpu", "(--device meta) allocates", "summary nets.py:Broad -i 1"),
]
NOT_PROVOKED = {
    "--traceback shows where": "torch itself would have to fail where it is asked about a model",
    "--trust-remote-code runs": "it needs transformers: test_model_folders.py provokes it and follows it",
    "name the folder of the base model": "it needs peft: test_model_folders.py provokes it",
    "--traceback shows all frames": "this program itself would have to fail",
    "the sizes that it leaves open": "it needs onnx: test_onnx.py provokes it and follows it",
    "--device cuda": "following it takes a GPU: test_profile.py provokes it",
    "give it with --budget": "the memory of every card that is known by name is known",
    "give it with --capacity": "the memory of every card that is known by name is known",
}
"""Hints without a case, each with the reason."""
SHARDING = (
    ", or --micro-batches",
    "leave out --schedule",
    "--fsdp with --tp is",
    "--cp with --fsdp, --ddp, --tp and --pp is",
    "--ep with --fsdp and --ddp is",
    "--pp with --fsdp is",
    "choose a --tp that divides",
    "choose an --ep that divides",
    "choose an --fsdp that is a multiple",
    "a plan of your own can split it",
    "give a number of ranks",
    "give a number of stages",
    "give a plan with --plan",
    "give its bandwidth for each GPU with --network",
    "give it with --link",
    "give one with --plan",
    "leave out sizes, which --fit then finds",
    "name it with --gpu",
    "name their class with --wrap",
    "one layout with --cp is",
    "one layout with --ep is",
    "one layout with --pp is",
    "the sizes must multiply to --gpus",
)
"""Hints of `shard`, which older torches cannot run: sharding/test_shard_command.py provokes its errors."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hints")
    (folder / "a folder").mkdir()
    for path in (folder / "nets.py", folder / "a folder" / "nets.py"):
        path.write_text(NETS)
    (folder / "formulas.py").write_text("from alexnet_cli import macs_formula\n")
    (folder / "conf.json").write_text("{}")
    return folder


@pytest.fixture
def run(alexnet, workplace, monkeypatch):
    """Run a command line where the files are, with a report and one that was cut at a depth."""
    monkeypatch.chdir(workplace)
    for name, more in (("report.json", ()), ("cut.json", ("--depth", "1"))):
        if not Path(name).exists():
            assert alexnet("summary", "--json", "-o", name, *more).code == 0
    return lambda line: alexnet(*shlex.split(line.removeprefix("alexnet ")))


def hint_of(answer) -> str:
    lines = [line.removeprefix("hint: ") for line in answer.err.splitlines() if line.startswith("hint: ")]
    return "\n".join(lines)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fails} # {case.part}")
def test_a_hint_works_when_it_is_followed(run, case):
    failed = run(case.fails)
    assert failed.code != 0
    found = re.search(case.part, hint_of(failed))
    assert found, hint_of(failed)
    said = found[1]
    for placeholder, value in case.fill.items():
        assert placeholder in said
        said = said.replace(placeholder, value)
    followed = run(f"{case.then} {said}".strip())
    assert (followed.code, followed.err if followed.code else "") == (0, "")


OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
RAISES = re.compile(r"\w+(Error|Diagnosis|Refusal)$")


def _text(node: ast.AST) -> str | None:
    """Return a string of the source, with a star for what is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
    return None


@cache
def hints_in_the_source() -> set[str]:
    """Return the hints of errors, which are the arguments after the first, that name an option or a command."""
    found = set()
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and RAISES.match(getattr(node.func, "id", "")):
                texts = [_text(each) for given in node.args[1:] for each in ast.walk(given)]
                found |= {text for text in texts if text and (OPTION.search(text) or "`alexnet " in text)}
    return found


def test_the_hints_of_the_source_are_found():
    assert len(hints_in_the_source()) > 20


def test_every_hint_that_names_an_option_is_provoked(run):
    said = {hint_of(run(fails)) for fails in {case.fails for case in CASES}}
    for hint in hints_in_the_source():
        if any(part in hint for part in (*NOT_PROVOKED, *SHARDING)):
            continue
        pattern = re.compile(".*".join(map(re.escape, hint.split("*"))), re.DOTALL)
        assert any(pattern.search(each) for each in said), f"no case provokes {hint!r}"


def test_every_option_that_a_message_names_is_one_of_some_command(alexnet):
    known = {option for name in COMMANDS for option in OPTION.findall(alexnet(name, "--help").out)}
    known |= set(OPTION.findall(alexnet("--help").out))
    for hint in hints_in_the_source():
        assert set(OPTION.findall(hint)) <= known, hint


NOTES = [
    ("summary --width 60", r"(--width \d+) shows all", "summary", "not shown at this width"),
    ("summary alexnet-owt", "(--all-rows) shows it", "summary alexnet-owt", "hidden"),
    ("explain nets.py:tall -i 3,8,8", "(--json) lists them all", "explain nets.py:tall -i 3,8,8", "lists them all"),
]


@pytest.mark.parametrize(("line", "part", "then", "gone"), NOTES, ids=lambda value: value)
def test_a_note_that_names_an_option_is_right(run, line, part, then, gone):
    """What the note said was missing is there."""
    shown = run(line).out
    found = re.search(part, shown)
    assert found, shown
    followed = run(f"{then} {found[1]}")
    assert followed.code == 0
    assert gone not in followed.out
