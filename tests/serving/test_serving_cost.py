"""What a prompt or a token costs: what is moved at least, the least time, and how both grow with the batch."""

from __future__ import annotations

import pytest
from families import CHOSEN, EXPERTS, FAMILIES, FF, FLOAT, HEAD, HEADS, VOCABULARY, WIDTH, D

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.hardware import Hardware
from alexnet_cli.analyses.serving.serving import serving
from alexnet_cli.session.session import Named, Session
from alexnet_cli.tracing.options import Serving

pytest.importorskip("transformers")
LLAMA = FAMILIES["GQA (Llama)"]
CONTEXT = 12
LAYER = 2 * D * WIDTH + 2 * D * 2 * HEAD + 3 * D * FF + 2 * D
"""The weights of a layer of the small Llama, norms included."""


@pytest.fixture
def cost(folder):
    """Return what a family's prompt or token costs."""

    def of(name, part="decode", context=CONTEXT, batch=1, roof=None):
        session = Session(Named(folder(FAMILIES[name].config))).with_batch(batch)
        return serving(session.serving(Serving(part, context)).report(), roof)

    return of


def roof(flops, bandwidth):
    return Roof(Hardware("test", {"float32": flops}, bandwidth, None, "test"))


def test_a_token_reads_weights_and_cache_once_and_writes_what_is_new(cost):
    batch = 3
    found = cost("GQA (Llama)", batch=batch)
    kv = 2 * 2 * 2 * HEAD * FLOAT  # of two layers, keys and values of two heads
    assert found.floor.weights_read == FLOAT * (2 * LAYER + D + VOCABULARY * D + batch * D)  # of the table 3 rows
    assert found.floor.cache_read == batch * (CONTEXT - 1) * kv
    assert found.floor.cache_written == batch * kv
    assert found.cache.bytes_per_token == kv
    assert found.floor.inputs_read == batch * 8  # a token's number
    assert found.floor.outputs_written == batch * VOCABULARY * FLOAT
    assert found.active_params == 2 * LAYER + D + VOCABULARY * D + D
    # torch.cat reads the cache and writes all of it with the new token, which attention reads
    assert found.moved.read["cache"] == batch * kv * (CONTEXT - 1 + CONTEXT)
    assert found.moved.written["cache"] == batch * kv * CONTEXT


def test_a_full_window_writes_one_token_and_adds_none(cost):
    found = cost("sliding window (Mistral)", context=40)
    one = 2 * 2 * 2 * HEAD * FLOAT
    assert (found.cache.bytes_per_token, found.floor.cache_written) == (0, one)
    assert found.floor.cache_read == 15 * one
    assert found.cache.allocated_bytes == 16 * one  # the cache is a view of what was seen


def test_states_are_read_and_written_whole(cost):
    found = cost("SSM (Mamba 2)")
    assert found.floor.cache_read == found.floor.cache_written == found.cache.bytes
    assert found.cache.bytes_per_token == 0


def test_layers_of_the_cache(cost):
    found = cost("alternating (Gemma 2)", context=40).cache
    assert [(layer.path, layer.bytes_per_token) for layer in found.layers] == [
        ("model.layers.0.self_attn", 0),
        ("model.layers.1.self_attn", 2 * 2 * HEAD * FLOAT),
    ]
    assert sum(layer.bytes for layer in found.layers) == found.bytes


def test_what_an_encoder_said_belongs_to_the_layer_that_reads_it(cost):
    paths = {layer.path: layer.bytes for layer in cost("encoder and decoder (Whisper)").cache.layers}
    assert paths["model.decoder.layers.0.encoder_attn"] == 2 * D * 32 * FLOAT
    assert paths["model.decoder.layers.0.self_attn"] == 2 * D * CONTEXT * FLOAT


