"""Compare the JSON of two checkouts, byte for byte, over some two thousand command lines.

    python benchmarks/same_json.py OLD_CHECKOUT NEW_CHECKOUT [--only TEXT]...

Each checkout's `src/` runs every command line in one process of its own, through `alexnet_cli.cli.app.run`, in a
scratch folder with the same files: the models of OLD_CHECKOUT's `tests/` and `docs/`, reports that it saved, and
checkpoints. Exit codes, stdout, and whether stderr is empty must be equal. Of stdout, these are masked:

- `generator.version`, and the scratch folder in the lines of models;
- texts for people: the values of `message`, `hint`, `claim`, `text`, `description`, `title`, `detail`, if strings;
- what was measured on the CPU: `run.measured.seconds` and `.peak_allocated_bytes`;
- keys that are meant to be new, listed in `ADDED`.

`--only` keeps the command lines that contain a text. The exit code is 1 if anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

ADDED = ("nature",)
"""Keys that the newer checkout may have and the older one not."""

SHOWN = 12
"""Lines of a difference that are printed."""

VARIANTS = ("alexnet", "alexnet-paper", "alexnet-owt", "caffenet")
COMMANDS = (
    *("summary", "params", "cost", "memory", "receptive-field"),
    *("explain", "compare", "check", "models", "schema", "cache"),
)

MODELS: dict[str, dict[str, str]] = {
    "cost_models.py": {
        "Convolution": "3,8,8",
        "Linear": "10",
        "InPlace": "30",
        "Views": "3,5",
        "Concatenation": "4",
        "Embedding": "5:int64",
        "small_embedding": "5:int64",
        "Bag": "5:int64",
        "Gather": "7:int64",
        "Attention": "2,9,16 2,9,16 2,9,16",
        "AttentionOfOne": "3,2,9,16",
        "Fill": "4",
        "Assign": "4",
        "Scatter": "5",
        "AddInto": "5",
        "Normalised": "4,5,5",
        "LayerNormalised": "5,6",
        "Pooled": "3,4,4",
        "Expanded": "8",
        "Square": "3",
        "Recurrent": "6,8",
        "Heads": "5,8",
        "Mlp": "10",
        "wide": "20",
        "Residual": "3,8,8",
        "Convolutions": "3,9,9",
        "Trilinear": "4",
        "Transformer": "7:int64",
        "Distance": "5,4",
        "NeedsValues": "4",
        "Breaks": "10",
    },
    "draw_models.py": {
        "mlp": "1,28,28",
        "torch_encoder": "128,256",
        "alike": "16",
        "unlike": "8",
        "turns": "8",
        "Heads": "8",
        "Steps": "8",
        "Inception": "3,32,32",
        "TwoInputs": "32 32",
        "Dense": "8,16,16",
        "OddNames": "4",
        "Nothing": "4",
    },
    "explain_models.py": {
        "ResNetLike": "3,32,32",
        "Transformer": "16:int64",
        "PoolsByHand": "3,8,8",
        "UNet": "3,16,16",
        "Views": "8",
        "Rounds": "8",
        "Language": "6:int64",
        "Hides": "8",
        "Looks": "8",
        "TwoAnswers": "8",
        "normed_in_every_way": "3,16,16",
        "three_dimensions": "3,8,8,8",
        "lazy": "3,16,16",
        "narrow_already": "8",
        "weight_normed": "8",
        "odd_groups": "6,8,8",
        "frozen": "20",
        "pooled": "20",
        "made_before": "20",
        "tidy": "3,18,18",
        "mlp": "20",
        "group_norm": "3,16,16",
        "decoder": "16,4,4",
        "one_place": "3,16,16",
        "one_place_at_the_end": "3,16,16",
        "grouped": "4,8,8",
        "normed_embedding": "5:int64",
        "alike": "16",
        "nothing": "2,2",
        "linear_first": "3,8,8",
        "normed": "4,8,8",
        "alexnet": "3,227,227",
    },
    "report_models.py": {"Tower": "12:int64", "OddNames": "4", "Fixed": "4"},
    "networks.py": {"ResNet": "3,224,224", "UNet": "3,224,224", "Encoder": "128:int64"},
    "lenet.py": {"LeNet": ""},
}
"""Models by file, each with its inputs; without one, alexnet looks for an input that fits."""

LARGE = {"large_models.py:Llama": "64:int64", "large_models.py:Residuals": "", "report_models.py:unlike": "8"}
"""Models of thousands of rows: asked only a few questions."""

OF_EACH = """
summary
summary --depth 1
summary --train -b 3
summary --columns path,params,params_share,macs,output_bytes,saved_bytes,bytes_read,intensity,receptive_field,jump
params --by-type --by-layer --by-module
cost
cost --gpu h100-sxm --depth 1
cost --gpu t4 --backward --amp fp16
cost -b 1,8
memory --timeline
memory --optimizer adam --gpu t4 -b 2
memory --optimizer sgd-momentum --amp bf16 --capacity 24GiB --foreach
receptive-field
explain
explain --lang ko
check --max-params 1M --max-macs 1G --max-weights 4MiB --max-train-memory 1GiB --no-uncounted --no-unused
""".strip().splitlines()

OF_VARIANTS = """
summary --no-cache
summary --cache
summary -b 8 --dtype float16
summary --dtype bfloat16 --depth 0
summary -i 3,255,255
summary -i 231
summary --sort macs --top 3
summary --columns path,family,input_shapes,output_shapes,trainable_params,buffers,flops,bytes_written,param_bytes
summary --weights weights/alexnet.safetensors
summary --weights weights/alexnet.pt --strict
summary --arg num_classes=10
params
params --by-type
params --by-layer --top 3
params --by-module --depth 1
cost --gpu gtx-580 -b 128 --backward
cost --gpu a100-80gb --tf32
cost --peak-flops 312T --bandwidth 2.0TB --dtype bfloat16
cost --backward
memory
memory --optimizer none
memory --optimizer sgd
memory --optimizer adamw --foreach -b 128 --gpu h100-sxm
memory --dtype float64 --no-foreach
receptive-field --depth 1
receptive-field -i 3,255,255
explain --select stack,relu-outputs
explain --ignore stack --lang ko -b 2
check --baseline saved/alexnet.json
check --baseline saved/alexnet.json --tolerance 10% --max-layers 21
check --max-train-memory 12GiB --optimizer adam --amp bf16 -b 64
compare {0} alexnet
compare {0} alexnet-owt --only-changes -b 2
compare {0} saved/alexnet.json
""".strip().splitlines()

OF_SAVED = """
summary
summary --depth 1
summary --sort params --top 2
summary --columns path,macs,bytes_read,receptive_field
params --by-type --by-layer --by-module
cost
cost --gpu h100-sxm
cost --backward
memory
memory --gpu t4
receptive-field
explain
explain --lang ko
check --max-params 1M --no-uncounted
compare {0} saved/alexnet.json
compare saved/alexnet.json {0} --only-changes
""".strip().splitlines()

ONCE = """
models
cache info
summary --device cpu --no-cache
summary odd.py:residual --device cpu -i 4,6,6
compare alexnet alexnet-paper alexnet-owt caffenet
compare alexnet alexnet -b 1 -b 8
compare lenet.py:LeNet lenet.py:LeNet -i 1,28,28 -i 1,32,32
compare explain_models.py:tidy explain_models.py:tidy -i 3,18,18 --arg 2:mid=16
compare explain_models.py:mlp explain_models.py:mlp -i 20 --arg 1:hidden=10 --arg 2:hidden=40 --only-changes
compare networks.py:ResNet explain_models.py:ResNetLike -i 3,64,64
compare weights/alexnet.safetensors alexnet
compare weights/alexnet.safetensors weights/alexnet.pt
compare weights/sharded.safetensors.index.json weights/kinds.pt
summary --arg num_classes=10 --arg num_classes=20
summary explain_models.py:tidy -i 3,18,18 --arg mid=16 --arg out=4
summary explain_models.py:tidy -i 3,18,18 --weights weights/kinds.pt
summary --formulas formulas.py cost_models.py:Distance -i 5,4
cost --formulas formulas.py cost_models.py:Distance -i 5,4
memory cost_models.py:Mlp -i 3,10 --no-batch
cost draw_models.py:TwoInputs -i 32 -i 32 --backward
receptive-field draw_models.py:TwoInputs -i 32 -i 32 --of 2
receptive-field draw_models.py:TwoInputs -i 32 -i 32 --of 3
""".strip().splitlines()

FAILING = """
summary alexnt
summary nowhere.py:Net
summary lenet.py:Nothing
summary lenet.py:torch
summary lenet.py:LeNet --arg nonsense=1
summary -i 3,x
summary -i 3,227,227:float99
summary -i 3,0,227
summary -i 0
summary -i 1,28,28
summary -i 3,227,227 -i 3,227,227
summary -b 0
summary -b x
summary -b 99999999999999999999
summary --device nowhere
summary --device cuda:77
summary --dtype int3
summary --depth -1
summary --columns nothing
summary --sort nothing
summary --top 0 --sort macs
summary --top 3
summary --train --eval
summary --width 5
summary --format nothing
summary --nonsense
summary alexnet alexnet
summary --arg x
summary --arg nonsense=1
summary --arg num_classes=-1
summary --weights nothing.pt
summary --strict
summary --formulas nothing.py
summary saved/empty.json
summary saved/nonsense.json
summary saved/nothing.json
summary saved/alexnet.json -b 2
summary saved/alexnet.json --arg x=1
summary broken.py:Broken
summary broken.py:Raises
summary broken.py:number
summary broken.py:takes_one
summary broken.py:fails_in_forward -i 4
summary broken.py:returns_nothing -i 4
summary broken.py
summary lenet.py
summary raises_on_import.py:Net
summary syntax_error.py:Net
summary weights/short.safetensors
summary weights/overlap.safetensors
summary weights/unknown.safetensors
summary weights/objects.pt
summary weights/short.pt
summary weights/list.pt
summary weights/missing.safetensors.index.json
summary weights/kinds.pt -b 2
summary -o nowhere/summary.json
params --top 3
params --by-nothing
params weights/objects.pt
cost --gpu nothing
cost --gpu rtx-3060x
cost --peak-flops 312T
cost --peak-flops x --bandwidth 2TB
cost --gpu t4 --peak-flops 312T --bandwidth 2TB
cost --amp bf16
cost --amp nothing --backward
cost -b 1,8,
cost weights/alexnet.pt
cost explain_models.py:frozen -i 20 --backward
memory --optimizer nothing
memory --gpu nothing
memory --capacity 3Gigs
memory --gpu t4 --capacity 1GiB
memory weights/alexnet.pt
memory broken.py:fails_in_forward -i 4
receptive-field weights/alexnet.pt
receptive-field --of 2
explain --lang de
explain --select nothing
explain --ignore nothing
explain weights/alexnet.pt
compare
compare alexnet
compare alexnet nothing
compare alexnet alexnet -b 1 -b 2 -b 3
compare alexnet alexnet --arg 3:x=1
compare alexnet weights/objects.pt
check
check --max-params x
check --max-params -1
check --baseline nothing.json
check --tolerance 1
check --baseline saved/alexnet.json --tolerance x
check weights/alexnet.pt --max-params 65M --max-macs 1G
models --nonsense
schema nothing
nothing
sumary
""".strip().splitlines()

SCRATCH_CODE = {
    "broken.py": """
