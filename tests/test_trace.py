"""The trace of the notebook's network, against numbers derived from its layers."""

from __future__ import annotations

from math import prod

import pytest
from helpers import trace_target

from alexnet_cli.report import Report
from alexnet_cli.targets.inputs import InputSpec

# (in, out, kernel, side of the output map) of each convolution, and (in, out) of each linear layer
CONVOLUTIONS = ((3, 96, 11, 55), (96, 256, 5, 27), (256, 384, 3, 13), (384, 384, 3, 13), (384, 256, 3, 13))
LINEARS = ((256 * 6 * 6, 4096), (4096, 4096), (4096, 1000))
CONV_PARAMS = [out * (into * kernel**2 + 1) for into, out, kernel, _ in CONVOLUTIONS]
CONV_MACS = [out * side**2 * into * kernel**2 for into, out, kernel, side in CONVOLUTIONS]
LINEAR_PARAMS = [out * (into + 1) for into, out in LINEARS]
LINEAR_MACS = [out * into for into, out in LINEARS]
TYPES = [
    "Conv2d",
    "ReLU",
    "MaxPool2d",
    "Conv2d",
    "ReLU",
    "MaxPool2d",
    "Conv2d",
    "ReLU",
    "Conv2d",
    "ReLU",
    "Conv2d",
    "ReLU",
    "MaxPool2d",
    "Flatten",
    "Linear",
    "ReLU",
    "Linear",
    "ReLU",
    "Linear",
]
MAPS = ((96, 55), (96, 55), (96, 27), (256, 27), (256, 27), (256, 13), *[(384, 13)] * 4, *[(256, 13)] * 2, (256, 6))
SHAPES = [(1, channels, side, side) for channels, side in MAPS] + [(1, 9216), *[(1, 4096)] * 4, (1, 1000)]


def leaves(report: Report):
    return [row for row in report.layers if row.leaf and row.kind == "module"]


def test_the_derivation_itself_agrees_with_the_notebook():
    assert sum(CONV_PARAMS + LINEAR_PARAMS) == 62_378_344
    assert sum(CONV_MACS + LINEAR_MACS) == 1_135_256_096


def test_nineteen_layers_numbered_and_named_as_in_the_notebook(report):
    rows = leaves(report)
    assert [row.type for row in rows] == TYPES
    assert [row.index for row in rows] == list(range(1, 20))
    assert [row.path for row in rows] == [f"architecture.{number}" for number in range(19)]
    assert report.totals.layers == 19


def test_output_shapes(report):
    assert [row.output_shapes for row in leaves(report)] == [(shape,) for shape in SHAPES]


def test_each_input_is_the_output_before_it(report):
    rows = leaves(report)
    assert rows[0].input_shapes == ((1, 3, 227, 227),)
    assert [row.input_shapes for row in rows[1:]] == [row.output_shapes for row in rows[:-1]]


def test_parameters_and_macs_of_each_layer(report):
    convolutions = [row for row in report.layers if row.family == "conv"]
    linears = [row for row in report.layers if row.family == "linear"]
    assert [row.params for row in convolutions] == CONV_PARAMS
    assert [row.macs for row in convolutions] == CONV_MACS
    assert [row.params for row in linears] == LINEAR_PARAMS
    assert [row.macs for row in linears] == LINEAR_MACS
    others = [row for row in report.layers if row.family not in ("conv", "linear")]
    assert {(row.params, row.macs) for row in others} == {(0, 0)}


def test_containers_come_before_their_children_with_their_sums(report):
    root, sequential = report.layers[:2]
    assert [(row.path, row.type, row.depth, row.leaf, row.index) for row in (root, sequential)] == [
        ("", "AlexNet", 0, False, None),
        ("architecture", "Sequential", 1, False, None),
    ]
    for row in (root, sequential):
        assert (row.params, row.macs) == (0, 0)
        assert (row.params_total, row.macs_total) == (62_378_344, 1_135_256_096)


def test_the_log_softmax_has_a_row_though_it_is_no_module(report):
    row = report.layers[-1]
    assert (row.path, row.type, row.kind, row.family, row.depth) == (
        "log_softmax",
        "log_softmax",
        "function",
        "softmax",
        1,
    )
    assert row.settings == {"dim": 1}
    assert row.output_shapes == ((1, 1000),)


def test_rows_add_up_to_the_totals(report):
    rows, totals = report.layers, report.totals
    assert sum(row.params for row in rows) == totals.params
    assert sum(row.param_bytes for row in rows) == totals.param_bytes == 4 * totals.params
    assert sum(row.macs or 0 for row in rows) == totals.macs
    assert totals.flops == 2 * totals.macs
    assert (totals.trainable_params, totals.frozen_params) == (totals.params, 0)
    assert totals.uncounted_ops == ()
    assert totals.unused_modules == ()


