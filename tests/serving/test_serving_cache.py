"""The state that a language model keeps: its bytes and the MACs of a token, against what is derived by hand."""

from __future__ import annotations

import pytest
from families import CONTEXTS, FAMILIES

from alexnet_cli.session.session import Named, Session
from alexnet_cli.tracing.options import Serving

pytest.importorskip("transformers")


def state_bytes(tape, values):
    return sum(tape.values[value].bytes for value in values)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", FAMILIES)
def test_cache_and_macs_of_a_token(folder, name, context):
    family = FAMILIES[name]
    report = Session(Named(folder(family.config))).serving(Serving("decode", context)).report()
    assert report.error is None
    assert state_bytes(report.tape, report.tape.state.after) == family.cached(context)
    assert report.totals.macs == family.macs(context)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_prompt_leaves_the_cache_that_the_next_token_finds(folder, name):
    session = Session(Named(folder(FAMILIES[name].config)))
    prompt, token = (session.serving(Serving(part, n)).report().tape for part, n in (("prefill", 20), ("decode", 21)))
    assert prompt.state.before == ()
    left, found = (
        [tape.values[at] for at in values]
        for tape, values in ((prompt, prompt.state.after), (token, token.state.before))
    )
    if "encoder" in name and "T5" in name:  # its encoder reads as many tokens as the context has
        left, found = left[:4], found[:4]
    assert [value.shape for value in left] == [value.shape for value in found]
    assert {token.storages[value.storage].role for value in found} == {"cache"}
