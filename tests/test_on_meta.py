"""What runs on `meta` although torch's own kernels for it do not: the rows are those of the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from alexnet_cli.report import Report
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions, TrainingStep
from alexnet_cli.tracing.recording import modes
from alexnet_cli.tracing.trace import trace


def traced(make, *inputs: str, notify=pytest.fail, **options) -> Report:
    subject = Subject("model", "", lambda: Loaded(make()))
    return trace(subject, TraceOptions(inputs=tuple(map(parse_input, inputs)), **options), notify)


def said(report: Report):
    """Return what must not depend on where the model ran."""
    return report.error, report.layers, report.totals


# ── mixtures of experts ──────────────────────────────────────────────────────────────────────────────────────────────


class Experts(nn.Module):
    """Six tokens of 8 features, each given to 2 of 4 experts of 16 hidden features."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(8, 4)
        self.up = nn.Parameter(torch.randn(4, 8, 16))
        self.down = nn.Parameter(torch.randn(4, 16, 8))

    def forward(self, tokens):
        tokens = tokens.flatten(0, 1)
        expert = self.gate(tokens).topk(2).indices.flatten()
        ends = torch.histc(expert.float(), 4, 0, 3).cumsum(0).to(torch.int32)
        hidden = torch._grouped_mm(tokens[expert.argsort() // 2], self.up, offs=ends).relu()
        return torch._grouped_mm(hidden, self.down, offs=ends)


needs_grouped = pytest.mark.skipif(not hasattr(torch, "_grouped_mm"), reason="torch has grouped products since 2.8")
MOE_MACS = 6 * 8 * 4 + 2 * (6 * 2) * 8 * 16
"""The gate for 6 tokens; then each of 6 × 2 rows meets one expert's 8 × 16 weights, up and down."""


@needs_grouped
@pytest.mark.parametrize("dtype", [None, "float64", "bfloat16", "float16"])
def test_a_mixture_of_experts_of_any_dtype_runs_on_meta(dtype):
    report = traced(Experts, "6,8", dtype=dtype)
    assert report.error is None
    assert report.totals.macs == MOE_MACS
    assert report.totals.uncounted_ops == ()


@needs_grouped
def test_a_mixture_of_experts_has_the_cpus_rows():
    real = traced(Experts, "6,8", device="cpu")
    if real.error is not None:
        pytest.skip("this torch has no kernel for it on the CPU")
    assert said(traced(Experts, "6,8")) == said(real)


@needs_grouped
@pytest.mark.parametrize("amp", [None, "bf16"])
def test_a_mixture_of_experts_is_trained_on_meta(amp):
    """The backward has two products for each grouped one; the gate gets no gradient, as only its indices are used."""
    report = traced(Experts, "6,8", step=TrainingStep("sgd", amp), mode="train")
    assert report.error is None
    assert report.tape is not None
    backward = sum(op.macs or 0 for op in report.tape.operations if op.phase == "backward")
    assert backward == (2 + 1) * 12 * 8 * 16  # the tokens themselves need no gradient


# ── higher-order operators ───────────────────────────────────────────────────────────────────────────────────────────


class Flex(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(64, 64)

    def forward(self, x):
        from torch.nn.attention.flex_attention import flex_attention

        heads = self.mix(x).unflatten(-1, (4, 16)).transpose(1, 2)
        return flex_attention(heads, heads, heads, score_mod=lambda score, *place: score + (place[2] - place[3]))


flex_can_be_seen = pytest.mark.skipif(
    "supports_higher_order_operators" not in vars(torch.utils._python_dispatch.TorchDispatchMode),
    reason="before 2.9 a dispatch mode cannot see higher-order operators",
)


@flex_can_be_seen
@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_flex_attention_counts_its_two_products(device):
    import torch.nn.attention.flex_attention as flex

    before = flex._validate_device
    report = traced(Flex, "8,64", device=device)
    assert report.error is None
    assert report.totals.macs == 8 * 64 * 64 + 2 * 4 * 8 * 8 * 16  # scores of 4 heads, and their sums of values
    assert report.totals.uncounted_ops == ()
    assert [row.family for row in report.layers if "flex" in row.path] == ["attention"]
    assert flex._validate_device is before


@flex_can_be_seen
@pytest.mark.filterwarnings("ignore:flex_attention called without")
def test_a_higher_order_operator_that_hides_its_work_is_told_as_uncounted(monkeypatch):
    import torch.nn.attention.flex_attention  # noqa: F401 - as the model does

    monkeypatch.setattr(modes, "higher_order_kernel", lambda operator: None)
    report = traced(Flex, "8,64", device="cpu")
    assert report.error is None
    assert [(op.op, op.calls) for op in report.totals.uncounted_ops] == [("flex_attention", 1)]


# ── shapes from the CPU ──────────────────────────────────────────────────────────────────────────────────────────────


class Reflections(nn.Module):
    """torch has no kernel on `meta` for `geqrf`."""

    def forward(self, x):
        return torch.geqrf(x)[0].relu()


class Counted(nn.Module):
    """As many counts as the largest value: its shape depends on values."""

    def forward(self, x):
        return torch.bincount(x.flatten(), minlength=4)


class Misfit(nn.Module):
    def forward(self, x):
        return nn.functional.linear(x, torch.ones(3, 5, device=x.device))


def test_shapes_that_meta_does_not_tell_come_from_the_cpu():
    notes = []
    report = traced(Reflections, "6,4", notify=notes.append)
    assert report.run is not None
    assert report.run.device == "meta"
    assert notes == ["torch cannot tell the shapes of geqrf without values: the CPU told them"]
    assert said(report) == said(traced(Reflections, "6,4", device="cpu"))


def test_shapes_that_depend_on_values_do_not():
    notes = []
    report = traced(Counted, "6:int64", notify=notes.append)
    assert report.run is not None
    assert report.run.device == "cpu"
    assert "needs values to run" in notes[0]


def test_what_the_cpu_refuses_too_is_said_by_meta():
    report = traced(Misfit, "4")
    assert report.error is not None
    assert report.run is not None
    assert report.run.device == "meta"


# ── no work ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Reshaped(nn.Module):
    def forward(self, x):
        y = (x.clone() // 2).unsqueeze_(0).squeeze_(0).transpose_(0, 1).as_strided_((2, 4), (4, 1)).detach_()
        torch._assert_async(torch.ops.aten._is_all_true(y > -1))
        return y


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_views_in_place_and_checks_are_no_work_that_is_not_counted(device):
    report = traced(Reshaped, "8", device=device)
    assert report.error is None
    assert report.totals.uncounted_ops == ()
    assert report.totals.macs == 0
