"""`alexnet memory --context`: cache, peaks and what fits, against arithmetic by hand and runs of their own."""

from __future__ import annotations

import json
import sys
from inspect import signature
from itertools import accumulate
from pathlib import Path

import jsonschema
import msgspec
import pytest
import torch
from families import CHOSEN, CONTEXTS, EXPERTS, FAMILIES, FF, FLOAT, HEAD, VOCABULARY, WIDTH, D

from alexnet_cli.analyses.capacity import Room, bracket
from alexnet_cli.analyses.memory import inference
from alexnet_cli.analyses.serving import room
from alexnet_cli.analyses.serving.assumed import FORMATS
from alexnet_cli.answers.context import Asked, context_memory
from alexnet_cli.cli.schema import json_schema
from alexnet_cli.errors import UsageError
from alexnet_cli.report_json import SavedReport, to_json
from alexnet_cli.session.session import Named, Session, Variation
from alexnet_cli.tracing.options import Serving, TraceOptions

transformers = pytest.importorskip("transformers")

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from memory_models import allocations, bytes_of, most_allocated  # noqa: E402 - found by the line above

BATCH = 2
GEMMA_3N = {
    "architectures": ["Gemma3nForCausalLM"],
    "model_type": "gemma3n_text",
    "hidden_size": D,
    "intermediate_size": FF,
    "num_hidden_layers": 10,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": HEAD,
    "vocab_size": VOCABULARY,
    "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 8,
    "num_kv_shared_layers": 5,
    "laurel_rank": 4,
    "sliding_window": 16,
    "activation_sparsity_pattern": [0.0] * 10,
}


def of_gemma_3n(n):
    """Four windows and one full layer, twice; the last five layers read what layers 3 and 4 keep."""
    return FLOAT * 2 * 2 * HEAD * (4 * min(n, 15) + n)


CACHED = {name: (FAMILIES[name].config, FAMILIES[name].cached) for name in FAMILIES} | {
    "shared (Gemma 3n)": (GEMMA_3N, of_gemma_3n)
}


def look(folder, config, batch=BATCH, **options):
    return Session(Named(folder(config)), TraceOptions(batch_size=batch, **options), cache=False)


def memory(session, context, capacity=None, **asked):
    size = None if capacity is None else Room(None, capacity)
    found = context_memory(session, Asked(context, **asked), size).memory
    assert found is not None
    return found


def run(session, part, context):
    return session.vary(Variation(serving=Serving(part, context))).report()


def peak(session, batch, context):
    """Return the larger of both peaks, by runs of a session of its own."""
    varied = session.with_batch(batch)
    return max(inference(run(varied, part, context)).peak_bytes for part in ("prefill", "decode"))


# ── what is held ─────────────────────────────────────────────────────────────────────────────────────────────────────


SAMPLED = ("GQA (Llama)", "MLA (DeepSeek-V3)", "sliding window (Mistral)", "alternating (Gemma 2)", "shared (Gemma 3n)")


@pytest.mark.parametrize("name", SAMPLED)
def test_the_cache_is_what_closed_forms_say(folder, name):
    config, cached = CACHED[name]
    session = look(folder, config)
    for context in CONTEXTS:
        held = memory(session, context)
        found = held.cache
        assert found.bytes == BATCH * cached(context)
        assert found.bytes == sum(layer.bytes for layer in found.layers)
        assert found.bytes == sum(group.layers * group.bytes for group in found.groups)
        assert found.bytes_per_token == cached(context) - cached(context - 1)
        for run in (held.prefill, held.decode):
            parts = (run.weights_bytes, run.buffer_bytes, run.cache_bytes, run.logits_bytes, run.activation_bytes)
            assert sum(parts) == run.peak_bytes
            assert min(parts) >= 0


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("MHA (GPT-2)", [("full", 2, 1)]),
        ("alternating (Gemma 3)", [("sliding", 5, 1), ("full", 1, 1)]),
        ("shared (Gemma 3n)", [("sliding", 3, 1), ("sliding", 1, 5), ("full", 1, 2)]),
        ("SSM (Mamba 2)", [("state", 2, 1)]),
        ("encoder and decoder (T5)", [("full", 2, 1), ("encoder", 2, 1)]),
    ],
)
def test_layers_that_keep_alike_are_told_together(folder, name, groups):
    found = memory(look(folder, CACHED[name][0]), 40).cache.groups
    assert [(group.keeps, group.layers, group.readers) for group in found] == groups


