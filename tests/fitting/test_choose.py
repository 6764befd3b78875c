"""The best choice of blocks to run again, held against the trace of every choice there is."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from msgspec.structs import replace
from small import NETWORKS, Language, uneven
from torch import nn

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.fitting import choose
from alexnet_cli.analyses.fitting.chain import chain_of
from alexnet_cli.analyses.fitting.choose import compose, regular
from alexnet_cli.analyses.fitting.halves import split
from alexnet_cli.analyses.fitting.work import step_work, work_again
from alexnet_cli.analyses.hardware import find_hardware
from alexnet_cli.analyses.memory import peak_of, timeline
from alexnet_cli.session.how import TrainingStep, how_to_run
from alexnet_cli.session.session import Live, Session, Variation

ROOF = Roof(find_hardware("a100-80gb"))


class Steps:
    """The steps of a model with some of its blocks run again."""

    def __init__(self, model: nn.Module, shape: str, batch: int, micro_batches: int = 1) -> None:
        self.session = Session(Live(model), how_to_run(input_size=[shape], batch_size=batch))
        self.micro_batches = micro_batches
        self.chain = chain_of(self.session.report())
        self.composed = compose(self.chain, self.step, lambda report, chain: work_again(report, chain, ROOF))

    def step(self, choice):
        blocks = tuple(block.paths for block, own in zip(self.chain, choice, strict=True) if own)
        step = TrainingStep("sgd", checkpoint=blocks, micro_batches=self.micro_batches)
        return self.traced(step)

    def traced(self, step):
        return self.session.once(Variation(step=step, on_meta=True))

    def peak(self, choice):
        return peak_of(timeline(self.step(choice))).bytes

    def seconds(self, choice):
        return step_work(self.step(choice), ROOF, self.micro_batches).seconds

    def choices(self):
        return product((False, True), repeat=len(self.chain))


@pytest.fixture(scope="module")
def uneven_steps() -> Steps:
    return Steps(uneven(), "64:int64", 16)


def choice_of(steps, budget):
    """Return the blocks that are run again; nothing is rounded in chains as short as these."""
    best = steps.composed.best(budget)
    assert best is None or best.rounded_bytes == 0
    return None if best is None else best.choice


SMALL = {
    "uneven": (uneven, "64:int64", 16),
    "resnet": NETWORKS["resnet"],
    "mamba": NETWORKS["mamba"],
}


@pytest.mark.parametrize("name", SMALL)
def test_the_choice_is_the_best_of_all_that_there_are(name):
    build, shape, batch = SMALL[name]
    steps = Steps(build(), shape, batch)
    traced = {choice: (steps.peak(choice), steps.seconds(choice)) for choice in steps.choices()}
    for choice, (peak, _) in traced.items():
        assert steps.composed.peak(choice) == peak
    assert steps.composed.least_peak() == min(peak for peak, _ in traced.values())
    for budget in sorted({peak for peak, _ in traced.values()}):
        found = choice_of(steps, budget)
        least = min(seconds for peak, seconds in traced.values() if peak <= budget)
        assert found is not None
        assert traced[found][0] <= budget
        assert traced[found][1] == pytest.approx(least, rel=1e-9)
    assert steps.composed.best(steps.composed.least_peak() - 1) is None


@pytest.mark.parametrize("name", ["alexnet", "unet", "detector", "vision", "speech"])
def test_what_is_composed_of_four_steps_is_what_any_other_takes(name):
    build, shape, batch = NETWORKS[name]
    steps = Steps(build(), shape, batch)
    count = len(steps.chain)
    for pattern in (3, 5):
        choice = tuple(at % pattern in (0, 1) for at in range(count))
        assert steps.composed.peak(choice) == steps.peak(choice)


def test_it_holds_for_the_second_of_several_micro_batches(uneven_steps):
    steps = Steps(uneven(), "64:int64", 16, micro_batches=4)
    whole = uneven_steps.composed
    fewer = compose(steps.chain, steps.step, lambda report, chain: work_again(report, chain, ROOF), (whole, 4))
    for choice in ((True, False, False, True, True), (False, True, True, False, False)):
        assert steps.composed.peak(choice) == steps.peak(choice)
        assert fewer.peak(choice) == steps.peak(choice)


def test_states_that_are_taken_together_cost_no_more_than_is_said(uneven_steps, monkeypatch):
    """Work in the budget is then at most the least work in a budget that is so much smaller."""
    composed = uneven_steps.composed
    of = {
        choice: (composed.peak(choice), sum(work[0] for own, work in zip(choice, composed.work, strict=True) if own))
        for choice in uneven_steps.choices()
    }
    monkeypatch.setattr(choose, "MOST_STATES", 3)
    rounded = set()
    for budget in sorted({peak for peak, _ in of.values()}):
        best = composed.best(budget)
        if best is not None:
            rounded.add(best.rounded_bytes)
            within = [work for peak, work in of.values() if peak <= budget - best.rounded_bytes]
            assert of[best.choice][0] <= budget
            assert of[best.choice][1] <= min(within, default=1) * (1 + 1e-9)
    assert max(rounded) > 0


def test_a_long_chain_is_never_worse_than_the_usual_choices():
    steps = Steps(Language((4,) * 16), "64:int64", 4)
    for _, choice in regular(16):
        peak = steps.peak(choice)
        best = choice_of(steps, peak)
        assert best is not None
        assert steps.peak(best) <= peak
        assert steps.seconds(best) <= steps.seconds(choice) * (1 + 1e-9)


def test_blocks_that_differ_a_lot_are_chosen_in_little_time():
    """Many subsets keep different numbers of bytes."""
    steps = Steps(Language(tuple(1 + at % 7 for at in range(24)), width=16), "16:int64", 3)
    low, high = steps.composed.least_peak(), steps.composed.peak((False,) * 24)
    best = choice_of(steps, (low + high) // 2)
    assert best is not None
    assert 0 < sum(best) < 24
    assert steps.peak(best) <= (low + high) // 2


class InPlace(nn.Module):
    """Writes to what it is given, so that it cannot be run again from it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.more = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        return self.more(torch.relu(self.linear(x.mul_(2))))


