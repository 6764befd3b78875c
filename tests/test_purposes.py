"""What parameters are used for, and which functions are attention or pooling, on models that say it by their code."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everyone writes it
from torch.nn.utils.parametrizations import weight_norm

from alexnet_cli.analyses.repeats import fold_repeats
from alexnet_cli.analyses.shares import by_family, by_type, fold
from alexnet_cli.report import Report
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions, TrainingStep
from alexnet_cli.tracing.trace import trace


def traced(model: nn.Module, *inputs: str, **options) -> Report:
    subject = Subject("case", "", lambda: Loaded(model))
    return trace(subject, TraceOptions(inputs=tuple(map(parse_input, inputs)), **options), notify=pytest.fail)


def held(report: Report) -> dict[str, int]:
    return {share.family: share.params for share in by_family(report) if share.params}


class Experts(nn.Module):
    """Two experts whose weights it holds itself, chosen by their place or by the data, with an activation between."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.up = nn.Parameter(torch.randn(2, 6, 4))
        self.bias = nn.Parameter(torch.randn(2, 6))
        self.act = nn.ReLU()

    def forward(self, x):
        if self.how == "each":
            return sum(self.act(F.linear(x, self.up[i], self.bias[i])) for i in range(2))
        chosen = x.mean(-1).gt(0).long()  # a number of an expert for each sample
        return self.act(torch.bmm(self.up[chosen], x.unsqueeze(-1)).squeeze(-1) + self.bias[0])


class Embedded(nn.Module):
    """A class token joined to patches, a position embedding and a bias added, a mask token that stands in for some."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.mask_token = nn.Parameter(torch.zeros(8))
        self.position = nn.Parameter(torch.zeros(1, 12, 8))
        self.bias = nn.Parameter(torch.zeros(8))
        self.unread = nn.Parameter(torch.zeros(3))
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        x = torch.where(x > 0, self.mask_token, x)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.norm(x + self.position[:, : x.shape[1]]) + self.bias


class Table(nn.Module):
    """A table whose rows the input chooses; with `tied` it is also the weight of the last product."""

    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.tied = tied
        self.table = nn.Parameter(torch.randn(10, 4))
        self.inner = nn.Linear(4, 4)

    def forward(self, ids):
        x = self.inner(self.table[ids])
        return F.linear(x, self.table) if self.tied else x


class Relative(nn.Module):
    """A table read at the fixed places of a buffer, and added to the scores of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(9, 2))
        self.register_buffer("places", torch.arange(9).repeat(9).view(9, 9))
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        return self.norm(x) @ torch.ones(4, 9) + self.table[self.places].permute(2, 0, 1)[:1]


CASES = {
    "experts in turn": (lambda: Experts("each"), "4", {"linear": 2 * 6 * 4 + 2 * 6}),
    "experts by the data": (lambda: Experts("chosen"), "4", {"linear": 2 * 6 * 4, "other": 2 * 6}),
    "weight norm": (
        lambda: nn.Sequential(weight_norm(nn.Conv1d(4, 8, 3)), nn.ReLU()),
        "4,10",
        {"conv": 8 * 4 * 3 + 8 + 8},  # direction, length and bias of each output
    ),
    "embedded": (Embedded, "5,8", {"embedding": 8 + 8 + 12 * 8, "norm": 2 * 8, "other": 8, "container": 3}),
    "looked up": (lambda: Table(tied=False), "5:int64", {"embedding": 10 * 4, "linear": 4 * 4 + 4}),
    "looked up and tied": (lambda: Table(tied=True), "5:int64", {"linear": 10 * 4 + 4 * 4 + 4}),
    "relative position": (Relative, "9,4", {"embedding": 9 * 2, "norm": 2 * 4}),
}


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("name", CASES)
def test_own_parameters_count_under_the_family_of_what_uses_them(name, device):
    make, size, expected = CASES[name]
    report = traced(make(), size, device=device)
    assert held(report) == expected
    assert sum(share.params for share in by_type(report)) == report.totals.params
    for row in report.layers:
        assert sum(row.held.values()) == row.params


def test_a_leaf_that_only_adds_its_parameters_keeps_its_family_and_its_parameters_are_an_embedding():
    class Position(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.zeros(5, 4))

        def forward(self, x):
            return x + self.table

    report = traced(nn.Sequential(Position(), nn.ReLU()), "5,4")
    assert [(row.family, row.held) for row in report.layers[1:2]] == [("other", {"embedding": 5 * 4})]


def test_a_cut_report_keeps_the_families_of_what_it_sums_up():
    report = traced(nn.Sequential(Embedded(), Embedded()), "5,8")
    each = {"embedding": 8 + 8 + 12 * 8, "norm": 2 * 8, "other": 8, "container": 3}
    (cut,) = fold(report, 0).layers
    assert cut.params_by_family == {family: 2 * params for family, params in each.items()}


