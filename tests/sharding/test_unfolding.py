"""Steps of which some blocks were traced and the others derived, against those that were traced in full."""

from __future__ import annotations

import pytest
import torch
from msgspec.structs import replace
from sharding.helpers import rank_of
from sharding.models import TOKENS, WIDTH, WORDS, Encoder, Feed, llama
from torch import nn

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.hardware import find_hardware
from alexnet_cli.analyses.sharding import unfolding
from alexnet_cli.analyses.sharding.floors import floors
from alexnet_cli.analyses.sharding.links import LINKS
from alexnet_cli.analyses.sharding.memory import rank_memory, timeline
from alexnet_cli.analyses.sharding.traffic import collectives
from alexnet_cli.rank import Layout, Rank, Repeated
from alexnet_cli.session import ranks
from alexnet_cli.tracing.options import TrainingStep

H100 = find_hardware("h100-sxm")
BLOCKS, MORE = 7, 2
"""So many blocks are traced, and so many more derived."""


class Odd(nn.Module):
    """Blocks between a first and a last of their own kinds, in one list."""

    def __init__(self) -> None:
        super().__init__()
        alike = (Feed() for _ in range(BLOCKS + MORE))
        first = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU())
        self.layers = nn.ModuleList([first, *alike, nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH))])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Skipping(nn.Module):
    """Each block is also given what the first one made."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Feed() for _ in range(BLOCKS + MORE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        early = x = self.layers[0](x)
        for layer in self.layers[1:]:
            x = layer(x + early)
        return x


def deep_llama() -> nn.Module:
    return llama(BLOCKS + MORE)


def deep_encoder() -> nn.Module:
    return Encoder(BLOCKS + MORE)


def deep_feeds() -> nn.Module:
    """Build an encoder without attention, whose blocks are short."""
    model = Encoder(0)
    model.layers.extend(Feed() for _ in range(BLOCKS + MORE))
    return model


TOKENS_GIVEN = torch.zeros(4, TOKENS, dtype=torch.long)
FLOATS_GIVEN = torch.zeros(2, TOKENS, WIDTH)
CASES = {
    "one": (deep_feeds, TOKENS_GIVEN, Layout(), TrainingStep("adam"), {}),
    "fsdp": (deep_feeds, TOKENS_GIVEN, Layout(fsdp=4), TrainingStep("adamw"), {}),
    "fsdp-foreach-kept": (
        deep_encoder,
        TOKENS_GIVEN,
        Layout(fsdp=2, reshard=False),
        TrainingStep("adamw", foreach=True),
        {"checkpoint": "selective"},
    ),
    "fsdp-regrouped": (deep_feeds, TOKENS_GIVEN, Layout(fsdp=4, reshard=2), TrainingStep("sgd-momentum"), {}),
    "hsdp-bf16-full": (
        deep_encoder,
        TOKENS_GIVEN,
        Layout(ddp=2, fsdp=2),
        TrainingStep("sgd", "bf16"),
        {"checkpoint": "full"},
    ),
    "forward": (deep_feeds, TOKENS_GIVEN, Layout(fsdp=4), None, {}),
    "tp": (deep_llama, TOKENS_GIVEN, Layout(tp=2), TrainingStep("sgd", foreach=True), {}),
    "fsdp-tp": (
        deep_llama,
        TOKENS_GIVEN,
        Layout(fsdp=2, tp=2),
        TrainingStep("adamw", "bf16", foreach=True),
        {"checkpoint": "full"},
    ),
    "ends": (Odd, FLOATS_GIVEN, Layout(fsdp=2), TrainingStep("adamw", foreach=True), {}),
}


@pytest.fixture
def derived(monkeypatch) -> list[Repeated]:
    """Return which blocks were derived."""
    blocks: list[Repeated] = []
    real = unfolding.unfolded

    def told(rank: Rank, left: Repeated) -> Rank:
        found = real(rank, left)
        blocks.append(left)
        return found

    monkeypatch.setattr(unfolding, "unfolded", told)
    return blocks


def both(case, monkeypatch) -> tuple[Rank, Rank]:
    """Return a rank of which blocks were derived where that is possible, and the same traced in full."""
    model, given, layout, step, how = case
    found = []
    for blocks in (BLOCKS, 1000):
        monkeypatch.setattr(ranks, "BLOCKS", blocks)
        with torch.device("meta"):
            built = model()
        found.append(rank_of(built, given, layout, step, **how))
    return found[0], found[1]


def told(rank: Rank) -> list[object]:
    """Return all that a rank says: rows, operators, memory over time, what travels, and the floors."""
    assert rank.report.tape is not None
    tape, links = rank.report.tape, LINKS[H100.name]
    ran = [replace(each, unit=0, reads=(), makes=()) for each in tape.operations]
    values = [
        [(tape.values[value].shape, tape.values[value].bytes) for value in (*each.reads, *each.makes)]
        for each in tape.operations
    ]
    return [
        *(
            rank.layout,
            rank.report.layers,
            rank.report.run,
            ran,
            values,
            rank.again,
        ),
        *(rank.sent, collectives(rank, links), rank_memory(rank), timeline(rank), floors(rank, Roof(H100), links)),
    ]


@pytest.mark.parametrize("name", CASES)
def test_blocks_that_were_derived_do_what_those_that_were_traced_do(name, derived, monkeypatch):
    some, every = both(CASES[name], monkeypatch)
    assert [each.left_out for each in derived] == [MORE]
    for one, other in zip(told(some), told(every), strict=True):
        assert one == other


@pytest.mark.parametrize(
    ("model", "given", "layout"),
    [
        pytest.param(Skipping, FLOATS_GIVEN, Layout(fsdp=2), id="what the first block makes is read by all"),
        pytest.param(deep_feeds, TOKENS_GIVEN, Layout(ddp=2), id="DDP's buckets hold parts of several blocks"),
    ],
)
def test_what_is_not_the_same_from_block_to_block_is_traced_in_full(model, given, layout, derived, monkeypatch):
    some, every = both((model, given, layout, TrainingStep("sgd"), {}), monkeypatch)
    assert not derived
    assert told(some) == told(every)


def test_blocks_of_different_sizes_are_all_traced(derived, monkeypatch):
    """Every second block is wider: none is like the next."""

    def model() -> nn.Module:
        wide = (nn.Sequential(nn.Linear(WIDTH, w), nn.Linear(w, WIDTH)) for w in (WIDTH, WORDS) * BLOCKS)
        return nn.Sequential(*wide)

    some, every = both((model, FLOATS_GIVEN, Layout(fsdp=2), TrainingStep("sgd"), {}), monkeypatch)
    assert not derived
    assert told(some) == told(every)
