"""Less is traced of a step than all of it where the rest is known; what comes of it is what the whole step gives."""

from __future__ import annotations

import pytest
import torch
from msgspec.structs import replace
from older_torch import adds_sparse_gradients
from small import NETWORKS, uneven
from torch import Tensor, nn

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.fitting.chain import chain_of
from alexnet_cli.analyses.fitting.halves import before_update, split
from alexnet_cli.analyses.fitting.parts import levels
from alexnet_cli.analyses.fitting.turns import by_modules, repeats
from alexnet_cli.analyses.fitting.work import work_again
from alexnet_cli.analyses.hardware import find_hardware
from alexnet_cli.answers.traces import Traces, until_update
from alexnet_cli.session.how import Only, TrainingStep, how_to_run
from alexnet_cli.session.session import Live, Session, Variation
from alexnet_cli.tracing.meta.constants import known_values, moved_to_meta

ROOF = Roof(find_hardware("rtx-4090", ""))
NAMES = ["uneven", "lstm", "detector"]


def session_of(build, shape: str, batch: int) -> Session:
    session = Session(Live(build()), how_to_run(input_size=[shape], batch_size=batch))
    session.report()
    return session


@pytest.fixture(scope="module", params=NAMES)
def session(request) -> Session:
    return session_of(*(NETWORKS | {"uneven": (uneven, "64:int64", 16)})[request.param])


def traced(session, step, only=None):
    return session.once(Variation(step=step, on_meta=True, only=only))


def same_work(report, other, chain) -> bool:
    return work_again(report, chain, ROOF) == work_again(other, chain, ROOF)


@pytest.mark.parametrize("amp", [None, "bf16"])
def test_another_micro_batch_tells_what_the_first_two_do(session, amp):
    chain = chain_of(session.report())
    for blocks in ((), tuple(block.paths for block in chain[::2])):
        step = TrainingStep("none", amp, micro_batches=4, checkpoint=blocks)
        both, another = traced(session, step), traced(session, step, Only("another"))
        assert repeats(both)
        assert len(another.tape.operations) < 0.6 * len(both.tape.operations)
        assert split(another, ROOF, 4) == split(both, ROOF, 4)
        ours, theirs = levels(by_modules(another), chain), levels(both, chain)
        # What the first micro-batch has at its end counts as before the second's first block.
        assert ours.fixed <= theirs.fixed
        assert replace(ours, safe=(), fixed=0) == replace(theirs, safe=(), fixed=0)
        assert same_work(by_modules(another), both, chain)


@pytest.mark.parametrize(
    ("optimizer", "foreach"),
    [("adamw", True), ("sgd-momentum", False), ("adamw-8bit", False), ("adamw-paged", False)],
)
def test_an_update_is_that_of_the_whole_step(session, optimizer, foreach):
    step = TrainingStep(optimizer, foreach=foreach)
    alone = traced(session, step, Only("update"))
    assert {done.phase for done in alone.tape.operations} == {"optimizer"}
    assert split(alone, ROOF)[1] == split(traced(session, step), ROOF)[1]


def test_without_its_update_a_step_is_one_without_an_optimiser(session):
    chain = chain_of(session.report())
    step = TrainingStep("adamw", foreach=True)
    cut, plain = before_update(traced(session, step)), traced(session, until_update(step))
    assert split(cut, ROOF) == split(plain, ROOF)
    assert levels(cut, chain) == levels(plain, chain)
    assert same_work(cut, plain, chain)


class Keeps(nn.Module):
    """Keeps what it computed until the next forward."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(8, 8), None

    def forward(self, x: Tensor) -> Tensor:
        self.last = self.layer(x)
        return self.last.relu()


class Idle(nn.Module):
    """Has a layer that no output depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(8, 8), nn.Linear(8, 500)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


def sparse() -> nn.Module:
    return nn.Sequential(nn.Embedding(50, 8, sparse=True), nn.Linear(8, 8))


@pytest.mark.parametrize(
    ("build", "shape"), [(Keeps, "8"), pytest.param(sparse, "4:int64", marks=adds_sparse_gradients)]
)
def test_where_the_second_micro_batch_is_another_both_are_traced(build, shape):
    session = session_of(build, shape, 8)
    step = TrainingStep("none", micro_batches=4)
    assert not repeats(traced(session, step))
    traces = Traces(session, None)
    traces.whole(TrainingStep("sgd"))
    for number in (2, 4):
        until = replace(step, micro_batches=number)
        assert traces.gradients(until) == split(traced(session, until), None, number)[0]


def test_a_parameter_without_a_gradient_has_none_in_what_is_traced_alone():
    session = session_of(Idle, "8", 8)
    traces = Traces(session, None)
    traces.whole(TrainingStep("sgd"))
    adam = TrainingStep("adam")
    assert traces.update(adam) == split(traced(session, adam), None)[1]
    assert (
        traces.update(adam).held_bytes == (2 * 4 * (8 * 8 + 8)) + 2 * 4
    )  # two moments of float32, two counts of steps
    for number in (2, 4):
        until = TrainingStep("none", micro_batches=number)
        assert traces.gradients(until) == split(traced(session, until), None, number)[0]


def test_in_mixed_precision_asking_a_tensor_for_its_device_is_no_operator():
    report = traced(session_of(Idle, "8", 8), TrainingStep("none", "bf16"))
    assert report.totals.uncounted_ops == ()
    assert all(layer.macs is not None for layer in report.layers)


def test_values_that_are_known_are_looked_at_unrecorded(session):
    """Such as the counts of batches of another model that is still held."""

    def ran() -> list[str]:
        return [each.op for each in traced(session, TrainingStep("none", None, micro_batches=2)).tape.operations]

    alone = ran()
    count = torch.tensor(3)
    held = count.to("meta")
    moved_to_meta(count, held)
    assert any(tensor is held for tensor, _ in known_values())
    assert ran() == alone
