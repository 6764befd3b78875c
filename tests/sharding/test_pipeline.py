"""Pipeline stages: what is sent, how much is under way, the bubble, and which models are cut."""

from __future__ import annotations

from collections import Counter

import jsonschema
import pytest
import torch
from older_torch import skip_without_pipelines
from sharding.helpers import sent_in_order, stages_of, stages_of_named
from sharding.models import TOKENS, WIDTH, Encoder, Feed
from torch import nn

from alexnet_cli import AlexnetError
from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.hardware import find_hardware
from alexnet_cli.analyses.sharding.floors import passes_seconds
from alexnet_cli.analyses.sharding.links import links_of
from alexnet_cli.analyses.sharding.memory import rank_memory
from alexnet_cli.analyses.sharding.pipeline import bubble, in_flight, staged
from alexnet_cli.cli.schema import json_schema
from alexnet_cli.rank import Layout, Rank

FLOAT = 4


@pytest.fixture(scope="module", autouse=True)
def _stages_run_on_shapes() -> None:
    skip_without_pipelines()


def feeds(depth: int) -> nn.Module:
    return nn.Sequential(*(Feed() for _ in range(depth)))


def most_under_way(rank: Rank) -> int:
    """Return the most micro-batches that the next stage has been sent and has not sent back, by the order of both."""
    under_way = most = 0
    for sent in sent_in_order(rank):
        if (sent.kind, sent.phase) == ("send", "forward"):
            under_way += 1
        elif (sent.kind, sent.phase) == ("recv", "backward"):
            under_way -= 1
        most = max(most, under_way)
    return most


@pytest.mark.parametrize("schedule", ["gpipe", "1f1b"])
@pytest.mark.parametrize("batches", [3, 6])
def test_micro_batches_in_flight(schedule, batches):
    """GPipe: all of them; 1F1B: one for each stage from this one on."""
    layout = Layout(pp=3, schedule=schedule, micro_batches=batches)
    ranks = stages_of(feeds(3), torch.zeros(6, TOKENS, WIDTH, requires_grad=True), layout)
    expected = [batches] * 3 if schedule == "gpipe" else [min(batches, 3 - stage) for stage in range(3)]
    assert [in_flight(layout, stage) for stage in range(3)] == expected
    assert [most_under_way(rank) for rank in ranks[:-1]] == expected[:-1]


def test_each_micro_batch_passes_each_cut_once_forth_and_back():
    """Between stages goes what a block returns: samples × tokens × width."""
    first, middle, last = stages_of_named("encoder", Layout(pp=3, micro_batches=4))
    message = FLOAT * TOKENS * WIDTH
    assert {(sent.bytes, sent.group) for rank in (first, middle, last) for sent in sent_in_order(rank)} == {
        (message, "pp")
    }
    counts = [
        {way: sum((sent.kind, sent.phase) == way for sent in sent_in_order(rank)) for way in PASSES}
        for rank in (first, middle, last)
    ]
    assert [list(count.values()) for count in counts] == [[4, 0, 0, 4], [4, 4, 4, 4], [0, 4, 4, 0]]


PASSES = (("send", "forward"), ("recv", "forward"), ("send", "backward"), ("recv", "backward"))


def test_stages_share_the_weights():
    """The embedding is the first stage's, the head the last one's."""
    model = Encoder()
    ranks = stages_of_named("encoder", Layout(pp=3, micro_batches=4))
    parts = [[model.embed, model.layers[0]], [model.layers[1]], [model.layers[2], model.head]]
    sizes = [FLOAT * sum(each.numel() for part in held for each in part.parameters()) for held in parts]
    assert [rank_memory(rank).weights_bytes for rank in ranks] == sizes


def test_interleaved_parts_go_around():
    """Four parts on two GPUs: the first has parts 0 and 2, so that it sends twice in each direction but one."""
    layout = Layout(pp=2, schedule="interleaved", micro_batches=4, chunks=2)
    first, last = stages_of(feeds(4), torch.zeros(4, TOKENS, WIDTH, requires_grad=True), layout)
    counts = [
        [sum((sent.kind, sent.phase) == way for sent in sent_in_order(rank)) for way in PASSES]
        for rank in (first, last)
    ]
    assert counts == [[8, 4, 4, 8], [4, 8, 8, 4]]


@pytest.mark.parametrize(("stages", "batches", "chunks"), [(4, 8, 1), (16, 32, 1), (4, 8, 2)])
def test_the_bubble_is_what_equal_stages_wait(stages, batches, chunks):
    """Each stage is busy for chunks × M units of time; the step also waits for N - 1 units to fill and to drain."""
    busy, waits = chunks * batches, stages - 1
    assert bubble(Layout(pp=stages, micro_batches=batches, chunks=chunks)) == waits / (busy + waits)


