"""FLOPs, bytes and the least time: against hand-written arithmetic, and torch's own counter."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import torch
from cost_models import Convolutions, Mlp
from helpers import trace_target
from test_floors import run_without_torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count

from alexnet_cli.analyses import traffic
from alexnet_cli.analyses.cost import Roof, backward_of, cost
from alexnet_cli.analyses.hardware import HARDWARE, Hardware, find_hardware
from alexnet_cli.analyses.traffic import units
from alexnet_cli.cli.schema import json_schema
from alexnet_cli.errors import UsageError
from alexnet_cli.models.alexnet import AlexNet
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.options import TrainingStep
from alexnet_cli.tracing.recording.operators import operator

HERE = f"{__file__.replace('test_cost', 'cost_models')}:"
FLOAT, INDEX = 4, 8
WORK = ["macs", "flops", "bytes_read", "bytes_written", "intensity", "bound", "seconds"]


def forward(name: str, *shapes: tuple[int, ...], dtype: str | None = None, **options):
    """Return the report of a forward; the shapes have the batch."""
    inputs = tuple(InputSpec(shape, dtype) for shape in shapes)
    return trace_target(HERE + name, inputs=inputs, batch_size=None, **options)


def step(name: str, *shapes: tuple[int, ...], dtype: str | None = None):
    return forward(name, *shapes, dtype=dtype, mode="train", step=TrainingStep("none"))


def moved(report) -> tuple[int, int]:
    totals = cost(report).totals
    return totals.bytes_read, totals.bytes_written


def phases(report, path: str):
    """Return the forward and the backward of the row at a path."""
    layer = next(layer for layer in cost(report).layers if layer.path == path)
    return layer.forward, layer.backward


# ── bytes of a forward, by hand ──────────────────────────────────────────────────────────────────────────────────────


def test_a_convolution_reads_input_weights_and_bias():
    given, weights, made = 2 * 3 * 8 * 8, 4 * 3 * 3 * 3 + 4, 2 * 4 * 6 * 6
    assert moved(forward("Convolution", (2, 3, 8, 8))) == ((given + weights) * FLOAT, made * FLOAT)


def test_a_linear_layer_reads_the_weights_once_however_many_rows():
    weights = 10 * 7 + 7
    assert moved(forward("Linear", (2, 10))) == ((2 * 10 + weights) * FLOAT, 2 * 7 * FLOAT)
    assert moved(forward("Linear", (2, 5, 10))) == ((10 * 10 + weights) * FLOAT, 10 * 7 * FLOAT)


def test_an_in_place_relu_reads_and_writes_its_tensor_once():
    assert moved(forward("InPlace", (2, 30))) == (2 * 30 * FLOAT, 2 * 30 * FLOAT)


def test_views_move_nothing():
    report = forward("Views", (2, 3, 5))
    assert moved(report) == (0, 0)
    assert all((layer.seconds, layer.bound, layer.intensity) == (None, None, None) for layer in cost(report).layers)


def test_a_concatenation_reads_each_value_once():
    assert moved(forward("Concatenation", (2, 4))) == (2 * 4 * FLOAT, 2 * 9 * FLOAT)


def test_an_embedding_reads_the_rows_it_takes_and_their_indices():
    taken = 2 * 5 * 16 * FLOAT
    assert moved(forward("Embedding", (2, 5), dtype="int64")) == (taken + 10 * INDEX, taken)


def test_an_embedding_never_reads_more_than_the_table():
    assert moved(forward("small_embedding", (2, 5), dtype="int64")) == (3 * 16 * FLOAT + 10 * INDEX, 10 * 16 * FLOAT)


def test_a_bag_reads_a_row_for_each_index():
    taken = 10 * 16 * FLOAT
    assert moved(forward("Bag", (2, 5), dtype="int64")) == (taken + 10 * INDEX, 2 * 16 * FLOAT)


def test_indexing_reads_only_the_elements_it_takes():
    assert moved(forward("Gather", (7,), dtype="int64")) == (7 * 16 * FLOAT + 7 * INDEX, 7 * 16 * FLOAT)


def test_attention_reads_three_and_writes_one():
    size = 2 * 2 * 9 * 16 * FLOAT  # the scores and their logarithmic sums stay inside the kernel
    assert moved(forward("Attention", *[(2, 2, 9, 16)] * 3)) == (3 * size, size)


def test_attention_on_slices_of_one_tensor_reads_each_slice_once():
    size = 2 * 2 * 9 * 16 * FLOAT
    assert moved(forward("AttentionOfOne", (2, 3, 2, 9, 16))) == (3 * size, size)


@pytest.mark.parametrize(("name", "read"), [("Fill", 0), ("Assign", 3 * 2 * FLOAT)])
def test_a_slice_assignment_writes_the_slice(name, read):
    assert moved(forward(name, (3, 9))) == (read, 3 * 2 * FLOAT)


def test_a_scatter_writes_only_the_given_elements():
    rows = 3 * 5 * FLOAT
    assert moved(forward("Scatter", (3, 5))) == (rows + 3 * INDEX, rows)


def test_a_scatter_that_adds_reads_the_places_it_writes():
    rows = 3 * 5 * FLOAT
    assert moved(forward("AddInto", (3, 5))) == (2 * rows + 3 * INDEX, rows)


def test_batch_normalisation_reads_four_numbers_a_channel():
    size = 2 * 4 * 5 * 5
    assert moved(forward("Normalised", (2, 4, 5, 5))) == ((size + 4 * 4) * FLOAT, size * FLOAT)


def test_layer_normalisation_drops_what_only_backward_needs():
    assert moved(forward("LayerNormalised", (5, 6))) == ((30 + 2 * 6) * FLOAT, 30 * FLOAT)
    _, written = moved(step("LayerNormalised", (5, 6)))
    kept = phases(step("LayerNormalised", (5, 6)), "norm")[0].bytes_written
    assert kept == (30 + 2 * 5) * FLOAT  # mean and deviation of each row
    assert written > kept


def test_max_pooling_writes_indices_only_for_backward():
    pooled = 2 * 3 * 2 * 2
    report = forward("Pooled", (2, 3, 4, 4))
    pool = next(layer for layer in cost(report).layers if layer.path == "pool")
    assert (pool.bytes_read, pool.bytes_written) == (2 * 3 * 4 * 4 * FLOAT, pooled * FLOAT)
    assert phases(step("Pooled", (2, 3, 4, 4)), "pool")[0].bytes_written == pooled * (FLOAT + INDEX)


def test_an_expanded_tensor_is_read_once():
    assert moved(forward("Expanded", (100, 8))) == ((100 * 8 + 8) * FLOAT, 100 * 8 * FLOAT)


def test_a_tensor_that_one_function_reads_twice_counts_once():
    assert moved(forward("Square", (3, 3))) == (9 * FLOAT, 9 * FLOAT)


def test_a_recurrent_layer_is_one_kernel_that_reads_its_weights_once():
    batch, steps, width, hidden = 2, 5, 8, 16
    weights = 4 * hidden * (width + hidden + 2)
    states = 2 * batch * hidden  # the first hidden and cell state: zeros, written by functions of their own
    read, written = moved(forward("Recurrent", (batch, steps, width)))
    assert read == (batch * steps * width + weights + states) * FLOAT
    assert written == (batch * steps * hidden + states) * FLOAT  # the last states are dropped


def test_multi_head_attention_is_one_kernel():
    size, weights = 2 * 5 * 8, 3 * 8 * 8 + 3 * 8 + 8 * 8 + 8
    assert moved(forward("Heads", (2, 5, 8))) == ((size + weights) * FLOAT, size * FLOAT)


@pytest.mark.parametrize(("dtype", "size"), [("float64", 8), ("float16", 2), ("bfloat16", 2)])
def test_bytes_follow_the_dtype(dtype, size):
    report = trace_target(HERE + "Linear", inputs=(InputSpec((10,)),), dtype=dtype)
    assert moved(report) == ((10 + 77) * size, 7 * size)
    assert cost(report).totals.dtypes == (dtype,)


def test_alexnet_conv1_and_its_totals(report):
    found = cost(report)
    conv1 = found.layers[0]
    assert (conv1.path, conv1.type, conv1.macs, conv1.flops) == ("architecture.0", "Conv2d", 105_415_200, 210_830_400)
    assert conv1.bytes_read == (3 * 227 * 227 + 34_944) * FLOAT
    assert conv1.bytes_written == 96 * 55 * 55 * FLOAT
    assert conv1.intensity == pytest.approx(conv1.flops / (conv1.bytes_read + conv1.bytes_written))
    weights = 62_378_344
    outputs = [290_400, 290_400, 69_984, 186_624, 186_624, 43_264]
    outputs += [64_896, 64_896, 64_896, 64_896, 43_264, 43_264, 9_216]
    outputs += [4_096, 4_096, 4_096, 4_096, 1_000]
    assert found.totals.bytes_read == (weights + 3 * 227 * 227 + sum(outputs)) * FLOAT
    assert found.totals.bytes_written == (sum(outputs) + 1_000) * FLOAT


# ── a training step ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def trained():
    return trace_target("alexnet", mode="train", step=TrainingStep("none"))


def test_forward_macs_on_the_tape_add_up_to_the_report(trained, report):
    found = cost(trained).totals
    assert found.forward.macs == cost(report).totals.macs == report.totals.macs == 1_135_256_096
    assert found.macs == found.forward.macs + found.backward.macs


def test_alexnets_backward_is_twice_its_forward_less_the_gradient_of_the_image(trained):
    assert cost(trained).totals.backward.macs == 2 * 1_135_256_096 - 105_415_200
    for layer in cost(trained).layers:
        once = layer.path == "architecture.0"
        assert layer.backward.macs == layer.forward.macs * (1 if once else 2)


def test_alexnets_backward_has_the_flops_of_torchs_counter():
    model = AlexNet()
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(1, 3, 227, 227)).sum().backward()
    assert counter.get_total_flops() == 2 * (3 * 1_135_256_096 - 105_415_200)


@pytest.mark.parametrize("path", ["first", "grouped", "transposed", "last"])
def test_a_convolutions_backward_is_two_convolutions(path):
    """Each product of the forward is used once for each of the two gradients, grouped and transposed or not."""
    done, back = phases(step("Convolutions", (2, 3, 9, 9)), path)
    assert back.macs == done.macs * (1 if path == "first" else 2)


def test_the_weights_gradient_of_a_grouped_convolution_by_counting():
    """Every weight meets every place of the output once for each image: that is all its gradient takes."""
    _, back = phases(step("Convolutions", (2, 3, 9, 9)), "grouped")
    out = Convolutions().grouped(torch.zeros(1, 8, 9, 9))
    weights, places = Convolutions().grouped.weight.numel(), out.shape[2] * out.shape[3]
    assert back.macs == 2 * (2 * weights * places)


def test_a_linear_layers_backward_by_hand():
    report = step("Mlp", (2, 10))
    first, second = phases(report, "first")[1], phases(report, "second")[1]
    assert (first.macs, second.macs) == (2 * 10 * 20, 2 * (2 * 20 * 5))
    # second: gradient (the sum's: one number), weights and input; out come the gradients of input, weights and bias
    assert second.bytes_read == (1 + 20 * 5 + 2 * 20) * FLOAT
    assert second.bytes_written == (2 * 20 + 20 * 5 + 5) * FLOAT
    # first: no gradient of the input is wanted, so the weights are not read
    assert first.bytes_read == (2 * 20 + 2 * 10) * FLOAT
    assert first.bytes_written == (10 * 20 + 20) * FLOAT


def test_the_backward_of_relu_reads_its_output_and_the_gradient():
    back = phases(step("Mlp", (2, 10)), "relu")[1]
    assert (back.bytes_read, back.bytes_written, back.macs) == (2 * 40 * FLOAT, 40 * FLOAT, 0)


def test_the_backward_of_max_pooling_reads_indices_not_the_input():
    pooled, given = 2 * 3 * 2 * 2, 2 * 3 * 4 * 4
    back = phases(step("Pooled", (2, 3, 4, 4)), "pool")[1]
    assert (back.bytes_read, back.bytes_written) == (FLOAT + pooled * INDEX, given * FLOAT)  # the sum's gradient again


def test_the_first_convolution_needs_no_weights_to_go_back():
    back = phases(step("Convolution", (2, 3, 8, 8)), "conv")[1]
    assert back.bytes_read == (1 + 2 * 3 * 8 * 8) * FLOAT
    assert back.bytes_written == (4 * 3 * 3 * 3 + 4) * FLOAT


def test_gradients_from_two_ways_are_added():
    report = step("Residual", (3, 6))
    back = cost(report).totals.backward
    size = 3 * 6
    assert back.macs == 3 * (3 * 6 * 6)  # two products for `second`, one for `first`
    # second: 1 number of gradient, weights, hidden, and the other way's gradient; first: gradient and input
    assert back.bytes_read == (1 + 36 + size + size + size) * FLOAT
    # ones for the loss, the sum of both gradients, and those of the weights
    assert back.bytes_written == (1 + size + 36 + 36) * FLOAT


def test_attention_goes_back_through_five_products():
    report = step("Transformer", (2, 7), dtype="int64")
    batch, heads, length, width = 2, 2, 7, 8
    product = batch * heads * length * length * width
    projections = batch * length * 16 * (3 * 16 + 16)
    done, back = phases(report, "layer.self_attn")
    assert done.macs == projections + 2 * product
    assert back.macs == 2 * projections + 5 * product
    shape = (batch, heads, length, width)
    assert sdpa_backward_flop_count(shape, shape, shape, shape) == 2 * 5 * product


def test_an_embeddings_gradient_is_a_whole_table():
    _, back = phases(step("Transformer", (2, 7), dtype="int64"), "embedding")
    assert back.bytes_read == 2 * 7 * 16 * FLOAT + 2 * 7 * INDEX
    assert back.bytes_written == 100 * 16 * FLOAT
    assert back.macs == 0


def test_a_recurrent_layer_goes_back_as_one_kernel():
    batch, steps, width, hidden = 2, 5, 8, 16
    report = step("Recurrent", (batch, steps, width))
    done, back = phases(report, "lstm")
    inputs, states = steps * batch * 4 * hidden * width, steps * batch * 4 * hidden * hidden
    assert done.macs == inputs + states
    first = batch * 4 * hidden * hidden  # the first state is a constant: its gradient is not wanted
    assert back.macs == inputs + 2 * states - first  # nor is that of the input
    weights = 4 * hidden * (width + hidden + 2)
    assert back.bytes_written == weights * FLOAT


def test_a_bilinear_layer_goes_back_through_three_products():
    done, back = phases(step("Trilinear", (3, 4)), "bilinear")
    assert done.macs == 3 * 6 * 4 * 4
    assert back.macs == 3 * done.macs


@pytest.mark.parametrize(("name", "shape"), [("Mlp", (2, 10)), ("Convolution", (2, 3, 8, 8)), ("Linear", (4, 10))])
def test_steps_of_small_models_are_what_torchs_counter_says(name, shape):
    import cost_models

    model = getattr(cost_models, name)()
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(shape)).sum().backward()
    assert counter.get_total_flops() == cost(step(name, shape)).totals.flops


MODELS = [
    ("Mlp", (2, 10), None),
    ("Residual", (3, 6), None),
    ("Convolutions", (2, 3, 9, 9), None),
    ("Transformer", (2, 7), "int64"),
    ("Recurrent", (2, 5, 8), None),
]


@pytest.mark.parametrize(("name", "shape", "dtype"), MODELS)
def test_nothing_of_a_common_models_step_is_uncounted(name, shape, dtype):
    assert cost(step(name, shape, dtype=dtype)).totals.uncounted_ops == ()


@pytest.mark.parametrize("depth", [None, 0, 1, 2])
@pytest.mark.parametrize(("name", "shape", "dtype"), MODELS)
def test_layers_and_phases_add_up(name, shape, dtype, depth):
    found = cost(step(name, shape, dtype=dtype), Roof(HARDWARE["t4"]), depth)
    totals = found.totals
    for key in ("flops", "bytes_read", "bytes_written", "seconds"):
        parts = [getattr(layer, key) for layer in found.layers] + [getattr(found.outside, key)]
        assert sum(parts) == pytest.approx(getattr(totals, key))
        assert getattr(totals.forward, key) + getattr(totals.backward, key) == pytest.approx(getattr(totals, key))
    assert sum(share.seconds_share for share in found.by_type) == pytest.approx(1)
    assert sum(share.bytes_share for share in found.by_type) == pytest.approx(1)


def test_cost_grows_linearly_with_the_batch():
    sizes = [moved(trace_target("alexnet", batch_size=batch)) for batch in (1, 2, 4)]
    for one, two, four in zip(*sizes, strict=True):
        assert four - two == 2 * (two - one)
    assert sizes[0][0] - (sizes[1][0] - sizes[0][0]) == 62_378_344 * FLOAT  # what does not grow: the weights


# ── the roofline ─────────────────────────────────────────────────────────────────────────────────────────────────────

SLOW = Hardware("slow", {"float32": 1e9, "tf32": 4e9}, 1e8, None, "made up")


def test_a_kernels_time_is_the_longer_of_compute_and_memory():
    found = cost(forward("Mlp", (2, 10)), Roof(SLOW))
    first, relu, _ = found.layers
    assert first.bytes_read + first.bytes_written == (20 + 220 + 40) * FLOAT
    assert first.seconds == pytest.approx(max(2 * 400 / 1e9, 280 * FLOAT / 1e8))
    assert first.bound == "memory"
    assert (relu.bound, relu.seconds, relu.flops) == ("memory", pytest.approx(2 * 40 * FLOAT / 1e8), 0)
    assert found.totals.seconds == pytest.approx(sum(layer.seconds for layer in found.layers))


def test_more_rows_are_bound_by_compute():
    found = cost(forward("Mlp", (2000, 10)), Roof(Hardware("wide", {"float32": 1e9}, 1e9, None, "made up")))
    first = found.layers[0]
    assert first.bound == "compute"
    assert first.seconds == pytest.approx(2 * 2000 * 10 * 20 / 1e9)


def test_alexnet_on_an_h100(report):
    h100 = find_hardware("h100-sxm")
    found = {layer.path: layer for layer in cost(report, Roof(h100)).layers}
    assert found["architecture.0"].seconds == pytest.approx(210_830_400 / 66.9e12)
    assert found["architecture.0"].bound == "compute"
    assert found["architecture.14"].bound == "memory"
    assert found["architecture.14"].seconds == pytest.approx((9216 + 37_752_832 + 4096) * FLOAT / 3.352e12)


def test_tf32_is_a_peak_of_float32():
    hardware = Hardware("fast memory", {"float32": 1e9, "tf32": 4e9}, 1e12, None, "made up")
    plain, tf32 = (cost(forward("Linear", (9, 10)), Roof(hardware, tf32=flag)).totals for flag in (False, True))
    assert (plain.bound, tf32.bound) == ("compute", "compute")
    assert plain.seconds == pytest.approx(2 * 9 * 70 / 1e9)
    assert tf32.seconds == pytest.approx(2 * 9 * 70 / 4e9)


@pytest.mark.parametrize("gpu", ["h100-sxm", "gtx-580"])
def test_times_never_go_below_peak_and_bandwidth(report, gpu):
    hardware = find_hardware(gpu)
    totals = cost(report, Roof(hardware)).totals
    assert totals.seconds >= totals.flops / hardware.peak_flops_per_s["float32"]
    assert totals.seconds >= (totals.bytes_read + totals.bytes_written) / hardware.bandwidth_bytes_per_s
    assert totals.samples_per_s == pytest.approx(1 / totals.seconds)


def test_without_hardware_there_is_no_time(report):
    found = cost(report)
    assert {(layer.bound, layer.seconds) for layer in found.layers} == {(None, None)}
    assert found.totals.seconds is found.totals.samples_per_s is None


def test_a_dtype_without_a_peak_has_no_bound():
    report = trace_target(HERE + "Linear", inputs=(InputSpec((10,)),), dtype="float16")
    linear = cost(report, Roof(find_hardware("gtx-580"))).layers[0]
    assert linear.bound is None
    assert linear.seconds == pytest.approx((10 + 77 + 7) * 2 / 192.4e9)


def test_hardware_without_stated_peaks_still_bounds_time_by_its_bandwidth(alexnet):
    answer = alexnet("cost", "--gpu", "m4", "--json")
    totals = answer.json["totals"]
    assert answer.json["hardware"]["peak_flops_per_s"] == {}
    assert totals["seconds"] == pytest.approx((totals["bytes_read"] + totals["bytes_written"]) / 120e9)
    assert totals["bound"] is None
    assert "no float32 peak is known for the Apple M4" in alexnet("cost", "--gpu", "m4").out


def test_unknown_work_stays_unknown():
    found = cost(step("Distance", (3, 4)), Roof(HARDWARE["t4"]))
    distance = next(layer for layer in found.layers if layer.type == "cdist")
    assert (distance.macs, distance.flops, distance.intensity, distance.bound) == (None, None, None, None)
    assert distance.seconds > 0
    assert {op.op for op in found.totals.uncounted_ops} == {"_cdist_forward", "_cdist_backward"}
    assert found.totals.bound is None
    assert found.totals.macs == 3 * 4 * 4 * 2  # the linear layer's, without the gradient of its input


# ── what is known of operators ───────────────────────────────────────────────────────────────────────────────────────


def _is_view(overload) -> bool:
    try:
        known = operator(overload)
    except RuntimeError:  # it is in TorchScript's list only
        return False
    return known.view and not known.composite


def test_every_view_of_torch_has_the_nature_of_a_view():
    views = {}
    for schema in torch._C._jit_get_all_schemas():
        library, _, name = schema.name.partition("::")
        packet = getattr(torch.ops.aten, name, None) if library == "aten" else None
        overload = getattr(packet, schema.overload_name or "default", None)
        if overload is None or name.startswith(("_test", "_fw_primal", "_make_dual")):
            continue
        if torch.Tag.inplace_view in overload.tags or _is_view(overload):
            views[str(overload)] = operator(overload).nature
    assert len(views) > 40
    assert set(views.values()) == {"view"}


@pytest.mark.parametrize(
    "name",
    sorted(
        traffic._EMPTY
        | traffic._OVERWRITES
        | traffic._LOOKUPS
        | traffic._GATHERS
        | traffic._SCATTERS
        | traffic._SHAPE_ONLY
    ),
)
def test_every_operator_named_exists(name):
    assert hasattr(torch.ops.aten, name)


def test_units_cover_every_mac(trained):
    done = units(trained.tape)
    on_tape = sum(operation.macs or 0 for operation in trained.tape.operations)
    assert sum(sum(unit.macs.values()) for unit in done) == on_tape == 3 * 1_135_256_096 - 105_415_200


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def saved(tmp_path_factory, report):
    from alexnet_cli.answers.summary import summary_result
    from alexnet_cli.report_json import to_json

    path = tmp_path_factory.mktemp("saved") / "report.json"
    path.write_text(to_json(summary_result(report)))
    return str(path)


def test_json_has_the_stated_keys(alexnet):
    answer = alexnet("cost", "--json")
    assert answer.code == 0
    keys = ["layers", "outside", "totals", "by_type", "hardware", "tf32"]
    assert list(answer.json)[6:] == keys
    assert list(answer.json["layers"][0]) == ["row", "path", "type", "family", *WORK]
    assert answer.json["hardware"] is answer.json["outside"] is None
    assert {layer["bound"] for layer in answer.json["layers"]} == {None}
    jsonschema.validate(answer.json, json_schema("cost"))


def test_json_with_a_gpu_and_a_backward(alexnet):
    answer = alexnet("cost", "--gpu", "gtx-580", "--backward", "--json").json
    layer = answer["layers"][0]
    assert list(layer) == ["row", "path", "type", "family", *WORK, "forward", "backward"]
    assert layer["flops"] == layer["forward"]["flops"] + layer["backward"]["flops"] == 2 * 210_830_400
    assert answer["hardware"]["name"] == "NVIDIA GeForce GTX 580 3GB"
    assert answer["hardware"]["peak_flops_per_s"]["float32"] == 1.581e12
    assert answer["outside"]["flops"] == 0
    assert answer["run"]["mode"] == "train"
    jsonschema.validate(answer, json_schema("cost"))


def test_a_sweep_has_each_batch(alexnet):
    answer = alexnet("cost", "-b", "1,8,64", "--gpu", "t4", "--json").json
    assert [entry["batch_size"] for entry in answer["sweep"]] == [1, 8, 64]
    assert answer["totals"] == answer["sweep"][0]["totals"]
    first = [entry["totals"]["flops"] for entry in answer["sweep"]]
    assert first == [2_270_512_192 * batch for batch in (1, 8, 64)]
    bound = [entry["layers"][14]["bound"] for entry in answer["sweep"]]
    assert bound == ["memory", "memory", "compute"]  # ×8: 4 FLOP per byte, ×64: 31; the T4's ridge is at 25
    jsonschema.validate(answer, json_schema("cost"))


def test_the_table_calls_its_times_lower_bounds(alexnet):
    out = alexnet("cost", "--gpu", "h100-sxm", "--width", "200").out
    assert "Min. time" in out
    assert "Times are lower bounds" in out
    assert "66.9 TFLOP/s" in out
    assert "3.35 TB/s" in out
    assert "whitepaper" in out
    assert "Roofline of the NVIDIA H100 SXM" in out
    assert "--tf32" in out


def test_the_table_warns_of_weights_larger_than_the_gpu(alexnet):
    wide = [HERE + "wide", "-i", "3,20", "--gpu", "gtx-580", "--dtype", "float64"]
    told = "the weights (4.00 GiB) do not fit in the memory of one NVIDIA GeForce GTX 580 3GB (3.00 GiB)"
    assert told in alexnet("cost", *wide, "--width", "200").out
    assert "do not fit" not in alexnet("cost", "--gpu", "gtx-580").out


def test_without_hardware_the_table_has_no_times(alexnet):
    out = alexnet("cost").out
    assert "Min. time" not in out
    assert "Bound" not in out
    assert "244.04 MiB" in out  # 255,891,756 bytes read
    assert "8.68 FLOP/byte" in out


def test_the_backward_has_columns_of_its_own(alexnet):
    out = alexnet("cost", "--backward", "--width", "200").out
    assert "Forward FLOPs" in out
    assert "Backward FLOPs" in out
    assert "outside layers" in out
    assert "forward and backward" in out


@pytest.mark.parametrize("name", ["table", "csv", "markdown", "latex", "html", "svg"])
@pytest.mark.parametrize("more", [[], ["--backward"], ["-b", "1,8"]])
def test_every_format_has_every_layer(alexnet, name, more):
    answer = alexnet("cost", "--gpu", "l4", *more, "--format", name)
    assert answer.code == 0, answer.err
    assert "Linear-19" in answer.out


def test_a_saved_report_needs_no_torch_and_says_the_same(alexnet, saved):
    done = run_without_torch("cost", saved, "--gpu", "a100")
    assert done.returncode == 0, done.stderr
    assert done.stdout == alexnet("cost", "--gpu", "a100").out


def test_a_saved_report_has_no_backward(alexnet, saved):
    answer = alexnet("cost", saved, "--backward")
    assert answer.code == 2
    assert "was traced forward only" in answer.err


def test_a_saved_report_has_one_batch(alexnet, saved):
    answer = alexnet("cost", saved, "-b", "1,8")
    assert answer.code == 2
    assert "several batch sizes need a model to run" in answer.err


def test_a_report_without_a_tape_says_what_to_do(alexnet, saved, tmp_path):
    old = json.loads(Path(saved).read_text(encoding="utf-8"))
    del old["tape"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    answer = alexnet("cost", str(path))
    assert answer.code == 2
    assert "has no operator trace" in answer.err
    assert "meta" in answer.err


def test_a_report_saved_before_operations_recorded_their_nature_has_the_same_answers(alexnet, tmp_path):
    saved = tmp_path / "report.json"
    assert alexnet("summary", HERE + "Transformer", "-i", "5:int64", "--json", "-o", str(saved)).code == 0
    report = json.loads(saved.read_text(encoding="utf-8"))
    natures = [operation.pop("nature", None) for operation in report["tape"]["operations"]]
    assert {"view", "pointwise"} <= set(natures)
    older = tmp_path / "older.json"
    older.write_text(json.dumps(report))
    for command in ("cost", "receptive-field", "memory", "draw", "explain", "summary"):
        mine, same = (alexnet(command, str(path), "--json") for path in (older, saved))
        assert (mine.code, mine.json) == (same.code, same.json)


def test_a_model_that_must_see_values_is_run_on_the_cpu(alexnet):
    answer = alexnet("cost", HERE + "NeedsValues", "-i", "3,4", "--json")
    assert answer.code == 0
    assert "run on the CPU" in answer.err
    layers = {layer["path"]: (layer["bytes_read"], layer["bytes_written"]) for layer in answer.json["layers"]}
    assert layers["sum"] == (12 * FLOAT, FLOAT)
    assert layers["mul"] == (12 * FLOAT, 12 * FLOAT)


def test_a_checkpoint_has_no_cost(alexnet, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(Mlp().state_dict(), path)
    answer = alexnet("cost", str(path))
    assert answer.code == 2
    assert "has no operator trace" in answer.err


def test_a_model_that_fails_shows_what_ran(alexnet):
    answer = alexnet("cost", HERE + "Breaks", "-i", "3,10", "--gpu", "t4")
    assert answer.code == 4
    assert "Linear-1" in answer.out
    assert "until the failure" in answer.out


def test_backward_of_a_forward_is_refused(report):
    with pytest.raises(UsageError, match="forward only"):
        backward_of(report)


def test_mixed_precision_uses_both_peaks(alexnet):
    answer = alexnet("cost", HERE + "Mlp", "-i", "3,10", "--backward", "--amp", "bf16", "--gpu", "h100", "--json").json
    assert answer["totals"]["dtypes"] == ["bfloat16"]
    assert answer["totals"]["flops"] == 2 * (3 * 3 * (10 * 20 + 20 * 5) - 3 * 10 * 20)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpu", "h101"], "unknown GPU 'h101'"),
        (["--gpu", ""], "unknown GPU ''"),
        (["--gpu", "t4", "--bandwidth", "1TB"], "exclude each other"),
        (["--peak-flops", "1T"], "go together"),
        (["--bandwidth", "1TB"], "go together"),
        (["--peak-flops", "0", "--bandwidth", "1TB"], "--peak-flops: speed '0' out of range"),
        (["--peak-flops", "-1T", "--bandwidth", "1TB"], "--peak-flops: invalid speed '-1T'"),
        (["--peak-flops", "312", "--bandwidth", "1TB"], "--peak-flops: speed '312' out of range"),
        (["--peak-flops", "1T", "--bandwidth", "1"], "--bandwidth: invalid bandwidth '1'"),
        (["--peak-flops", "1T", "--bandwidth", "0TB"], "--bandwidth: bandwidth '0TB' out of range"),
        (["--tf32"], "--tf32 goes with --gpu"),
        (["--tf32", "--gpu", "v100"], "has no TF32"),
        (["--amp", "bf16"], "--amp goes with --backward"),
        (["--amp", "int8", "--backward"], "unknown dtype 'int8'"),
        (["-b", "0"], "--batch-size '0' is no batch size"),
        (["-b", "-1"], "--batch-size '-1' is no batch size"),
        (["-b", "1,,2"], "is no batch size"),
        (["-b", "1.5"], "is no batch size"),
        (["-b", "99999999999"], "is no batch size"),
        (["-b", "many"], "is no batch size"),
        (["-b", "1,2", "--no-batch"], "exclude each other"),
    ],
)
def test_invalid_options_are_refused_without_torch(arguments, said):
    done = run_without_torch("cost", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "imported" not in done.stderr
    assert done.stdout == ""


def test_an_unknown_gpu_lists_all(alexnet):
    answer = alexnet("cost", "--gpu", "rtx-4091", "--json")
    assert answer.code == 2
    hint = answer.json["error"]["hint"]
    assert "did you mean rtx-4090?" in hint
    assert all(name in hint for name in HARDWARE)


def test_the_mlp_of_these_tests_has_the_assumed_layers():
    assert [tuple(weight.shape) for weight in Mlp().parameters()] == [(20, 10), (20,), (5, 20), (5,)]
