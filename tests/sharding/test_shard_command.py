"""`alexnet shard` as a user meets it."""

from __future__ import annotations

import os
import sys
from typing import ClassVar

import jsonschema
import pytest
import torch
from sharding.helpers import rank_of, rank_of_named
from sharding.models import Encoder, inputs_of, llama
from torch import nn

from alexnet_cli import AlexnetError, inspect
from alexnet_cli.analyses.hardware import HARDWARE
from alexnet_cli.analyses.sharding.links import LINKS, links_of
from alexnet_cli.analyses.sharding.traffic import Reach, brought_in, reach_of, sent_by, times_of
from alexnet_cli.cli.schema import json_schema
from alexnet_cli.rank import HELD, Layout

NET = """
import torch
from torch import nn
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel


class Feed(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)

    def forward(self, x):
        return x + self.down(self.up(x).relu())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.feeds = nn.ModuleList(Feed() for _ in range(3))

    def forward(self, x):
        for feed in self.feeds:
            x = feed(x)
        return x


def plan(model):
    up, down = ({f"feeds.{at}.{name}": style() for at in range(3)} for name, style in
                (("up", ColwiseParallel), ("down", RowwiseParallel)))
    return up | down


wrong = {"feeds.7.up": ColwiseParallel()}
number = 3
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    return str(tmp_path / "net.py")


def test_json_has_the_stated_keys(alexnet, net):
    answer = alexnet("shard", f"{net}:Net", "-i", "16", "--gpus", "8", "--tp", "2", "--plan", f"{net}:plan",
                     "--gpu", "h100-sxm", "-b", "4", "--json")  # fmt: skip
    assert (answer.code, answer.err) == (0, "")
    jsonschema.validate(answer.json, json_schema("shard"))
    layout, memory, floors = answer.json["layout"], answer.json["memory"], answer.json["floors"]
    assert (layout["gpus"], layout["fsdp"], layout["tp"]) == (8, 4, 2)
    assert sum(memory["peak"]["live_bytes"].values()) == memory["peak_bytes"]
    assert {"kind", "group", "bytes", "count", "row"} <= answer.json["collectives"][0].keys()
    assert (
        floors["step_seconds"] >= floors["kernels_seconds"] >= max(floors["compute_seconds"], floors["memory_seconds"])
    )
    assert answer.json["ranks"] == [{"rank": 0, "alike": 8, "peak_bytes": memory["peak_bytes"], "fits": True}]


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "latex", "html", "svg"])
def test_every_format(alexnet, net, form):
    answer = alexnet("shard", f"{net}:Net", "-i", "16", "--gpus", "4", "--gpu", "a100-80gb", "-f", form)
    assert (answer.code, answer.err) == (0, "")
    assert "all-gather" in answer.out


def test_the_same_from_python():
    look = inspect(Encoder(), torch.zeros(4, 16, dtype=torch.long))
    assert look.shard(gpus=4).layout.fsdp == 4
    with pytest.raises(AlexnetError, match="not 8"):
        look.shard(gpus=8, fsdp=4)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--gpus", "8", "--fsdp", "3"], "fsdp 3 = 3 GPUs, not 8"),
        (["--gpus", "8", "--ddp", "2", "--fsdp", "2", "--tp", "4"], "ddp 2 × fsdp 2 × tp 4 = 16 GPUs, not 8"),
        (["--gpus", "8", "--pp", "2"], "a batch of 1 does not make 2 micro-batches"),
        (["--pp", "2", "--inference", "--schedule", "1f1b"], "--inference has no backward"),
        (["--pp", "2", "--ddp", "2"], "not supported yet: --pp with --ddp"),
        (["--pp", "4", "-b", "4"], "3 blocks do not make 4 stages"),
        (["--pp", "2", "-b", "4", "--schedule", "zero"], "unknown schedule 'zero'"),
        (["--pp", "2", "-b", "4", "--schedule", "1f1b:2"], "unknown schedule '1f1b:2'"),
        (["--fsdp", "2", "--micro-batches", "2"], "go with --pp"),
        (["--gpus", "8", "--ep", "2"], "--ep needs experts that can be separated, and this model has none"),
        (["--fsdp", "3", "--ep", "2"], "--ep 2 does not divide the 3 ranks of FSDP"),
        (["--ddp", "2", "--fsdp", "1", "--ep", "2"], "--ep 2 does not divide the 1 ranks of FSDP"),
        (["--fsdp", "2", "--ep", "2", "--tp", "2"], "not supported yet: --ep with --tp"),
        (["--fsdp", "2", "--ep", "2", "--pp", "2"], "not supported yet: --ep with --pp"),
        (["--ep", "0"], "--ep"),
        (["--ep", "2", "--fit", "--gpu", "l4"], "not supported yet: --fit with --ep"),
        (["--cp", "2", "--fit", "--gpu", "l4"], "not supported yet: --fit with --cp"),
        (["--fsdp", "2", "--cp", "2", "--ep", "2"], "not supported yet: --cp with --ep"),
        (["--gpus", "8", "--fsdp", "2", "--cp", "2"], "fsdp 2 × cp 2 = 4 GPUs, not 8"),
        (["--ddp", "2", "--tp", "2"], "not supported yet: --ddp with --tp"),
        (["--tp", "2"], "brings no plan"),
        (["--sp"], "--sp goes with --tp"),
        (["--sp", "--tp", "2"], "brings no plan"),
        (["--sp", "--tp", "2", "--plan", "net.py:plan"], "not with --plan"),
        (["--fsdp", "4", "--reshard", "3"], "--reshard '3'"),
        (["--fsdp", "4", "--wrap", "Fed"], "the model has no Fed"),
        (["--fsdp", "4", "--checkpoint", "some"], "unknown checkpoint 'some'"),
        (["--fsdp", "4", "--optimizer", "lion"], "unknown optimizer 'lion'"),
        (["--fsdp", "4", "--gpu", "h101"], "unknown GPU 'h101'"),
        (["--fsdp", "4", "--gpu", "m2"], "send to one another is not known"),
        (["--fsdp", "16", "--gpu", "l4"], "no network between them is known"),
        (["--fsdp", "4", "--network", "50GB/s"], "how fast the GPUs of a node"),
        (["--fsdp", "4", "--gpu", "l4", "--link", "50Gb"], "counts bits"),
        (["--fsdp", "4", "--inference", "--amp", "bf16"], "--amp and --inference"),
        (["--fsdp", "0"], "fsdp"),
    ],
)
def test_usage_errors(alexnet, net, given, says):
    answer = alexnet("shard", f"{net}:Net", "-i", "16", *given)
    assert answer.code == 2
    assert says in answer.err


@pytest.mark.parametrize("given", [["--fsdp", "2"], ["--gpus", "2", "--fit"]])
def test_the_hint_about_links_is_followed(alexnet, net, given):
    line = ["shard", f"{net}:Net", "-i", "16", "--gpu", "rtx-4090", *given]
    refused = alexnet(*line)
    assert "as in --link 25GB/s for each GPU" in refused.err
    assert alexnet(*line, "--link", "25GB/s").code == 0


@pytest.mark.parametrize(
    ("plan", "says"),
    [("wrong", "names feeds.7.up"), ("number", "is no plan"), ("none", "none"), ("Net", "Net")],
)
def test_plans_that_are_none(alexnet, net, plan, says):
    answer = alexnet("shard", f"{net}:Net", "-i", "16", "--tp", "2", "--plan", f"{net}:{plan}")
    assert answer.code in (2, 3)
    assert says in answer.err


def test_a_saved_report_cannot_be_spread(alexnet, tmp_path):
    saved = tmp_path / "report.json"
    alexnet("summary", "--json", "-o", str(saved))
    answer = alexnet("shard", str(saved), "--gpus", "2")
    assert (answer.code, "needs a model" in answer.err) == (2, True)


def test_heads_that_do_not_divide():
    pytest.importorskip("transformers")
    with pytest.raises(AlexnetError, match="2 key and value heads do not divide among 4 ranks"):
        rank_of_named("llama", Layout(tp=4))


class Planned(Encoder):
    """Names layers to split, in blocks that are not made of attention, MLP and norms."""

    tp_plan: ClassVar = {"embed": "embedding_rowwise", "layers.*.linear1": "colwise", "layers.*.linear2": "rowwise"}


def test_sequence_parallelism_refuses_what_it_cannot_split():
    pytest.importorskip("transformers")
    layout = Layout(tp=2, sp=True)
    with pytest.raises(AlexnetError, match=r"--sp with this model: layers.0 \(TransformerEncoderLayer\) takes several"):
        rank_of(Planned(), inputs_of("encoder"), layout)
    with torch.device("meta"):
        model = llama()
    with pytest.raises(AlexnetError, match="a sequence of 15 does not divide among 2 tensor parallel ranks"):
        rank_of(model, inputs_of("llama")[:, 1:], layout)
    model.tp_plan.pop("lm_head")
    with pytest.raises(AlexnetError, match=r"--sp with this model: lm_head \(Linear\) is no norm, and its tp_plan"):
        rank_of(model, inputs_of("llama"), layout)


def test_the_search_splits_sequences_among_tensor_parallel_ranks():
    pytest.importorskip("transformers")
    with torch.device("meta"):
        look = inspect(llama(), inputs_of("llama"))
    found = look.shard(fit=True, gpus=2, fsdp=1, ddp=1, sp=True, gpu="h100-sxm")
    assert (found.layout.tp, found.layout.sp) == (2, True)
    assert {each.kind for each in found.collectives} == {"all_gather", "reduce_scatter", "all_reduce"}


def test_a_second_mesh_sends_by_its_own_groups():
    """torch remembers how operators on distributed tensors are split, on meshes that are gone by then."""
    pytest.importorskip("transformers")
    first, second = (rank_of_named("llama", Layout(ddp=ddp, fsdp=2, tp=2)) for ddp in (1, 2))
    tensor_parallel = [[sent for sent in rank.sent if sent.group == "tp"] for rank in (first, second)]
    assert [(sent.kind, sent.bytes) for sent in tensor_parallel[0]] == [
        (sent.kind, sent.bytes) for sent in tensor_parallel[1]
    ]


class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        raise ValueError("broken")


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_behind(fails):
    from sharding.helpers import rank_of

    before, hook, resize = dict(os.environ), sys.excepthook, torch.UntypedStorage.resize_
    model = Raises() if fails else Encoder()
    keys, classes = list(model.state_dict()), [type(module) for module in model.modules()]
    try:
        rank_of(model, torch.zeros(4, 4) if fails else torch.zeros(4, 16, dtype=torch.long), Layout(fsdp=2))
    except AlexnetError:
        assert fails
    assert not torch.distributed.is_initialized()
    assert (dict(os.environ), sys.excepthook, torch.UntypedStorage.resize_) == (before, hook, resize)
    assert (list(model.state_dict()), [type(module) for module in model.modules()]) == (keys, classes)
    assert "TorchDispatchMode" not in str(torch.nn.Module.__call__)


def test_links_belong_to_gpus_in_the_table():
    assert LINKS.keys() <= {gpu.name for gpu in HARDWARE.values()}
    assert all(links.within_source for links in LINKS.values())


def test_a_group_lies_in_as_few_nodes_as_it_can():
    """16 GPUs in nodes of 8: tensor parallel ranks are neighbours; FSDP's are 4 apart, two of them in each node."""
    layout = Layout(fsdp=4, tp=4)
    assert reach_of(layout, "tp", 8) == Reach(4, 4)
    assert reach_of(layout, "fsdp", 8) == Reach(4, 2)


