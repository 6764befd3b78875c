"""`alexnet shard --fit`: the fewest GPUs and the ranking, against traces of each layout."""

from __future__ import annotations

import functools
import re

import jsonschema
import pytest
import torch
from older_torch import skip_without_pipelines
from sharding.helpers import rank_of, rank_of_named
from sharding.models import TOKENS, WIDTH, Encoder, Feed
from torch import nn

from alexnet_cli import AlexnetError, inspect
from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.hardware import Hardware, find_hardware
from alexnet_cli.analyses.sharding.floors import floors
from alexnet_cli.analyses.sharding.layouts import layouts_of, numbers_of_gpus
from alexnet_cli.analyses.sharding.links import LINKS
from alexnet_cli.analyses.sharding.memory import rank_memory
from alexnet_cli.analyses.sharding.search import Kept, Search, kept
from alexnet_cli.answers import layouts as layouts_answer
from alexnet_cli.answers import shard as shard_answer
from alexnet_cli.cli.schema import json_schema
from alexnet_cli.errors import UsageError
from alexnet_cli.rank import Layout
from alexnet_cli.session import ranks
from alexnet_cli.tracing.options import TrainingStep

ADAMW = TrainingStep("adamw")
H100: Hardware = find_hardware("h100-sxm")


def timed(rank):
    return floors(rank, Roof(H100), LINKS[H100.name])


def feeds(layout):
    """Trace a rank of three blocks."""
    model = nn.Sequential(*(Feed() for _ in range(3)))
    return rank_of(model, torch.zeros(1, TOKENS, WIDTH), layout, ADAMW)


STATE = 3 * (2 * 64 * 256 + 256 + 3 * 64) * 4
"""The bytes of three blocks: two matrices, their biases, and the weight and bias of a norm."""


@pytest.fixture(scope="module")
def traced():
    """Ranks of the blocks by their layout, each traced once."""
    known: dict[Layout, object] = {}

    def trace(layout):
        if layout not in known:
            known[layout] = feeds(layout)
        return known[layout]

    return trace


@pytest.fixture
def traced_once(monkeypatch):
    """Trace each layout once for all command lines of a test, which are about one model."""
    for name, real in (("traced_rank", ranks.traced_rank), ("traced_stages", ranks.traced_stages)):
        kept: dict[object, object] = {}

        def trace(session, how, step, kept=kept, real=real):
            if (how, step) not in kept:
                kept[how, step] = real(session, how, step)
            return kept[how, step]

        for module in (layouts_answer, shard_answer):
            monkeypatch.setattr(module, name, trace)


def blocks(number, **given):
    return layouts_of(number, given, 8) if given else layouts_of(number, {"tp": 1}, 8)


@pytest.mark.parametrize("number", [1, 2, 8])
def test_the_fewest_gpus_fit_and_no_fewer_do(traced, number):
    """The GPU has the memory that so many need at least; fewer need more."""
    peaks = {each: min(rank_memory(traced(one)).peak_bytes for one in blocks(each)) for each in (1, 2, 4, 8)}
    assert sorted(peaks.values(), reverse=True) == list(peaks.values())
    capacity = peaks[number]
    search = Search(traced, timed, Kept(STATE, STATE, 3), capacity)
    found = search.fewest(numbers_of_gpus(8), blocks)
    assert found.gpus == number
    assert [each.gpus for each in found.smaller] == [each for each in peaks if each < number]
    for each in found.smaller:
        assert capacity < (each.least_bytes or 0) <= peaks[each.gpus]
        assert not each.traced or each.least_bytes == peaks[each.gpus]


def test_layouts_that_fall_without_a_trace_do_not_fit(traced):
    capacity = 2 * STATE
    untraced = [
        each
        for number in (1, 2, 4, 8)
        for each in Search(traced, timed, Kept(STATE, STATE, 3), capacity).among(blocks(number))
        if each.peak_bytes is None
    ]
    assert {(each.ddp, each.fsdp) for each in untraced} == {(1, 1), (2, 1), (4, 1), (8, 1)}
    for each in untraced:
        peak = rank_memory(traced(Layout(ddp=each.ddp, fsdp=each.fsdp))).peak_bytes
        assert capacity < (each.at_least_bytes or 0) <= peak
        assert each.over_bytes == (each.at_least_bytes or 0) - capacity


