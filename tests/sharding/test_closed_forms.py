"""What travels, against formulas that are derived here."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from sharding.helpers import rank_of, rank_of_named
from sharding.models import TOKENS, WIDTH, WORDS, Encoder, Feed, inputs_of
from torch import nn
from torch.distributed.tensor import Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, PrepareModuleInput, RowwiseParallel

from alexnet_cli.analyses.sharding.memory import rank_memory
from alexnet_cli.analyses.sharding.traffic import is_exposed, sent_by
from alexnet_cli.rank import Layout, Rank
from alexnet_cli.tracing.options import TrainingStep

FLOAT = 4


def total(rank: Rank, kind: str, group: str) -> int:
    return sum(sent.bytes for sent in rank.sent if (sent.kind, sent.group) == (kind, group))


def padded(model: nn.Module, ranks: int) -> int:
    """Return the bytes of a model whose parameters' first dimensions are padded to a multiple of the ranks."""
    sizes = [(parameter.shape[0], parameter.numel()) for parameter in model.parameters()]
    return FLOAT * sum(-(-first // ranks) * ranks * (numel // first) for first, numel in sizes)


@pytest.mark.parametrize("ranks", [2, 4, 64])
def test_fsdp_gathers_blocks_twice_the_rest_once_and_scatters_all_once(ranks):
    """Each block is gathered for the forward and, freed in between, for the backward: twice its parameters.

    What is outside the blocks is the root's, which is not freed between forward and backward: once.
    """
    rank = rank_of_named("encoder", Layout(fsdp=ranks))
    model = Encoder()
    blocks, whole = sum(padded(layer, ranks) for layer in model.layers), padded(model, ranks)
    assert total(rank, "all_gather", "fsdp") == 2 * blocks + (whole - blocks)
    assert total(rank, "reduce_scatter", "fsdp") == whole


def test_fsdp_that_keeps_gathered_weights_gathers_all_once():
    rank = rank_of_named("encoder", Layout(fsdp=2, reshard=False))
    assert total(rank, "all_gather", "fsdp") == padded(Encoder(), 2)


def test_all_that_fsdp_moves_is_three_times_the_parameters():
    """With everything in blocks (ZeRO-3): 2 gathers and 1 scatter of all parameters."""
    model = nn.Sequential(*(Feed() for _ in range(4)))
    rank = rank_of(model, torch.zeros(2, TOKENS, WIDTH), Layout(fsdp=4))
    assert sum(sent.bytes for sent in rank.sent) == 3 * padded(model, 4)


def test_mixed_precision_gathers_half_and_scatters_whole():
    """Weights travel in bfloat16, gradients in float32."""
    whole, mixed = (rank_of_named("encoder", Layout(fsdp=2), TrainingStep("adamw", amp)) for amp in (None, "bf16"))
    assert 2 * total(mixed, "all_gather", "fsdp") == total(whole, "all_gather", "fsdp")
    assert total(mixed, "reduce_scatter", "fsdp") == total(whole, "reduce_scatter", "fsdp")


def test_hsdp_reduces_the_shards_among_replicas():
    """Each rank all-reduces the shard of the gradients that the reduce-scatter left it with."""
    rank = rank_of_named("encoder", Layout(ddp=3, fsdp=4))
    assert total(rank, "all_reduce", "ddp") == total(rank, "reduce_scatter", "fsdp") // 4


def test_ddp_reduces_all_gradients_once():
    rank = rank_of_named("encoder", Layout(ddp=8))
    assert total(rank, "all_reduce", "ddp") == FLOAT * sum(each.numel() for each in Encoder().parameters())


def test_ddp_buckets():
    """Gradients arrive from the last layer to the first. A bucket is full once it holds its limit or more.

    Twelve square matrices of 3 MiB: the first bucket (limit 1 MiB) is full with one, the second (25 MiB) with nine, and
    two are left.
    """
    side, mib = 887, 2**20  # 887² floats are 3.0 MiB
    layer = FLOAT * side * side
    model = nn.Sequential(*(nn.Linear(side, side, bias=False) for _ in range(12)))
    rank = rank_of(model, torch.zeros(2, side), Layout(ddp=2))
    assert 3 * mib < layer < 3.1 * mib
    assert [sent.bytes for sent in rank.sent] == [layer, 9 * layer, 2 * layer]


def plan_of_four(model: nn.Module) -> dict[str, object]:
    """Split as Megatron does: one input for the layers that are split by columns, whose gradients are added once."""
    plan: dict[str, object] = {}
    for number, _ in enumerate(model.children()):
        plan |= {
            f"{number}.attention": PrepareModuleInput(
                input_layouts=(Replicate(),), desired_input_layouts=(Replicate(),), use_local_output=False
            ),
            f"{number}.attention.qkv": ColwiseParallel(input_layouts=Replicate()),
            f"{number}.attention.out": RowwiseParallel(),
            f"{number}.up": ColwiseParallel(),
            f"{number}.down": RowwiseParallel(),
        }
    return plan


class Attention(nn.Module):
    """Self-attention with one projection for queries, keys and values, by heads."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        query, key, value = self.qkv(x).unflatten(-1, (-1, 3, 16)).unbind(-2)
        heads = (each.transpose(1, 2) for each in (query, key, value))
        mixed = nn.functional.scaled_dot_product_attention(*heads)
        return self.out(mixed.transpose(1, 2).flatten(-2))


class Block(nn.Module):
    """A transformer's block."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.norm2, self.up, self.down = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        x = x + self.attention(self.norm(x))
        return x + self.down(torch.relu(self.up(self.norm2(x))))


def test_tensor_parallelism_reduces_four_times_in_each_block(tmp_path):
    """Shoeybi et al., "Megatron-LM", arXiv:1909.08053, figure 4: two all-reduces in the forward, two in the backward.

    Each is of batch × tokens × width elements.
    """
    model = nn.Sequential(Block(), Block())
    given = torch.zeros(3, TOKENS, WIDTH, requires_grad=True)
    (tmp_path / "plan.py").write_text("from sharding.test_closed_forms import plan_of_four as plan\n")
    rank = rank_of(model, given, Layout(tp=2), plan=f"{tmp_path / 'plan.py'}:plan")
    message = FLOAT * 3 * TOKENS * WIDTH
    assert {(sent.kind, sent.group, sent.bytes) for sent in rank.sent} == {("all_reduce", "tp", message)}
    counts = [sum(sent.phase == phase for sent in rank.sent) for phase in ("forward", "backward")]
    assert counts == [2 * 2, 2 * 2]
    assert all(is_exposed(rank, sent) for sent in rank.sent)  # each is of the only tensor that the next kernel reads


def test_of_gradients_that_are_summed_the_first_need_not_be_waited_for():
    """Queries, keys and values are layers over one input, as are gate and up: five gradients in two sums.

    Autograd adds each to the sum as it arrives. The first has nothing to be added to, so its reduction can overlap with
    the products of the second; the others are waited for. In the forward each is but the embedding's: the angles of the
    rotary positions are computed meanwhile.
    """
    pytest.importorskip("transformers")
    rank = rank_of_named("llama", Layout(tp=2))
    backward = [sent for sent in rank.sent if sent.phase == "backward"]
    waited = [sent for sent in backward if is_exposed(rank, sent)]
    assert len(backward) == 1 + 2 * 5  # the head's, and those of two blocks
    assert len(waited) == 1 + 2 * (5 - 2)
    hidden = [sent.row for sent in rank.sent if sent.phase == "forward" and not is_exposed(rank, sent)]
    assert [rank.report.layers[row].path for row in hidden if row is not None] == ["model.embed_tokens"]


def test_sequence_parallelism_gathers_and_scatters_in_place_of_reductions():
    """Korthikanti et al., arXiv:2205.05198, figure 5: attention and MLP each gather sequences and scatter their sums.

    So a block has two all-gathers and two reduce-scatters in the forward, and as many in the backward, in which those
    of the forward change places. The embedding scatters its sums, and gathers their gradients; the head gathers
    sequences, and scatters their gradients. Each message is of batch × tokens × width elements, as an all-reduce is
    without it, of which each rank sends (n - 1)/n, an all-reduce 2(n - 1)/n: two are as much as one. The head's result
    is gathered, of batch × tokens × words. Each norm's gradient is a sum over the sequence, of which each rank has a
    part until the optimiser asks for it: SGD does so once.
    """
    pytest.importorskip("transformers")
    ranks, blocks, batch = 2, 2, 4
    rank = rank_of_named("llama", Layout(tp=ranks, sp=True), TrainingStep("sgd"))
    hidden, words = FLOAT * batch * TOKENS * WIDTH, FLOAT * batch * TOKENS * WORDS
    sent = Counter((each.phase, each.kind, each.bytes) for each in rank.sent)
    assert sent == {
        ("forward", "all_gather", hidden): 2 * blocks + 1,
        ("forward", "reduce_scatter", hidden): 2 * blocks + 1,
        ("forward", "all_gather", words): 1,
        ("backward", "all_gather", hidden): 2 * blocks + 1,
        ("backward", "reduce_scatter", hidden): 2 * blocks + 1,
        ("optimizer", "all_reduce", FLOAT * WIDTH): 2 * blocks + 1,
    }
    block = [each for each in rank.sent if each.row is not None and "layers.0." in rank.report.layers[each.row].path]
    travels = sum(sent_by(each.kind, ranks, each.bytes) for each in block)
    assert travels == 4 * 2 * hidden * (ranks - 1) / ranks  # Megatron's four all-reduces


def test_sequence_parallelism_keeps_a_part_of_what_norms_save():
    """A rank has 1/n of the sequence, and so of the float32 copies that Llama's norms save."""
    pytest.importorskip("transformers")
    saved = []
    for layout in (Layout(tp=2), Layout(tp=2, sp=True)):
        rank = rank_of_named("llama", layout)
        shares = {share.path: share.saved_bytes for share in rank_memory(rank).layers}
        saved.append(sum(size for path, size in shares.items() if path.endswith("norm")))
    assert saved[0] > 0
    assert saved[1] == saved[0] / 2


@pytest.mark.parametrize("ranks", [1, 2, 8])
def test_what_a_rank_keeps_is_its_share(ranks):
    """AdamW holds two numbers for each weight; each rank has its part of both, and of the weights."""
    model = nn.Sequential(*(Feed() for _ in range(4)))
    layout = Layout(fsdp=ranks)
    held = rank_memory(rank_of(model, torch.zeros(2, TOKENS, WIDTH), layout))
    weights = FLOAT * sum(parameter.numel() for parameter in model.parameters())
    counters = FLOAT * len(list(model.parameters()))
    assert (held.weights_bytes, held.optimizer_bytes) == (weights // ranks, 2 * weights // ranks + counters)


def test_one_rank_alone_sends_nothing_and_holds_what_memory_says():
    from alexnet_cli.analyses.memory import training
    from alexnet_cli.session.session import Example, Live, Session
    from alexnet_cli.tracing.options import TraceOptions

    rank = rank_of_named("encoder", Layout(), TrainingStep("adamw"))
    session = Session(Live(Encoder(), Example((inputs_of("encoder"),), {})), TraceOptions(batch_size=4), cache=False)
    alone = session.training(TrainingStep("adamw"))
    assert alone is not None
    assert not rank.sent
    assert rank_memory(rank).peak_bytes == training(alone).peak_bytes


def test_layers_that_share_weights_are_sharded_with_the_rest():
    """The first block shares its `up` with what is outside it; torch refuses to shard the two apart."""
    model = nn.Sequential(*(Feed() for _ in range(3)))
    model.append(nn.Linear(WIDTH, 4 * WIDTH))
    model[3].weight = model[0].up.weight
    rank = rank_of(model, torch.zeros(2, TOKENS, WIDTH), Layout(fsdp=2))
    assert rank_memory(rank).weights_bytes == padded(model, 2) // 2
    assert sum(sent.kind == "reduce_scatter" for sent in rank.sent) == 3  # two blocks, and the rest


@pytest.mark.parametrize("layout", [Layout(), Layout(fsdp=2), Layout(ddp=2)])
def test_inference_reduces_nothing(layout):
    rank = rank_of_named("encoder", layout, None)
    assert all(sent.kind in ("all_gather", "broadcast") for sent in rank.sent)
    assert rank_memory(rank).optimizer_bytes == rank_memory(rank).gradient_bytes == 0
