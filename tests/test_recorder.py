"""What the recorder spares itself must not be seen in the rows."""

from __future__ import annotations

from contextlib import nullcontext, suppress

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from alexnet_cli.older_reports import NATURES
from alexnet_cli.report import Report
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.recording.operators import operator
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.single import SINGLE
from alexnet_cli.tracing.trace import trace

LAYERS = {
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3), "4,8"),
    "Conv2d": (lambda: nn.Conv2d(4, 6, 3, bias=False), "4,8,8"),
    "Conv3d": (lambda: nn.Conv3d(4, 6, 3), "4,8,8,8"),
    "Conv2d, circular": (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), "4,8,8"),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2), "4,8,8"),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4, track_running_stats=False), "4,8"),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), "4,8,8"),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(4), "4,8,8,8"),
    "LayerNorm": (lambda: nn.LayerNorm(8), "4,8"),
    "RMSNorm": (lambda: nn.RMSNorm(8), "4,8"),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), "4,8,8"),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3), "4,8,8"),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), "4,8,8"),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(2), "4,8,8"),
    "MaxPool2d": (lambda: nn.MaxPool2d(2, return_indices=True), "4,8,8"),
    "ReLU in place": (lambda: nn.ReLU(inplace=True), "4"),
    "GELU": (nn.GELU, "4"),
    "SiLU": (nn.SiLU, "4"),
    "Sigmoid": (nn.Sigmoid, "4"),
    "Tanh": (nn.Tanh, "4"),
    "Linear": (lambda: nn.Linear(4, 5), "4"),
    "Dropout": (nn.Dropout, "4"),
    "Flatten": (nn.Flatten, "4,8"),
    "Identity": (nn.Identity, "4"),
    "LSTM": (lambda: nn.LSTM(4, 5, 2, bidirectional=True, batch_first=True), "3,4"),
    "GRUCell": (lambda: nn.GRUCell(4, 5), "4"),
    "Embedding": (lambda: nn.Embedding(10, 4), "3:int64"),
    "PReLU": (nn.PReLU, "4"),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), "4,8,8"),
    "LogSoftmax": (lambda: nn.LogSoftmax(dim=1), "4"),
}


def traced(make, shape: str, notify=pytest.fail, **options) -> Report:
    subject = Subject("model", "", lambda: Loaded(make()))
    return trace(subject, TraceOptions(inputs=(parse_input(shape),), **options), notify)


def hooked(layer: nn.Module) -> nn.Module:
    """A layer with a hook may call others, so each of its functions is recorded on its own."""
    layer.register_forward_hook(lambda module, args, output: None)
    return layer


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_whose_functions_are_not_recorded_one_by_one_gives_the_same_report(name, device):
    make, shape = LAYERS[name]
    for mode in ("eval", "train"):
        closed, opened = (
            traced(lambda wrap=wrap: nn.Sequential(wrap(make())), shape, device=device, mode=mode)
            for wrap in (lambda layer: layer, hooked)
        )
        assert closed.layers == opened.layers
        assert closed.totals == opened.totals
        assert closed.tape == opened.tape


def test_layers_of_a_single_function_are_among_those_compared():
    assert {type(make()) for make, _ in LAYERS.values()} >= set(SINGLE)


class Meddling(nn.Module):
    """Runs a layer while somebody watches the functions, with a function in place of torch's, or as it is."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.layer = nn.Linear(4, 4)
        self.seen: list[str] = []

    def forward(self, x):
        plain, watch = functional.linear, Watching(self.seen) if self.how == "watched" else nullcontext()
        if self.how == "replaced":
            functional.linear = lambda x, weight, bias: plain(x, weight, bias) + torch.zeros(4)
        try:
            with watch:
                return self.layer(x)
        finally:
            functional.linear = plain


class Watching(TorchFunctionMode):
    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self.seen = seen

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.seen.append(func.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("how", ["plain", "watched", "replaced"])
def test_who_watches_or_replaces_the_function_of_a_layer_goes_on(how):
    made: list[Meddling] = []
    report = traced(lambda: made.append(Meddling(how)) or made[0], "4", device="meta")
    assert ("linear" in made[0].seen) == (how == "watched")
    [layer] = [row for row in report.layers if row.path == "layer"]
    assert layer.macs == 16
    assert [operation.op for operation in report.tape.operations if operation.op in ("addmm", "zeros")] == [
        "addmm",
        *(["zeros"] if how == "replaced" else []),
    ]


class Shortcut(nn.Module):
    def __init__(self):
        super().__init__()
        self.shortcut = nn.Sequential()

    def forward(self, x):
        return x + self.shortcut(x)


def test_an_empty_sequential_is_a_layer_that_was_called():
    rows = traced(Shortcut, "4").layers
    assert [(row.path, row.leaf, row.index) for row in rows] == [
        ("", False, None),
        ("shortcut", True, 1),
        ("add", True, None),
    ]


class Twice(nn.Module):
    """One parameter under two names."""

    def __init__(self):
        super().__init__()
        self.weight = self.same = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        return x * self.weight


def test_a_parameter_under_two_names_counts_once():
    report = traced(lambda: nn.Sequential(Twice()), "4")
    assert report.totals.params == report.layers[1].params == 4
    assert report.totals.param_bytes == 16


class Spare(nn.Module):
    """A module that is not called: its weight goes into another's call, its buffer is never looked at."""

    def __init__(self):
        super().__init__()
        self.spare = nn.BatchNorm1d(4)
        self.layer = nn.Identity()

    def forward(self, x):
        return x * self.layer(self.spare.weight.abs())