def test_what_each_rank_sends():
    """A ring of 4 ranks: 3 steps with a quarter of the message each, for an all-reduce there and back."""
    assert sent_by("all_gather", 4, 1000) == 3 * 250
    assert sent_by("all_reduce", 4, 1000) == 2 * 3 * 250
    assert sent_by("send", 2, 1000) == 1000
    assert brought_in("all_gather", Reach(4, 4), 1000) == 0
    assert brought_in("all_gather", Reach(4, 2), 1000) == 500 / 2  # half of it comes over two adapters
    links = links_of("NVIDIA H100 SXM")
    assert links is not None
    times = times_of("all_reduce", Reach(16, 8), 10**9, links)
    assert times["within"] == pytest.approx(2 * 15 / 16 * 10**9 / 450e9)
    assert times["between"] == pytest.approx(2 * 8 / 16 / 8 * 10**9 / 50e9)


def test_blocks_that_are_alike_are_one_row(alexnet, net):
    """Three blocks gather in the forward and again in the backward, and scatter their gradients."""
    table = alexnet("shard", f"{net}:Net", "-i", "16", "--fsdp", "2").out
    rows = [line.split() for line in table.splitlines() if "feeds.0–2 " in line]
    travels = [row for row in rows if row[0] in ("all-gather", "reduce-scatter")]
    assert [(row[0], row[4], row[5]) for row in travels] == [
        ("all-gather", "forward", "3"),
        ("all-gather", "backward", "3"),
        ("reduce-scatter", "backward", "3"),
    ]


def test_uses_are_in_the_order_of_the_contract():
    assert HELD[0] == "weights"
    assert len(set(HELD)) == len(HELD)