def test_logits_are_told_apart(folder):
    """A wide vocabulary: the logits are made last, when of the prompt only its last hidden states are left."""
    session = look(folder, FAMILIES["GQA (Llama)"].config | {"vocab_size": 1000})
    n, width = 40, 1000
    whole = memory(session, n).prefill
    assert whole.logits_bytes == whole.results_bytes == BATCH * n * width * FLOAT
    assert whole.peak.path == "lm_head"
    last = memory(session, n, last_logits=True).prefill
    assert last.results_bytes == BATCH * width * FLOAT
    assert last.peak_bytes < whole.peak_bytes


def test_a_forward_that_makes_all_logits_says_so(folder):
    with pytest.raises(UsageError, match="has no logits_to_keep"):
        memory(look(folder, FAMILIES["encoder and decoder (T5)"].config), 8, last_logits=True)


# ── assumptions ──────────────────────────────────────────────────────────────────────────────────────────────────────

LAYER = (WIDTH * D, 2 * HEAD * D, 2 * HEAD * D, D * WIDTH, FF * D, FF * D, D * FF)
"""The weights of a layer of the small Llama: query, key, value, output, gate, up, down."""
ROWS = (WIDTH, 2 * HEAD, 2 * HEAD, D, FF, FF, D)
"""How many outputs each has; none has more inputs than a group of 128."""
ALL = VOCABULARY * D * 2 + 2 * (sum(LAYER) + 2 * D) + D
"""With embedding, head and norms."""


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("fp8", sum(LAYER)),
        ("int8", sum(LAYER) + 2 * sum(ROWS)),
        ("int4", sum(LAYER) // 2 + 2 * sum(ROWS)),
        ("mxfp4", sum(LAYER) // 2 + sum(ROWS[:6]) + 2 * ROWS[6]),  # the last has 48 inputs: two groups of 32
        ("float32", FLOAT * sum(LAYER)),
        ("bf16", 2 * sum(LAYER)),
    ],
)
def test_weights_of_linear_layers_in_another_format(folder, name, layer):
    held = memory(look(folder, FAMILIES["GQA (Llama)"].config), 8, weights_dtype=name)
    expected = FLOAT * (ALL - 2 * sum(LAYER)) + 2 * layer
    assert held.prefill.weights_bytes == held.decode.weights_bytes == expected
    assert held.assumptions.weights == FORMATS["bfloat16" if name == "bf16" else name]


