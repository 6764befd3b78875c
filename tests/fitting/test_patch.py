"""The code that `fit --emit` writes: run in a real step on the CPU, it takes what was predicted."""

from __future__ import annotations

import copy
import sys
from collections.abc import Collection
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace
from small import NETWORKS
from torch import nn

from alexnet_cli import inspect
from alexnet_cli.analyses.fitting.halves import split
from alexnet_cli.analyses.fitting.tried import Changed
from alexnet_cli.analyses.memory import peak_of, timeline
from alexnet_cli.session.how import AMP_DTYPES, TrainingStep, how_to_run
from alexnet_cli.session.session import Live, Session, Variation
from alexnet_cli.views.patch import patch_of

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from fits import SHARES, loaded, real_peak, tensors_of

APART = 0.03
"""How far a real peak may be from the prediction; what is asked for leaves that much of the budget free."""


TRAINED = ["lora", "qlora", "freeze", "batch"]
WITHOUT = (["amp", *TRAINED], ["micro-batches", "amp", *TRAINED], ["amp", *TRAINED])
"""The kinds of changes that are left out for each budget: the middle one is for blocks alone.

Steps that train fewer parameters, or on fewer samples, are held to what they take in `test_trained.py`.
"""


@pytest.fixture(scope="module")
def looks():
    torch.manual_seed(0)
    return {
        name: inspect(build(), input_size=shape, batch_size=batch) for name, (build, shape, batch) in NETWORKS.items()
    }


HOW = {"optimizer": "sgd", "foreach": False, "predict_for": "cpu"}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_emitted_code_takes_what_was_predicted_and_stays_below_the_budget(name, looks, tmp_path):
    build, _, batch = NETWORKS[name]
    asked = looks[name].fit(budget="1TiB", **HOW).chosen
    held = 2 * sum(each.nbytes for each in build().parameters())
    done = set()
    for share, without in zip(SHARES, WITHOUT, strict=True):
        budget = int(held + share * (asked.peak_bytes - held))
        file = tmp_path / "patch.py"
        found = looks[name].fit(budget=f"{int(budget / (1 + APART))}B", emit=file, without=without, **HOW)
        if found.chosen is None:
            assert found.lower_bound_bytes > budget / (1 + APART)
            assert not file.exists() or done
            continue
        change = found.chosen.change
        if change not in done:
            done.add(change)
            real = real_peak(loaded(file.read_text()), build(), tensors_of(name, batch))
            assert real == pytest.approx(found.chosen.peak_bytes, rel=APART)
            assert real <= budget


@pytest.mark.parametrize("number", [1, 2, 4])
def test_micro_batches_of_convolutions_take_what_their_kernels_take_on_the_cpu(number):
    """The gradient of a convolution's weights is there in oneDNN's layout too, while the sum of those before is."""
    build, shape, batch = NETWORKS["unet"]
    session = Session(Live(build()), how_to_run(input_size=[shape], batch_size=batch)).as_on_cpu()
    step = TrainingStep("sgd", foreach=False, micro_batches=number)
    peak = peak_of(timeline(session.once(Variation(step=step, on_meta=True)))).bytes
    code = emitted(Changed(batch, "sgd", None, foreach=False, micro_batches=number, checkpoint=()))
    assert peak == pytest.approx(real_peak(code, build(), tensors_of("unet", batch)), rel=1e-3)


class Noisy(nn.Module):
    """Blocks with batch norms and dropout, which must see the same numbers in both runs, or move once."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(self.block() for _ in range(3)))
        self.plain = nn.Sequential(nn.Linear(16, 16), nn.ReLU(inplace=True), nn.Linear(16, 4), nn.Tanh())

    @staticmethod
    def block() -> nn.Module:
        return nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.GELU())

    def forward(self, x):
        return self.plain(self.blocks(x))


def emitted(step: Changed, *, statistics: bool = False, cached: bool = False, modules: Collection[str] = ()) -> dict:
    dtype = None if step.amp is None else AMP_DTYPES[step.amp]
    return loaded(
        patch_of(step, ("net.py:Net",), autocast=dtype, statistics=statistics, cached=cached, modules=modules)
    )


SGD = Changed(32, "sgd", None, foreach=False, micro_batches=1, checkpoint=())
AGAIN = (("blocks.0.0", "blocks.0.1", "blocks.0.2"), ("blocks.1",), ("plain.0", "plain.1"))


def test_checkpoints_change_neither_gradients_nor_running_averages_nor_the_state():
    plain = Noisy()
    changed = copy.deepcopy(plain)
    given = torch.rand(32, 16)
    code = emitted(replace(SGD, checkpoint=AGAIN), statistics=True)
    assert code["changed"](changed) is changed
    for model, own in ((plain, emitted(SGD)), (changed, code)):
        torch.manual_seed(1)
        own["training_step"](model, own["optimizer_of"](model, lr=0.1), given, loss_of=lambda out: out.square().mean())
    assert plain.state_dict().keys() == changed.state_dict().keys()
    for name, value in plain.state_dict().items():
        if "num_batches" not in name:
            torch.testing.assert_close(changed.state_dict()[name], value)
    for before, after in zip(plain.parameters(), changed.parameters(), strict=True):
        torch.testing.assert_close(after.grad, before.grad)


class Named(nn.Module):
    """Takes a tensor, a dict of tensors, and a scale that no part has a share of."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 3)

    def forward(self, x, more, *, scale):
        return {"scores": self.linear(x + more["bias"]) * scale}


