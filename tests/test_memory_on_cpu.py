"""Memory predicted for the CPU, with what its kernels allocate beside their results, held against real runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cpu_models
import jsonschema
import pytest
import torch
from cpu_models import BOUNDED, NETWORKS
from helpers import trace_target
from torch import nn

from alexnet_cli.analyses.memory import inference, kind_of, training
from alexnet_cli.cli.schema import json_schema
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.resolve import resolve
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.cpu import convolution_sizes, recurrent_sizes
from alexnet_cli.tracing.cpu.convolution import Convolution
from alexnet_cli.tracing.cpu.kernels import this_machine
from alexnet_cli.tracing.cpu.recurrent import lstm_is_known
from alexnet_cli.tracing.cpu.recurrent_sizes import Lstm
from alexnet_cli.tracing.cpu.workspace import Machine
from alexnet_cli.tracing.options import TraceOptions, TrainingStep
from alexnet_cli.tracing.trace import trace

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from memory_models import measured_forward, measured_step

BATCH = 4
TOLERANCE = 0.03
FLOAT, PAGE = 4, 4096
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch is built without oneDNN")
needs_avx512 = pytest.mark.skipif(
    not this_machine().known,
    reason=f"oneDNN's layouts are derived for AVX-512; here it has {this_machine().instructions}",
)


needs_its_lstm = pytest.mark.skipif(
    not lstm_is_known(), reason="the LSTM's sizes are derived for oneDNN 3.12 and later"
)
LSTMS = ["lstm", "bidirectional_lstm", "lstm_without_biases"]
CASES = [
    pytest.param(make, marks=[needs_its_lstm] if make.__name__ in LSTMS else [], id=make.__name__) for make in NETWORKS
]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def predicted(make, shape, how: TrainingStep | None = None):
    target = f"{cpu_models.__file__}:{make.__name__}"
    spec = parse_input(",".join(map(str, shape)))
    mode = "eval" if how is None else "train"
    options = TraceOptions(inputs=(spec,), batch_size=BATCH, mode=mode, step=how, as_on_cpu=True)
    subject = resolve(target, {})
    assert isinstance(subject, Subject)
    return trace(subject, options, notify=lambda _: None)


def stepped(make, shape, amp: str | None = None) -> int:
    model = make()
    return measured_step(model, torch.rand(BATCH, *shape), torch.optim.SGD(model.parameters(), lr=0.1), amp)


# ── what real runs allocate ──────────────────────────────────────────────────────────────────────────────────────────


@needs_onednn
@needs_avx512
@pytest.mark.parametrize("make", CASES)
def test_a_forward_and_a_step_allocate_what_is_predicted(make):
    shape = NETWORKS[make]
    forward = inference(predicted(make, shape)).peak_bytes
    assert forward == pytest.approx(measured_forward(make(), torch.rand(BATCH, *shape)), rel=TOLERANCE)
    step = training(predicted(make, shape, TrainingStep("sgd"))).peak_bytes
    assert step == pytest.approx(stepped(make, shape), rel=TOLERANCE)


@needs_onednn
@needs_avx512
@needs_its_lstm
@pytest.mark.skipif(not this_machine().bf16, reason="without AVX512-BF16 oneDNN computes an LSTM in float32")
@pytest.mark.parametrize("make", [cpu_models.bidirectional_lstm, cpu_models.padded], ids=lambda make: make.__name__)
def test_a_step_in_bfloat16_allocates_what_is_predicted(make):
    step = training(predicted(make, NETWORKS[make], TrainingStep("sgd", "bf16"))).peak_bytes
    assert step == pytest.approx(stepped(make, NETWORKS[make], "bfloat16"), rel=TOLERANCE)


@needs_onednn
@pytest.mark.parametrize("make", [*BOUNDED, cpu_models.padded], ids=lambda make: make.__name__)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_bound_is_one_whatever_the_kernel_and_the_threads(make, threads):
    torch.set_num_threads(threads)
    shape = {**NETWORKS, **BOUNDED}[make]
    report = predicted(make, shape, TrainingStep("sgd"))
    real = stepped(make, shape)
    assert training(report).peak_bytes >= real * (1 - 1e-3)
    if make in BOUNDED:
        assert any(storage.at_most for storage in report.tape.storages)


@needs_its_lstm
def test_a_prediction_for_cuda_is_the_same_after_one_for_the_cpu():
    spec = parse_input("12,40")
    how = {"mode": "train", "step": TrainingStep("sgd", "bf16")}

    def plain() -> int:
        target = f"{cpu_models.__file__}:bidirectional_lstm"
        return training(trace_target(target, inputs=(spec,), batch_size=BATCH, **how)).peak_bytes

    before = plain()
    of_cpu = training(predicted(cpu_models.bidirectional_lstm, (12, 40), TrainingStep("sgd", "bf16"))).peak_bytes
    assert plain() == before < of_cpu


# ── where the numbers come from ──────────────────────────────────────────────────────────────────────────────────────


def test_the_workspace_of_an_lstm_is_made_of_pages_and_padded_rows():
    """64 steps, batch 8, 128 inputs, 256 hidden: rows of 1024 and 256 floats are a line of 16 longer."""
    gates, hidden_rows = 64 * 8 * (1024 + 16) * FLOAT, 64 * 8 * (256 + 16) * FLOAT
    states = 2 * 65 * 8 * (256 + 16) * FLOAT  # of two layers, the input's and this one's, and one step more
    cells = 2 * 65 * 8 * 256 * FLOAT
    whole = [-(-size // PAGE) * PAGE for size in (gates, hidden_rows, states, cells, states, states, cells)]
    assert recurrent_sizes.kept_for_backward(Lstm(64, 8, 128, 256, FLOAT)) == sum(whole) == 8_220_672


def test_the_forward_of_an_lstm_packs_both_weights():
    one = Machine(threads=1, vector=16)
    work = recurrent_sizes.forward(Lstm(64, 8, 128, 256, FLOAT), one, training=True)
    biases, packed = 4 * 256 * FLOAT, (128 + 256) * (4 * 256 + 16) * FLOAT
    scratchpad = (
        64 * 8 * (1024 + 16) * FLOAT + 3 * PAGE * 2
    )  # the gates of all steps; state and gradient, 2.1 pages each
    assert work.exact
    assert work.bytes == pytest.approx(biases + packed + scratchpad, abs=2 * PAGE)


def volume(ins: int, outs: int, kernel: int, **how: object) -> Convolution:
    """Return a convolution of a cube of 12 places with a batch of 2, as torch runs it."""
    layer = nn.Conv3d(ins, outs, kernel, **how)
    given = torch.empty(2, ins, 12, 12, 12, device="meta")
    result = layer.to("meta")(given)
    settings = (layer.stride, layer.padding, layer.dilation, layer.groups, False, True, FLOAT)
    return Convolution(given.shape, layer.weight.shape, result.shape, *settings)


@pytest.mark.parametrize(
    ("layer", "of_input", "of_weights"),
    [
        (volume(16, 16, 3, padding=1), "blocked", "blocked"),
        (volume(3, 16, 3, padding=1), "blocked", "blocked"),
        (volume(8, 16, 3, padding=1), "blocked", "product"),  # the kernel for AVX2 has no padding in depth
        (volume(8, 16, 3), "blocked", "narrow"),
        (volume(16, 16, 3, stride=2), "strided", "blocked"),
        (volume(16, 16, 3, dilation=2), "blocked", "product"),
        (volume(16, 16, 3, dilation=2, stride=2), "product", "product"),
        (volume(16, 16, 3, dilation=(1, 1, 2), padding=1), "blocked", "blocked"),
        (volume(8, 16, 1), "blocked", "blocked"),
    ],
)
def test_gradients_are_computed_by_the_kernel_that_onednn_picks(layer, of_input, of_weights):
    assert (layer.input_kernel(), layer.weight_kernel()) == (of_input, of_weights)


def test_a_strided_gradient_takes_channels_last_and_a_padded_sample():
    """oneDNN's `brgemm_convolution_bwd_strided`: 6 places a side of 24 channels, and one more."""
    layer = volume(16, 24, 3, stride=2, padding=1)
    outs, weights, inputs = 2 * 24 * 6**3 * FLOAT, 16 * 24 * 27 * FLOAT, 2 * 16 * 12**3 * FLOAT
    sample = -(-24 * 7**3 // PAGE) * PAGE * FLOAT
    scratchpad = sample + 103 * 40 + PAGE + 3 * PAGE  # descriptions of products, what rows are done, each aligned
    others = 24 * FLOAT + weights
    work = convolution_sizes.backward(
        layer, "Mkldnn", Machine(threads=1, vector=16), wanted=(True, True, True), copied=False
    )
    assert work.exact
    assert work.bytes == max(inputs + outs + weights + scratchpad, 3 * inputs) - inputs - others


def test_other_instructions_make_a_bound():
    old = Machine(threads=1, vector=8)
    assert not recurrent_sizes.forward(Lstm(64, 8, 128, 256, FLOAT), old, training=False).exact
    assert recurrent_sizes.forward(Lstm(64, 8, 128, 256, FLOAT), old, training=True).exact


@needs_onednn
def test_a_workspace_lives_while_its_operator_runs():
    report = predicted(cpu_models.volumes, NETWORKS[cpu_models.volumes])
    work = [storage for storage in report.tape.storages if storage.role == "workspace"]
    assert [report.tape.operations[storage.born].op for storage in work] == ["convolution", "convolution"]
    assert all(storage.died == storage.born + 1 and kind_of(storage) == "workspace" for storage in work)


def test_without_asking_nothing_is_predicted_for_the_cpu():
    spec = parse_input("1,16,16,16")
    report = trace_target(f"{cpu_models.__file__}:volumes", inputs=(spec,), batch_size=BATCH)
    assert not any(storage.role == "workspace" for storage in report.tape.storages)


# ── as a user meets it ───────────────────────────────────────────────────────────────────────────────────────────────

VOLUMES = (f"{cpu_models.__file__}:volumes", "--input-size", "1,8,8,8")


@needs_onednn
def test_the_answer_says_which_device_it_is_for(alexnet):
    answer = alexnet("memory", *VOLUMES, "--for", "cpu", "--json")
    jsonschema.validate(answer.json, json_schema("memory"))
    assert answer.code == 0
    assert "this machine: 1 thread, " in answer.err
    assert answer.json["predicted_for"] == "cpu"
    assert answer.json["training"]["peak"]["live_bytes"]["workspace"] > 0
    layers = {layer["path"]: layer.get("workspace_bytes") for layer in answer.json["layers"]}
    assert layers["1"] is None
    assert layers["0"] > 0
    plain = alexnet("memory", *VOLUMES, "--json").json
    assert plain["predicted_for"] == "cuda"
    assert "workspace" not in plain["training"]["peak"]["live_bytes"]
    assert all("workspace_bytes" not in layer for layer in plain["layers"])
    assert plain == alexnet("memory", *VOLUMES, "--for", "cuda", "--json").json


@needs_onednn
def test_the_table_has_the_workspaces_by_layer(alexnet):
    answer = alexnet("memory", *VOLUMES, "--for", "cpu")
    assert "kernel workspaces" in answer.out
    assert "Kernel workspaces, the largest of each layer's kernels" in answer.out
    assert "Predicted for the CPU" in answer.out
    assert "Predicted for CUDA" in alexnet("memory", *VOLUMES).out


@needs_onednn
def test_the_largest_batch_counts_workspaces(alexnet):
    fits = {
        device: alexnet("memory", *VOLUMES, "--for", device, "--capacity", "4MiB", "--json").json["fit"]
        for device in ("cpu", "cuda")
    }
    assert fits["cpu"]["largest_batch_training"] < fits["cuda"]["largest_batch_training"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--for", "tpu"), "unknown device 'tpu'"),
        (("--for", "cpu", "--gpu", "t4"), "--for cpu and --gpu exclude each other"),
        (("--for", "cpu", "--context", "8"), "not --context"),
    ],
)
def test_what_does_not_go_together_is_refused(alexnet, arguments, said):
    answer = alexnet("memory", *VOLUMES, *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_a_saved_report_was_traced_for_no_cpu(alexnet, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(alexnet("summary", *VOLUMES, "--json").json))
    answer = alexnet("memory", str(path), "--for", "cpu")
    assert answer.code == 2
    assert "--for cpu needs a model to run" in answer.err