def test_groups_of_scales_along_many_inputs(folder):
    """4096 inputs are 32 groups of 128."""
    sizes = {"hidden_size": 256, "intermediate_size": 4096, "num_hidden_layers": 1, "head_dim": HEAD}
    config = FAMILIES["GQA (Llama)"].config | sizes
    session = look(folder, config)
    plain, four = (memory(session, 8, weights_dtype=name).prefill.weights_bytes for name in ("float32", "int4"))
    shapes = [(32, 256), (16, 256), (16, 256), (256, 32), (4096, 256), (4096, 256), (256, 4096)]
    saved = sum(rows * (FLOAT * inputs - inputs // 2 - 2 * max(inputs // 128, 1)) for rows, inputs in shapes)
    assert plain - four == saved


def test_experts_are_linear_layers_and_tied_heads_embeddings(folder):
    experts, tied = FAMILIES["experts (Mixtral)"].config, FAMILIES["GQA (Llama)"].config | {"tie_word_embeddings": True}
    plain, four = (memory(look(folder, experts), 8, weights_dtype=name).prefill for name in ("float32", "fp8"))
    mlp = 3 * D * FF
    attention = sum(LAYER[:4])
    router = D * EXPERTS
    assert plain.weights_bytes - four.weights_bytes == 3 * 2 * (EXPERTS * mlp + attention + router)
    assert CHOSEN < EXPERTS
    tied_bytes = memory(look(folder, tied), 8, weights_dtype="fp8").prefill.weights_bytes
    assert tied_bytes == FLOAT * (VOCABULARY * D + 5 * D) + 2 * sum(LAYER)


@pytest.mark.parametrize(("name", "each"), [("fp8", HEAD), ("int8", HEAD + 2), ("int4", HEAD // 2 + 2)])
def test_keys_and_values_in_another_format(folder, name, each):
    """Each key and each value of a head has one scale, as its width is below that of a group."""
    n = 40
    held = memory(look(folder, FAMILIES["alternating (Gemma 2)"].config), n, kv_dtype=name)
    assert held.cache.bytes == BATCH * 2 * 2 * each * (15 + n)
    assert held.cache.bytes_per_token == 2 * 2 * each
    assert {dtype for layer in held.cache.layers for dtype in layer.dtypes} == {name}


def test_states_keep_their_dtype(folder):
    family = FAMILIES["SSM (Mamba 2)"]
    session = look(folder, family.config)
    plain, eight = (memory(session, 20, kv_dtype=name) for name in (None, "fp8"))
    assert eight.cache.bytes == BATCH * family.cached(20)
    assert (eight.prefill, eight.decode) == (plain.prefill, plain.decode)


def test_what_an_encoder_read_is_keys_and_values(folder):
    family = FAMILIES["encoder and decoder (T5)"]
    session = look(folder, family.config)
    plain, eight = (memory(session, 20, kv_dtype=name) for name in (None, "fp8"))
    assert plain.cache.bytes == BATCH * family.cached(20) == FLOAT * eight.cache.bytes


def test_weights_that_a_token_does_not_use_are_stored_alike(folder):
    held = memory(look(folder, FAMILIES["encoder and decoder (T5)"].config), 8, weights_dtype="int4")
    assert held.prefill.weights_bytes == held.decode.weights_bytes


# ── what fits ────────────────────────────────────────────────────────────────────────────────────────────────────────

CAPACITY = 400_000


@pytest.mark.parametrize("name", ["GQA (Llama)", "sliding window (Mistral)", "SSM (Mamba 2)"])
def test_the_largest_sizes_fit_and_the_next_do_not(folder, name):
    session = look(folder, FAMILIES[name].config)
    context = 24
    fit = memory(session, context, 900_000).fit
    assert fit.law is None or fit.law.quantity == "peak_forward_bytes"
    for found, at in (
        (fit.longest_context, lambda n: peak(session, BATCH, n)),
        (fit.largest_batch, lambda n: peak(session, n, context)),
    ):
        assert found.exact
        assert found.next_size == found.size + 1
        assert at(found.size) == found.bytes <= fit.capacity_bytes < at(found.size + 1)


def test_the_points_of_the_frontier_are_the_longest_contexts(folder):
    session = look(folder, FAMILIES["GQA (Llama)"].config)
    fit = memory(session, 40, CAPACITY).fit
    assert [point.batch for point in fit.frontier] == [1, 2, 4, 8]
    assert [point.batch for point in fit.frontier if point.exact] == [BATCH]
    assert peak(session, 16, 16) > CAPACITY  # shorter contexts are not told
    for point in fit.frontier:
        assert peak(session, point.batch, point.context) == point.bytes <= CAPACITY
        assert peak(session, point.batch, point.context + 1) > CAPACITY


def test_without_a_law_runs_alone_find_the_same(folder, monkeypatch):
    session = look(folder, FAMILIES["GQA (Llama)"].config)
    by_law = memory(session, 40, CAPACITY).fit
    monkeypatch.setattr(room, "_law", lambda *_: (None, None))
    by_runs = memory(session, 40, CAPACITY).fit
    assert (by_runs.law, by_runs.frontier) == (None, ())
    assert by_runs.longest_context == by_law.longest_context
    assert by_runs.largest_batch == by_law.largest_batch


def test_a_search_without_an_end_is_bounded_and_says_so(folder, monkeypatch):
    monkeypatch.setattr(room, "_law", lambda *_: (None, None))
    monkeypatch.setattr(room, "TRIES", 2)
    found = memory(look(folder, FAMILIES["GQA (Llama)"].config), 40, CAPACITY).fit.longest_context
    assert not found.exact
    assert found.next_size > found.size + 1


def test_a_search_that_begins_at_the_answer_tries_it_and_the_next():
    tried = []

    def size(n):
        tried.append(n)
        return n * n

    assert bracket(size, 10**6, 2**20, first=1000) == (1000, 1001)
    assert tried == [1000, 1001]


def test_a_table_of_positions_ends_the_context(folder):
    fit = memory(look(folder, FAMILIES["MHA (GPT-2)"].config), 40, 10**8).fit
    longest = fit.longest_context
    assert (longest.size, longest.exact) == (64, True)
    assert "64" in longest.why
    assert {point.context for point in fit.frontier[:3]} == {64}
    assert peak(look(folder, FAMILIES["MHA (GPT-2)"].config), fit.largest_batch.size, 40) <= 10**8


def test_where_nothing_fits(folder):
    fit = memory(look(folder, FAMILIES["GQA (Llama)"].config), 40, 1000).fit
    assert (fit.fits, fit.longest_context.size, fit.largest_batch.size, fit.frontier) == (False, 0, 0, ())


# ── what a real run allocates ────────────────────────────────────────────────────────────────────────────────────────

TOLERANCE = 0.03
MARK = 12_345
"""Bytes that nothing else allocates, by which the token is found among what was allocated."""


@pytest.mark.skipif(
    torch.__version__ < "2.9",  # compares as versions, not as text
    reason="before torch 2.9 fused attention on the CPU takes no grouped heads, so it holds the scores",
)
def test_the_cpu_allocates_what_is_predicted(folder):
    n = 256
    sizes = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "vocab_size": 2000}
    config = FAMILIES["GQA (Llama)"].config | sizes | {"head_dim": 64, "max_position_embeddings": 512}
    held = memory(look(folder, config), n)
    told = {key: value for key, value in config.items() if key not in ("architectures", "model_type")}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**told)).eval()
    resident = [*model.parameters(), *model.buffers()]
    ids = torch.randint(2000, (BATCH, n))

    @torch.no_grad()
    def prompt():
        model(ids, use_cache=True)

    assert held.prefill.peak_bytes == pytest.approx(bytes_of([*resident, ids]) + most_allocated(prompt), rel=TOLERANCE)

    name = "cache" if "cache" in signature(model.forward).parameters else "past_key_values"

    @torch.no_grad()
    def prompt_and_token():
        cache = model(ids[:, :-1], use_cache=True).past_key_values
        torch.empty(MARK, dtype=torch.uint8)
        model(ids[:, -1:], use_cache=True, **{name: cache})

    changes = allocations(prompt_and_token)
    before = sum(changes[: changes.index(MARK)])
    assert before == pytest.approx(BATCH * 4 * 2 * 2 * 64 * (n - 1) * FLOAT, rel=TOLERANCE)
    live = accumulate(changes[changes.index(MARK) + 2 :], initial=before)
    real = bytes_of([*resident, ids[:, -1:].clone()]) + max(live)
    assert held.decode.peak_bytes == pytest.approx(real, rel=TOLERANCE)


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def llama(folder):
    return folder(FAMILIES["GQA (Llama)"].config)


def test_json_and_its_schema(alexnet, llama):
    options = ["--context", "40", "-b", "2", "--capacity", "400kB", "--kv-dtype", "fp8", "--weights-dtype", "int4"]
    answer = alexnet("memory", llama, *options, "--json")
    assert answer.code == 0, answer.err
    jsonschema.validate(answer.json, json_schema("memory"))
    serving = answer.json["serving"]
    assert answer.json["run"]["serving"] == {"part": "prefill", "context": 40}
    assert answer.json["inference"]["peak_bytes"] == serving["prefill"]["peak_bytes"]
    assert serving["assumptions"]["weights"] == {"dtype": "int4", "bits": 4, "group": 128, "scale_bits": 16}
    assert serving["fit"]["longest_context"]["exact"] is True
    assert answer.json["training"] is None


def test_the_table_states_what_is_assumed(alexnet, llama):
    options = ["--context", "40", "-b", "2", "--capacity", "400kB", "--kv-dtype", "fp8", "--weights-dtype", "int4"]
    out = " ".join(alexnet("memory", llama, *options, "--last-logits", "--width", "80").out.split())
    assert "Assumed: keys and values are stored in fp8" in out
    assert "the weights of linear layers are stored in int4, 4.12 bits each with a 16-bit scale for 128" in out
    assert "asked for the logits of the last token alone" in out
    assert "Longest context" in out


@pytest.mark.parametrize("form", ["markdown", "csv", "latex", "html", "svg"])
def test_every_format(alexnet, llama, form):
    answer = alexnet("memory", llama, "--context", "8", "--capacity", "400kB", "-f", form)
    assert answer.code == 0
    assert "Activations" in answer.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--context", "0"], "--context"),
        (["--context", "many"], "--context"),
        (["--context", "8", "--kv-dtype", "fp9"], "did you mean fp8?"),
        (["--context", "8", "--weights-dtype", "int5"], "known: float32"),
        (["--context", "8", "--optimizer", "adam"], "leave out --optimizer"),
        (["--kv-dtype", "fp8"], "go with --context"),
        (["--last-logits"], "go with --context"),
    ],
)
def test_invalid_options_are_refused_with_what_to_do(alexnet, llama, arguments, said):
    answer = alexnet("memory", llama, *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert answer.out == ""


def test_a_model_without_a_cache_says_so(alexnet, folder, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef Net():\n    return nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2))\n"
    )
    answer = alexnet("memory", f"{tmp_path / 'net.py'}:Net", "-i", "16:int64", "--context", "8")
    assert answer.code == 2
    assert "keeps nothing from one token to the next" in answer.err
    assert "no input of the model is a text" in alexnet("memory", "--context", "8").err


