"""Every odd model's numbers against the ones worked out by hand, and the invariants on all of them."""

from __future__ import annotations

import pytest
import torch
from odd_models import CASES, Case, Einsum, Rms, Sdpa
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from alexnet_cli.report import Report
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import trace

UNKNOWN_TO_TORCH = {"bilinear": 0}  # its counter has no formula for aten::_trilinear; each weight is used once a sample


def traced(case: Case, **options) -> Report:
    subject = Subject("case", "", lambda: Loaded(case.make()))
    inputs = tuple(map(parse_input, case.inputs))
    return trace(subject, TraceOptions(inputs=inputs, **options), notify=pytest.fail)


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request) -> Case:
    return CASES[request.param]


def test_parameters_macs_rows_and_outputs(case):
    report = traced(case)
    assert report.error is None
    assert report.totals.params == case.params
    assert report.totals.macs == case.macs
    assert tuple(row.type for row in report.layers if row.leaf) == case.types
    assert report.layers[0].output_shapes == case.outputs
    assert report.totals.uncounted_ops == ()
    assert {unused.path: unused.params for unused in report.totals.unused_modules} == case.unused
    assert report.totals.buffers == case.buffers


def test_rows_add_up(case):
    report = traced(case)
    rows, totals = report.layers, report.totals
    unused = sum(module.params for module in totals.unused_modules)
    assert sum(row.params for row in rows) + unused == totals.params
    assert sum(row.macs or 0 for row in rows) == totals.macs
    assert rows[0].params_total + unused == totals.params
    assert rows[0].macs_total == totals.macs
    assert totals.trainable_params + totals.frozen_params == totals.params
    for position, row in enumerate(rows):
        below = list(rows[position + 1 :])
        inside = []
        for other in below:
            if other.depth <= row.depth:
                break
            inside.append(other)
        assert row.params_total == row.params + sum(other.params for other in inside)
        assert row.leaf == (not any(other.kind == "module" for other in inside))


def test_a_real_device_gives_the_same_rows(case):
    meta, cpu = traced(case), traced(case, device="cpu")
    strip = ("output_bytes",)  # an LSTM's kernel allocates one output where meta allocates each step
    for ours, theirs in zip(meta.layers, cpu.layers, strict=True):
        left = {name: getattr(ours, name) for name in ours.__struct_fields__ if name not in strip}
        right = {name: getattr(theirs, name) for name in theirs.__struct_fields__ if name not in strip}
        assert left == right
    assert meta.totals == cpu.totals


def test_macs_equal_torchs_own_counter_on_meta(case, request):
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = case.make().eval()
        specs = map(parse_input, case.inputs)
        model(*(make(spec) for spec in specs))
    expected = UNKNOWN_TO_TORCH.get(request.node.callspec.params["case"], 2 * case.macs)
    assert counter.get_total_flops() == expected
    assert traced(case).totals.macs == case.macs


def make(spec):
    dtype = getattr(torch, spec.dtype or "float32")
    shape = spec.shape if spec.side is None else (spec.side,)
    return torch.zeros((1, *shape), dtype=dtype)


def test_a_batch_of_two_doubles_activations_and_macs(case):
    one, two = traced(case, batch_size=1), traced(case, batch_size=2)
    assert two.totals.params == one.totals.params
    assert two.totals.macs == 2 * (one.totals.macs or 0)


def test_frozen_parameters_are_told_apart():
    totals = traced(CASES["frozen"]).totals
    assert (totals.trainable_params, totals.frozen_params) == (10, 20)


def test_tied_and_repeated_layers_say_whose_parameters_they_use():
    tied = [row for row in traced(CASES["tied"]).layers if row.leaf]
    assert [(row.path, row.params, row.reuses) for row in tied] == [("encode", 1024, None), ("decode", 0, "encode")]
    calls = [row for row in traced(CASES["called five times"]).layers if row.leaf]
    assert [(row.path, row.call, row.params, row.reuses) for row in calls] == [
        ("layer", 1, 72, None),
        *[("layer", call, 0, "layer") for call in (2, 3, 4, 5)],
    ]


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("subclassed convolution", "conv"),
        ("multi-head attention", "attention"),
        ("lstm", "recurrent"),
        ("embedding bag", "embedding"),
        ("bilinear", "linear"),
    ],
)
def test_families_say_what_a_layer_does(name, family):
    assert next(row.family for row in traced(CASES[name]).layers if row.leaf) == family


@pytest.mark.parametrize(("make", "family"), [(Rms, "norm"), (Einsum, "linear"), (Sdpa, "linear")])
def test_families_of_layers_that_are_not_torchs_come_from_what_they_run(make, family):
    subject = Subject("wrapped", "", lambda: Loaded(nn.Sequential(make())))
    shape = {Rms: "3,8", Einsum: "4,8", Sdpa: "16,32"}[make]
    report = trace(subject, TraceOptions(inputs=(parse_input(shape),)), notify=pytest.fail)
    assert next(row.family for row in report.layers if row.leaf) == family


class LooksAtValues(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x) if x.sum() < 1e9 else x


def test_control_flow_on_values_falls_back_to_the_cpu_and_says_so():
    notes = []
    subject = Subject("values", "", lambda: Loaded(LooksAtValues()))
    report = trace(subject, TraceOptions(inputs=(parse_input("1,4"),)), notes.append)
    assert report.run is not None
    assert report.run.device == "cpu"
    assert report.totals.macs == 16
    assert len(notes) == 1
    assert "run on the CPU" in notes[0]


class Spectral(nn.Module):
    def forward(self, x):
        return torch.linalg.svd(torch.fft.fft(x).abs()).S


def test_work_without_a_formula_is_listed_and_never_a_silent_zero():
    subject = Subject("spectral", "", lambda: Loaded(Spectral()))
    report = trace(subject, TraceOptions(inputs=(parse_input("8,8"),)), notify=pytest.fail)
    assert [(op.op, op.calls) for op in report.totals.uncounted_ops] == [("_linalg_svd", 1)]
    assert report.totals.macs == round(
        8 * 8 * 5 * 3 / 4
    )  # 8 real transforms of 8 points, 5 N log2 N / 2 operations each
