"""Context parallelism: what attention sends, against formulas; models whose sequences cannot be shared."""

from __future__ import annotations

import pytest
import torch
from sharding.helpers import rank_of, rank_of_named
from sharding.models import TOKENS, WIDTH, Feed
from torch import nn

from alexnet_cli import AlexnetError
from alexnet_cli.analyses.sharding.traffic import collectives, reach_of
from alexnet_cli.rank import Layout

FLOAT = 4
LAYERS = 3
BATCH = 4


@pytest.mark.parametrize("ranks", [2, 4])
def test_keys_and_values_are_gathered_and_their_gradients_go_around(ranks):
    """Each rank has `part` tokens, each with a key and a value of the width.

    They are gathered for the forward and again for the backward. Gradients go around the ring in as many steps as there
    are ranks, in float32: the sum of all that the others add.
    """
    rank = rank_of_named("encoder", Layout(cp=ranks))
    part = 2 * BATCH * (TOKENS // ranks) * WIDTH * FLOAT
    sent = [each for each in collectives(rank, None) if each.group == "cp"]
    assert {(each.kind, each.phase, each.bytes) for each in sent} == {
        ("all_gather", "forward", ranks * part),
        ("all_gather", "backward", ranks * part),
        ("send", "backward", part),
    }
    counts = {(each.kind, each.phase): 0 for each in sent}
    for each in sent:
        counts[each.kind, each.phase] += each.count
    assert list(counts.values()) == [LAYERS, LAYERS, ranks * LAYERS]
    assert sum(each.sent_bytes for each in sent) == LAYERS * (2 * (ranks - 1) + ranks) * part


def test_the_ranks_of_a_sequence_shard_the_state_too():
    """The state lies on 2 × 2 ranks, as on 4 that have whole sequences."""
    shared, whole = (rank_of_named("encoder", layout) for layout in (Layout(fsdp=2, cp=2), Layout(fsdp=4)))
    state = [
        [(sent.kind, sent.ranks, sent.bytes) for sent in each.sent if sent.group == "fsdp"] for each in (shared, whole)
    ]
    assert state[0] == state[1]
    assert shared.layout.replicas * 2 == whole.layout.replicas


def test_parts_of_a_sequence_are_neighbours():
    layout = Layout(ddp=2, fsdp=4, cp=2, tp=2)
    assert [reach_of(layout, name, 4).nodes for name in ("tp", "cp", "fsdp", "ddp")] == [1, 1, 4, 2]


class Masked(nn.Module):
    """Attention to what a mask leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        heads = self.layer(x).unflatten(-1, (4, -1)).transpose(1, 2)
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device)
        return nn.functional.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask)


class Placed(nn.Module):
    """Adds a position to each of exactly as many tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(TOKENS, WIDTH))

    def forward(self, x):
        return x + self.places


class Causal(nn.Module):
    """Attention to what is before."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        heads = self.layer(x).unflatten(-1, (4, -1)).transpose(1, 2)
        return nn.functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True)


@pytest.mark.parametrize(
    ("model", "shape", "says"),
    [
        (Feed, (2, TOKENS, WIDTH), "a model that calls torch's scaled_dot_product_attention"),
        (Masked, (2, TOKENS, WIDTH), "not supported yet: --cp with an attention mask"),
        (Placed, (2, TOKENS, WIDTH), "fails on a part of its sequence"),
        (Causal, (2, 15, WIDTH), "a sequence of 15 does not divide among 2 ranks"),
        (Causal, (2, 6, WIDTH), "causal attention to 3 tokens on each rank does not balance"),
        (Feed, (WIDTH,), "no input has a second axis"),
    ],
)
def test_sequences_that_cannot_be_shared(model, shape, says):
    plain = nn.functional.scaled_dot_product_attention
    with pytest.raises(AlexnetError, match=says):
        rank_of(model(), torch.zeros(shape), Layout(cp=2))
    assert nn.functional.scaled_dot_product_attention is plain
