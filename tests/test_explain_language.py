"""What `explain` says of language models: each number is held to arithmetic done here."""

from __future__ import annotations

import language_models
import pytest
import torch
from language_models import EXPERTS, FF, HEAD, HEADS, LATENT, PLACES, VOCABULARY, WIDTH, WINDOW
from test_explain import VERDICTS, numbers

from alexnet_cli.analyses.findings.rules import OF_LANGUAGE, findings
from alexnet_cli.messages import say
from alexnet_cli.session.changes import trace_changes
from alexnet_cli.session.language import CONTEXT, FARTHER
from alexnet_cli.session.session import Named, Session
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.views.explain import tell

LENGTH, FLOAT, INDEX = 16, 4, 8
HERE = language_models.__file__
OVERTAKES, SHARED, TOKEN, EMBEDDING = OF_LANGUAGE
NAMES = sorted({name for code in OF_LANGUAGE for name in VERDICTS[code] if hasattr(language_models, name)})

PAIR = 2 * WIDTH  # MACs of a query with a key, for the score and the weighted sum of all heads
MLP, ATTENTION, HEADED = 2 * WIDTH * FF, 4 * WIDTH**2, WIDTH * VOCABULARY
TABLE = VOCABULARY * WIDTH
FULL = ATTENTION + MLP + HEADED
"""The MACs of a token with weights, and the weights that it reads whole, of a layer with its head."""


def session_of(name):
    given = "3,16,16" if name == "image" else f"{LENGTH}:int64"
    return Session(Named(f"{HERE}:{name}"), TraceOptions(inputs=(parse_input(given),)), cache=False)


def judged(name, *codes):
    session = session_of(name)
    wanted = codes or OF_LANGUAGE
    return findings(session.report(), wanted, trace_changes(session, wanted))


def told(name, code):
    (finding,) = judged(name, code)
    return {item.key: item.values for item in finding.evidence}


@pytest.mark.parametrize("name", NAMES)
def test_verdicts_differ_as_the_models_do(name):
    wanted = {code: VERDICTS[code][name] for code in OF_LANGUAGE if name in VERDICTS[code]}
    found = judged(name, *wanted)
    assert {finding.code: finding.verdict for finding in found} == wanted
    for english, korean in zip(tell(found, "en"), tell(found, "ko"), strict=True):
        for one, other in zip(english.evidence, korean.evidence, strict=True):
            assert one.text != other.text
            assert numbers(one.text) == numbers(other.text), (one.text, other.text)


# Length


def test_attention_overtakes_where_both_laws_meet():
    evidence = told("full", OVERTAKES)
    assert evidence["laws"] == {"attention": (0, 0, PAIR), "weights": (0, FULL)}
    assert evidence["now"] == {"length": LENGTH, "share": PAIR * LENGTH / (PAIR * LENGTH + FULL)}
    before = FULL // PAIR
    assert PAIR * before == FULL  # as much, not more
    at = before + 1
    assert evidence["overtakes"] == {
        "length": at,
        "before": before,
        "attention": PAIR * at**2,
        "weights": FULL * at,
    }


def test_layers_with_a_window_of_their_own_grow_with_the_length():
    evidence = told("half_local", OVERTAKES)
    assert evidence["laws"] == {"attention": (0, PAIR * WINDOW, PAIR), "weights": (0, FULL + ATTENTION + MLP)}
    assert evidence["linear"] == {"paths": ["inside.layers.1"], "count": 1, "layers": 2}
    assert evidence["overtakes"]["length"] == (FULL + ATTENTION + MLP - PAIR * WINDOW) // PAIR + 1


def test_a_window_is_seen_at_a_token_after_a_long_context():
    window = told("sliding", OVERTAKES)["window"]
    assert window == {"paths": ["layers.0"], "count": 1, "layers": 1, "keys": WINDOW, "context": CONTEXT}


def test_a_law_of_short_inputs_is_not_taken_for_that_of_long_ones():
    evidence = told("nearby", OVERTAKES)
    weights = ATTENTION + MLP + WIDTH * 5000
    at = weights // PAIR  # where both are as much by the law
    assert evidence["other_law"] == {"length": at, "attention": PAIR * at * 2000, "weights": weights * at}


def test_why_nothing_was_run_where_attention_would_overtake():
    at = FULL // PAIR + 1
    for name in ("looks_up", "counts"):
        assert told(name, OVERTAKES)["too_few_places"] == {"length": at, "places": PLACES}
    refused = told("cuts", OVERTAKES)["refused"]
    assert refused["length"] == at
    assert str(PLACES) in refused["why"]
    assert told("one_by_one", OVERTAKES)["loops"] == {"length": at}