import torch
from torch import nn
number = 3
class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        raise RuntimeError("not today")
class Broken(nn.Module):
    def forward(self, x):
        return x @ torch.zeros(5, 5)
def takes_one(one):
    return nn.Linear(one, 2)
def fails_in_forward():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(7, 2))
def returns_nothing():
    return None
""",
    "raises_on_import.py": "raise ValueError('no model here')\n",
    "syntax_error.py": "class Net(:\n",
    "formulas.py": """
from alexnet_cli.tracing.formulas import macs_formula
@macs_formula("_cdist_forward")
def cdist(left, right, *others, out_val=None, **options):
    return 7
""",
}


def command_lines(cases: dict[str, str]) -> Iterator[str]:
    """Give every command line, without `--json`; `cases` are the inputs of the models in odd.py."""
    yield from ONCE
    for variant in VARIANTS:
        for line in (*OF_EACH, *OF_VARIANTS):
            yield _about(line, variant)
    for file, models in {**MODELS, "odd.py": cases}.items():
        for name, inputs in models.items():
            given = "".join(f" -i {shape}" for shape in inputs.split())
            for line in OF_EACH:
                yield _about(line, f"{file}:{name}{given}")
            yield f"summary {file}:{name}"
    for target, inputs in LARGE.items():
        given = f" -i {inputs}" if inputs else ""
        for line in ("summary --depth 1", "cost", "memory", "receptive-field --depth 1", "explain"):
            yield _about(line, target + given)
    for target in SAVED_TARGETS:
        for line in OF_SAVED:
            yield _about(line, target)
    yield from FAILING
    yield from (f"schema {command}" for command in COMMANDS)
    yield "schema"


SAVED_TARGETS = (
    *(f"saved/{name}.json" for name in ("alexnet", "resnet", "encoder", "failed", "old")),
    *(
        f"weights/{name}"
        for name in ("alexnet.safetensors", "alexnet.pt", "legacy.pt", "kinds.pt", "kinds.safetensors", "nested.pt")
    ),
    "weights/sharded.safetensors.index.json",
)


def _about(line: str, target: str) -> str:
    if "{0}" in line:
        return line.format(target)
    command, _, options = line.partition(" ")
    return f"{command} {target} {options}".rstrip()


def prepare(old: Path, folder: Path) -> dict[str, str]:
    """Fill a scratch folder with models, saved reports and checkpoints; return the inputs of the models in odd.py."""
    for file in [*old.glob("tests/*_models.py"), *old.glob("docs/*.py")]:
        shutil.copy(file, folder)
    for name, code in SCRATCH_CODE.items():
        (folder / name).write_text(code)
    made = _in_process(old, folder, "--prepare")
    return dict(json.loads(made.read_text()))


def prepare_here(answers: Path) -> None:
    """Do the part of the preparation that needs torch and the older checkout."""
    import torch
    from safetensors.torch import save_file
    from torch import nn

    from alexnet_cli.cli.app import run

    sys.path.insert(0, ".")
    from odd_models import CASES  # a test file, copied here

    names = {re.sub(r"\W", "_", name): name for name in CASES}
    code = ["from odd_models import CASES"]
    code += [f"def {name}():\n    return CASES[{case!r}].make()" for name, case in names.items()]
    Path("odd.py").write_text("\n".join(code) + "\n")

    Path("saved").mkdir()
    for name, target in {
        "alexnet": "alexnet",
        "resnet": "networks.py:ResNet -i 3,64,64",
        "encoder": "networks.py:Encoder -i 16:int64",
        "failed": "broken.py:fails_in_forward -i 4",
    }.items():
        with contextlib.redirect_stderr(io.StringIO()):
            run(["summary", *target.split(), "--json", "-o", f"saved/{name}.json"])
    report = json.loads(Path("saved/alexnet.json").read_text())
    del report["tape"]
    Path("saved/old.json").write_text(json.dumps(report))  # as saved before reports had tapes
    Path("saved/empty.json").touch()
    Path("saved/nonsense.json").write_text('{"schema_version": 1, "command": 3}')

    folder = Path("weights")
    folder.mkdir()
    torch.manual_seed(0)
    from alexnet_cli.models.alexnet import AlexNet

    state = AlexNet(num_classes=10).state_dict()
    state = {key: value[:64].clone() for key, value in state.items()}  # smaller files: what is asked is their headers
    save_file(state, folder / "alexnet.safetensors")
    torch.save(state, folder / "alexnet.pt")
    torch.save(state, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    tied = nn.Embedding(5, 3).weight.detach()
    kinds = {
        "embed.weight": tied,
        "head.weight": tied,
        "norm.weight": torch.ones(4),
        "norm.running_mean": torch.ones(4),
        "norm.num_batches_tracked": torch.tensor(3),
        "half.weight": torch.ones(3, 4, dtype=torch.float16),
        "brain.weight": torch.ones(3, 4, dtype=torch.bfloat16),
        "conv.weight": torch.ones(8, 4, 3, 3),
        "conv.bias": torch.ones(8),
        "lstm.weight_ih_l0": torch.ones(16, 3),
        "lstm.weight_hh_l0": torch.ones(16, 4),
        "complex.weight": torch.ones(2, 2, dtype=torch.complex64),
        "empty.weight": torch.ones(0, 3),
        "scale": torch.tensor(1.5),
    }
    torch.save(kinds, folder / "kinds.pt")
    save_file({key: value.clone() for key, value in kinds.items()}, folder / "kinds.safetensors")
    optimizer = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    torch.save({"epoch": 3, "model": {"state_dict": kinds}, "optimizer": optimizer}, folder / "nested.pt")
    torch.save([torch.ones(3)], folder / "list.pt")
    torch.save(nn.Linear(2, 2), folder / "objects.pt")
    whole = (folder / "alexnet.pt").read_bytes()
    (folder / "short.pt").write_bytes(whole[: len(whole) // 2])
    save_file({"a.weight": torch.ones(3, 2), "b.0.weight": torch.ones(4)}, folder / "one.safetensors")
    save_file({"b.1.weight": torch.ones(5, 5)}, folder / "two.safetensors")
    places = {"a.weight": "one.safetensors", "b.0.weight": "one.safetensors", "b.1.weight": "two.safetensors"}
    for name, index in {"sharded": places, "missing": {**places, "c": "three.safetensors"}}.items():
        (folder / f"{name}.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    entry = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    headers = {"overlap": {"a": entry, "b": entry}, "unknown": {"a": {**entry, "dtype": "F33"}}}
    for name, header in headers.items():
        text = json.dumps(header).encode()
        (folder / f"{name}.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(24))
    (folder / "short.safetensors").write_bytes((2**40).to_bytes(8, "little"))

    inputs = {name: " ".join(CASES[case].inputs) for name, case in names.items()}
    answers.write_text(json.dumps(inputs))


def answer_here(lines: list[str], answers: Path) -> None:
    """Run every command line in this process, and write what it answered."""
    import torch

    from alexnet_cli.cli.app import run

    streams = [os.dup(1), os.dup(2)]
    told = []
    for line in lines:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            words = shlex.split(line)
            torch.manual_seed(0)  # the weights that a model on the CPU gets may decide what it does
            try:
                code: int | str = run(words if words[0] == "schema" else [*words, "--json"])
            except BaseException as error:  # noqa: BLE001 - whatever leaves the program is the answer
                code = f"raised {type(error).__name__}: {error}"
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(streams[0], 1)
            os.dup2(streams[1], 2)
            out.seek(0)
            err.seek(0)
            told.append([code, out.read().decode(), err.read().decode()])
    answers.write_text(json.dumps(told))


def _in_process(checkout: Path, folder: Path, *arguments: str) -> Path:
    answers = folder / ".answers.json"
    _finish(_start(checkout, folder, answers, *arguments))
    return answers


def _start(checkout: Path, folder: Path, answers: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ALEXNET_")},
        "PYTHONPATH": str(checkout / "src"),
        "ALEXNET_CACHE_DIR": "cache",
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "100",
    }
    command = [sys.executable, str(Path(__file__).absolute()), *arguments, "--answers", str(answers)]
    return subprocess.Popen(command, cwd=folder, env=environment)


def _finish(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        raise SystemExit(f"{shlex.join(map(str, process.args))} failed with {process.returncode}")


_TEXT = re.compile(r'^( *"(?:message|hint|claim|text|description|title|detail)": )".*"(,?)$')
_VERSION = re.compile(r'^(    "version": )".*"(,?)$')
_MEASURED = re.compile(r'^(      "(?:seconds|peak_allocated_bytes)": )[0-9.e+-]+(,?)$')
_FOLDER = re.compile(r"/[^\s\":]*/same-json-\w+/(?:old|new)/")
_NEW_KEY = re.compile(rf'^( *)"(?:{"|".join(ADDED)})"(?:: (.*))?$')


def masked(text: str) -> list[str]:
    """Return the lines of some JSON without what may differ."""
    kept: list[str] = []
    until: str | None = None
    for line in text.split("\n"):
        if until is not None:
            if line.rstrip(",") == until:
                until = None
            continue
        new = _NEW_KEY.match(line.rstrip(","))
        if new:
            opened = (new[2] or "").strip()
            until = new[1] + {"{": "}", "[": "]"}[opened] if opened in ("{", "[") else None
            continue
        if kept and line.strip() in ("}", "},", "]", "],") and kept[-1].endswith(","):
            kept[-1] = kept[-1][:-1]  # what was left out stood last
        masked_line = _TEXT.sub(r'\1"…"\2', line)
        masked_line = _VERSION.sub(r'\1"…"\2', masked_line)
        masked_line = _FOLDER.sub("", masked_line)
        kept.append(_MEASURED.sub(r"\1…\2", masked_line))
    return kept


def differences(line: str, old: list[Any], new: list[Any]) -> list[str]:
    """Say how two answers to a command line differ; nothing where they do not."""
    found = []
    if old[0] != new[0]:
        found.append(f"  exit code {old[0]} became {new[0]}")
    if bool(old[2]) != bool(new[2]):
        found.append(f"  stderr was {old[2].strip()[:300]!r} and is {new[2].strip()[:300]!r}")
    before, after = masked(old[1]), masked(new[1])
    if before != after:
        changes = list(unified_diff(before, after, "old", "new", n=2, lineterm=""))[2:]
        found += [f"  {change}" for change in changes[:SHOWN]]
        if len(changes) > SHOWN:
            found.append(f"  … {len(changes) - SHOWN:,} more lines")
    return [f"alexnet {line}", *found] if found else []


def compare(old: Path, new: Path, only: list[str]) -> int:
    """Run both checkouts, print how they differ, and return the exit code."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="same-json-") as scratch:
        folders = {checkout: Path(scratch) / name for checkout, name in ((old, "old"), (new, "new"))}
        if old == new:
            raise SystemExit("the checkouts are the same folder")
        folders[old].mkdir()
        cases = prepare(old, folders[old])
        shutil.copytree(folders[old], folders[new])
        lines = [line for line in command_lines(cases) if all(text in line for text in only)]
        listed = Path(scratch) / "lines.json"
        listed.write_text(json.dumps(lines))
        answers = {checkout: Path(scratch) / f"{folder.name}.json" for checkout, folder in folders.items()}
        running = [_start(at, folder, answers[at], "--lines", str(listed)) for at, folder in folders.items()]
        for process in running:
            _finish(process)
        before, after = (json.loads(answers[checkout].read_text()) for checkout in (old, new))
    told = [differences(*each) for each in zip(lines, before, after, strict=True)]
    different = [each for each in told if each]
    for each in different:
        print("\n".join(each), end="\n\n")
    codes = {code: sum(answer[0] == code for answer in before) for code in sorted({answer[0] for answer in before})}
    size = sum(len(answer[1]) for answer in before)
    print(f"{len(lines):,} command lines compared, {size / 1e6:.0f} MB of JSON, in {time.monotonic() - start:.0f} s")
    print(f"exit codes of the older checkout: {', '.join(f'{code}: {count:,}' for code, count in codes.items())}")
    print(f"{len(lines) - len(different):,} equal, {len(different):,} different")
    return 1 if different else 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", nargs="?", type=Path, metavar="OLD_CHECKOUT")
    parser.add_argument("new", nargs="?", type=Path, metavar="NEW_CHECKOUT")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT")
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--lines", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--answers", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.prepare:
        prepare_here(given.answers)
        return 0
    if given.lines:
        answer_here(json.loads(given.lines.read_text()), given.answers)
        return 0
    if given.new is None:
        parser.error("name two checkouts: OLD_CHECKOUT NEW_CHECKOUT")
    return compare(given.old.absolute(), given.new.absolute(), given.only)


if __name__ == "__main__":
    raise SystemExit(main())
