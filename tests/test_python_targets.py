"""Targets in the user's own code."""

from __future__ import annotations

import sys
import textwrap

import pytest
import torch

from alexnet_cli.report import Report
from alexnet_cli.targets.resolve import parse_arguments, resolve
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import trace

NETS = textwrap.dedent("""
    import torch
    import torch.nn as nn
    from helper import WIDTH

    print("imported")

    class Net(nn.Module):
        def __init__(self, width=WIDTH, *, classes=10):
            super().__init__()
            self.conv = nn.Conv2d(3, width, 3)
            self.head = nn.Linear(width, classes)

        def forward(self, x):
            print("ran")
            return self.head(self.conv(x).mean((2, 3)))

    def make(depth=2):
        return nn.Sequential(*[nn.Linear(4, 4) for _ in range(depth)])

    class Holder:
        class Inner(nn.Linear):
            def __init__(self):
                super().__init__(5, 6)

    def wrong():
        return 5

    def broken():
        raise RuntimeError("cannot build this")

    def leaves():
        raise SystemExit(7)

    class NotOnMeta(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, int(torch.ones(3).sum()))

        def forward(self, x):
            return self.layer(x)

    instance = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    number = 3
""")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "helper.py").write_text("WIDTH = 8\n")
    return tmp_path


def test_a_class_with_an_input_found_by_trying(alexnet, folder):
    answer = alexnet("summary", f"{folder}/nets.py:Net", "--json")
    assert answer.code == 0
    assert answer.json["totals"]["params"] == 8 * (27 + 1) + 10 * (8 + 1)
    assert answer.json["run"]["inputs"] == [
        {"shape": [1, 3, 224, 224], "dtype": "float32", "found": True, "name": None}
    ]
    assert "found that 3×224×224 fits, from the layer conv" in answer.err
    assert "imported" in answer.err  # and nothing of it on stdout, which is JSON


def test_arguments_are_json_or_strings():
    assert parse_arguments(["a=1", "b=[1, 2]", "c=true", "d=word", "e=", "f=1e-3", "g=x=y"]) == {
        "a": 1,
        "b": [1, 2],
        "c": True,
        "d": "word",
        "e": "",
        "f": 0.001,
        "g": "x=y",
    }


def test_arguments_are_passed_on(alexnet, folder):
    answer = alexnet("params", f"{folder}/nets.py:Net", "--arg", "width=4", "--arg", "classes=2", "--json")
    assert answer.json["totals"]["params"] == 4 * 28 + 2 * 5


@pytest.mark.parametrize(
    ("name", "params"), [("make", 2 * 20), ("Holder.Inner", 36), ("instance", 20 + 8), ("NotOnMeta", 15)]
)
def test_functions_nested_classes_and_instances(alexnet, folder, name, params):
    answer = alexnet("summary", f"{folder}/nets.py:{name}", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["totals"]["params"] == params


def test_what_cannot_be_built_on_meta_is_built_on_the_cpu_with_a_note(alexnet, folder):
    answer = alexnet("summary", f"{folder}/nets.py:NotOnMeta", "--json")
    assert "built on the CPU" in answer.err
    assert answer.json["run"]["device"] == "meta"


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("nets.py:Nett", 2, "available: Net"),
        ("nets.py", 2, "several models"),
        ("nets.py:number", 3, "a int, not an nn.Module"),
        ("nets.py:wrong", 3, "returned a int, not an nn.Module"),
        ("nets.py:broken", 3, "RuntimeError: cannot build this"),
        ("nets.py:leaves", 3, "SystemExit: 7"),
        ("nats.py:Net", 3, "did you mean nets.py"),
        ("missing/nets.py:Net", 3, "file not found"),
    ],
)
def test_what_cannot_be_loaded_is_explained(alexnet, folder, target, code, said):
    answer = alexnet("summary", f"{folder}/{target}")
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert "site-packages" not in answer.err


def test_wrong_arguments_show_the_signature(alexnet, folder):
    answer = alexnet("summary", f"{folder}/nets.py:Net", "--arg", "widht=3")
    assert answer.code == 3
    assert "unexpected keyword argument 'widht'" in answer.err
    assert "Net(width=8, *, classes=10)" in answer.err


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError"),
        ("def f(:", "SyntaxError"),
        ("raise KeyError('x')", "KeyError"),
        ("import sys; sys.exit(0)", "SystemExit"),
    ],
)
def test_a_file_that_cannot_be_imported_exits_3(alexnet, tmp_path, code, said):
    path = tmp_path / "bad.py"
    path.write_text(code)
    answer = alexnet("summary", f"{path}:Net")
    assert answer.code == 3
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_the_only_class_of_a_file_needs_no_name(alexnet, tmp_path):
    path = tmp_path / "single.py"
    path.write_text("from torch import nn\nclass Only(nn.Linear):\n    def __init__(self): super().__init__(3, 2)\n")
    assert alexnet("params", str(path), "--json").json["totals"]["params"] == 8