def test_attention_that_never_overtakes():
    evidence = told("related", OVERTAKES)
    assert evidence["laws"] == {"attention": (0, 0, PAIR), "weights": (0, FULL, 3 * WIDTH)}
    assert evidence["never"] == {}


def test_without_a_softmax_work_is_linear_and_the_state_of_one_size():
    per_token = 2 * HEADS * HEAD**2  # the product of key and value, and that of the query with their sum
    laws = told("linear_attention", OVERTAKES)["laws"]
    assert laws == {"attention": (0, per_token), "weights": (0, FULL)}
    assert told("state", OVERTAKES) == {"state": {"context": CONTEXT, "bytes": FLOAT * HEADS * HEAD**2}}


def test_polynomials_as_people_write_them():
    def said(*attention):
        return say("en", "attention-overtakes.laws", {"attention": attention, "weights": (0, 1)})

    assert "take 1,280⋅n² − 4⋅n + 3 MACs" in said(3, -4, 1280)
    assert "take 5⋅n MACs" in said(0, 5)
    assert "take 0 MACs" in said(0)


# Cache


def test_query_heads_that_share_keys():
    evidence = told("shared_keys", SHARED)
    layer = {"paths": ["layers.0"], "count": 1, "layers": 1}
    assert evidence["shared"] == {**layer, "heads": HEADS, "of_keys": 2, "ratio": HEADS / 2}
    both = 2 * HEAD * CONTEXT * FLOAT  # keys and values of one head
    assert evidence["cache"] == {"context": CONTEXT, "bytes": 2 * both, "instead": HEADS * both}


def test_layers_that_share_and_layers_that_do_not():
    evidence = told("half_grouped", SHARED)
    assert evidence["own"] == {"paths": ["layers.0"], "count": 1, "layers": 2, "heads": HEADS}
    assert (evidence["shared"]["paths"], evidence["shared"]["of_keys"]) == (["layers.1"], 1)
    both = 2 * HEAD * CONTEXT * FLOAT
    assert evidence["cache"] == {"context": CONTEXT, "bytes": (HEADS + 1) * both, "instead": 2 * HEADS * both}


def test_a_latent_is_cached_instead_of_keys_and_values():
    evidence = told("latent", SHARED)
    layer = {"paths": ["layers.0"], "count": 1, "layers": 1}
    assert evidence["latent"] == {**layer, "cached": LATENT, "whole": 2 * WIDTH, "ratio": 2 * WIDTH / LATENT}
    sizes = {"bytes": LATENT * CONTEXT * FLOAT, "instead": 2 * WIDTH * CONTEXT * FLOAT}
    assert evidence["cache"] == {"context": CONTEXT, **sizes}


def test_a_state_is_no_cache_of_the_attention_after_it():
    evidence = told("hybrid", SHARED)
    assert (evidence["shared"]["paths"], evidence["shared"]["ratio"]) == (["layers.1"], HEADS / 2)
    assert evidence["cache"]["bytes"] == 2 * 2 * HEAD * CONTEXT * FLOAT


def test_a_layer_that_reads_the_cache_of_another():
    evidence = told("reader", SHARED)
    assert evidence["reused"] == {"paths": ["layers.1"], "count": 1, "layers": 2}
    assert evidence["cache"]["instead"] == 2 * evidence["cache"]["bytes"] == 2 * (2 * WIDTH * CONTEXT * FLOAT)


# A token


def test_a_token_reads_all_weights_and_a_row():
    evidence = told("full", TOKEN)
    read, everything = FLOAT * (FULL + WIDTH), FLOAT * (FULL + TABLE)
    assert evidence["read"] == {"read": read, "all": everything, "share": read / everything}
    assert evidence["looked_up"] == {"bytes": FLOAT * TABLE, "read": FLOAT * WIDTH}


def test_how_many_operations_there_are_for_a_byte():
    cached, token = 2 * WIDTH * FLOAT, FLOAT * (FULL + WIDTH)
    moved = token + (CONTEXT - 1) * cached + cached + FLOAT * VOCABULARY + INDEX
    prompt = FLOAT * (FULL + TABLE) + CONTEXT * (cached + FLOAT * VOCABULARY + INDEX)
    assert told("full", TOKEN)["intensity"] == {
        "context": CONTEXT,
        "token": pytest.approx(2 * (FULL + PAIR * CONTEXT) / moved),
        "prompt": pytest.approx(2 * (FULL * CONTEXT + PAIR * CONTEXT**2) / prompt),
    }


