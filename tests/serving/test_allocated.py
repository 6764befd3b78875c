"""The cache in memory: what the CPU's allocator holds more after a prompt and a token, against the prediction."""

from __future__ import annotations

import gc

import pytest
import torch
from families import FAMILIES

from alexnet_cli.analyses.serving.cached import cache
from alexnet_cli.session.session import Named, Session
from alexnet_cli.torch_insides import raw_events
from alexnet_cli.tracing.options import Serving

transformers = pytest.importorskip("transformers")
CONTEXT = 24


def arguments(config):
    """Return a prompt, and the name of the text that it continues."""
    tokens = torch.full((1, CONTEXT - 1), 7)
    match config["model_type"]:
        case "whisper":
            return {"decoder_input_ids": tokens, "input_features": torch.zeros(1, 8, 64)}, "decoder_input_ids"
        case "t5":
            return {"decoder_input_ids": tokens, "input_ids": torch.full((1, CONTEXT), 7)}, "decoder_input_ids"
    return {"input_ids": tokens}, "input_ids"


def cache_alone(model, prompt, text):
    """Run a prompt and one token; return the cache, without anything else that was made."""
    output = model(**prompt, use_cache=True)
    kept = next(key for key in ("cache", "past_key_values", "cache_params") if output.get(key) is not None)
    state, others = output[kept], {}
    if "encoder_last_hidden_state" in output:
        others["encoder_outputs"] = (output.encoder_last_hidden_state,)
    model(**{text: prompt[text][:, -1:], kept: state, **others}, use_cache=True)
    return state


@pytest.mark.parametrize("name", FAMILIES)
def test_the_allocator_holds_what_was_predicted(folder, name):
    config = FAMILIES[name].config
    report = Session(Named(folder(config))).serving(Serving("decode", CONTEXT)).report()
    kind = transformers.CONFIG_MAPPING[config["model_type"]].from_dict(config)
    model = getattr(transformers, config["architectures"][0])(kind).eval()
    prompt, text = arguments(config)
    with torch.no_grad():
        cache_alone(model, prompt, text)  # what is made once for all runs
        gc.collect()  # what only cycles keep of that run is not to be freed during the next
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, profile_memory=True) as seen:
            state = cache_alone(model, prompt, text)
            gc.collect()
    held = sum(event.nbytes() for event in raw_events(seen) if event.name() == "[memory]")
    assert held == pytest.approx(cache(report).allocated_bytes, rel=0.02)
    del state
