"""Expert parallelism: what travels and what is kept, against formulas; models whose experts cannot be separated."""

from __future__ import annotations

import pytest
import torch
from sharding.helpers import rank_of, rank_of_named
from sharding.models import EXPERTS, MODELS, TOKENS, TOP_K, WIDTH, Mixture, Sparse, inputs_of
from torch import nn

from alexnet_cli import AlexnetError
from alexnet_cli.analyses.sharding.memory import rank_memory
from alexnet_cli.analyses.sharding.traffic import collectives, is_exposed, reach_of
from alexnet_cli.rank import Layout

FLOAT, COUNT = 4, 8
LAYERS = 2
PAIRS = 4 * TOKENS * TOP_K


@pytest.fixture(scope="module", params=["sparse", "stacked"])
def shared(request):
    return rank_of_named(request.param, Layout(fsdp=4, ep=2))


def test_tokens_travel_to_their_experts_and_back_and_their_gradients_too(shared):
    """Each pair of a token and an expert is a row of the width. Of a message of all rows half stays here."""
    rows = [each for each in collectives(shared, None) if each.kind == "all_to_all" and each.bytes > COUNT * EXPERTS]
    assert {(each.bytes, each.ranks, each.group) for each in rows} == {(PAIRS * WIDTH * FLOAT, 2, "ep")}
    counts = {phase: sum(each.count for each in rows if each.phase == phase) for phase in ("forward", "backward")}
    assert counts == {"forward": 2 * LAYERS, "backward": 2 * LAYERS}
    assert sum(each.sent_bytes for each in rows) == 4 * LAYERS * PAIRS * WIDTH * FLOAT * (2 - 1) // 2


def test_the_numbers_of_tokens_go_first(shared):
    told = [sent for sent in shared.sent if sent.kind == "all_to_all" and sent.bytes == COUNT * EXPERTS]
    assert [sent.phase for sent in told] == ["forward"] * LAYERS


def test_results_of_experts_are_waited_for(shared):
    """They are all that is left to add up; while the tokens travel their experts' numbers can be sorted."""
    rows = [sent for sent in shared.sent if sent.group == "ep" and sent.phase == "forward"]
    rows = [sent for sent in rows if sent.bytes > COUNT * EXPERTS]
    assert all(is_exposed(shared, sent) for sent in rows[1::2])


def test_a_rank_keeps_its_experts_and_its_part_of_the_rest(request, shared):
    """Two ranks share each half of the experts and four the rest: of everything each has a quarter."""
    model = MODELS[request.node.callspec.params["shared"]]()
    held = rank_memory(shared)
    assert held.weights_bytes == FLOAT * sum(each.numel() for each in model.parameters()) // 4


def test_ranks_with_the_same_experts_gather_them(request, shared):
    """Each rank gathers its half of the experts of a layer, from itself and the other rank that has them."""
    layer = MODELS[request.node.callspec.params["shared"]]().layers[0]
    experts = FLOAT * sum(each.numel() for each in layer.moe.experts.parameters())
    gathered = {sent.bytes for sent in shared.sent if (sent.kind, sent.group) == ("all_gather", "efsdp")}
    assert gathered == {experts // 2}


def test_ranks_that_share_experts_are_neighbours():
    layout = Layout(ddp=2, fsdp=8, ep=4)
    assert layout.gpus == 16
    assert (reach_of(layout, "ep", 8).nodes, reach_of(layout, "efsdp", 4).nodes) == (1, 2)


def test_mixtral():
    transformers = pytest.importorskip("transformers")
    config = transformers.MixtralConfig(
        hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=96, num_local_experts=EXPERTS, num_experts_per_tok=TOP_K, use_cache=False,
    )  # fmt: skip
    with torch.device("meta"):
        model = transformers.MixtralForCausalLM(config)
    rank = rank_of(model, inputs_of("sparse"), Layout(ddp=2, fsdp=2, ep=2))
    rows = [sent.bytes for sent in rank.sent if sent.group == "ep" and sent.bytes > COUNT * EXPERTS]
    assert rows == [PAIRS * WIDTH * FLOAT] * 4 * LAYERS


class Noisy(Mixture):
    """A mixture with a layer that is neither router nor expert."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(WIDTH, WIDTH)


class Endless(Mixture):
    """A mixture that does not say to how many experts a token goes."""

    def __init__(self) -> None:
        super().__init__()
        del self.top_k


@pytest.mark.parametrize(
    ("model", "ranks", "says"),
    [
        (MODELS["encoder"], 2, "this model has none"),
        (lambda: Sparse(Noisy), 2, "moe.experts has more than experts and a router"),
        (lambda: Sparse(Endless), 2, "does not say how many experts a token goes to"),
        (MODELS["stacked"], 3, "4 experts of layers.0.moe.experts do not divide among 3 ranks"),
    ],
)
def test_experts_that_cannot_be_separated(model, ranks, says):
    from alexnet_cli.tracing.sharding.experts import share_experts

    with pytest.raises(AlexnetError, match=says):
        share_experts(model(), ranks, None)
