"""Pipeline stages that were traced with few micro-batches in a short pipeline, against those traced in full.

They are equal but for some scalars of each micro-batch, such as its loss, which are there a little longer or shorter.
"""

from __future__ import annotations

import msgspec
import pytest
import torch
from msgspec.structs import replace
from older_torch import skip_without_pipelines
from sharding.helpers import sent_in_order, stages_of
from sharding.models import TOKENS, WIDTH, Encoder, Feed, llama
from torch import nn

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.hardware import find_hardware
from alexnet_cli.analyses.sharding.links import LINKS
from alexnet_cli.analyses.sharding.memory import rank_memory, timeline
from alexnet_cli.analyses.sharding.pipeline import staged
from alexnet_cli.analyses.sharding.traffic import collectives
from alexnet_cli.rank import Layout, Rank
from alexnet_cli.tracing.options import TrainingStep

H100 = find_hardware("h100-sxm")
FEEDS, WORDS = torch.zeros(1, TOKENS, WIDTH, requires_grad=True), torch.zeros(1, TOKENS, dtype=torch.long)


def feeds(depth: int) -> nn.Module:
    return nn.Sequential(*(Feed() for _ in range(depth)))


CASES = {
    "1f1b": (feeds, FEEDS, Layout(pp=5, micro_batches=8), TrainingStep("adamw"), {}),
    "autocast": (feeds, FEEDS, Layout(pp=2, micro_batches=6), TrainingStep("adamw", "bf16", foreach=True), {}),
    "1f1b as many as stages": (feeds, FEEDS, Layout(pp=5, micro_batches=5), TrainingStep("sgd"), {}),
    "1f1b one more": (feeds, FEEDS, Layout(pp=5, micro_batches=6), TrainingStep("sgd"), {}),
    "gpipe": (feeds, FEEDS, Layout(pp=3, schedule="gpipe", micro_batches=6), TrainingStep("adam", foreach=True), {}),
    "fsdp": (
        lambda _: Encoder(4),
        WORDS,
        Layout(pp=3, fsdp=2, micro_batches=6),
        TrainingStep("adamw", "bf16", foreach=True),
        {"checkpoint": "full"},
    ),
    "fsdp kept": (feeds, FEEDS, Layout(pp=3, fsdp=2, reshard=False, micro_batches=6), TrainingStep("sgd"), {}),
    "interleaved": (
        lambda _: feeds(6),
        FEEDS,
        Layout(pp=3, schedule="interleaved", micro_batches=9, chunks=2),
        TrainingStep("adamw"),
        {},
    ),
    "interleaved fsdp": (
        lambda _: feeds(6),
        FEEDS,
        Layout(pp=3, fsdp=2, schedule="interleaved", micro_batches=9, chunks=2),
        TrainingStep("adamw", "bf16", foreach=True),
        {},
    ),
    "interleaved fsdp kept": (
        lambda _: feeds(4),
        FEEDS,
        Layout(pp=2, fsdp=2, reshard=False, schedule="interleaved", micro_batches=6, chunks=2),
        TrainingStep("sgd"),
        {},
    ),
    "tp": (lambda _: llama(2), WORDS, Layout(pp=2, tp=2, micro_batches=6), TrainingStep("sgd", "bf16"), {}),
    "sp": (lambda _: llama(2), WORDS, Layout(pp=2, tp=2, sp=True, micro_batches=6), TrainingStep("sgd", "bf16"), {}),
}


@pytest.fixture(scope="module", autouse=True)
def _stages_run_on_shapes() -> None:
    skip_without_pipelines()


def stages(case, monkeypatch, *, full: bool) -> tuple[Rank, ...]:
    """Return the stages of a case: five blocks among them, or as many as the case says."""
    model, sample, layout, step, how = case
    if full:
        monkeypatch.setattr(Layout, "shortened", lambda layout, stage: (layout, stage))
        monkeypatch.setattr("alexnet_cli.tracing.sharding.pipelined.shortened", lambda layout, stage: (layout, stage))
    with torch.device("meta"):
        built = model(5)
    given = sample.detach().repeat(layout.micro_batches, *(1 for _ in sample.shape[1:]))
    return stages_of(built, given.requires_grad_(sample.requires_grad), layout, step, **how)


def same(one: object, other: object, apart: float = 0.0) -> bool:
    """Tell whether two answers are equal, bytes but for `apart` and fractions but for the order of their sums."""
    match one, other:
        case msgspec.Struct(), msgspec.Struct():
            return same(msgspec.structs.asdict(one), msgspec.structs.asdict(other), apart)
        case dict(), dict():
            return all(same(one.get(name, 0), other.get(name, 0), apart) for name in {*one, *other})
        case (list() | tuple(), list() | tuple()):
            return len(one) == len(other) and all(map(same, one, other, [apart] * len(one)))
        case int() | float(), int() | float():
            return one == pytest.approx(other, rel=1e-9, abs=apart if isinstance(one, int) else 0.0)
    return one == other


@pytest.mark.parametrize("name", CASES)
def test_all_micro_batches_do_what_those_traced_do(name, monkeypatch):
    few, every = (stages(CASES[name], monkeypatch, full=full) for full in (False, True))
    layout, links = CASES[name][2], LINKS[H100.name]
    scalars = 16 * layout.micro_batches
    assert sum(len(rank.passes) for rank in few) < sum(len(rank.passes) for rank in every)
    for one, other in zip(few, every, strict=True):
        assert one.layout == other.layout == layout
        assert (one.report.run, one.report.layers) == (other.report.run, other.report.layers)
        assert same(rank_memory(one), rank_memory(other), scalars)
        moments = ([each for each in timeline(rank) if each.op != "slice"] for rank in (one, other))
        assert same(*moments, scalars)  # but for how the inputs are cut into micro-batches
        sent, all_sent = ([replace(each, operation=0) for each in sent_in_order(rank)] for rank in (one, other))
        assert sent == all_sent
        assert same(collectives(one, links), collectives(other, links))
    assert same(staged(few, Roof(H100), links), staged(every, Roof(H100), links), scalars)
