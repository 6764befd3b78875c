"""Memory where watching a run, or running it on `meta`, could differ from what torch does unwatched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import trace_target
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from alexnet_cli.analyses.memory import inference, training
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.tracing.options import TrainingStep

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from memory_models import measured_step

HERE = f"{__file__}:"
FLOAT = 4
WIDE = 1000


def on_meta(target: str, *shapes: str, amp: str | None = None, step: bool = True, **options):
    how = {"mode": "train", "step": TrainingStep("sgd", amp)} if step else {}
    return trace_target(HERE + target, inputs=tuple(map(parse_input, shapes)), **how, **options)


# ── an import on the way ─────────────────────────────────────────────────────────────────────────────────────────────

SCALED = """
import torch
from torch import nn

class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.by = nn.Parameter(torch.ones(1000))

    def forward(self, given):
        return given * self.by

def net():
    return nn.Sequential(Scale(), nn.ReLU(), nn.ReLU())
"""


def test_what_an_operator_imports_does_not_hold_the_model_s_tensors(tmp_path):
    """In a fresh process torch's kernel for a product that broadcasts imports torch.fx, which keeps its own frame."""
    (tmp_path / "net.py").write_text(SCALED)
    command = [sys.executable, "-m", "alexnet_cli", "memory", f"{tmp_path}/net.py:net", "-i", "1000", "-b", "2"]
    ran = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    row = 2 * WIDE * FLOAT
    weights, given, two_in_a_row = WIDE * FLOAT, row, 2 * row
    assert json.loads(ran.stdout)["inference"]["peak_bytes"] == weights + given + two_in_a_row


# ── gradients that are added up ──────────────────────────────────────────────────────────────────────────────────────


class UsedTwice(nn.Module):
    """A parameter whose gradient is the sum of two, each a tensor of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.ones(WIDE))

    def forward(self, given):
        del given
        return self.values * 2 + self.values * 3


class LinearTwice(nn.Module):
    """Weights whose gradients are transposed: views, to which torch does not add in place."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(200, 200, bias=False)

    def forward(self, given):
        return self.linear(self.linear(given))


def test_a_gradient_is_added_to_the_first_one_in_place():
    held = training(on_meta("UsedTwice", "1"))
    values_result_and_two_gradients, given, loss_and_its_gradient = 4 * WIDE * FLOAT, FLOAT, 2 * FLOAT
    assert held.peak_bytes == values_result_and_two_gradients + given + loss_and_its_gradient


@pytest.mark.parametrize(("make", "width"), [(UsedTwice, 1), (LinearTwice, 200)])
def test_gradients_added_in_place_peak_as_in_a_real_step(make, width):
    model = make()
    real = measured_step(model, torch.rand(1, width), torch.optim.SGD(model.parameters(), lr=0.1))
    assert training(on_meta(make.__name__, str(width))).peak_bytes == pytest.approx(real, rel=0.005)


class Gathered(nn.Module):
    """A few elements of many: backward scatters into zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.ones(1, WIDE))

    def forward(self, given):
        return torch.gather(self.values, 1, given)


def test_a_gradient_is_scattered_into_zeros_in_place():
    held = training(on_meta("Gathered", "1:int64"))
    small = 8 + FLOAT + 2 * FLOAT + FLOAT  # the index, the result, the loss and its gradient, and the result's
    assert 2 * WIDE * FLOAT < held.peak_bytes <= 2 * WIDE * FLOAT + small


class Swish(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, given):
        return F.silu(self.linear(given))


def test_what_devices_have_a_kernel_for_is_not_taken_apart():
    report = on_meta("Swish", "8")
    row = next(at for at, layer in enumerate(report.layers) if layer.path == "silu")
    assert [done.op for done in report.tape.operations if done.row == row] == ["silu", "silu_backward"]


# ── attention ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Grouped(nn.Module):
    """Four heads of the query for two of key and value."""

    def forward(self, query, key, value):
        return F.scaled_dot_product_attention(query, key, value, enable_gqa=True)


def test_heads_that_share_keys_run_as_one_kernel():
    report = on_meta("Grouped", "4,8,16", "2,8,16", "2,8,16", batch_size=2, step=False)
    query = result = 2 * 4 * 8 * 16 * FLOAT
    key = value = query // 2
    sums = 2 * 4 * 8 * FLOAT  # one for each row of scores
    assert inference(report).peak_bytes == query + key + value + result + sums
    assert report.totals.macs == 2 * (2 * 4 * 8 * 8 * 16)


class Attention(nn.Module):
    """One head over 64 positions; of the query, the key and the value in one."""

    def __init__(self, masked: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.project = nn.Linear(8, 8, bias=False)
        self.register_buffer("mask", torch.ones(64, 64, dtype=torch.bool) if masked else None)

    def forward(self, given):
        query = self.project(given).unsqueeze(1)
        return F.scaled_dot_product_attention(query, query, query, self.mask, self.dropout)


def masked():
    return Attention(masked=True)


def dropping():
    return Attention(dropout=0.5)


def test_a_mask_of_booleans_is_saved_as_numbers():
    """The kernels add their mask to the scores, so torch makes such a one and keeps it for backward."""
    given = query = result = 64 * 8 * FLOAT
    sums, mask = 64 * FLOAT, 64 * 64 * FLOAT
    assert training(on_meta("Attention", "64,8")).saved_activation_bytes == given + query + result + sums
    assert training(on_meta("masked", "64,8")).saved_activation_bytes == given + query + result + sums + mask


@pytest.mark.parametrize("amp", [None, "bf16"])
def test_dropout_in_attention_needs_no_more(amp):
    """CUDA's kernel draws it again in backward; the scores are not held."""
    plain, with_dropout = (training(on_meta(name, "64,8", amp=amp)) for name in ("Attention", "dropping"))
    assert with_dropout.saved_activation_bytes == plain.saved_activation_bytes
    assert with_dropout.peak_bytes == plain.peak_bytes


# ── what is said ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_explains_how_dropout_masks_are_predicted(alexnet):
    told = "dropout masks are predicted as on the CPU"
    assert told in alexnet("memory", "alexnet-paper", "--width", "300").out
    assert told not in alexnet("memory", "alexnet", "--width", "300").out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("cost", "for other hardware give --peak-flops and --bandwidth"),
        ("memory", "for any other device give --capacity, as in --capacity 24GiB"),
        ("report", "none leaves the roofline out"),
    ],
)
@pytest.mark.parametrize("name", ["abacus", ""])
def test_an_unknown_gpu_is_told_what_else_the_command_takes(alexnet, command, said, name):
    answer = alexnet(command, "--gpu", name)
    assert (answer.code, answer.out) == (2, "")
    assert f"unknown GPU '{name}'" in answer.err
    assert answer.err.rstrip().endswith(said)


def test_no_other_input_is_advised_where_backward_fails(alexnet, tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Broken(torch.autograd.Function):\n"
        "    @staticmethod\n    def forward(ctx, given): return given * 2\n"
        "    @staticmethod\n    def backward(ctx, gradient): raise RuntimeError('no gradient here')\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.linear = nn.Linear(8, 4)\n"
        "    def forward(self, given): return Broken.apply(self.linear(given))\n"
    )
    answer = alexnet("memory", f"{tmp_path}/net.py:Net", "-i", "8")
    assert answer.code == 4
    assert "no gradient here" in answer.err
    assert "fits" not in answer.err