def test_a_block_that_writes_to_its_input_is_not_run_again():
    steps = Steps(nn.Sequential(nn.Linear(8, 8), InPlace(), InPlace()), "8", 4)
    assert [block.paths for block in steps.chain] == [("1",), ("2",)]
    assert steps.composed.safe == (False, False)
    assert choice_of(steps, 10**9) == (False, False)


ALEXNET = ((0, 3), (3, 6), (6, 8), (8, 10), (10, 14), (14, 16), (16, 18), (18, 19))
"""Where a layer with weights and what follows it begin and end."""


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("alexnet", [tuple(f"architecture.{at}" for at in range(*ends)) for ends in ALEXNET]),
        ("resnet", [(f"{stage}.{at}",) for stage in (3, 4, 5) for at in (0, 1)]),
        ("unet", [*((f"down.{at}",) for at in range(4)), ("middle",), *((f"merge.{at}",) for at in range(4))]),
        ("language", [(f"blocks.{at}",) for at in range(4)]),
    ],
)
def test_blocks_are_what_repeats_or_layers_with_what_follows(name, paths):
    build, shape, batch = NETWORKS[name]
    session = Session(Live(build()), how_to_run(input_size=[shape], batch_size=batch))
    assert [block.paths for block in chain_of(session.report())] == paths


def test_a_model_is_left_as_it_was():
    model = Language()
    before = {name: vars(module).copy() for name, module in model.named_modules()}
    session = Session(Live(model), how_to_run(input_size=["64:int64"], batch_size=4))
    session.once(Variation(step=TrainingStep(checkpoint=(("blocks.0",),), micro_batches=2), on_meta=True))
    assert {name: vars(module) for name, module in model.named_modules()} == before


@pytest.fixture(scope="module")
def without_update(uneven_steps):
    """Return a step that ends with its gradients and what it takes, for one micro-batch and for four."""
    blocks = tuple(block.paths for block in uneven_steps.chain[::2])
    steps = {number: TrainingStep("none", amp="bf16", checkpoint=blocks, micro_batches=number) for number in (1, 4)}
    return {number: (step, split(uneven_steps.traced(step), ROOF, number)[0]) for number, step in steps.items()}


@pytest.mark.parametrize("optimizer", ["sgd", "sgd-momentum", "adamw"])
def test_a_step_is_the_sum_of_its_halves(uneven_steps, without_update, optimizer):
    """What leads to the gradients was traced with one optimiser or none, the update with other gradients."""
    plain = {foreach: uneven_steps.traced(TrainingStep(optimizer, foreach=foreach)) for foreach in (False, True)}
    for foreach, number in ((True, 1), (False, 4), (True, 4)):
        update = split(plain[foreach], ROOF)[1]
        changed, gradients = without_update[number]
        whole = uneven_steps.traced(replace(changed, optimizer=optimizer, foreach=foreach))
        moments = timeline(whole)
        assert update.peak_with(gradients) == peak_of(moments).bytes
        assert update.bytes_after(gradients) == max(at.bytes for at in moments if at.phase == "optimizer")
        assert gradients.work.plus(update.work) == step_work(whole, ROOF, number)
