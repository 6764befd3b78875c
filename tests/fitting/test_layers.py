"""Layers that run otherwise with the same result: activations in place, and a loss whose scores are made in chunks."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import pytest
import torch
from msgspec.structs import replace
from small import NETWORKS, Language
from test_patch import APART, SGD, emitted, real_peak, tensors_of
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from alexnet_cli import inspect
from alexnet_cli.analyses.fitting.chain import chain_of
from alexnet_cli.analyses.fitting.layers import in_place, scored
from alexnet_cli.analyses.memory import peak_of, timeline
from alexnet_cli.session.how import TrainingStep, how_to_run
from alexnet_cli.session.session import Live, Session, Variation


class Curved(nn.Module):
    """Convolutions with activations whose gradient their result tells, and some that nothing may overwrite."""

    def __init__(self, act=nn.LeakyReLU) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(self.block(into, 16, act) for into in (3, 16, 16, 16))
        self.twice, self.own, self.first = nn.ReLU(), act(), act()
        self.head = nn.Linear(16, 5)

    @staticmethod
    def block(into, out, act) -> nn.Module:
        return nn.Sequential(nn.Conv2d(into, out, 3, padding=1), nn.BatchNorm2d(out), act())

    def forward(self, x):
        x = self.first(x)  # of what the caller holds
        for block in self.blocks:
            x = block(x)
        x = self.own(torch.sigmoid(x))  # the gradient of a sigmoid reads its result
        x = x + self.twice(x)
        return self.head(self.twice(x.mean((2, 3))))


def session_of(model, shape, batch) -> Session:
    return Session(Live(model), how_to_run(input_size=[shape], batch_size=batch)).as_on_cpu()


def peak(session, step) -> int:
    return peak_of(timeline(session.once(Variation(step=step, on_meta=True)))).bytes


def may(model, shape="3,32,32", batch=8) -> tuple[str, ...]:
    session = session_of(model, shape, batch)
    chain = chain_of(session.report())
    return in_place(session.once(Variation(step=TrainingStep("sgd"), on_meta=True)), chain)


@pytest.mark.parametrize("act", [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU])
def test_activations_in_place_are_those_of_which_nothing_else_needs_what_they_overwrite(act):
    paths = may(Curved(act))
    assert paths == tuple(f"blocks.{at}.2" for at in range(4))
    plain = Curved(act)
    changed = emitted(replace(SGD, in_place=paths))["changed"](copy.deepcopy(plain))
    given = torch.randn(8, 3, 32, 32)
    kept = given.clone()
    for model in (plain, changed):
        model(given).square().sum().backward()
    assert torch.equal(given, kept)
    for one, other in zip(plain.parameters(), changed.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad)


@pytest.mark.parametrize("act", [nn.SiLU, nn.GELU, nn.Hardswish, lambda: nn.LeakyReLU(-0.5)])
def test_what_torch_would_copy_or_refuse_is_left(act):
    assert may(Curved(act)) == ()


@pytest.mark.parametrize("again", [False, True])
def test_activations_in_place_take_what_was_predicted(again):
    blocks = tuple((f"blocks.{at}",) for at in range(3)) if again else ()
    paths = tuple(f"blocks.{at}.2" for at in range(4))
    session = session_of(Curved(), "3,32,32", 8)
    plain, own = (
        peak(session, TrainingStep("sgd", foreach=False, checkpoint=blocks, in_place=each)) for each in ((), paths)
    )
    code = emitted(replace(SGD, checkpoint=blocks, in_place=paths), statistics=again)
    assert own == pytest.approx(real_peak(code, Curved(), torch.rand(8, 3, 32, 32)), rel=APART)
    assert own <= plain if again else own < plain


def labels_of(name, batch) -> torch.Tensor:
    return torch.randint(200, tensors_of(name, batch).shape)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("language", {}),
        ("language", {"chunked": "head"}),
        ("language", {"chunked": "head", "amp": "bf16"}),
        ("llama", {"chunked": "head", "checkpoint": (("blocks.0",), ("blocks.1",), ("blocks.2",), ("blocks.3",))}),
        ("language", {"chunked": "head", "micro_batches": 2, "checkpoint": (("blocks.1",),)}),
    ],
)
def test_a_loss_in_chunks_takes_what_was_predicted(name, settings):
    build, shape, batch = NETWORKS[name]
    session = session_of(build(), shape, batch)
    step = TrainingStep("sgd", foreach=False, loss="cross-entropy", **settings)
    code = emitted(replace(SGD, batch_size=batch, loss="cross-entropy", **settings))
    real = real_peak(code, build(), tensors_of(name, batch), labels_of(name, batch))
    assert peak(session, step) == pytest.approx(real, rel=APART)


def test_the_scores_of_a_loss_in_chunks_are_never_there_as_a_whole():
    """Of scores of 1,024 positions a chunk has 64 · 1,024 / 200 or fewer; the work is the same."""
    build, shape, batch = NETWORKS["language"]
    session = session_of(build(), shape, batch)
    whole, chunked = (
        session.once(Variation(step=TrainingStep("sgd", loss="cross-entropy", chunked=each), on_meta=True))
        for each in (None, "head")
    )
    assert scored(whole) == "head"
    most = [max(s.bytes for s in each.tape.storages if s.role == "activation") for each in (whole, chunked)]
    assert most == [1024 * 256 * 4, 1024 * 256 * 4]  # what the MLPs keep
    scores = 1024 * 200 * 4
    assert sum(s.bytes == scores for s in whole.tape.storages) == 4  # they, their logarithms, two gradients
    assert not any(s.bytes == scores for s in chunked.tape.storages)
    assert sum(s.bytes == scores // 4 for s in chunked.tape.storages) >= 3 * 4
    macs = [sum(done.macs or 0 for done in each.tape.operations) for each in (whole, chunked)]
    assert macs[0] == macs[1]


LOSSES = {
    "flat": lambda out, labels: F.cross_entropy(out.flatten(0, 1), labels.flatten()),
    "shifted": lambda out, labels: nn.CrossEntropyLoss()(
        out[..., :-1, :].contiguous().view(-1, 50).float(), labels[:, 1:].reshape(-1)
    ),
    "weighted": lambda out, labels: F.cross_entropy(
        out.view(-1, 50), labels.view(-1), weight=torch.linspace(1, 2, 50), label_smoothing=0.1
    ),
    "classes second": lambda out, labels: F.cross_entropy(out.transpose(1, 2), labels),
    "summed": lambda out, labels: F.cross_entropy(out.permute(0, 2, 1), labels, reduction="sum") / 3,
    "of each": lambda out, labels: F.cross_entropy(out.transpose(1, 2), labels, reduction="none").mean(),
    "no cross-entropy": lambda out, labels: (out / 2).tanh().mean() + labels.sum(),
    "its bits": lambda out, labels: out.mean() + out.detach().view(torch.int32).sum() * 0,
    "both": lambda out, labels: F.cross_entropy(out.flatten(0, 1), labels.flatten()) + out.square().mean(),
}


class Tied(nn.Module):
    """A head whose weight the embedding has too, or one of its own."""

    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(50, 8), nn.Linear(8, 50, bias=not tied)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, ids):
        return {"logits": self.head(torch.tanh(self.embedding(ids)))}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_loss_in_chunks_has_the_same_gradients(loss, tied, mixed):
    torch.manual_seed(0)
    plain = Tied(tied=tied)
    changed = emitted(replace(SGD, chunked="head"))["changed"](copy.deepcopy(plain))
    ids, labels = torch.randint(50, (3, 7)), torch.randint(50, (3, 7))
    labels[0, 2] = -100
    found = []
    for model in (plain, changed):
        with torch.autocast("cpu", torch.bfloat16) if mixed else nullcontext():
            value = LOSSES[loss](model(ids)["logits"], labels)
        value.backward()
        found.append((value.detach(), *(each.grad for each in model.parameters())))
    near = {"rtol": 0.05, "atol": 0.01} if mixed else {}
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other.float(), one.float(), **near)
    with torch.no_grad():
        same = changed(ids)["logits"].argmax(-1) == plain(ids)["logits"].argmax(-1)
    assert same.all()


def test_a_second_backward_is_refused_not_wrong():
    changed = emitted(replace(SGD, chunked="head"))["changed"](Tied(tied=False))
    loss = LOSSES["flat"](changed(torch.randint(50, (3, 7)))["logits"], torch.randint(50, (3, 7)))
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


class Scored(Language):
    """A language model that returns its own loss."""

    def forward(self, ids):
        scores = super().forward(ids)
        return F.cross_entropy(scores[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


@pytest.mark.parametrize("own", [False, True])
def test_fit_takes_what_saves_and_costs_nothing_first(own, tmp_path):
    """A model's own loss is seen on the tape, another has to be said."""
    look = inspect(Scored() if own else Language(), input_size="64:int64", batch_size=16)
    how = {"optimizer": "sgd", "foreach": False, "predict_for": "cpu", "loss": "sum" if own else "cross-entropy"}
    asked = look.fit(budget="1TiB", **how).chosen.peak_bytes
    file = tmp_path / "patch.py"
    found = look.fit(budget=f"{int(0.97 * asked)}B", emit=file, **how)
    assert found.chosen.kinds == ("chunked_loss",)
    assert found.chosen.same_result
    assert 0.99 < found.chosen.slowdown <= 1  # a position of which nothing is asked has no scores
    assert found.chosen.step.chunked == "head"
    less = look.fit(budget=f"{int(0.6 * asked)}B", **how, without=["micro-batches"]).chosen
    assert less.kinds == ("chunked_loss", "checkpoint")
    without = look.fit(budget=f"{int(0.6 * asked)}B", **how, without=["micro-batches", "chunked-loss"]).chosen
    assert without.kinds == ("checkpoint",)
    assert less.slowdown <= without.slowdown


def test_a_loss_without_scores_is_refused(alexnet, tmp_path):
    net = tmp_path / "net.py"
    net.write_text("from torch import nn\nflat = nn.Sequential(nn.Linear(4, 4), nn.Flatten(0))\n")
    answer = alexnet("fit", f"{net}:flat", "-i", "4", "--budget", "1MiB", "--loss", "cross-entropy")
    assert (answer.code, "no output has them" in answer.err) == (2, True)


def test_activations_in_place_are_taken_where_they_save():
    look = inspect(Curved(), input_size="3,32,32", batch_size=8)
    how = {"optimizer": "sgd", "predict_for": "cpu", "without": ["micro-batches", "amp", "batch"]}
    asked = look.fit(budget="1TiB", **how).chosen.peak_bytes
    found = look.fit(budget=f"{asked - 1}B", **how).chosen
    assert found.kinds == ("in_place",)
    assert (found.change, found.slowdown, found.same_result) == ("4 activations in place", 1, True)
    assert look.fit(budget=f"{int(0.6 * asked)}B", **how).chosen.kinds == ("in_place", "checkpoint")
