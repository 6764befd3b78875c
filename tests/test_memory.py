"""Predicted memory: against hand-written arithmetic, torch's own hooks, and what real runs allocate."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from helpers import trace_target
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from alexnet_cli.analyses.capacity import largest_batch
from alexnet_cli.analyses.memory import Recipe, by_layer, inference, timeline, training
from alexnet_cli.errors import NothingToTrainError
from alexnet_cli.models.alexnet import AlexNet
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.tracing.options import TrainingStep

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import memory_models
from memory_models import BATCH, MODELS, measured_forward, measured_step

HERE = f"{__file__}:"
FLOAT = 4


def forward(target: str, shape: str, **options) -> object:
    return trace_target(HERE + target, inputs=(parse_input(shape),), **options)


def step(target: str, shape: str | None = None, optimizer: str = "sgd", **options):
    """Return the report of a training step."""
    how = TrainingStep(optimizer, options.pop("amp", None), options.pop("foreach", False))
    inputs = (parse_input(shape),) if shape else None
    return trace_target(target, inputs=inputs, mode="train", step=how, **options)


# ── hand-written arithmetic ──────────────────────────────────────────────────────────────────────────────────────────


class Mlp(nn.Module):
    """Linear 10 to 20, ReLU in place, linear 20 to 5."""

    def __init__(self, inplace: bool = True) -> None:
        super().__init__()
        self.first = nn.Linear(10, 20)
        self.relu = nn.ReLU(inplace=inplace)
        self.second = nn.Linear(20, 5)

    def forward(self, given):
        return self.second(self.relu(self.first(given)))


def plain_relu():
    return Mlp(inplace=False)


MLP_WEIGHTS = (10 * 20 + 20 + 20 * 5 + 5) * FLOAT


def test_the_peak_of_a_forward_is_what_lives_at_once():
    held = inference(forward("Mlp", "10", batch_size=2))
    given, hidden, scores = 2 * 10 * FLOAT, 2 * 20 * FLOAT, 2 * 5 * FLOAT
    assert held.weights_bytes == MLP_WEIGHTS
    assert held.input_bytes == given
    assert held.peak_bytes == MLP_WEIGHTS + given + hidden + scores
    assert held.peak_activation_bytes == given + hidden + scores
    assert (held.peak.op, held.peak.path) == ("addmm", "second")


def test_an_activation_that_is_not_in_place_lives_beside_its_input():
    held = inference(forward("plain_relu", "10", batch_size=2))
    assert held.peak_bytes == MLP_WEIGHTS + (2 * 10 + 2 * 20 + 2 * 20) * FLOAT
    assert held.peak.path == "relu"


def test_a_step_saves_inputs_of_linear_layers_and_outputs_of_relu_once():
    report = step(HERE + "Mlp", "10", batch_size=2)
    held = training(report)
    given, hidden = 2 * 10 * FLOAT, 2 * 20 * FLOAT
    assert held.saved_activation_bytes == given + hidden  # relu's result is the second layer's input
    assert held.gradient_bytes == MLP_WEIGHTS
    assert held.optimizer_bytes == 0
    saved = {layer.path: layer.saved_bytes for layer in by_layer(report)}
    assert saved == {"first": given, "relu": hidden, "second": 0}


@pytest.mark.parametrize(("optimizer", "copies"), [("none", 0), ("sgd", 0), ("sgd-momentum", 1), ("adam", 2)])
def test_optimiser_state_is_there_from_the_start(optimizer, copies):
    report = step(HERE + "Mlp", "10", optimizer)
    held = training(report, Recipe(optimizer))
    counters = 4 * FLOAT if optimizer == "adam" else 0  # one step counter for each of four parameters
    assert held.optimizer_bytes == copies * MLP_WEIGHTS + counters
    assert timeline(report)[0].live_bytes.get("optimizer", 0) == held.optimizer_bytes


def test_nothing_that_is_freed_lives_on():
    last = timeline(step(HERE + "Mlp", "10"))[-1].live_bytes
    assert last["weights"] == last["gradients"] == MLP_WEIGHTS
    assert last.get("temporary", 0) <= 2 * 5 * FLOAT  # the scores, which the caller holds, and the loss


class Views(nn.Module):
    """Views, a slice and a concatenation."""

    def forward(self, given):
        turned = given.transpose(1, 2).reshape(given.shape[0], -1)[:, :6]
        return torch.cat([turned, turned], 1)


def test_views_take_no_memory():
    held = inference(forward("Views", "2,4"))
    copied = 8 * FLOAT  # the transposed tensor must be copied to be reshaped
    assert held.peak_bytes == 8 * FLOAT + copied + 12 * FLOAT


class Checkpointed(nn.Module):
    """Two wide layers whose activations are computed again in backward."""

    def __init__(self, again: bool = True) -> None:
        super().__init__()
        self.again = again
        self.body = nn.Sequential(nn.Linear(8, 1000), nn.Sigmoid(), nn.Linear(1000, 8))

    def forward(self, given):
        return checkpoint(self.body, given, use_reentrant=False) if self.again else self.body(given)


def kept():
    return Checkpointed(again=False)


def test_checkpointing_saves_only_the_blocks_input():
    again, not_again = (training(step(HERE + name, "8", batch_size=100)) for name in ("Checkpointed", "kept"))
    given, hidden = 100 * 8 * FLOAT, 100 * 1000 * FLOAT
    assert not_again.saved_activation_bytes == given + hidden
    assert again.saved_activation_bytes <= given


class Attention(nn.Module):
    """Scaled dot-product attention of 2 heads over long sequences."""

    def forward(self, query):
        return nn.functional.scaled_dot_product_attention(query, query, query)


def test_fused_attention_does_not_store_the_scores():
    length, heads, width = 2048, 2, 16
    held = inference(forward("Attention", f"{heads},{length},{width}"))
    given, logsumexp = heads * length * width * FLOAT, heads * length * FLOAT
    assert held.peak_bytes == 2 * given + logsumexp
    assert held.peak_bytes < heads * length * length * FLOAT


def frozen():
    return Mlp().requires_grad_(requires_grad=False)


def test_a_model_with_nothing_to_train_says_so():
    with pytest.raises(NothingToTrainError, match="nothing to train"):
        step(HERE + "frozen", "10")


# ── the notebook's network ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("batch", [1, 3])
def test_saved_for_backward_of_alexnet(batch):
    assert training(step("alexnet", batch_size=batch)).saved_activation_bytes == batch * 4_725_004


def test_saved_bytes_equal_those_seen_by_torchs_saved_tensor_hooks():
    storages: dict[int, int] = {}
    model = AlexNet()
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def pack(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(torch.rand(1, 3, 227, 227))
    assert sum(size for pointer, size in storages.items() if pointer not in weights) == 4_725_004
    del output


def test_a_step_of_sgd_at_batch_8_is_what_torchs_memory_tracker_says():
    held = training(step("alexnet", batch_size=8))
    assert held.peak_bytes == pytest.approx(535.3e6, rel=0.02)
    parts = {kind: size / 1e6 for kind, size in held.peak.live_bytes.items()}
    # MemTracker: weights 249.5, gradients 246.9, activations 22.0, temporaries 11.9, input 4.9
    assert parts == pytest.approx(
        {"weights": 249.5, "gradients": 246.9, "saved": 22.0, "temporary": 11.9, "input": 4.9}, abs=0.06
    )


# ── what real runs allocate ──────────────────────────────────────────────────────────────────────────────────────────

TOLERANCE = 0.02
COPIED = {"ResNet-18": 512 * 512 * 3 * 3 * 4}
"""Bytes of weights whose gradient oneDNN may hold twice at the peak, which is in that convolution's backward."""
FORWARDS = ["AlexNet", "ResNet-18", "transformer encoder"]
"""oneDNN's LSTM packs weights and takes a workspace, some 40 % here, of which it does not tell the size."""


