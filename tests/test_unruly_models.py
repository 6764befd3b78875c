"""Models whose code does more, or less, than build layers and run them: an answer, or an error that says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

UNHASHABLE = "cannot use" if sys.version_info >= (3, 14) else "unhashable type"
"""How Python begins to say that an object cannot be in a set."""
UNRULY = textwrap.dedent("""
    import os
    import sys
    import threading

    import torch
    from torch import nn

    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 5)
        def forward(self, x): return self.layer(x)

    class TrainReturnsNothing(One):
        def train(self, mode=True): super().train(mode)

    class TrainRaises(One):
        def train(self, mode=True): raise ValueError("always in training")

    class ToReturnsNothing(One):
        def to(self, *args, **kwargs): super().to(*args, **kwargs)

    class OtherConventions(One):
        example_input_array = [1, 2]
        default_cfg = {"input_size": None}
        def __init__(self):
            super().__init__()
            self.config = type("Config", (), {"image_size": "large", "vocab_size": "big"})()
        @property
        def dummy_inputs(self): raise RuntimeError("not set up")

    class WalksOut(One):
        def forward(self, x):
            self.layer(x)
            sys.exit(3)

    class Own(BaseException): pass

    class RaisesNoException(One):
        def forward(self, x): raise Own("out of it")

    class SaysNothing(One):
        def forward(self, x): raise ValueError

    class NotWritten(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 5)

    class LeftToSubclasses(One):
        def forward(self, x): raise NotImplementedError

    class LooksUpMetadata(One):
        def forward(self, x): return {}["metadata"]

    class OnAThread(One):
        def forward(self, x):
            outputs = []
            thread = threading.Thread(target=lambda: outputs.append(self.layer(x)))
            thread.start()
            thread.join()
            return outputs[0]

    class ByName(One):
        def forward(self, *, x): return self.layer(x)

    class ByAnyName(One):
        def forward(self, **named): return self.layer(named["x"])

    class NeedsValues(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)
            self.head = nn.Linear(2 * 30 * 30, 5)
        def forward(self, x):
            x = self.head(self.conv(x).flatten(1))
            return x if x.sum().item() > 0 else -x

    class Unhashable(One):
        __hash__ = None

    class Locked(One):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()
    locked = Locked()

    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.LazyConv2d(4, 3)
            self.norm = nn.LazyBatchNorm2d()
            self.head = nn.LazyLinear(2)
        def forward(self, x): return self.head(self.norm(self.conv(x)).mean((2, 3)))

    class Conditional(nn.Module):
        def __init__(self):
            super().__init__()
            self.label = nn.Embedding(10, 16)
            self.up = nn.Linear(100 + 16, 8 * 7 * 7)
            self.out = nn.ConvTranspose2d(8, 1, 4, 2, 1)
        def forward(self, noise, label):
            x = self.up(torch.cat([noise, self.label(label)], 1))
            return self.out(x.view(-1, 8, 7, 7))

    class Sound(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(1, 8, 9)
        def forward(self, x): return self.conv(x.unsqueeze(1))

    class Meddling(One):
        def __init__(self):
            torch.set_default_dtype(torch.float64)
            torch.set_default_device("cpu")
            torch.set_grad_enabled(False)
            torch.use_deterministic_algorithms(True)
            os.chdir("/")
            sys.argv.append("--more")
            super().__init__()
        def forward(self, x):
            os.write(1, b"past sys.stdout")
            return self.layer(x)

    def exported():
        return torch.export.export(nn.Sequential(nn.Linear(4, 5)), (torch.zeros(1, 4),)).module()
""")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "unruly.py"
    path.write_text(UNRULY)
    return path


@pytest.mark.parametrize(
    "name", ["TrainReturnsNothing", "ToReturnsNothing", "OtherConventions", "OnAThread", "ByName", "Meddling"]
)
def test_a_model_that_runs_is_counted(alexnet, file, name):
    answer = alexnet("summary", f"{file}:{name}", "--json", "--dtype", "float32")
    assert answer.code == 0, answer.err
    totals = answer.json["totals"]
    assert (totals["params"], totals["macs"], totals["uncounted_ops"]) == (4 * 5 + 5, 4 * 5, [])


def test_an_exported_program_runs_as_it_was_made(alexnet, file):
    answer = alexnet("summary", f"{file}:exported", "-i", "4", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["totals"]["params"] == 4 * 5 + 5
    assert "cannot be put into eval mode" in answer.err


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("WalksOut", 4, "raised SystemExit: 3"),
        ("RaisesNoException", 4, "raised Own: out of it"),
        ("SaysNothing", 4, "raised ValueError\n"),
        ("NotWritten", 4, 'missing the required "forward"'),
        ("LeftToSubclasses", 4, "raised NotImplementedError\n"),
        ("LooksUpMetadata", 4, "raised KeyError: 'metadata'"),
        ("ByAnyName", 2, "none that fits was found\nhint: forward takes (**named)"),
        ("TrainRaises", 3, "cannot be inspected: ValueError: always in training"),
        ("Unhashable", 3, f"cannot be inspected: TypeError: {UNHASHABLE}"),
        ("locked", 3, "name a class or a function that builds it"),
    ],
)
def test_a_model_that_does_not_run_is_explained(alexnet, file, name, code, said):
    answer = alexnet("summary", f"{file}:{name}")
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert "was run on the CPU" not in answer.err  # none of them for lack of values


def test_all_frames_of_what_cannot_be_inspected_are_shown_where_asked(alexnet, file):
    answer = alexnet("summary", f"{file}:TrainRaises", "--traceback")
    assert "Traceback" in answer.err
    assert "in build" in answer.err


def test_an_input_is_found_for_a_model_that_needs_values(alexnet, file):
    answer = alexnet("summary", f"{file}:NeedsValues", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["run"]["inputs"][0]["shape"] == [1, 3, 32, 32]
    assert answer.err.count("no input was given: found that 3×32×32 fits") == 1


def test_a_lazy_model_is_fed_colour_images(alexnet, file):
    params = (27 * 4 + 4) + 2 * 4 + (4 * 2 + 2)
    for size in ([], ["-i", "32"]):
        answer = alexnet("summary", f"{file}:Lazy", "--json", *size)
        assert answer.code == 0, answer.err
        assert answer.json["run"]["inputs"][0]["shape"][:2] == [1, 3]
        assert answer.json["totals"]["params"] == params


def test_one_number_for_each_of_the_batch(alexnet, file):
    sizes = ["-i", "100", "-i", ":int64"]
    answer = alexnet("summary", f"{file}:Conditional", "-b", "3", *sizes, "--json")
    assert answer.code == 0, answer.err
    assert [item["shape"] for item in answer.json["run"]["inputs"]] == [[3, 100], [3]]
    assert answer.json["totals"]["macs"] == 3 * (116 * 8 * 49 + 8 * 16 * 49)


def test_a_lone_number_is_an_image_only_where_images_are_taken(alexnet, file):
    answer = alexnet("summary", f"{file}:Sound", "-i", "1024", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["run"]["inputs"][0]["shape"] == [1, 1024]


def test_two_inputs_of_one_name_are_refused(alexnet, file):
    answer = alexnet("summary", f"{file}:One", "-i", "x=4", "-i", "x=5")
    assert answer.code == 2
    assert "two inputs are named 'x'" in answer.err


@pytest.mark.parametrize(
    "extra", [[], ["--weights", "net.pt"], ["--format", "torchsummary", "-i", "4", "--dtype", "float32"]]
)
def test_what_a_model_meddles_with_is_put_back(alexnet, file, tmp_path, monkeypatch, extra):
    monkeypatch.chdir(tmp_path)
    torch.save(torch.nn.Linear(4, 5).state_dict(), "net.pt")
    before = _settings()
    answer = alexnet("summary", f"{file}:Meddling", *extra, "-o", "answer.txt")
    assert answer.code == 0, answer.err
    assert _settings() == before
    assert answer.out == ""
    assert "past sys.stdout" in answer.err
    assert Path("answer.txt").is_file()


def test_the_first_model_does_not_change_what_is_said_of_the_second(alexnet, file):
    alone = alexnet("summary", f"{file}:One", "--json", "-i", "4").json
    pair = alexnet("compare", f"{file}:Meddling", f"{file}:One", "--json", "-i", "4").json
    assert pair["subjects"][1]["totals"] == alone["totals"]
    assert alone["totals"]["param_bytes"] == (4 * 5 + 5) * 4


def _settings():
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_rng_state().tolist(),
        Path.cwd(),
        list(sys.argv),
        os.fstat(1).st_ino,
    )


def test_a_script_that_reads_its_arguments_is_not_given_ours(alexnet, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(
        "import argparse\nfrom torch import nn\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--width', type=int, default=6)\nwidth = parser.parse_args().width\n"
        "def net(): return nn.Linear(width, 2)\n"
    )
    answer = alexnet("params", f"{path}:net", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["totals"]["params"] == 6 * 2 + 2


def test_out_of_memory_while_a_users_model_is_built_exits_5(alexnet, tmp_path):
    path = tmp_path / "large.py"
    path.write_text("from torch import nn\ndef net(): return nn.Linear(2**24, 2**24)\n")
    answer = alexnet("params", f"{path}:net", "--device", "cpu", "-i", "16777216:float32")
    assert answer.code == 5
    assert "out of memory on cpu" in answer.err


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("folder.py:Net", 3, "folder.py is a folder"),
        ("relative.py", 3, "package.module:NAME from the folder above"),
        ("relative.py:os", 3, "package.module:NAME from the folder above"),
        ("modules.py:os", 3, "os is a Python module, not an nn.Module"),
    ],
)
def test_files_that_are_no_models(alexnet, tmp_path, target, code, said):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "relative.py").write_text("from .parts import Part\n")
    (tmp_path / "modules.py").write_text("import os\n")
    answer = alexnet("summary", f"{tmp_path}/{target}")
    assert answer.code == code
    assert said in answer.err


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("words", ["summary", "memory --json", "fit --budget 100B"])
def test_a_model_that_closes_its_streams(tmp_path, words, stream):
    """What it prints goes to stderr, which messages need too."""
    (tmp_path / "closes.py").write_text(
        "import sys\nfrom torch import nn\n\nclass Closes(nn.Linear):\n    def forward(self, x):\n"
        f"        sys.{stream}.close()\n        return super().forward(x)\n\ndef model():\n    return Closes(4, 5)\n"
    )
    command = [sys.executable, "-m", "alexnet_cli", *words.split(), "closes.py:model", "-i", "4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    missed = "nothing fits" in done.stderr
    assert done.returncode == (1 if missed else 0), done.stderr
    assert missed is words.startswith("fit")
    assert done.stdout


@pytest.mark.parametrize("words", ["--help", "summary --help", "--version", "models", "summary"])
def test_a_pipe_that_nobody_reads_is_no_error(words):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "alexnet_cli", *words.split()]
    with os.fdopen(write, "wb") as unread:
        done = subprocess.run(command, stdout=unread, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "closed", "code", "said"),
    [
        ("params -", "<&-", 3, "standard input is empty"),
        ("models", ">&-", 2, "cannot write the answer"),
        ("--version", ">&-", 2, "cannot write the answer"),
        ("summary nope --json", ">&-", 2, "unknown target 'nope'"),
        ("summary nope --json", "> /dev/full", 2, "unknown target 'nope'"),
        ("summary nope", "2>&-", 2, ""),
        ("models", "<&- >&- 2>&-", 2, ""),
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a Unix shell")
def test_streams_that_are_closed(words, closed, code, said):
    line = f"{sys.executable} -m alexnet_cli {words} {closed}"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_batch_beyond_what_a_tensor_can_have(alexnet):
    answer = alexnet("summary", "-b", "99999999999999999999")
    assert answer.code == 2
    assert "cannot be made: a dimension is too large" in answer.err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_model_that_forks_is_answered_once(tmp_path):
    (tmp_path / "forks.py").write_text(
        "import os\nfrom torch import nn\n\nclass Forks(nn.Linear):\n    def forward(self, x):\n"
        "        os.fork()\n        return super().forward(x)\n\ndef model():\n    return Forks(4, 5)\n"
    )
    command = [sys.executable, "-m", "alexnet_cli", "summary", "forks.py:model", "-i", "4", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["totals"]["macs"] == 4 * 5


LEAVES = """
import sys
from torch import nn


class Own(BaseException):
    pass


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(x)


class Exits(Base):
    def named_parameters(self, *given, **named):
        sys.exit(7)


class Raises(Base):
    def train(self, mode=True):
        raise Own("away")


class Declares(Base):
    @property
    def example_input_array(self):
        sys.exit(0)
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("summary leaves.py:Exits -i 4", "SystemExit: 7"),
        ("memory leaves.py:Raises -i 4", "Own: away"),
        ("summary leaves.py:Declares", "SystemExit: 0"),
        ("summary leaves.py:Exits -i 4 -f torchsummary", "SystemExit: 7"),
        ("export leaves.py:Raises -i 4 -o net.pt2", "Own: away"),
    ],
)
def test_code_that_would_end_the_program_outside_forward_is_told(alexnet, tmp_path, monkeypatch, line, said):
    (tmp_path / "leaves.py").write_text(LEAVES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    answer = alexnet(*line.split())
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith("error: the model cannot be inspected: ")
    assert said in answer.err
    assert f"{tmp_path / 'leaves.py'}:" in answer.err