def test_folded_rows_sum_up_what_they_hold():
    report = traced(nn.Sequential(*(Square() for _ in range(3))), "4")
    folded = [row for row in fold_repeats(report.layers) if row.count == 3 and row.layer.params]
    assert [row.layer.params_by_family for row in folded] == [{"linear": 3 * 4 * 4}]


class Square(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(x @ self.weight)


class Attention(nn.Module):
    """Attention written out; `between` is what happens to the scores, `product` does the two products."""

    def __init__(self, between=lambda scores: scores, product=torch.matmul) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.between = between
        self.product = product

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        scores = self.between(self.product(q, k.transpose(-2, -1)) / 2)
        weights = F.dropout(F.softmax(scores, -1, dtype=torch.float32).to(q.dtype), 0.1, self.training)
        return self.product(weights, v).transpose(1, 2).flatten(2)


class MatMul(nn.Module):
    def forward(self, a, b):
        return a @ b


def masked(scores):
    return scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -1e9).clamp_(-1e9, 1e9)


def with_a_sink(scores):
    return torch.cat([scores, torch.zeros(*scores.shape[:-1], 1)], -1)[..., :5]


ATTENTION_MACS = 2 * (2 * 5 * 5 * 4)  # two products, in each of two heads 5×5 scores of 4 products
ATTENTIONS = {
    "plain": Attention,
    "masked": lambda: Attention(masked),
    "with a sink": lambda: Attention(with_a_sink),
    "by einsum": lambda: Attention(product=lambda a, b: torch.einsum("bhij,bhjk->bhik", a, b)),
    "in modules": lambda: Attention(product=MatMul()),
}


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", ATTENTIONS)
def test_the_products_before_and_after_a_softmax_are_attention(name, train, device):
    report = traced(ATTENTIONS[name](), "5,8", device=device, mode="train" if train else "eval")
    macs = {share.family: share.macs for share in by_family(report) if share.macs}
    assert macs == {"linear": 5 * 8 * 24, "attention": ATTENTION_MACS}


def test_a_leaf_that_attends_is_attention_and_one_that_only_routes_is_not():
    class Leaf(nn.Module):
        def forward(self, x):
            return torch.softmax(x @ x.mT, -1) @ x

    class Routed(nn.Module):
        def __init__(self):
            super().__init__()
            self.router = nn.Parameter(torch.randn(4, 2))
            self.experts = nn.Parameter(torch.randn(2, 4, 4))

        def forward(self, x):
            each = torch.bmm(x.expand(2, -1, -1), self.experts)
            return (torch.softmax(x @ self.router, -1).mT.unsqueeze(-1) * each.unsqueeze(0)).sum(1)

    report = traced(nn.Sequential(Leaf(), Routed()), "5,4")
    assert [row.family for row in report.layers[1:]] == ["attention", "linear"]


def test_a_softmax_that_no_product_reads_and_weights_that_no_product_made_are_not_attention():
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            pooled = torch.softmax(self.linear(x), -1) @ x.mT  # scores by a layer, not of the data with itself
            return torch.softmax(pooled @ pooled.mT, -1)

    report = traced(Classifier(), "5,4")
    assert "attention" not in {row.family for row in report.layers}


POOLINGS = {
    "max_pool1d": lambda x: F.max_pool1d(x, 2),
    "avg_pool1d": lambda x: F.avg_pool1d(x, 2),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x, 1),
    "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(x, 1),
    "lp_pool1d": lambda x: F.lp_pool1d(x, 2, 2),
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 1),
    "lp_pool2d": lambda x: F.lp_pool2d(x, 2, 2),
    "adaptive_avg_pool3d": lambda x: F.adaptive_avg_pool3d(x, 1),
}


@pytest.mark.parametrize("in_a_leaf", [False, True])
@pytest.mark.parametrize("name", POOLINGS)
def test_functional_pooling_is_pooling(name, in_a_leaf):
    class Pool(nn.Module):
        def forward(self, x):
            return POOLINGS[name](x)

    size = ",".join("4" * (1 + int(name[-2])))
    report = traced(nn.Sequential(Pool()) if in_a_leaf else Pool(), size)
    assert [row.family for row in report.layers[1:]] == ["pool"]
    assert report.layers[1].type == ("Pool" if in_a_leaf else name)


def test_a_recorded_step_of_training_has_the_families_of_a_forward():
    for make, size in ((ATTENTIONS["plain"], "5,8"), (lambda: Experts("each"), "4")):
        forward = traced(make(), size, mode="train")
        step = traced(make(), size, mode="train", step=TrainingStep("sgd"))
        assert held(step) == held(forward)
        assert [row.family for row in step.layers] == [row.family for row in forward.layers]


class ScoresAsFeatures(nn.Module):
    """The softmax of a product goes into layers with weights, not into a product with values."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(torch.softmax(x @ x.mT, -1))


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("layer", [nn.Linear(3, 2), nn.LSTM(3, 2)])
def test_scores_that_meet_weights_are_no_attention(layer, device):
    report = traced(ScoresAsFeatures(layer), "3,4", device=device)
    [product] = [row for row in report.layers if row.type == "matmul"]
    assert product.family == "linear"
