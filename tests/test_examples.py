"""Every command line in the README, the docs and the help runs."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from model_folders import save_adapter, save_distributed, save_llama, save_pipeline
from older_torch import skip_without_collectives, skip_without_pipelines
from onnx_models import ANY_LENGTH, BATCH, Tokens, export
from test_docs import ROOT, refresh

from alexnet_cli.cli.commands import COMMANDS, command_module
from alexnet_cli.explorer.app import Explorer
from alexnet_cli.tracing import calibrate

COMMENT = re.compile(r"\s+#\s.*")
SPAN = re.compile(r"`(alexnet [a-z-]+ [^`]*)`")
ENDS_WITH = {
    "check --max-params 60M": 1,
    "summary -i 3,224,224": 4,
    "alexnet watch": 130,
}
"""Command lines that do not end well, each with its exit code; `watch` ends by Ctrl-C."""
NOT_RUN = {
    "alexnet --install-completion": "it changes the user's shell",
}


def lines_of(text: str) -> set[str]:
    """Return the command lines of a page: in blocks, and in the text between backticks."""
    blocks = re.findall(r"^(?:\$ | {4})(alexnet .*)", text, re.MULTILINE)
    return {COMMENT.sub("", line) for line in blocks} | set(SPAN.findall(text))


def lines_of_help() -> set[str]:
    """Return the examples in the commands' help; what each does follows after two spaces."""
    epilogs = [getattr(command_module(name), "EPILOG", "") for name in COMMANDS]
    lines = (line.strip() for epilog in epilogs for line in epilog.splitlines())
    return {re.split(r" {2,}", line)[0] for line in lines if line.startswith("alexnet ")}