def test_a_step_takes_the_slowest_stage_and_the_way_to_it():
    """Of equal stages it is the last: M passes of its own and one of each stage before it, and the update."""
    layout = Layout(pp=4, micro_batches=8)
    ranks = stages_of(feeds(4), torch.zeros(8, TOKENS, WIDTH, requires_grad=True), layout)
    gpu = find_hardware("h100-sxm")
    roof, links = Roof(gpu), links_of(gpu.name)
    found = staged(ranks, roof, links)
    passes = [passes_seconds(rank, roof) for rank in ranks]
    assert found.pipeline.slowest == 3
    assert found.pipeline.step_seconds == pytest.approx(found.pipeline.stages[3].busy_seconds + sum(passes[:3]) / 8)
    assert found.floors is not None
    assert found.floors.step_seconds == found.pipeline.step_seconds
    assert found.floors.samples_per_s == pytest.approx(8 / found.pipeline.step_seconds)


def test_sixteen_stages_of_thirty_two_micro_batches():
    """Llama 3 405B on 8,192 GPUs (arXiv:2407.21783, table 4) has as many, here of small blocks.

    Its first and last stage have one block less. Equal stages idle for 15 of 32 + 15 passes. A micro-batch saves, for
    each block, the input and two statistics of its norm, and the inputs of its layers, of which the second is four
    times as wide; what the first block is given lies in what was received. That many are held in flight, all but what
    the backward at the peak has freed of one. FSDP gathers each block for the forwards ahead of the first backward;
    that one keeps it for the forward that follows.
    With the backwards, that is once for each micro-batch and once more. Gradients are reduced once.
    """
    layout = Layout(pp=16, fsdp=2, micro_batches=32)
    assert bubble(layout) == 15 / 47
    ranks = stages_of(feeds(30), torch.zeros(32, TOKENS, WIDTH, requires_grad=True), layout)
    depths = [1, *[2] * 14, 1]
    for stage, (rank, depth) in enumerate(zip(ranks, depths, strict=True)):
        saved = FLOAT * TOKENS * (depth * (WIDTH + 2 + WIDTH + 4 * WIDTH) - WIDTH)
        memory, ahead = rank_memory(rank), 16 - stage
        assert in_flight(layout, stage) == ahead
        assert memory.saved_activation_bytes == 32 * saved
        assert (ahead - 1) * saved <= memory.peak.live_bytes["saved"] <= ahead * saved
        sent = Counter((each.kind, each.group) for each in sent_in_order(rank))
        assert sent["all_gather", "fsdp"] == depth * (32 + 1)
        assert sent["reduce_scatter", "fsdp"] == depth
        assert (sent["send", "pp"], sent["recv", "pp"]) == (32 * ((stage < 15) + (stage > 0)),) * 2
        blocks = [layer.path for layer in rank.report.layers if layer.type == "Feed"]
        assert blocks[-depth:] == [str(at) for at in range(sum(depths[:stage]), sum(depths[: stage + 1]))]


def test_stages_at_the_ends_may_embed_and_predict_alone():
    """Of eight parts the first and the last have none of six blocks, as Llama 3's have one less than the others."""
    layout = Layout(pp=2, schedule="interleaved", micro_batches=4, chunks=4)
    with torch.device("meta"):
        model = Encoder(6)
    first, last = stages_of(model, torch.zeros(4, TOKENS, dtype=torch.long), layout)
    sizes = [
        [model.embed, *(model.layers[at] for at in (1, 3, 5))],
        [*(model.layers[at] for at in (0, 2, 4)), model.head],
    ]
    held = [FLOAT * sum(each.numel() for part in parts for each in part.parameters()) for parts in sizes]
    assert [rank_memory(rank).weights_bytes for rank in (first, last)] == held
    cuts, batches = (
        7,
        4,
    )  # at each cut a micro-batch is sent and received, forth and back, and each GPU has one end of it
    assert [sum(sent.group == "pp" for sent in sent_in_order(rank)) for rank in (first, last)] == [
        2 * cuts * batches
    ] * 2


def test_a_forward_alone_passes_each_micro_batch_on_and_saves_nothing():
    layout = Layout(pp=3, schedule="gpipe", micro_batches=6)
    ranks = stages_of_named("encoder", layout, None, samples=6)
    counts = [[sum((sent.kind, sent.phase) == way for sent in sent_in_order(rank)) for way in PASSES] for rank in ranks]
    assert counts == [[6, 0, 0, 0], [6, 6, 0, 0], [0, 6, 0, 0]]
    for rank in ranks:
        memory = rank_memory(rank)
        assert (memory.gradient_bytes, memory.optimizer_bytes, memory.saved_activation_bytes) == (0, 0, 0)
    gpu = find_hardware("h100-sxm")
    found = staged(ranks, Roof(gpu), links_of(gpu.name))
    assert [stage.in_flight for stage in found.pipeline.stages] == [1, 1, 1]
    assert (found.floors.mfu, found.pipeline.bubble) == (None, 2 / 8)