@pytest.mark.parametrize(("name", "chosen"), [("one_expert", 1), ("two_experts", 2)])
def test_a_token_reads_the_experts_that_it_chooses(name, chosen):
    evidence = told(name, TOKEN)
    router, others = WIDTH * EXPERTS, ATTENTION + HEADED
    everything = others + router + EXPERTS * MLP + TABLE
    assert evidence["read"]["all"] == FLOAT * everything
    assert evidence["read"]["read"] == FLOAT * (others + router + chosen * MLP + WIDTH)
    share = EXPERTS * MLP / everything
    assert evidence["experts"] == {"count": EXPERTS, "per_token": chosen, "layers": 1, "share": share}


# Vocabulary


def test_tables_and_the_head():
    everything = ATTENTION + MLP + 2 * TABLE
    evidence = told("full", EMBEDDING)
    table = {"path": "table", "rows": VOCABULARY, "width": WIDTH, "params": TABLE, "share": TABLE / everything}
    assert evidence["table"] == table
    assert evidence["as_many"] == {"path": "head", "params": TABLE, "share": 2 * TABLE / everything}
    tied = told("tied", EMBEDDING)
    assert tied["table"]["share"] == TABLE / (everything - TABLE)
    assert tied["tied"] == {"path": "head", "table": "table"}


# The command


def test_a_saved_report_is_judged_without_runs(alexnet, tmp_path):
    path = tmp_path / "report.json"
    assert alexnet("summary", f"{HERE}:full", "-i", "16:int64", "--json", "-o", str(path)).code == 0
    found = {it["code"]: it for it in alexnet("explain", str(path), "--json").json["findings"]}
    assert found[EMBEDDING]["verdict"] == "partly"
    assert {found[code]["evidence"][0]["key"] for code in (OVERTAKES, SHARED, TOKEN)} == {"not_run_again"}


def test_claims_that_say_nothing_of_a_classifier_are_shown_only_if_they_are_selected(alexnet):
    assert not any(code in alexnet("explain").out for code in OF_LANGUAGE)
    assert OVERTAKES in alexnet("explain", "--select", OVERTAKES).out
    model = alexnet("explain", f"{HERE}:full", "-i", "16:int64", "--ignore", "stack").out
    assert all(code in model for code in OF_LANGUAGE)
    assert "From 90 tokens on attention does more" in " ".join(model.split())


def test_a_page_shows_them_too(alexnet, tmp_path):
    def shown(*target):
        assert alexnet("report", *target, "-o", str(tmp_path / "page.html")).code == 0
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    page, claims = shown(f"{HERE}:shared_keys", "-i", "16:int64"), [say("en", f"claim.{code}") for code in OF_LANGUAGE]
    assert all(claim in page for claim in claims)
    assert "4 query heads share 2 heads of keys and values" in page
    assert not any(claim in shown() for claim in claims)


def test_a_state_takes_no_laws_and_laws_take_no_run_twice(monkeypatch):
    lengths, once = [], Session.once

    def counted(self, variation):
        lengths.append(variation.sizes[0][2])
        return once(self, variation)

    monkeypatch.setattr(Session, "once", counted)
    judged("state")
    assert lengths == [LENGTH + FARTHER]
    lengths.clear()
    judged("full")
    assert lengths[0] == LENGTH + FARTHER
    assert len(lengths) == len(set(lengths)) == 5 + 2  # for the laws, and where attention overtakes and before


def test_an_image_classifier_is_not_run_again(alexnet, monkeypatch):
    def refuse(*_arguments, **_options):
        pytest.fail("it was run again")

    monkeypatch.setattr(Session, "once", refuse)
    monkeypatch.setattr(Session, "serving", refuse)
    assert alexnet("explain").code == 0


def test_a_batch_changes_neither_the_laws_length_nor_what_a_token_reads(alexnet):
    def evidence(*options):
        asked = ("--select", ",".join(OF_LANGUAGE), "--json", *options)
        return alexnet("explain", f"{HERE}:shared_keys", "-i", "16:int64", *asked).json["findings"]

    one, three = evidence(), evidence("-b", "3")
    assert one[1:] == three[1:]
    overtaken = [
        [it["values"]["length"] for it in each[0]["evidence"] if it["key"] == "overtakes"] for each in (one, three)
    ]
    assert overtaken[0] == overtaken[1] != []


def test_the_random_state_stays(alexnet):
    before = torch.get_rng_state()
    assert alexnet("explain", f"{HERE}:full", "-i", "16:int64").code == 0
    assert torch.equal(torch.get_rng_state(), before)