def test_a_file_in_a_package_may_import_relatively(alexnet, tmp_path):
    package = tmp_path / "mypackage" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "mypackage" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "layers.py").write_text("SIZE = 7\n")
    (package / "net.py").write_text(
        "from torch import nn\nfrom .layers import SIZE\nclass Net(nn.Linear):\n"
        "    def __init__(self): super().__init__(SIZE, 1)\n"
    )
    assert alexnet("params", f"{package}/net.py:Net", "--json").json["totals"]["params"] == 8


def test_a_name_that_an_installed_module_has_already(alexnet, tmp_path):
    path = tmp_path / "json.py"
    path.write_text("from torch import nn\nclass Net(nn.Linear):\n    def __init__(self): super().__init__(2, 1)\n")
    assert alexnet("params", f"{path}:Net", "--json").json["totals"]["params"] == 3


def test_an_installed_package(alexnet):
    answer = alexnet("summary", "torch.nn:Linear", "--arg", "in_features=6", "--arg", "out_features=2", "--json")
    assert answer.json["totals"]["params"] == 14
    assert alexnet("summary", "no_such_package:Net").code == 3


INPUTS = textwrap.dedent("""
    import torch
    from torch import nn

    class Mlp(nn.Sequential):
        def __init__(self): super().__init__(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(50, 8)
            self.position = nn.Parameter(torch.zeros(1, 12, 8))
        def forward(self, ids): return self.embed(ids) + self.position

    class Lstm(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(10, 20, batch_first=True)
        def forward(self, x): return self.rnn(x)[0]

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.head = nn.Linear(2 * 17 * 17, 3)
        def forward(self, x): return self.head(self.conv(x).flatten(1))

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left = nn.Linear(3, 4)
            self.right = nn.Linear(5, 4)
        def forward(self, left, right): return self.left(left) + self.right(right)

    class Example(nn.Module):
        example_input_array = torch.zeros(2, 9)
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(9, 1))
        def forward(self, x): return x @ self.weight
""")


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("Mlp", [[1, 784]]),
        ("Tokens", [[1, 12]]),
        ("Lstm", [[1, 16, 10]]),
        ("Odd", [[1, 1, 19, 19]]),
        ("Two", [[1, 3], [1, 5]]),
        ("Example", [[1, 9]]),
    ],
)
def test_an_input_is_found(alexnet, tmp_path, name, shapes):
    path = tmp_path / "inputs.py"
    path.write_text(INPUTS)
    answer = alexnet("summary", f"{path}:{name}", "--json")
    assert answer.code == 0, answer.err
    run = answer.json["run"]
    assert [item["shape"] for item in run["inputs"]] == shapes
    assert all(item["found"] for item in run["inputs"])