def test_more_gpus_than_help_are_not_tried(traced):
    """What is saved for backward is on every GPU, however many share the state."""
    search = Search(traced, timed, Kept(STATE, STATE, 3), STATE // 100)
    found = search.fewest(numbers_of_gpus(8), blocks)
    assert found.gpus is None
    assert found.smaller[-1].gpus < 2**14
    last = traced(Layout(fsdp=found.smaller[-1].gpus))
    saved = rank_memory(last).peak.live_bytes["saved"]
    assert saved > STATE // 100


@pytest.mark.parametrize("few", [Layout(ddp=2), Layout(ddp=2, fsdp=2)])
def test_replicas_share_a_trace(few):
    """Of four replicas each does what each of two does, but for those who take part in an all-reduce."""
    one = rank_of_named("encoder", few).among(4)
    other = rank_of_named("encoder", Layout(ddp=4, fsdp=few.fsdp))
    assert one.sent == other.sent
    assert rank_memory(one) == rank_memory(other)
    assert timed(one) == timed(other)


@pytest.mark.parametrize("shards", [1, 2])
def test_replicas_hold_no_less_than_their_shards_alone(shards):
    alone, copies = (rank_memory(rank_of_named("encoder", Layout(ddp=n, fsdp=shards))).peak_bytes for n in (1, 2))
    assert copies >= alone


def test_one_rank_alone_is_no_replica():
    with pytest.raises(ValueError, match="replicas"):
        rank_of_named("encoder", Layout(fsdp=2)).among(2)


def test_the_ranking_is_that_of_all_layouts_of_eight_gpus():
    """A small Llama has four heads of which two are keys' and values', so that `tp` 4 and 8 do not divide."""
    pytest.importorskip("transformers")
    layouts = layouts_of(8, {}, 8)
    sizes = {(ddp, fsdp, tp) for ddp in (1, 2, 4, 8) for fsdp in (1, 2, 4, 8) for tp in (1, 2, 4, 8)}
    every = {(ddp, fsdp, tp) for ddp, fsdp, tp in sizes if ddp * fsdp * tp == 8}
    not_built = {(4, 1, 2), (2, 1, 4)}  # DDP with tensor parallelism
    assert {(each.ddp, each.fsdp, each.tp) for each in layouts} == every - not_built

    capacity = 10**9
    trace = functools.cache(lambda layout: rank_of_named("llama", layout))
    tried = Search(trace, timed, Kept(0, 0, 3), capacity).among(layouts)
    alone = {}
    for each in layouts:
        try:
            rank = trace(each)
        except UsageError:
            continue
        alone[each] = timed(rank).step_seconds / each.replicas
    fitting = [Layout(ddp=it.ddp, fsdp=it.fsdp, tp=it.tp) for it in tried if it.fits]
    assert set(fitting) == alone.keys()
    assert [alone[each] for each in fitting] == pytest.approx(sorted(alone.values()))
    slower = [it.slower for it in tried if it.fits]
    assert slower == pytest.approx([alone[each] / min(alone.values()) for each in fitting])
    assert {it.tp for it in tried if it.refused} == {4, 8}
    assert all("do not divide" in it.refused for it in tried if it.refused)


def test_numbers_of_gpus():
    assert list(numbers_of_gpus(8))[:6] == [1, 2, 4, 8, 16, 32]
    assert list(numbers_of_gpus(6))[:5] == [1, 2, 4, 6, 12]
    assert list(numbers_of_gpus(8, 3)) == []
    assert next(numbers_of_gpus(8, 4)) == 4


def test_what_is_kept_leaves_out_what_is_not_trained():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[0].weight.requires_grad_(False)
    report = inspect(model, torch.zeros(1, 4)).report
    assert kept(report, "adamw") == Kept(128, 64, 3)
    assert kept(report, None).at_least(Layout(fsdp=2)) == 64
    assert kept(report, "sgd-momentum").at_least(Layout(ddp=2, fsdp=2)) == (128 + 2 * 64) // 2


def test_json_and_table(alexnet, tmp_path, traced_once):
    (tmp_path / "net.py").write_text("from sharding.models import Encoder as Net\n")
    given = ["shard", f"{tmp_path / 'net.py'}:Net", "-i", "16:int64", "--fit", "--gpus", "4", "--gpu", "h100-sxm"]
    answer = alexnet(*given, "--json")
    assert (answer.code, answer.err) == (0, "")
    jsonschema.validate(answer.json, json_schema("shard"))
    first, *_ = answer.json["layouts"]
    assert first["place"] == first["slower"] == 1
    assert {name: answer.json["layout"][name] for name in ("ddp", "fsdp", "tp")} == {
        name: first[name] for name in ("ddp", "fsdp", "tp")
    }
    assert answer.json["memory"]["peak_bytes"] == first["peak_bytes"] == sum(first["live_bytes"].values())
    assert answer.json["floors"]["step_seconds"] == first["step_seconds"]
    assert answer.json["search"]["traces"] == 3  # fsdp 4, ddp 2 × fsdp 2, ddp 4; no plan for tp
    table = alexnet(*given).out
    assert all(name in table for name in ("fsdp 4", "ddp 2 × fsdp 2", "ddp 4"))
    assert "brings no plan" in table


def test_the_same_from_python():
    look = inspect(Encoder(), torch.zeros(4, 16, dtype=torch.long))
    found = look.shard(fit=True, gpu="h100-sxm")
    assert (found.search.fewest_gpus, found.layouts[0].gpus, found.search.traces) == (1, 1, 1)
    with pytest.raises(AlexnetError, match="whose memory is known"):
        look.shard(fit=True)


def test_lanes_fill_the_step():
    """Two nodes of 8: FSDP's groups are in one node, the replicas' in both, with two of four ranks in each."""
    rank = rank_of_named("encoder", Layout(ddp=4, fsdp=4))
    found = timed(rank)
    assert [lane.name for lane in found.lanes] == ["kernels", "within", "between"]
    for lane in found.lanes:
        assert sum(lane.seconds.values()) + lane.idle_seconds == pytest.approx(found.step_seconds)
    kernels, within, between = found.lanes
    assert sum(kernels.seconds.values()) == pytest.approx(found.kernels_seconds)
    reduced = sum(sent.bytes for sent in rank.sent if sent.kind == "all_reduce")
    assert between.seconds == {"all_reduce": pytest.approx(2 * reduced * 2 / 4 / 2 / 50e9)}
    gathered = sum(sent.bytes for sent in rank.sent if sent.kind == "all_gather")
    assert within.seconds["all_gather"] == pytest.approx(gathered * 3 / 4 / 450e9)


def test_pipelines_are_compared_by_their_fullest_stage(alexnet, tmp_path, traced_once):
    skip_without_pipelines()
    (tmp_path / "net.py").write_text("from sharding.models import deep as net\n")
    given = ["shard", f"{tmp_path / 'net.py'}:net", "-i", "16:int64", "-b", "4", "--gpus", "4", "--pp", "2"]
    how = ["--gpu", "h100-sxm", "--json"]
    one, found = alexnet(*given, *how), alexnet(*given, *how, "--fit")
    assert (one.code, found.code) == (0, 0)
    jsonschema.validate(found.json, json_schema("shard"))
    best, *others = found.json["layouts"]
    assert (best["pp"], best["fsdp"], best["fits"]) == (2, 2, True)
    assert [each["refused"] for each in others] == ["this model brings no plan for tensor parallelism"]
    assert best["peak_bytes"] == max(rank["peak_bytes"] for rank in one.json["ranks"])
    assert best["step_seconds"] == one.json["floors"]["step_seconds"]
    assert found.json["pipeline"] == one.json["pipeline"]


def test_pictures(alexnet, tmp_path, traced_once):
    """Bars of memory for the layouts that are compared, lanes for one."""
    (tmp_path / "net.py").write_text("from sharding.models import Encoder as Net\n")
    given = ["shard", f"{tmp_path / 'net.py'}:Net", "-i", "16:int64", "--gpus", "2", "--gpu", "h100-sxm", "-f", "svg"]
    one, compared = alexnet(*given), alexnet(*given, "--fit")
    assert (one.code, compared.code) == (0, 0)
    assert {"all-gather", "optimiser", "idle"} <= set(re.findall(r"[a-z-]+", one.out))
    assert 'class="plot"' in compared.out
    assert "optimiser state" in compared.out.replace("\xa0", " ")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--gpus", "8", "--fsdp", "3"], "8 GPUs are no multiple of fsdp 3"),
        (["--gpus", "4", "--fsdp", "4", "--reshard", "2"], "not with --fit"),
        (["--ddp", "2", "--tp", "2", "--gpus", "4"], "no layout is both"),
        (["--fsdp", "3"], "no layout is both"),
    ],
)
def test_usage_errors(alexnet, given, says):
    answer = alexnet("shard", "--fit", "--gpu", "h100-sxm", *given)
    assert answer.code == 2
    assert says in answer.err