def test_in_place_layers_and_views_allocate_nothing(report):
    for row in leaves(report):
        assert row.in_place == (row.type == "ReLU")
        allocated = 0 if row.type in ("ReLU", "Flatten") else 4 * prod(row.output_shapes[0])
        assert row.output_bytes == allocated, row.path


def test_settings_say_what_defines_a_layer(report):
    first = leaves(report)[0].settings
    assert (first["in_channels"], first["out_channels"], first["kernel_size"], first["stride"], first["bias"]) == (
        3,
        96,
        [11, 11],
        [4, 4],
        True,
    )
    assert leaves(report)[14].settings == {"in_features": 9216, "out_features": 4096, "bias": True}


def test_a_batch_changes_shapes_and_macs_and_no_parameter(report):
    batch = trace_target(batch_size=32)
    for one, many in zip(report.layers, batch.layers, strict=True):
        assert many.output_shapes == tuple((32, *shape[1:]) for shape in one.output_shapes)
        assert many.macs == 32 * (one.macs or 0)
        assert many.output_bytes == 32 * one.output_bytes
        assert many.params == one.params
    assert batch.totals.params == report.totals.params


@pytest.mark.parametrize(("dtype", "size"), [("float16", 2), ("bfloat16", 2), ("float64", 8)])
def test_the_dtype_sets_the_bytes_and_nothing_else(report, dtype, size):
    other = trace_target(dtype=dtype)
    assert other.totals.param_bytes == size * other.totals.params
    assert other.totals.params == report.totals.params
    assert other.totals.macs == report.totals.macs
    assert other.run.dtype == dtype
    assert other.run.inputs[0].dtype == dtype


def test_the_cpu_gives_the_same_rows_and_says_what_it_measured(report):
    real = trace_target(device="cpu")
    assert real.layers == report.layers
    assert real.totals == report.totals
    assert report.run.measured is None
    measured = real.run.measured
    assert measured is not None
    assert measured.seconds > 0
    assert measured.device_name
    # weights, input, and the most that is alive at once: conv1's output with pool1's (in-place ReLU between)
    weights_and_input = 4 * (62_378_344 + 3 * 227 * 227)
    pool1_values_and_indices = 4 * 96 * 27 * 27 + 8 * 96 * 27 * 27
    least = weights_and_input + 4 * 96 * 55 * 55 + pool1_values_and_indices
    assert measured.peak_allocated_bytes is not None
    assert least <= measured.peak_allocated_bytes < 1.1 * least  # convolution kernels take workspace of their own


@pytest.mark.cuda
def test_on_a_gpu_the_model_is_there_and_ran_there(report):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    real = trace_target(device="cuda")
    assert real.layers == report.layers
    measured = real.run.measured
    assert measured is not None
    assert measured.device_name == torch.cuda.get_device_name()
    assert measured.peak_allocated_bytes is not None
    assert measured.peak_allocated_bytes > 4 * 62_378_344


def test_the_random_state_is_left_as_it_was():
    import torch

    before = torch.get_rng_state()
    trace_target(device="cpu")
    assert torch.equal(before, torch.get_rng_state())


def test_at_224_the_doctor_names_the_layer_and_what_fits():
    failed = trace_target(inputs=(InputSpec((3, 224, 224)),))
    assert len(leaves(failed)) == 14
    assert not failed.run.complete
    assert failed.error is not None
    assert (failed.error.code, failed.error.path) == ("forward_failed", "architecture.14")
    assert "takes 9216 features but got 6400 (6400 = 256×5×5 flattened)" in failed.error.message
    assert failed.error.hint is not None
    assert "square inputs from 227 to 258 fit" in failed.error.hint
    assert (
        sum(row.params for row in failed.layers) + sum(unused.params for unused in failed.totals.unused_modules)
        == failed.totals.params
    )


@pytest.mark.parametrize("side", [226, 259, 1, 500])
def test_other_sizes_get_the_same_advice(side):
    failed = trace_target(inputs=(InputSpec((3, side, side)),))
    assert failed.error is not None
    assert failed.error.hint is not None
    assert "square inputs from 227 to 258 fit" in failed.error.hint


@pytest.mark.parametrize("side", [227, 258])
def test_the_ends_of_the_advised_range_do_run(side):
    assert trace_target(inputs=(InputSpec((3, side, side)),)).run.complete


def test_wrong_channels_and_missing_dimensions_are_explained():
    grey = trace_target(inputs=(InputSpec((1, 227, 227)),)).error
    flat = trace_target(inputs=(InputSpec((3, 227)),)).error
    assert grey is not None
    assert "takes 3 channels but got 1" in grey.message
    assert flat is not None
    assert "architecture.0" in flat.message
    assert "takes a batch of 3×H×W but got 1×3×227" in flat.message