@pytest.mark.parametrize("size", [12, 10, 3])
def test_micro_batches_sum_to_the_gradients_of_the_whole_batch(size):
    model, code = Named(), emitted(replace(SGD, micro_batches=4))
    x, more, scale, labels = torch.rand(size, 8), {"bias": torch.rand(size, 8)}, torch.tensor(2.0), torch.rand(size, 3)

    def loss(output, wanted):
        return nn.functional.mse_loss(output["scores"], wanted)

    loss(model(x, more, scale=scale), labels).backward()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    optimizer = code["optimizer_of"](model, lr=0.0)
    code["training_step"](model, optimizer, x, more, scale=scale, loss_of=loss, targets=(labels,))
    if size == 12:  # parts of equal size have equal shares
        for parameter, whole in zip(model.parameters(), before, strict=True):
            torch.testing.assert_close(parameter.grad, whole)
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("optimizer", ["none", "sgd", "sgd-momentum", "adam", "adamw"])
@pytest.mark.parametrize("amp", [None, "bf16", "fp16"])
@pytest.mark.parametrize("parts", [1, 2])
def test_every_kind_of_step_is_code_that_runs(optimizer, amp, parts):
    code = emitted(replace(SGD, optimizer=optimizer, amp=amp, micro_batches=parts, checkpoint=AGAIN), cached=True)
    model = code["changed"](Noisy())
    before = copy.deepcopy(model.state_dict())
    given = [model]
    if optimizer != "none":
        given.append(code["optimizer_of"](model))
        if amp == "fp16":
            given.append(torch.amp.GradScaler("cpu", init_scale=1.0))
    code["training_step"](*given, torch.rand(8, 16))
    moved = any(not torch.equal(before[name], value) for name, value in model.named_parameters())
    assert moved is (optimizer != "none")


def test_names_cannot_break_out_of_the_code():
    step = replace(SGD, checkpoint=(('a"""\nimport os\n', "b\\"),))
    text = patch_of(step, ('net.py:Net"""\nraise SystemExit\r\x1b[2J',), autocast=None, statistics=True, cached=False)
    code = loaded(text)
    assert code["BLOCKS"] == step.checkpoint
    assert "\x1b" not in text
    assert "\r" not in text


def test_adam_of_8_bits_holds_what_torchao_holds():
    """Blocks of 256 values in bytes, with a scale each; what is small or no multiple of a block stays as it is."""
    pytest.importorskip("torchao.optim", exc_type=ImportError)
    model = nn.Sequential(nn.Linear(96, 96), nn.Linear(96, 43, bias=False))  # 9,216 and 4,128 values
    session = Session(Live(model), how_to_run(input_size=["96"], batch_size=4))
    update = split(session.once(Variation(step=TrainingStep("adamw-8bit"), on_meta=True)), None)[1]
    code = emitted(replace(SGD, optimizer="adamw-8bit"))
    optimizer = code["optimizer_of"](model, lr=1e-3)
    with torch.compiler.set_stance("force_eager"):
        code["training_step"](model, optimizer, torch.rand(4, 96))
    state = [value for entry in optimizer.state.values() for value in entry.values()]
    parts = [
        part
        for value in state
        for part in ((value.codes, value.scale, value.qmap) if hasattr(value, "codes") else (value,))
    ]
    assert update.held_bytes == sum(part.nbytes for part in parts)
    assert update.held_bytes == 2 * (9216 + 4 * 9216 // 256 + 4 * 256) + 2 * 4 * (96 + 4128) + 3 * 4
    assert update.extra_bytes == 2 * 4 * (9216 + 9216 // 256)