def test_totals_hold_what_no_row_does():
    report = traced(Spare, "4")
    assert report.layers[0].params == report.totals.params == 8  # read, so the model's own
    assert report.totals.trainable_params == 8
    assert report.totals.buffers == 4 + 4 + 1
    assert sum(row.buffers for row in report.layers) == 0


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_the_function_that_fails_is_known_in_a_layer_of_torchs_too(device):
    recorder = Recorder(torch.device(device))
    model = nn.Sequential(nn.Unflatten(1, (2, 3)))
    with recorder.recording(), pytest.raises(RuntimeError):
        model(torch.zeros(1, 5, device=device))
    assert recorder.failed is not None
    assert recorder.failed.module is model[0]
    assert recorder.failed_function is not None
    assert (recorder.failed_function.name, recorder.failed_function.input_shapes) == ("unflatten", ((1, 5),))


@pytest.mark.parametrize("more", [(), (3, 3, 3)], ids=["integers", "other dimensions"])
@pytest.mark.parametrize("name", [name for name, (make, _) in LAYERS.items() if type(make()) in SINGLE])
def test_a_single_function_that_fails_is_known_as_the_mode_would_have_seen_it(name, more):
    make, shape = LAYERS[name]
    given = torch.ones(2, *parse_input(shape).shape, *more, dtype=torch.int64, device="cpu")
    found = []
    for wrap in (lambda layer: layer, hooked):
        recorder = Recorder(torch.device("cpu"))
        with recorder.recording(), suppress(RuntimeError, ValueError):
            nn.Sequential(wrap(make()).eval())(given)
        function = recorder.failed_function
        found.append(None if function is None else (function.name, function.input_shapes))
    takes_all = name in ("ReLU in place", "Sigmoid", "Tanh", "Dropout") or (name == "AvgPool2d" and not more)
    refuses_itself = bool(more) and name.startswith("BatchNorm")  # before its function
    assert found[0] == found[1]
    assert (found[0] is None) == (takes_all or refuses_itself)


def natures(forward, shape: str) -> dict[str, str]:
    class Model(nn.Module):
        def forward(self, x):
            return forward(x)

    tape = traced(Model, shape).tape
    return {operation.op: operation.nature for operation in tape.operations}


def test_the_tape_says_which_operators_are_views_or_pointwise():
    def forward(x):
        x = (x.clone().add_(1) * 2).relu().masked_fill(torch.zeros_like(x, dtype=torch.bool), torch.zeros(()))
        seen = x.transpose(1, 2).unsqueeze_(0)
        seen.copy_(torch.ones_like(seen))
        return x.flatten(0, 1) @ seen.flatten(0, 2), x.transpose(1, 2).flatten(1)

    found = natures(forward, "4,8")
    found.pop("lift_fresh", None)  # torch 2.14 and newer end `zeros` with one
    assert found == {
        **dict.fromkeys(("clone", "add_", "mul", "relu", "masked_fill"), "pointwise"),
        **dict.fromkeys(("transpose", "unsqueeze_", "view", "_unsafe_view", "alias"), "view"),
        **dict.fromkeys(("zeros", "zeros_like", "copy_", "ones_like", "mm"), "compute"),
    }


@pytest.mark.skipif(torch.__version__ < "2.13", reason="the list is of torch 2.13, which tags more operators")
def test_the_natures_by_which_older_reports_are_completed_are_those_of_the_schema():
    for name, nature in NATURES.items():
        packet = getattr(torch.ops.aten, name, None)
        if packet is None:
            continue  # in no torch at hand: another version's
        overloads = (getattr(packet, each) for each in packet.overloads())
        assert any(operator(overload).nature == nature for overload in overloads), name