def test_sequences_are_cut_within_stages():
    """Each stage sends its part of the sequences on, and its ranks gather keys and values among themselves."""
    whole = stages_of_named("encoder", Layout(pp=3, micro_batches=4))
    parts = stages_of_named("encoder", Layout(pp=3, cp=2, micro_batches=4))
    for one, other in zip(whole, parts, strict=True):
        message = {sent.bytes for sent in one.sent if sent.group == "pp"}
        assert {2 * sent.bytes for sent in other.sent if sent.group == "pp"} == message
        keys_and_values = 2 * FLOAT * TOKENS * WIDTH
        assert {sent.bytes for sent in other.sent if (sent.group, sent.kind) == ("cp", "all_gather")} == {
            keys_and_values
        }


class Skips(nn.Module):
    """Adds what the first block returns to the last."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Feed() for _ in range(2))

    def forward(self, x):
        first = self.blocks[0](x)
        return self.blocks[1](first) + first


class Between(Skips):
    """Computes between its blocks."""

    def forward(self, x):
        return self.blocks[1](self.blocks[0](x) * 2)


class Tied(nn.Module):
    """Embeds and predicts by the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(96, WIDTH)
        self.blocks = nn.Sequential(Feed(), Feed())
        self.head = nn.Linear(WIDTH, 96, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.blocks(self.embed(tokens)))


@pytest.mark.parametrize(
    ("model", "given", "says"),
    [
        (Skips, torch.zeros(2, TOKENS, WIDTH, requires_grad=True), "used again after the last block"),
        (Between, torch.zeros(2, TOKENS, WIDTH, requires_grad=True), "does not take what blocks.0 returns"),
        (Tied, torch.zeros(2, TOKENS, dtype=torch.long), "the first and the last stage share parameters"),
        (lambda: nn.Linear(WIDTH, WIDTH), torch.zeros(2, WIDTH), "--pp needs blocks"),
    ],
)
def test_models_that_are_not_cut(model, given, says):
    with pytest.raises(AlexnetError, match=says):
        stages_of(model(), given, Layout(pp=2, micro_batches=2))


def test_parameters_of_the_model_itself_are_those_of_the_stage_that_uses_them():
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.positions = nn.Parameter(torch.zeros(TOKENS, WIDTH))
            self.scale = nn.Parameter(torch.ones(WIDTH))
            self.blocks = nn.Sequential(Feed(), Feed())

        def forward(self, x):
            return self.blocks(x + self.positions) * self.scale

    ranks = stages_of(Positions(), torch.zeros(2, TOKENS, WIDTH), Layout(pp=2, micro_batches=2))
    block = FLOAT * sum(each.numel() for each in Feed().parameters())
    sizes = [block + FLOAT * TOKENS * WIDTH, block + FLOAT * WIDTH]
    assert [rank_memory(rank).weights_bytes for rank in ranks] == sizes


def test_the_command_compares_the_stages(alexnet, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    blocks = (nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True) for _ in range(4))\n"
        "    return nn.Sequential(nn.Linear(16, 16), nn.Sequential(*blocks))\n"
    )
    given = ["shard", f"{tmp_path / 'net.py'}:net", "-i", "8,16", "-b", "8", "--gpus", "4", "--pp", "2"]
    how = ["--micro-batches", "4", "--gpu", "h100-sxm"]
    answer = alexnet(*given, *how, "--json")
    assert (answer.code, answer.err) == (0, "")
    jsonschema.validate(answer.json, json_schema("shard"))
    pipeline, layout = answer.json["pipeline"], answer.json["layout"]
    assert (layout["pp"], layout["fsdp"], pipeline["schedule"], pipeline["micro_batches"]) == (2, 2, "1f1b", 4)
    assert pipeline["bubble"] == 1 / 5
    assert [rank["stage"] for rank in answer.json["ranks"]] == [0, 1]
    assert [rank["rank"] for rank in answer.json["ranks"]] == [0, 2]
    assert answer.json["memory"]["peak_bytes"] == max(rank["peak_bytes"] for rank in answer.json["ranks"])
    table = alexnet(*given, *how, "--schedule", "interleaved")
    assert table.code == 0
    assert "interleaved 1F1B" in table.out
