"""The Python API: what it answers, what it raises, and that a module is left as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

import alexnet_cli
from alexnet_cli import AlexnetError, Inspection, compare, inspect, macs_formula

BATCH, CHANNELS, SIDE, CLASSES = 8, 16, 32, 10
CONV_PARAMS = 3 * CHANNELS * 9 + CHANNELS
NORM_PARAMS = 2 * CHANNELS
LINEAR_PARAMS = CHANNELS * SIDE * SIDE * CLASSES + CLASSES
MACS = BATCH * (3 * 9 * CHANNELS * SIDE * SIDE + CHANNELS * SIDE * SIDE * CLASSES)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, CHANNELS, 3, padding=1),
        nn.BatchNorm2d(CHANNELS),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(CHANNELS * SIDE * SIDE, CLASSES),
    )


@pytest.fixture
def model() -> nn.Sequential:
    return network()


@pytest.fixture
def images() -> Tensor:
    return torch.ones(BATCH, 3, SIDE, SIDE)


def test_everything_public_is_named_in_all_and_nothing_imports_torch_before_it_is_used():
    code = (
        "import sys, alexnet_cli; from alexnet_cli import AlexnetError, inspect, compare;"
        "print(sorted(alexnet_cli.__all__), 'torch' in sys.modules);"
        "from alexnet_cli import macs_formula; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = ["AlexnetError", "Inspection", "__version__", "compare", "inspect", "macs_formula"]
    assert done.stdout.splitlines() == [f"{names} False", "True"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        alexnet_cli.nothing  # noqa: B018 - it is the asking that raises


# What it answers


def test_a_live_module_and_its_inputs_give_the_numbers_derived_by_hand(model, images):
    look = inspect(model, images)
    assert look.report.totals.params == CONV_PARAMS + NORM_PARAMS + LINEAR_PARAMS
    assert look.report.totals.macs == MACS
    run = look.report.run
    assert (run.device, run.mode, run.batch_size) == ("meta", "eval", BATCH)
    assert run.inputs[0].shape == (BATCH, 3, SIDE, SIDE)
    assert not run.inputs[0].found


def test_each_command_has_a_method_and_each_result_its_values_as_attributes(model, images):
    look = inspect(model, images)
    assert look.summary().totals == look.report.totals
    assert [share.type for share in look.params(by="type").by_type][:2] == ["Linear", "Conv2d"]
    assert look.cost(gpu="h100-sxm").totals.macs == MACS
    assert look.memory(optimizer="adam").training.optimizer == "adam"
    assert look.receptive_field().layers[0].size == (3, 3)
    assert look.explain(select=["stack"]).findings[0].code == "stack"
    assert [subject.totals.params for subject in look.compare("alexnet").subjects][1] == 62_378_344
    assert look.check(max_params="65M").passed
    assert not look.check(max_params=CONV_PARAMS).passed
    assert look.draw(style="graph").svg().startswith("<svg")
    assert look.page().html.startswith("<!DOCTYPE html>")


def test_a_target_gives_byte_for_byte_what_the_command_line_prints(alexnet, tmp_path):
    look = inspect("alexnet")
    for method, command in (
        (look.summary, ["summary"]),
        (look.memory, ["memory"]),
        (look.cost, ["cost"]),
        (look.receptive_field, ["receptive-field"]),
        (look.explain, ["explain"]),
    ):
        assert method().json() == alexnet(*command, "--json").out
        assert str(method()) == alexnet(*command).out
    assert look.params(by="type").json() == alexnet("params", "--by-type", "--json").out
    assert look.memory(batch_size=4).json() == alexnet("memory", "-b", "4", "--json").out
    assert look.cost(batch_size=[1, 8]).json() == alexnet("cost", "-b", "1,8", "--json").out
    assert look.cost(backward=True).json() == alexnet("cost", "--backward", "--json").out
    assert compare("alexnet", "caffenet").json() == alexnet("compare", "alexnet", "caffenet", "--json").out
    assert look.check(max_params="65M").json() == alexnet("check", "--max-params", "65M", "--json").out
    assert look.draw().svg() == alexnet("draw", "-f", "svg").out


def test_options_of_the_command_line_are_keyword_arguments(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, width):\n        super().__init__(nn.Conv2d(3, width, 3))\n"
    )
    target = f"{file}:Net"
    for size in ((3, 8, 8), [3, 8, 8], "3,8,8", [(3, 8, 8)], ["3x8x8"]):
        look = inspect(target, input_size=size, arg={"width": 5}, batch_size=2, dtype="float16", train=True)
        assert look.report.layers[-1].output_shapes == ((2, 5, 6, 6),)
    assert (look.report.run.dtype, look.report.run.mode) == ("float16", "train")
    assert inspect(target, torch.ones(7, 3, 9, 9), arg={"width": 5}).report.run.inputs[0].shape == (7, 3, 9, 9)


def test_the_batch_of_given_inputs_can_be_changed(model, images):
    look = inspect(model, images)
    by_hand = inspect(model, torch.ones(3, 3, SIDE, SIDE))
    assert look.memory(batch_size=3).json() == by_hand.memory().json()
    assert look.cost(batch_size=3).json() == by_hand.cost().json()
    assert inspect(model, images, batch_size=3).summary().json() == by_hand.summary().json()


def test_without_inputs_one_is_searched_for_and_said(model):
    look = inspect(model)
    assert look.report.run.inputs[0].found
    assert "no input was given: found that 3×32×32 fits" in look.notes[0]
    assert look.notes[0] in " ".join(str(look.summary()).split("\n"))


@dataclass
class Pair:
    left: Tensor
    right: tuple[Tensor, ...]


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 6)

    def forward(self, batch, pair, kind="sum", scale=None):
        assert kind == "mean"
        ids = batch["ids"]
        return self.linear(pair.left + pair.right[0]) * scale, ids


def test_arguments_may_be_nested_and_need_not_be_tensors():
    batch = {"ids": torch.zeros(5, 3, dtype=torch.int64), "name": "text"}
    pair = Pair(torch.ones(5, 4), (torch.ones(5, 4), torch.ones(5, 1)))
    look = inspect(Nested(), batch, pair, kwargs={"kind": "mean", "scale": torch.ones(5, 6)})
    assert [(given.name, given.shape) for given in look.report.run.inputs] == [
        ("batch.ids", (5, 3)),
        ("pair.left", (5, 4)),
        ("pair.right.0", (5, 4)),
        ("pair.right.1", (5, 1)),
        ("scale", (5, 6)),
    ]
    assert look.report.totals.macs == 5 * 4 * 6
    assert look.cost(batch_size=2).totals.macs == 2 * 4 * 6
    assert batch["ids"].device.type == pair.left.device.type == "cpu"


class Chooses(nn.Module):
    """Needs the values that it is given."""

    def __init__(self):
        super().__init__()
        self.small, self.large = nn.Linear(4, 2), nn.Linear(4, 8)

    def forward(self, x):
        return self.large(x) if x.sum() > 0 else self.small(x)


@pytest.mark.parametrize(("value", "macs"), [(1.0, 4 * 8), (-1.0, 4 * 2)])
def test_a_model_that_needs_values_gets_those_of_its_inputs(value, macs):
    look = inspect(Chooses(), torch.full((1, 4), value))
    assert look.report.totals.macs == macs
    assert look.report.run.device == "meta"  # few values are followed there
    samples = 100_000
    look = inspect(Chooses(), torch.full((samples, 4), value))
    assert look.report.totals.macs == samples * macs
    assert "needs values to run" in look.notes[0]
    assert look.report.run.device == "cpu"


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method`:DeprecationWarning")  # torch.compile imports it
@pytest.mark.parametrize("wrapped", [torch.compile, nn.DataParallel], ids=["compiled", "parallel"])
def test_wrappers_are_looked_through(model, images, wrapped):
    look = inspect(wrapped(model), images)
    assert look.report.model.class_name == "Sequential"
    assert look.report.totals.params == CONV_PARAMS + NORM_PARAMS + LINEAR_PARAMS
    assert any("is wrapped in" in note for note in look.notes)


def test_a_model_under_distributed_data_parallel_is_looked_through(model, images, tmp_path):
    from torch import distributed

    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        look = inspect(nn.parallel.DistributedDataParallel(model), images)
    finally:
        distributed.destroy_process_group()
    assert look.report.totals.macs == MACS


def test_a_formula_for_an_operator_of_ones_own_is_used():
    with torch.library._scoped_library("alexnet_api_test", "DEF") as library:
        library.define("triple(Tensor x) -> Tensor")
        library.impl("triple", lambda x: x * 3, "CompositeExplicitAutograd")
        library.impl("triple", torch.empty_like, "Meta")

        class Triples(nn.Module):
            def forward(self, x):
                return torch.ops.alexnet_api_test.triple(x)

        macs_formula("alexnet_api_test::triple")(lambda x, **_: 3 * x.numel())
        assert inspect(Triples(), torch.ones(2, 5)).report.totals.macs == 30


# Showing and saving


def test_results_show_themselves_in_a_notebook(model, images):
    look = inspect(model, images)
    for shown in (look, look.summary(), look.memory(), look.page()):
        html = shown._repr_html_()
        assert html.startswith("<iframe srcdoc=")
        assert "Conv2d" in html
        assert "<script>" not in html  # escaped, inside the frame
    assert look.draw()._repr_html_().startswith("<svg")
    assert repr(look) == f"<Inspection of Sequential: {look.report.totals.params:,} parameters>"
    assert repr(look.summary()) == str(look.summary())


def test_a_result_is_saved_in_the_format_of_its_suffix(model, images, tmp_path):
    look = inspect(model, images)
    summary = look.summary()
    starts = {"json": "{", "md": "# Sequential", "csv": "layer,path", "svg": "<svg", "html": "<!DOCTYPE html>"}
    for suffix, start in starts.items():
        summary.save(tmp_path / f"a.{suffix}")
        assert (tmp_path / f"a.{suffix}").read_text().startswith(start)
    assert (tmp_path / "a.json").read_text() == summary.json()
    assert json.loads(summary.json())["totals"]["macs"] == MACS
    again = inspect(tmp_path / "a.json")
    assert again.report.totals == look.report.totals
    assert again.cost().totals == look.cost().totals
    look.draw().save(str(tmp_path / "figure.svg"))
    look.draw().save(tmp_path / "figure.dot")
    look.draw().save(tmp_path / "figure.png")
    assert (tmp_path / "figure.svg").read_text() == look.draw().svg()
    assert (tmp_path / "figure.dot").read_text().startswith("digraph")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    look.page().save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == look.page().html
    before = sorted(path.name for path in tmp_path.iterdir())
    for refused in (lambda: summary.save(tmp_path / "a.xyz"), lambda: look.draw().save(tmp_path / "a.xyz")):
        with pytest.raises(AlexnetError, match="no suffix that names a format"):
            refused()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


# Errors


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        (lambda: inspect("alexnett"), 2, "unknown target 'alexnett'"),
        (lambda: inspect("nowhere.py:Net"), 3, "file not found: nowhere.py"),
        (lambda: inspect("alexnet", device="abacus"), 2, "unknown device 'abacus'"),
        (lambda: inspect("alexnet", input_size=(3, 224, 224)), 4, "takes 9216 features but got 6400"),
        (lambda: inspect(network(), torch.ones(1, 5, SIDE, SIDE)), 4, "takes 3 channels but got 5"),
        (lambda: inspect(network, torch.ones(1)), 2, "inspect takes a module or a target, not a function"),
        (lambda: inspect(network(), arg={"width": 3}), 2, "arg goes with a class or a function"),
        (lambda: inspect("alexnet", arg={"width": {3}}), 2, "arg takes what JSON can hold"),
        (lambda: inspect(network(), torch.ones(1), input_size=3), 2, "both inputs and input_size"),
        (lambda: inspect("alexnet").cost(gpu="abacus"), 2, "unknown GPU 'abacus'"),
        (lambda: inspect("alexnet").check(max_parms="1M"), 2, "unknown limit 'max_parms'"),
        (lambda: inspect("alexnet").check(), 2, "nothing to check"),
        (lambda: inspect("alexnet").params(by="colour"), 2, "unknown grouping 'colour'"),
        (lambda: compare("alexnet"), 2, "compare takes two models or more"),
    ],
)
def test_errors_are_exceptions_with_message_hint_and_exit_code(call, code, said):
    with pytest.raises(AlexnetError) as caught:
        call()
    assert said in caught.value.message
    assert caught.value.exit_code == code
    assert str(caught.value) == caught.value.message


def test_an_error_of_the_forward_has_the_rows_that_ran(model):
    with pytest.raises(AlexnetError) as caught:
        inspect(model, torch.ones(1, 3, 30, 30))
    ran = [layer.type for layer in caught.value.report.layers]
    assert ran == ["Sequential", "Conv2d", "BatchNorm2d", "ReLU", "Dropout", "Flatten"]
    assert caught.value.path == "5"
    assert "a square input of 32 fits" in caught.value.hint


# A module is left as it was


def state_of(model: nn.Module) -> dict[str, object]:
    """All that a test can see of a module and of torch around it."""
    held = model.state_dict(keep_vars=True)
    return {
        "mode": [part.training for part in model.modules()],
        "tensors": [(key, id(t), t._version, t.device, t.requires_grad) for key, t in held.items()],
        "values": [tensor.clone() for tensor in model.state_dict().values()],
        "gradients": [None if p.grad is None else (id(p.grad), p.grad.clone()) for p in model.parameters()],
        "hooks": [(len(part._forward_hooks), len(part._forward_pre_hooks)) for part in model.modules()],
        "attributes": [sorted(vars(part)) for part in model.modules()],
        "random": torch.get_rng_state(),
        "settings": (torch.is_grad_enabled(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()),
        "call": nn.Module.__call__,
        "streams": (sys.stdout, sys.stderr),
    }


def assert_same(before: object, after: object) -> None:
    if isinstance(before, Tensor):
        assert torch.equal(before, after)
    elif isinstance(before, dict):
        assert before.keys() == after.keys()
        for key in before:
            assert_same(before[key], after[key])
    elif isinstance(before, (list, tuple)):
        assert len(before) == len(after)
        for one, other in zip(before, after, strict=True):
            assert_same(one, other)
    else:
        assert before == after


class Raises(nn.Module):
    def forward(self, x):
        raise ValueError("on purpose")


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_a_module_is_exactly_as_it_was(model, images, device, training, fails):
    if fails:
        model.append(Raises())
    model.train(training)
    model[1].eval()
    with torch.enable_grad():
        F.mse_loss(model[:6](images.clone()), torch.zeros(BATCH, CLASSES)).backward()
    seen = []
    model[0].register_forward_hook(lambda *_: seen.append(1))
    before, given = state_of(model), images.clone()
    if fails:
        with pytest.raises(AlexnetError, match="on purpose"):
            inspect(model, images, device=device, train=training)
    else:
        look = inspect(model, images, device=device, train=training)
        look.summary()
        if device == "meta":
            look.memory(optimizer="adam")
            look.explain()
    assert_same(before, state_of(model))
    assert torch.equal(images, given)


def test_a_training_step_that_needs_values_leaves_the_weights_alone():
    model = Chooses()
    before = state_of(model)
    memory = inspect(model, torch.ones(2, 4)).memory(optimizer="sgd-momentum")
    assert memory.training.peak_bytes > 0
    assert_same(before, state_of(model))


MEMORY = """
import resource
import sys
import torch
import torch.utils.flop_counter  # torch's formulas, used by every trace; a CUDA build imports triton for them: 74 MB
from torch import nn

