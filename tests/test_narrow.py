"""A model with half the outputs of one layer: the same as one that is built so, or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import explain_models
import pytest
import torch
from odd_models import CASES
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from alexnet_cli.analyses.findings.finding import width_of
from alexnet_cli.report import Report
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.resolve import resolve
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.narrowing import Refusal, narrowed
from alexnet_cli.tracing.options import TraceOptions, TrainingStep
from alexnet_cli.tracing.trace import trace

HERE = Path(explain_models.__file__)


def subject_of(name, **arguments):
    return resolve(f"{HERE}:{name}", arguments)


def options_of(*shapes, **options):
    return TraceOptions(inputs=tuple(map(parse_input, shapes)), **options)


def traced(subject, options) -> Report:
    report = trace(subject, options, notify=pytest.fail)
    assert report.error is None
    return report


def halved(subject, path, options):
    return traced(narrowed(subject, path, traced(subject, options), options), options)


def refused(subject, path, options):
    with pytest.raises(Refusal) as caught:
        halved(subject, path, options)
    return caught.value.key, caught.value.values


# As it would be built


@pytest.mark.parametrize(
    ("name", "path", "shape", "built"),
    [
        ("mlp", "0", "20", {"hidden": 15}),
        ("alexnet", "14", "3,227,227", {"hidden": 2048}),
        ("alexnet", "0", "3,227,227", {"conv1": 48}),
        ("normed", "0", "4,8,8", {"mid": 4}),
        ("normed", "3", "4,8,8", {"last": 6}),
        ("normed_in_every_way", "0", "3,8,8", {"width": 4}),
        ("three_dimensions", "0", "1,5,5,5", {"width": 4}),
        ("ResNetLike", "blocks.1.conv1", "3,32,32", {"mid": 16}),
        ("Transformer", "encoder.linear1", "16:int64", {"inner": 32}),
        ("UNet", "first.0", "3,16,16", {"first": 8}),
        ("UNet", "deep.0", "3,16,16", {"deep": 16}),
        ("UNet", "up", "3,16,16", {"up": 8}),
        ("Language", "table", "5:int64", {"width": 8}),
    ],
)
@pytest.mark.parametrize("step", [None, TrainingStep("none")])
def test_it_is_the_model_as_one_would_build_it(name, path, shape, built, step):
    options = options_of(shape, batch_size=2, mode="eval" if step is None else "train", step=step)
    ours = halved(subject_of(name), path, options)
    theirs = traced(subject_of(name, **built), options)
    assert ours.layers == theirs.layers
    assert ours.totals == theirs.totals
    assert ours.tape == theirs.tape


def test_depthwise_filters_follow_their_channels():
    report = halved(subject_of("normed_in_every_way"), "0", options_of("3,8,8"))
    rows = {row.path: row for row in report.layers}
    assert (rows["7"].settings["groups"], rows["7"].settings["out_channels"]) == (4, 4)
    assert rows["8"].settings["out_channels"] == 2 * 4
    assert rows["7"].params == 4 * 9 + 4
    assert rows["7"].macs == 4 * 9 * 6 * 6


def test_lazy_layers_are_made_as_wide_as_they_were_first():
    options = options_of("3,8,8")
    ours, theirs = halved(subject_of("lazy"), "0", options), traced(subject_of("lazy", width=4), options)
    assert (ours.layers, ours.totals) == (theirs.layers, theirs.totals)


def test_an_odd_width_is_halved_downwards():
    report = halved(subject_of("mlp", hidden=7), "0", options_of("20"))
    assert report.totals.params == (20 * 3 + 3) + (3 * 4 + 4)


def test_dtype_and_frozen_weights_are_kept():
    options = options_of("20", dtype="bfloat16")
    frozen = halved(subject_of("frozen"), "0", options)
    assert frozen.totals.frozen_params == frozen.totals.params == (20 * 15 + 15) + (15 * 4 + 4)
    assert frozen.totals.param_bytes == 2 * frozen.totals.params
    assert halved(subject_of("mlp"), "0", options).totals.frozen_params == 0


# Refused


@pytest.mark.parametrize(
    ("name", "path", "shape", "key", "values"),
    [
        ("mlp", "2", "20", "last_layer", {}),
        ("TwoAnswers", "features", "8", "last_layer", {}),
        ("mlp", "1", "20", "other_kind", {"type": "ReLU"}),
        ("mlp", "3", "20", "other_kind", {"type": "NoneType"}),
        ("narrow_already", "0", "8", "too_few", {"width": 3}),
        ("ResNetLike", "blocks.0.conv2", "3,32,32", "does_not_fit", {"at": "blocks.0.add"}),
        ("ResNetLike", "stem", "3,32,32", "does_not_fit", {"at": "blocks.0.add"}),
        ("Transformer", "embedding", "16:int64", "does_not_fit", {"at": "encoder.self_attn"}),
        ("Views", "conv", "3,8,8", "does_not_fit", {"at": "fc"}),
        ("odd_groups", "0", "4,8,8", "not_divisible", {"at": "1", "width": 4, "groups": 8}),
        ("odd_groups", "2", "4,8,8", "not_divisible", {"at": "2", "width": 6, "groups": 4}),
        ("Hides", "into", "8", "not_divisible", {"at": "norm", "width": 8, "groups": 16}),
        ("Rounds", "into", "8", "shared_weights", {"at": "again"}),
        ("Rounds", "again", "8", "shared_weights", {"at": "again"}),
        ("weight_normed", "0", "8", "other_weights", {"at": "2", "type": "ParametrizedLinear"}),
        ("weight_normed", "2", "8", "other_weights", {"at": "2", "type": "ParametrizedLinear"}),
    ],
)
def test_why_a_layer_cannot_be_changed_alone(name, path, shape, key, values):
    assert refused(subject_of(name), path, options_of(shape, batch_size=2)) == (key, values)


def test_tied_weights_are_not_changed():
    tied = subject_of("Language", tied=True)
    assert refused(tied, "table", options_of("5:int64")) == ("shared_weights", {"at": "table"})
    assert refused(tied, "head", options_of("5:int64")) == ("shared_weights", {"at": "head"})


# Any model


@pytest.mark.parametrize("name", CASES)
def test_a_changed_model_runs_and_all_its_work_is_counted(name):
    case = CASES[name]
    subject = Subject("case", "", lambda: Loaded(case.make()))
    options = options_of(*case.inputs)
    report = traced(subject, options)
    for path in dict.fromkeys(row.path for row in report.layers if width_of(row) is not None):
        changed = narrowed(subject, path, report, options)
        try:
            after = traced(changed, options)
        except Refusal:
            continue
        assert after.totals.params < report.totals.params
        assert after.layers[0].output_shapes == report.layers[0].output_shapes
        assert [row.path for row in after.layers] == [row.path for row in report.layers]
        module = changed.load().module
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(*(made(given, "meta") for given in report.run.inputs))
        assert counter.get_total_flops() == after.totals.flops
        real = module.to_empty(device="cpu")
        for tensor in (*real.parameters(), *real.buffers()):
            tensor.data.zero_()
        outputs = real(*(made(given, "cpu") for given in report.run.inputs))
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        assert tuple(first.shape) == report.layers[0].output_shapes[0]


def made(given, device):
    return torch.zeros(given.shape, dtype=getattr(torch, given.dtype), device=device)


# What is the user's


def shapes(module):
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def test_what_the_targets_code_hands_out_is_put_back():
    module = nn.Sequential(nn.Linear(20, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 4)).to("meta").eval()
    before, settings = shapes(module), repr(module)
    subject = Subject("ours", "", lambda: Loaded(module))
    options = options_of("20")
    first, second = halved(subject, "0", options), halved(subject, "0", options)
    assert first.layers == second.layers
    assert first.totals.params == (20 * 15 + 15) + 2 * 15 + (15 * 4 + 4)
    assert (shapes(module), repr(module)) == (before, settings)
    assert not any(part._forward_pre_hooks for part in module.modules())
    assert traced(subject, options).totals.params == (20 * 30 + 30) + 2 * 30 + (30 * 4 + 4)


def test_it_is_put_back_where_it_is_refused_too():
    module = explain_models.ResNetLike().to("meta")
    before, settings = shapes(module), repr(module)
    subject = Subject("ours", "", lambda: Loaded(module))
    assert refused(subject, "stem", options_of("3,32,32"))[0] == "does_not_fit"
    assert (shapes(module), repr(module)) == (before, settings)
    assert not any(part._forward_pre_hooks for part in module.modules())


def test_an_instance_and_its_values_are_left_alone():
    torch.manual_seed(0)
    module = explain_models.mlp()
    values = {name: value.clone() for name, value in module.state_dict().items()}
    report = halved(Subject("theirs", "", lambda: Loaded(module, shared=True)), "0", options_of("20"))
    assert report.totals.params == (20 * 15 + 15) + (15 * 4 + 4)
    assert all(torch.equal(value, values[name]) for name, value in module.state_dict().items())
    assert module.training