@pytest.fixture
def _plain_attention(monkeypatch):
    """A transformer encoder in eval runs as one fused kernel otherwise, which needs less than its operators."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(before)


def on_meta(name: str, how: TrainingStep | None = None):
    make, shape = MODELS[name]
    target = f"{memory_models.__file__}:{make.__name__}" if make is not AlexNet else "alexnet"
    mode = "eval" if how is None else "train"
    spec = parse_input(",".join(map(str, shape)))
    return trace_target(target, inputs=(spec,), batch_size=BATCH, mode=mode, step=how)


@pytest.mark.usefixtures("_plain_attention")
@pytest.mark.parametrize("name", FORWARDS)
def test_a_forward_allocates_what_is_predicted(name):
    make, shape = MODELS[name]
    real = measured_forward(make(), torch.rand(BATCH, *shape))
    assert inference(on_meta(name)).peak_bytes == pytest.approx(real, rel=TOLERANCE)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", FORWARDS)
def test_a_training_step_allocates_what_is_predicted(name, optimizer):
    make, shape = MODELS[name]
    model = make()
    build = {"sgd": lambda given: torch.optim.SGD(given, lr=0.1), "adam": torch.optim.Adam}[optimizer]
    real = measured_step(model, torch.rand(BATCH, *shape), build(model.parameters()))
    predicted = training(on_meta(name, TrainingStep(optimizer))).peak_bytes
    if name in COPIED:
        assert predicted <= real <= predicted + COPIED[name]
    else:
        assert predicted == pytest.approx(real, rel=TOLERANCE)


def test_a_foreach_optimiser_allocates_what_is_predicted():
    make, shape = MODELS["transformer encoder"]
    model = make()
    real = measured_step(model, torch.rand(BATCH, *shape), torch.optim.Adam(model.parameters(), foreach=True))
    predicted = training(on_meta("transformer encoder", TrainingStep("adam", foreach=True))).peak_bytes
    assert predicted == pytest.approx(real, rel=TOLERANCE)


def test_mixed_precision_allocates_what_is_predicted():
    make, shape = MODELS["transformer encoder"]
    model = make()
    real = measured_step(model, torch.rand(BATCH, *shape), torch.optim.SGD(model.parameters(), lr=0.1), "bfloat16")
    predicted = training(on_meta("transformer encoder", TrainingStep("sgd", "bf16"))).peak_bytes
    assert predicted == pytest.approx(real, rel=TOLERANCE)


def test_a_recurrent_layers_own_kernel_needs_more():
    """The prediction is operator by operator: a lower bound of what oneDNN's kernel takes."""
    make, shape = MODELS["LSTM"]
    real = measured_forward(make(), torch.rand(BATCH, *shape))
    assert inference(on_meta("LSTM")).peak_bytes < real


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("name", FORWARDS)
def test_cuda_allocates_what_is_predicted(name):
    make, shape = MODELS[name]
    device = torch.device("cuda")
    model, given = make().to(device), torch.rand(BATCH, *shape, device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        torch.cuda.reset_peak_memory_stats(device)
        model(given).sum().backward()
        optimizer.step()
    predicted = training(on_meta(name, TrainingStep("sgd", foreach=True))).peak_bytes
    assert predicted == pytest.approx(torch.cuda.max_memory_allocated(device), rel=0.1)  # cuDNN's workspaces vary


# ── the largest batch ────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 50), st.integers(0, 10**8), st.integers(1, 5000))
def test_the_largest_batch_is_the_last_that_fits(fixed, each, bend, capacity, most):
    def peak(batch):
        return fixed + each * batch + bend * batch * batch

    found = largest_batch(peak, capacity, most)
    assert 0 <= found <= most
    assert found == 0 or peak(found) <= capacity
    assert found == most or peak(found + 1) > capacity


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60), st.integers(0, 3000))
def test_the_largest_batch_is_found_where_memory_grows_in_steps(growth, capacity):
    peaks = [sum(growth[: batch + 1]) for batch in range(len(growth))]
    found = largest_batch(lambda batch: peaks[batch - 1], capacity, len(peaks))
    fitting = [batch for batch in range(1, len(peaks) + 1) if peaks[batch - 1] <= capacity]
    assert found == max(fitting, default=0)