@pytest.mark.parametrize("name", ["MHA (GPT-2)", "GQA (Llama)", "MQA (Llama)", "experts (Mixtral)"])
def test_tokens_one_by_one_do_the_products_of_a_causal_prompt(folder, name):
    session, tokens = Session(Named(folder(FAMILIES[name].config))), range(1, 7)
    one_by_one = sum(serving(session.serving(Serving("decode", n)).report()).macs for n in tokens)
    prompt = serving(session.serving(Serving("prefill", tokens[-1])).report())
    assert prompt.causal_macs == one_by_one == sum(map(FAMILIES[name].macs, tokens))
    pairs = tokens[-1] * (tokens[-1] - 1) // 2  # those left out: keys after the query
    assert prompt.macs - prompt.causal_macs == 2 * pairs * 2 * WIDTH


def test_a_window_that_the_prompt_does_not_fill_is_causal(cost):
    name = "sliding window (Mistral)"
    assert cost(name, "prefill", 6).causal_macs == sum(map(FAMILIES[name].macs, range(1, 7)))
    assert cost(name, "prefill", 40).causal_macs is None  # by a mask, whose elements the operator does not tell


def test_latents_are_expanded_once_in_a_prompt(cost):
    name, n = "MLA (DeepSeek-V3)", 6
    expanded = 12 * HEADS * (8 + 8)
    again = sum(2 * expanded * before for before in range(n))  # of each token's n expansions all but its own
    assert cost(name, "prefill", n).causal_macs == sum(map(FAMILIES[name].macs, range(1, n + 1))) - again


@pytest.mark.parametrize("batch", [1, 4, 30])
def test_experts_touched_are_expected_under_uniform_routing(cost, batch):
    [experts] = cost("experts (Mixtral)", batch=batch).experts
    touched = EXPERTS * (1 - (1 - CHOSEN / EXPERTS) ** batch)
    assert experts.touched == pytest.approx(touched)
    assert (experts.count, experts.per_token, experts.layers) == (EXPERTS, CHOSEN, 2)
    assert experts.params == 2 * EXPERTS * 3 * D * FF


def test_parameters_that_a_token_uses(cost):
    found = cost("experts (Mixtral)")
    layer = 2 * D * WIDTH + 2 * D * 2 * HEAD + D * EXPERTS + CHOSEN * 3 * D * FF + 2 * D
    assert found.active_params == 2 * layer + D + VOCABULARY * D + D


@pytest.mark.parametrize("name", ["GQA (Llama)", "alternating with experts (GPT-OSS)", "SSM (Mamba 2)"])
def test_a_larger_batch_is_as_the_smaller_one_says(cost, name):
    """The batch that the trace of one sequence names is where traces of that many turn."""
    at_once = roof(flops=1e6, bandwidth=1e6)
    one = cost(name, roof=at_once)
    turn = one.floor.compute_bound_from
    assert turn is not None
    sides = [cost(name, batch=batch, roof=at_once).floor for batch in range(max(turn - 1, 1), turn + 1)]
    assert [side.bound for side in sides] == ["memory", "compute"][-len(sides) :]
    assert all(side.compute_bound_from == turn for side in sides)


def test_where_a_batch_turns(cost):
    """2 B m / F = (w + B c) / W, so B = w / (2 m W / F - c); more than 100 tokens may look up the whole table."""
    flops, bandwidth = 1e7, 1e6
    floor = cost("GQA (Llama)", roof=roof(flops, bandwidth)).floor
    moved = floor.cache_read + floor.cache_written + floor.inputs_read + floor.outputs_written
    whole = floor.weights_read - D * FLOAT + VOCABULARY * D * FLOAT
    turn = whole / (2 * floor.macs * bandwidth / flops - moved)
    assert floor.compute_bound_from == int(turn) + 1 > VOCABULARY
    assert floor.seconds == pytest.approx(floor.bytes / bandwidth)
    assert floor.tokens_per_s == pytest.approx(1 / floor.seconds)
    assert floor.bound == "memory"


def test_a_cache_can_keep_any_batch_bound_by_memory(cost):
    assert cost("GQA (Llama)", roof=roof(1e15, 1e6)).floor.compute_bound_from is None