def test_arguments_that_were_given(alexnet, llama, tmp_path):
    from alexnet_cli import inspect

    (tmp_path / "one.py").write_text("import torch\ntoken = {'input_ids': torch.zeros(1, 1, dtype=torch.long)}\n")
    answer = alexnet("memory", llama, "--inputs", f"{tmp_path / 'one.py'}:token", "--context", "8")
    assert answer.code == 2
    assert "leave out one of them" in answer.err
    prompt = inspect(llama, torch.zeros(3, 5, dtype=torch.long)).memory(context=12)
    assert prompt.serving.cache.bytes == 3 * FAMILIES["GQA (Llama)"].cached(12)


def test_saved_reports(alexnet, llama, tmp_path):
    plain = tmp_path / "plain.json"
    assert alexnet("summary", llama, "--json", "-o", str(plain)).code == 0
    answer = alexnet("memory", str(plain), "--context", "8")
    assert answer.code == 2
    assert "holds no run of a context of 8 tokens" in answer.err

    report = run(Session(Named(llama)), "decode", 8)
    kept = {name: getattr(report, name) for name in ("generator", "model", "run", "layers", "totals", "tape")}
    saved = tmp_path / "token.json"
    saved.write_text(to_json(SavedReport(command="summary", **kept)), encoding="utf-8")
    answer = alexnet("memory", str(saved), "--context", "8", "--json")
    serving = answer.json["serving"]
    assert serving["prefill"] is None
    assert serving["cache"]["bytes"] == FAMILIES["GQA (Llama)"].cached(8)
    assert serving["decode"]["peak_bytes"] == inference(report).peak_bytes
    assert "but a decode of 8 tokens" in alexnet("memory", str(saved), "--context", "9").err
    assert "--kv-dtype needs a model to run" in alexnet("memory", str(saved), "--context", "8", "--kv-dtype", "fp8").err
    held = alexnet("memory", str(saved), "--json").json["inference"]["peak"]["live_bytes"]
    assert held["cache"] > 0


def test_the_python_api(llama):
    from alexnet_cli import inspect

    found = inspect(llama, batch_size=2).memory(context=40, capacity="400kB")
    assert found.serving.cache.bytes == 2 * FAMILIES["GQA (Llama)"].cached(40)
    assert found.serving.fit.longest_context.exact
    assert json.loads(found.json())["serving"] == json.loads(msgspec.json.encode(found.serving))
    assert "Longest context" in str(found)