torch.set_num_threads(1)
model = nn.Sequential(*[nn.Linear(8192, 8192) for _ in range(4)])  # 1 GiB of weights
weights = sum(parameter.numel() * 4 for parameter in model.parameters())
assert weights > 2**30
x = torch.ones(1, 8192)

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(sys.argv[1]))

before = resident()
from alexnet_cli import inspect
text = str(inspect(model, x, device=sys.argv[2]).summary())
assert "268,468,224" in text, text
print(before, resident())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells memory by /proc")
@pytest.mark.parametrize(("device", "most"), [("meta", 1.05), ("cpu", 1.1)])  # on the CPU torch's profiler is imported
def test_a_gigabyte_of_weights_is_not_copied(device, most):
    done = subprocess.run([sys.executable, "-c", MEMORY, "VmHWM", device], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after <= most * before


def test_a_saved_report_can_be_looked_at_without_torch(tmp_path, alexnet):
    path = tmp_path / "report.json"
    alexnet("summary", "--json", "-o", str(path))
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom alexnet_cli import inspect\n"
        f"look = inspect({str(path)!r})\n"
        "print(look.params(by='type').by_type[0].params, look.memory().inference.peak_bytes > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{58_631_144} True\n"


def test_an_inspection_is_what_inspect_returns():
    assert isinstance(inspect("alexnet"), Inspection)