def test_keyword_inputs_and_whole_shapes(alexnet, tmp_path):
    path = tmp_path / "masked.py"
    path.write_text(
        "from torch import nn\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.a = nn.MultiheadAttention(8, 2, batch_first=True)\n"
        "    def forward(self, x, mask=None): return self.a(x, x, x, key_padding_mask=mask)[0]\n"
    )
    answer = alexnet("summary", f"{path}:Net", "-i", "5,8", "-i", "mask=5:bool", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["run"]["inputs"][1] == {"shape": [1, 5], "dtype": "bool", "found": False, "name": "mask"}
    whole = alexnet("summary", f"{path}:Net", "-i", "3,5,8", "--no-batch", "--json").json
    assert whole["layers"][0]["input_shapes"] == [[3, 5, 8]]
    assert whole["run"]["batch_size"] is None


# What must be as it was, whether the forward runs or raises.


def state_of(model):
    return {
        "training": [module.training for module in model.modules()],
        "tensors": {
            name: (id(value), value.detach().clone(), value._version)
            for name, value in model.state_dict(keep_vars=True).items()
        },
        "grads": [(parameter.requires_grad, parameter.grad) for parameter in model.parameters()],
        "hooks": [len(module._forward_hooks) for module in model.modules()],
        "attributes": {name: set(vars(module)) for name, module in model.named_modules()},
    }


def assert_same_state(before, after):
    for key in ("training", "grads", "hooks", "attributes"):
        assert before[key] == after[key]
    assert before["tensors"].keys() == after["tensors"].keys()
    for name, (identity, value, version) in before["tensors"].items():
        assert after["tensors"][name][0] == identity
        assert torch.equal(after["tensors"][name][1], value)
        assert after["tensors"][name][2] == version


class Counting(torch.nn.Module):
    def __init__(self, fails: bool):
        super().__init__()
        self.fails = fails
        self.body = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
        self.register_buffer("calls", torch.zeros(()))
        self.log: list[int] = []

    def forward(self, x):
        self.calls += 1
        self.log.append(1)
        self.added = True
        x = self.body(x)
        if self.fails:
            raise ValueError("on purpose")
        return x


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_an_instance_is_left_as_it_was(fails, device):
    from alexnet_cli.targets.inputs import parse_input
    from alexnet_cli.targets.subject import Loaded, Subject

    model = Counting(fails)
    model.body[0].weight.requires_grad_(requires_grad=False)
    before = state_of(model)
    call, init = torch.nn.Module.__call__, torch.nn.Module.__init__
    random = torch.get_rng_state()
    modes = torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled()
    options = TraceOptions(inputs=(parse_input("2,4"),), batch_size=None, device=device, mode="train", dtype="float64")
    report = trace(Subject("it", "", lambda: Loaded(model, shared=True)), options, notify=pytest.fail)
    assert (report.error is not None) == fails
    assert_same_state(before, state_of(model))
    assert model.log == []
    assert (torch.nn.Module.__call__, torch.nn.Module.__init__) == (call, init)
    assert torch.equal(random, torch.get_rng_state())
    assert (torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled()) == modes


@pytest.mark.parametrize("name", ["Net", "broken"])
def test_the_interpreter_and_the_folder_are_left_as_they_were(alexnet, folder, name):
    alexnet("summary")  # what the program itself imports does not count
    path, modules = list(sys.path), set(sys.modules)
    writes = sys.dont_write_bytecode
    files = sorted(folder.rglob("*"))
    alexnet("summary", f"{folder}/nets.py:{name}")
    assert sys.path == path
    assert not {module for module in set(sys.modules) - modules if module in ("nets", "helper")}
    assert sys.dont_write_bytecode == writes
    assert sorted(folder.rglob("*")) == files


def test_resolving_imports_nothing(folder):
    subject = resolve(f"{folder}/nets.py:Net")
    assert not isinstance(subject, Report)
    assert "nets" not in sys.modules


WRAPPED = textwrap.dedent("""
    import torch
    from torch import nn
    body = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    compiled = torch.compile(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    parallel = nn.DataParallel(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    class Inside(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = torch.compile(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
        def forward(self, x): return self.body(x)
""")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")
@pytest.mark.parametrize("name", ["compiled", "parallel", "scripted", "Inside"])
def test_wrapped_modules_are_inspected_through(alexnet, tmp_path, name):
    path = tmp_path / "wrapped.py"
    path.write_text(WRAPPED)
    answer = alexnet("summary", f"{path}:{name}", "-i", "4", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["totals"]["params"] == 20
    assert answer.json["totals"]["macs"] == 16


def test_a_formula_of_the_users_own(alexnet, tmp_path):
    net, formulas = tmp_path / "net.py", tmp_path / "formulas.py"
    net.write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x): return torch.linalg.svd(x).S\n"
    )
    formulas.write_text(
        "from alexnet_cli.tracing.formulas import macs_formula\n"
        "@macs_formula('_linalg_svd', 'no::such')\n"
        "def svd(matrix, *args, out_val, **kwargs): return 7 * matrix.shape[-1]\n"
    )
    target = [f"{net}:Net", "-i", "4,6", "--json"]
    before = alexnet("summary", *target).json["totals"]
    assert (before["macs"], [op["op"] for op in before["uncounted_ops"]]) == (0, ["_linalg_svd"])
    answer = alexnet("summary", *target, "--formulas", str(formulas))
    assert (answer.json["totals"]["macs"], answer.json["totals"]["uncounted_ops"]) == (7 * 6, [])
    assert "'no::such', an operator that torch does not have" in answer.err
    assert alexnet("summary", *target).json["totals"] == before
    assert alexnet("summary", *target, "--formulas", str(tmp_path / "none.py")).code == 3


HOSTILE = ["[/x]", "[bold]", "\x1b[31m", "a\nb", '"', "<script>", "=cmd()", "x" * 5000, "\u202e", "$&#_{}\\", "|", "`"]


@pytest.mark.parametrize("name", ["table", "json", "csv", "markdown", "latex", "html", "svg"])
def test_hostile_names_break_nothing(alexnet, tmp_path, name):
    path = tmp_path / "hostile.py"
    path.write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"        self.names = {HOSTILE!r}\n"
        "        for name in self.names: self.add_module(name.replace('.', ''), nn.Linear(2, 2))\n"
        "    def forward(self, x):\n        for layer in self.children(): x = layer(x)\n        return x\n"
    )
    answer = alexnet("summary", f"{path}:Net", "-i", "2", "--format", name)
    assert answer.code == 0, answer.err
    assert "\x1b" not in answer.out
    assert "<script>" not in answer.out or name in ("json", "csv", "table", "latex")
    assert "\u202e" not in answer.out or name == "json"


def test_functions_mapped_over_a_batch(alexnet, tmp_path):
    path = tmp_path / "mapped.py"
    path.write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.weight = torch.nn.Parameter(torch.zeros(4, 5))\n"
        "    def forward(self, x): return torch.vmap(lambda row: row @ self.weight)(x)\n"
    )
    answer = alexnet("summary", f"{path}:Net", "-i", "3,4", "--no-batch", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["totals"]["macs"] == 3 * 4 * 5