TEXTS = {path.name: path.read_text(encoding="utf-8") for path in refresh.PAGES}
PAGES = {name: lines_of(text) for name, text in TEXTS.items()}
SHOWN = {f"alexnet{arguments}" for text in TEXTS.values() for arguments in refresh.shown(text)}
"""Command lines whose output stands on a page: `test_docs` runs them."""
LINES = sorted({line for lines in (*PAGES.values(), lines_of_help()) for line in lines} - NOT_RUN.keys() - SHOWN)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    """A folder with the files that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("lenet.py", "networks.py", "decoder.py", "snapshot.pickle"):
        shutil.copy(ROOT / "docs" / name, folder)
    (folder / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self, width=16):\n        super().__init__()\n"
        "        self.body = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.MaxPool2d(2))\n"
        "        self.head = nn.Linear(width, 10)\n\n"
        "    def forward(self, x):\n        return self.head(self.body(x).mean((2, 3)))\n"
    )
    for beside in ("main", "../main"):  # an older state of the same file
        (folder / beside).mkdir(exist_ok=True)
        shutil.copy(folder / "net.py", folder / beside)
    (folder / "mine.py").write_text(
        "from alexnet_cli import macs_formula\n\n\n@macs_formula('relu')\ndef relu(x, **_):\n    return x.numel()\n"
    )
    (folder / "pyproject.toml").write_text('[tool.alexnet.check]\nmax-params = "65M"\n')
    here = Path.cwd()
    os.chdir(folder)
    try:
        from alexnet_cli import inspect
        from alexnet_cli.targets.python_code import python_subject
        from alexnet_cli.targets.subject import Asked

        subject = python_subject(Asked("net.py:Net"))
        with subject.within():
            net = subject.load().module.eval()
        state = net.state_dict()
        from safetensors.torch import save_file

        torch.save(state, "net.pt")
        save_file(state, "model.safetensors")
        save_distributed({"model": state}, Path("step-1000"))
        if find_spec("gguf") is not None:
            from test_gguf import write

            write(Path("model-Q4_K_M.gguf"))
        if find_spec("onnxscript") is not None:
            export(net, (torch.zeros(2, 3, 32, 32),), Path("net.onnx"), dynamic_shapes=BATCH)
            export(Tokens().eval(), (torch.zeros(2, 7, dtype=torch.int64),), Path("lm.onnx"), dynamic_shapes=ANY_LENGTH)
        index = {"metadata": {}, "weight_map": dict.fromkeys(state, "model.safetensors")}
        Path("model.safetensors.index.json").write_text(json.dumps(index))
        for name in ("report.json", "baseline.json", "last-month.json", "out.json"):
            inspect("net.py:Net", input_size=(3, 224, 224)).summary().save(name)
        inspect("net.py:Net", input_size=(3, 32, 32)).export("net.pt2")
        if all(map(find_spec, ("transformers", "diffusers", "peft"))):
            save_llama(Path("Qwen3-8B"))
            shutil.copytree("Qwen3-8B", "Llama-3.1-8B")
            save_pipeline(Path("stable-diffusion"))
            save_adapter(Path("my-lora"), Path("Qwen3-8B"))
    finally:
        os.chdir(here)
    return folder


def test_the_examples_are_found():
    assert {"README.md", "cost.md", "memory.md", "serving.md", "targets.md", "check.md"} <= PAGES.keys()
    assert "alexnet memory -b 128 --gpu rtx-3060" in PAGES["README.md"]
    assert "alexnet summary --json | jq .totals.params" in PAGES["README.md"]
    assert "alexnet cost --gpu h100-sxm" in lines_of_help()
    assert len(LINES) > 80
    for failing in ENDS_WITH:
        assert any(failing in line for line in {*LINES, *SHOWN}), failing


@pytest.mark.parametrize("line", LINES)
def test_an_example_runs(alexnet, workplace, monkeypatch, line):
    monkeypatch.chdir(workplace)
    monkeypatch.setattr("webbrowser.open", lambda address: True)
    monkeypatch.setattr("alexnet_cli.cli.watch.Changes.next", interrupted)
    monkeypatch.setattr("alexnet_cli.explorer.run", explored)
    monkeypatch.setattr("alexnet_cli.explorer.need_terminal", lambda: None)
    for limit in ("LEAST_RUNS", "MOST_RUNS"):
        monkeypatch.setattr(f"alexnet_cli.tracing.clock.{limit}", 2)  # that it measures is enough here
    if line.startswith("alexnet compare "):  # `check` judges by its rounds
        monkeypatch.setattr("alexnet_cli.answers.compare.ROUNDS", 2)
    monkeypatch.setitem(calibrate._SIDES, "cpu", (64,))
    monkeypatch.setitem(calibrate._FOOTPRINTS, "cpu", (2**14,))
    if ("-o" in line.split() and re.search(r"\.(png|pdf)\b", line)) and find_spec("vl_convert") is None:
        pytest.skip("needs vl-convert-python")
    if "--compile" in line and not any(map(shutil.which, ("g++", "clang++"))):
        pytest.skip("torch compiles with a C++ compiler, and there is none")
    if line.startswith("alexnet shard "):
        (skip_without_pipelines if " --pp " in line else skip_without_collectives)()
    files = [
        word.partition(":")[0] for word in line.split() if word.startswith("./") or word.endswith((".gguf", ".onnx"))
    ]
    if not all(Path(file).exists() for file in files):
        pytest.skip("needs transformers, diffusers, peft, gguf and onnxscript")
    given = ""
    for program, *words in piped(line):
        if program == "jq":
            assert found(json.loads(given), words[-1]) is not None
            return
        assert program == "alexnet"
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        answer = alexnet(*words)
        assert answer.code == expected(line), answer.err
        given = answer.out


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def explored(exploration, style):
    """Open what is explored without a terminal, and leave it."""

    async def go():
        app = Explorer(exploration, style)
        async with app.run_test() as pilot:
            await pilot.press("q")

    asyncio.run(go())


def piped(line: str) -> list[list[str]]:
    """Split a command line into its programs with their words."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="|")
    reader.whitespace_split = True
    programs: list[list[str]] = [[]]
    for word in reader:
        programs.append([]) if word == "|" else programs[-1].append(word)
    return programs


def expected(line: str) -> int:
    if "--device cuda" in line and not torch.cuda.is_available():
        return 5
    return next((code for text, code in ENDS_WITH.items() if text in line), 0)


def found(value: object, path: str) -> object:
    """Follow a path of jq such as `.totals.params` or `.findings[] | {code, verdict}`."""
    start, _, names = path.partition("|")
    for name in re.findall(r"\w+", start):
        value = value[name]
    return value if not names else [value[0][name] for name in re.findall(r"\w+", names)]
