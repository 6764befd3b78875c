"""`alexnet cost --context N --decode` and `--prefill`: what is shown, its JSON, and options that do not go together."""

from __future__ import annotations

import pytest
import torch
from families import FAMILIES

from alexnet_cli.api.inspection import inspect

transformers = pytest.importorskip("transformers")
KEYS = ["part", "context", "batch_size", "tokens", "macs", "causal_macs", "params", "active_params", "experts", "cache"]
KEYS += ["moved", "floor"]


@pytest.fixture
def llama(folder):
    return folder(FAMILIES["GQA (Llama)"].config)


def test_a_token(alexnet, llama):
    answer = alexnet("cost", llama, "--context", "64", "--decode", "--gpu", "h200")
    assert answer.code == 0
    assert "Cost of one token of LlamaForCausalLM" in answer.out
    assert "at a context of 64" in answer.out
    assert "The cache holds 63 tokens before this one and 64 after it." in answer.out
    assert "model.layers.*.self_attn" in answer.out
    assert len(answer.out.splitlines()) < 50


def test_a_prompt(alexnet, llama):
    answer = alexnet("cost", llama, "--context", "64", "--prefill")
    assert answer.code == 0
    assert "Cost of a prompt of LlamaForCausalLM" in answer.out
    assert "causal" in answer.out


def test_the_json(alexnet, llama):
    answer = alexnet("cost", llama, "--context", "64", "--decode", "-b", "2,8", "--gpu", "h200", "--json").json
    assert answer["run"]["serving"] == {"part": "decode", "context": 64}
    assert list(answer["serving"]) == KEYS
    first, second = answer["serving_sweep"]
    assert answer["serving"] == first
    assert (first["batch_size"], second["batch_size"]) == (2, 8)
    assert second["cache"]["bytes"] == 4 * first["cache"]["bytes"]
    assert answer["totals"]["macs"] == first["macs"]


def test_another_cost_has_no_such_keys(alexnet):
    answer = alexnet("cost", "--json").json
    assert not {"serving", "serving_sweep"} & set(answer)
    assert "serving" not in answer["run"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--decode",), "--decode needs to know how long the context is"),
        (("--context", "64"), "--context goes with --decode or --prefill"),
        (("--context", "0", "--decode"), "--context 0 is no length"),
        (("--context", "64", "--decode", "--prefill"), "--decode and --prefill exclude each other"),
        (("--context", "64", "--decode", "--backward"), "--backward and --decode exclude each other"),
    ],
)
def test_options_that_do_not_go_together(alexnet, options, said):
    answer = alexnet("cost", *options)
    assert answer.code == 2
    assert said in answer.err


def test_a_model_without_text(alexnet):
    answer = alexnet("cost", "--context", "64", "--decode")
    assert answer.code == 2
    assert "no input of the model is a text of tokens" in answer.err
    assert "--inputs file.py:NAME" in answer.err


def test_a_context_past_the_table_of_positions(alexnet, folder):
    answer = alexnet("cost", folder(FAMILIES["MHA (GPT-2)"].config), "--context", "70", "--decode")
    assert answer.code == 4
    assert "index 68 is out of range for 64 embeddings" in answer.out + answer.err


def test_from_python():
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**_sizes()))
    look = inspect(model, input_size="16:int64")
    token = look.cost(context=40, decode=True)
    assert token.serving.cache.bytes == FAMILIES["GQA (Llama)"].cached(40)
    assert token.serving.macs == FAMILIES["GQA (Llama)"].macs(40)
    assert look.cost(context=40, prefill=True).serving.part == "prefill"


def test_a_text_given_in_python_is_as_long_as_was_asked():
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**_sizes()))
    look = inspect(model, kwargs={"input_ids": torch.ones(2, 5, dtype=torch.int64)})
    found = look.cost(context=40, decode=True).serving
    assert (found.batch_size, found.cache.bytes) == (2, 2 * FAMILIES["GQA (Llama)"].cached(40))


def _sizes():
    config = FAMILIES["GQA (Llama)"].config
    return {key: value for key, value in config.items() if key not in ("architectures", "model_type")}
