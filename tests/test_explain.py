"""Claims about an architecture: their verdicts, their evidence, in two languages."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import explain_models
import jsonschema
import pytest
import torch
from helpers import trace_target
from odd_models import CASES
from test_floors import run_without_torch
from test_odd_models import traced as traced_case
from test_trace import CONV_MACS, CONV_PARAMS, CONVOLUTIONS, LINEAR_MACS, LINEAR_PARAMS

from alexnet_cli.analyses.findings.rules import OF_WIRING, RULES, WITHOUT_A_RUN, findings
from alexnet_cli.graphics.text import Style, width_of
from alexnet_cli.messages import CATALOGUES, MOST_NAMES, say
from alexnet_cli.models.catalogue import variants
from alexnet_cli.renderers import render
from alexnet_cli.session.changes import trace_changes
from alexnet_cli.session.session import Named, Session
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.views.explain import MOST_ALIKE, explain_document, tell

NOT_APPLICABLE = {
    "nothing_of_these",
    "no_parameters",
    "no_convolutions",
    "not_both",
    "too_few_convolutions",
    "nothing_to_split",
    "nothing_to_share",
    "no_attention",
    "no_softmax",
    "no_length",
    "no_tokens",
    "no_embedding",
    "not_run_again",
    "no_training_step",
}
HERE = Path(explain_models.__file__)
INPUTS = {
    "tidy": "3,18,18",
    "mlp": "20",
    "ResNetLike": "3,32,32",
    "Transformer": "16:int64",
    "PoolsByHand": "3,8,8",
    "group_norm": "3,16,16",
    "decoder": "16,4,4",
    "one_place": "3,16,16",
    "one_place_at_the_end": "3,16,16",
    "grouped": "4,8,8",
    "normed_embedding": "5:int64",
    "alike": "16",
    "nothing": "2,2",
    "linear_first": "3,8,8",
    "normed": "4,8,8",
    "UNet": "3,16,16",
    "Rounds": "8",
    "frozen": "20",
    "pooled": "20",
}
NOTEBOOK = ("stack", "relu-outputs", "narrow-and-deep", "parameters-in-conv-and-linear", "linear-dominates")


def traced(name, **options):
    return trace_target(f"{HERE}:{name}", inputs=(parse_input(INPUTS[name]),), **options)


def changes_of(name, report, codes=tuple(RULES), **options):
    """Trace the changes that the findings propose, as the command does."""
    target = name if name in variants() else f"{HERE}:{name}"
    inputs = None if name in variants() else (parse_input(INPUTS[name]),)
    session = Session(Named(target), TraceOptions(inputs=inputs, **options), cache=False)
    assert session.report() == report
    return trace_changes(session, codes)


def found(report, code):
    (finding,) = findings(report, [code])
    return finding


def evidence(report, code, key):
    return [item.values for item in found(report, code).evidence if item.key == key]


# The notebook's network


def test_the_notebooks_claims_are_judged_as_they_deserve(report):
    verdicts = [finding.verdict for finding in findings(report)[:5]]
    assert tuple(RULES)[:5] == NOTEBOOK
    assert verdicts == ["holds", "partly", "partly", "holds", "holds"]


def test_only_the_last_linear_layer_has_no_relu(report):
    exceptions = [item for item in found(report, "relu-outputs").evidence if item.key != "through_relu"]
    assert [(item.key, item.values["path"], item.values["next"]) for item in exceptions] == [
        ("goes_to", "architecture.18", "log_softmax")
    ]
    (counted,) = evidence(report, "relu-outputs", "through_relu")
    assert counted == {"kept": 7, "layers": 5 + 3}


def test_conv5_goes_back_and_conv3_and_conv5_have_fewer_parameters_than_conv4(report):
    exceptions = {item.key: item.values for item in found(report, "narrow-and-deep").evidence}
    assert list(exceptions) == ["shapes", "same_shape", "shallower", "fewer_parameters"]
    assert exceptions["shapes"] == {"first": (3, 227, 227), "last": (256, 6, 6), "path": "architecture.12"}
    assert exceptions["shallower"] == {"path": "architecture.10", "channels": 256, "before": 384}
    conv3, conv4, conv5 = CONV_PARAMS[2:]
    third, fifth = exceptions["same_shape"], exceptions["fewer_parameters"]
    assert (third["path"], third["params"], third["other"], third["most"]) == (
        "architecture.6",
        conv3,
        "architecture.8",
        conv4,
    )
    assert (fifth["path"], fifth["params"], fifth["other"], fifth["most"]) == (
        "architecture.10",
        conv5,
        "architecture.8",
        conv4,
    )


def test_linear_layers_have_15_6_times_the_parameters(report):
    (both,) = evidence(report, "linear-dominates", "parameters")
    (times,) = evidence(report, "linear-dominates", "ratio")
    assert both == {"linear": sum(LINEAR_PARAMS), "conv": sum(CONV_PARAMS)}
    assert times["ratio"] == sum(LINEAR_PARAMS) / sum(CONV_PARAMS)
    assert round(times["ratio"], 1) == 15.6


def test_parameters_and_work_are_mirror_images_because_weights_are_used_often(report):
    (params,), (macs,), (why,) = (evidence(report, "mirror-images", key) for key in ("params", "macs", "why"))
    all_params, all_macs = sum(CONV_PARAMS + LINEAR_PARAMS), sum(CONV_MACS + LINEAR_MACS)
    assert params == {"linear": sum(LINEAR_PARAMS) / all_params, "conv": sum(CONV_PARAMS) / all_params}
    assert macs == {"linear": sum(LINEAR_MACS) / all_macs, "conv": sum(CONV_MACS) / all_macs}
    assert why["conv"] == sum(CONV_MACS) / sum(CONV_PARAMS)


def test_how_often_each_weight_is_used_and_what_a_dense_layer_would_need(report):
    told = evidence(report, "weight-sharing", "used")
    sides = [227, 27, 13, 13, 13]  # of the maps that the convolutions take
    for values, (into, out, kernel, side), taken in zip(told, CONVOLUTIONS, sides, strict=True):
        inputs, outputs = into * taken**2, out * side**2
        assert (values["weights"], values["places"]) == (out * into * kernel**2, side**2)
        assert (values["inputs"], values["outputs"]) == (inputs, outputs)
        assert values["dense_params"] == inputs * outputs + outputs
    assert (told[0]["places"], told[0]["dense_params"]) == (3_025, 44_892_355_200)


def test_from_which_batch_on_outputs_take_more_than_weights(report):
    (batch,) = evidence(report, "weights-outweigh-outputs", "batch")
    first = batch["batch"]
    assert found(trace_target(batch_size=first - 1), "weights-outweigh-outputs").verdict == "holds"
    more = trace_target(batch_size=first)
    assert found(more, "weights-outweigh-outputs").verdict == "fails"
    assert evidence(more, "weights-outweigh-outputs", "batch") == [batch]


def test_what_two_groups_save_is_what_the_paper_has(report):
    split = {item["path"]: item for item in evidence(report, "grouping", "could_be_grouped")}
    paper = {item["path"]: item for item in evidence(trace_target("alexnet-paper"), "grouping", "grouped")}
    for ours, theirs in (("architecture.3", "conv2"), ("architecture.8", "conv4"), ("architecture.10", "conv5")):
        assert split[ours]["split_params"] == paper[theirs]["params"]
        assert split[ours]["split_macs"] == paper[theirs]["macs"]
        assert paper[theirs]["whole_params"] == split[ours]["params"]
        assert paper[theirs]["whole_macs"] == split[ours]["macs"]
    assert "architecture.0" not in split  # three channels cannot be halved
    saved = sum(item["params"] - item["split_params"] for path, item in split.items() if path != "architecture.6")
    assert saved == 1_413_120


# Other networks

VERDICTS = {
    "stack": {"tidy": "holds", "ResNetLike": "partly", "linear_first": "partly", "mlp": "fails", "Transformer": "fails",
              "group_norm": "holds", "nothing": "not_applicable"},
    "relu-outputs": {"tidy": "holds", "mlp": "partly", "ResNetLike": "partly", "Transformer": "fails",
                     "nothing": "not_applicable"},
    "narrow-and-deep": {"tidy": "holds", "ResNetLike": "partly", "decoder": "fails", "mlp": "not_applicable",
                        "Transformer": "not_applicable"},
    "parameters-in-conv-and-linear": {"tidy": "holds", "mlp": "holds", "group_norm": "partly", "ResNetLike": "partly",
                                      "normed_embedding": "fails", "nothing": "not_applicable"},
    "linear-dominates": {"group_norm": "holds", "tidy": "partly", "ResNetLike": "fails", "mlp": "not_applicable",
                         "Transformer": "not_applicable"},
    "mirror-images": {"ResNetLike": "fails", "tidy": "partly", "mlp": "not_applicable"},
    "weight-sharing": {"tidy": "holds", "one_place_at_the_end": "partly", "one_place": "fails",
                       "mlp": "not_applicable"},
    "weights-outweigh-outputs": {"mlp": "holds", "ResNetLike": "fails", "nothing": "not_applicable"},
    "grouping": {"grouped": "holds", "tidy": "fails", "mlp": "not_applicable"},
    "size-in-one-layer": {"mlp": "holds", "ResNetLike": "partly", "alike": "fails", "nothing": "not_applicable"},
    "work-in-one-layer": {"mlp": "holds", "alike": "fails", "nothing": "not_applicable"},
    "outputs-in-one-layer": {"Transformer": "holds", "alike": "fails", "nothing": "not_applicable"},
    # Of the models in language_models, judged in test_explain_language
    "attention-overtakes": {"full": "holds", "half_local": "partly", "sliding": "partly", "looks_up": "partly",
                            "counts": "partly", "cuts": "partly", "nearby": "partly", "one_by_one": "partly",
                            "local": "fails", "related": "fails",
                            "linear_attention": "fails", "state": "fails", "image": "not_applicable",
                            "in_powers_of_two": "not_applicable", "mlp": "not_applicable"},
    "keys-are-shared": {"shared_keys": "holds", "latent": "holds", "half_grouped": "partly", "reader": "partly",
                        "full": "fails", "forgets": "not_applicable", "state": "not_applicable",
                        "mlp": "not_applicable"},
    "token-reads-all": {"full": "holds", "tied": "holds", "state": "holds", "two_experts": "partly",
                        "one_expert": "fails", "forgets": "not_applicable", "mlp": "not_applicable"},
    "embedding-is-large": {"tied": "holds", "many_words": "holds", "full": "partly", "few_words": "fails",
                           "image": "not_applicable", "mlp": "not_applicable"},
}  # fmt: skip


def test_every_rule_is_seen_to_hold_and_not_to():
    assert set(VERDICTS) == set(RULES) - set(OF_WIRING)  # those are held to models in test_wiring.py
    on_alexnet = {"mirror-images": "holds"}
    for code, verdicts in VERDICTS.items():
        seen = {*verdicts.values(), on_alexnet.get(code)}
        assert "holds" in seen, code
        assert seen & {"fails", "partly"}, code
        assert "not_applicable" in seen, code


@pytest.mark.parametrize("name", INPUTS)
def test_verdicts_differ_as_the_models_do(name):
    report = traced(name)
    wanted = {code: verdicts[name] for code, verdicts in VERDICTS.items() if name in verdicts}
    assert {finding.code: finding.verdict for finding in findings(report, wanted)} == wanted


def test_exceptions_are_named_by_layer():
    resnet, transformer = traced("ResNetLike"), traced("Transformer")
    assert evidence(resnet, "stack", "branches") == [{"count": 2, "paths": ["blocks.0.add", "blocks.1.add"]}]
    assert evidence(traced("linear_first"), "stack", "linear_before") == [{"last": "2", "paths": ["0"]}]
    assert [item["path"] for item in evidence(transformer, "relu-outputs", "other_activation")] == ["encoder.linear1"]
    assert [item["path"] for item in evidence(transformer, "relu-outputs", "comes_out")] == ["head"]
    holders = {item["type"]: item["params"] for item in evidence(transformer, "parameters-in-conv-and-linear",
                                                                 "other_holder")}  # fmt: skip
    assert holders == {"Embedding": 1000 * 32, "MultiheadAttention": 4 * 32 * 32 + 4 * 32, "LayerNorm": 2 * 2 * 32}
    (group,) = evidence(traced("group_norm"), "parameters-in-conv-and-linear", "other_holder")
    assert (group["type"], group["params"], group["paths"]) == ("GroupNorm", 2 * 8, ["1"])
    assert [item["path"] for item in evidence(traced("decoder"), "narrow-and-deep", "wider")] == ["2"]


def test_the_papers_norms_put_out_without_a_relu():
    paths = [item["path"] for item in evidence(trace_target("alexnet-paper"), "relu-outputs", "goes_to")]
    assert paths == ["norm1", "norm2", "fc8"]


def test_work_that_was_not_counted_is_told():
    told = evidence(traced("PoolsByHand"), "work-in-one-layer", "uncounted")
    assert told
    assert all(values["operators"] for values in told)


def test_a_checkpoint_is_judged_by_its_parameters_alone(alexnet, tmp_path):
    path = tmp_path / "tidy.pt"
    torch.save(explain_models.tidy().state_dict(), path)
    answer = alexnet("explain", str(path), "--json")
    assert answer.code == 0
    assert answer.json["run"] is None
    verdicts = {finding["code"]: finding["verdict"] for finding in answer.json["findings"]}
    known = {code for code, verdict in verdicts.items() if verdict != "not_applicable"}
    assert known == set(WITHOUT_A_RUN)
    assert verdicts["parameters-in-conv-and-linear"] == "holds"
    assert verdicts["linear-dominates"] == "partly"


def test_a_failed_forward_is_not_judged(alexnet):
    answer = alexnet("explain", "-i", "3,224,224", "--json")
    assert answer.code == 4
    assert {finding["verdict"] for finding in answer.json["findings"]} == {"not_applicable"}
    assert "architecture.14" in answer.json["findings"][0]["evidence"][0]["text"]


@pytest.mark.parametrize("name", CASES)
def test_odd_models_are_judged_without_complaint(name):
    report = traced_case(CASES[name])
    for language in CATALOGUES:
        for finding in tell(findings(report), language):
            assert finding.evidence
            assert (finding.verdict == "not_applicable") == (finding.evidence[0].key in NOT_APPLICABLE), finding


# Languages


def placeholders(template):
    return sorted(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def test_both_catalogues_have_the_same_keys_and_placeholders():
    english, korean = CATALOGUES["en"], CATALOGUES["ko"]
    assert list(english) == list(korean)
    for key, template in english.items():
        assert placeholders(template) == placeholders(korean[key]), key
        assert korean[key] != template, key


def test_every_finding_has_its_claim():
    for code in RULES:
        assert f"claim.{code}" in CATALOGUES["en"]
    for key in CATALOGUES["en"]:
        owner = key.partition(".")[0]
        assert "." not in key or owner in (*RULES, "claim", "verdict", "column", "any"), key


def numbers(text):
    return sorted(number.strip(".,") for number in re.findall(r"\d[\d,.]*", text))


@pytest.mark.parametrize("name", ["alexnet", "alexnet-paper", *INPUTS])
def test_both_languages_say_the_same_numbers(name):
    report = traced(name) if name in INPUTS else trace_target(name)
    judged = findings(report, RULES, changes_of(name, report))
    for english, korean in zip(tell(judged, "en"), tell(judged, "ko"), strict=True):
        assert (english.code, english.verdict) == (korean.code, korean.verdict)
        for one, other in zip(english.evidence, korean.evidence, strict=True):
            assert (one.key, one.values) == (other.key, other.values)
            assert one.text != other.text
            assert numbers(one.text) == numbers(other.text), (one.text, other.text)


def test_long_lists_are_cut_and_said_to_be():
    names = [f"layer{number}" for number in range(MOST_NAMES + 2)]
    assert say("en", "any.uncounted", {"operators": names}).endswith("layer3 and 2 more.")
    assert "외 2개" in say("ko", "any.uncounted", {"operators": names})
    assert "the outputs of the model itself before" in say("en", "any.last_layer", {"path": ""})


# The command


def test_explain_has_exactly_the_stated_keys(alexnet):
    answer = alexnet("explain", "--json")
    assert answer.code == 0
    assert answer.err == ""
    envelope = ["schema_version", "generator", "command", "model", "run", "error"]
    assert list(answer.json) == [*envelope, "findings"]
    assert [finding["code"] for finding in answer.json["findings"]] == list(RULES)
    for finding in answer.json["findings"]:
        assert list(finding) == ["code", "claim", "verdict", "evidence"]
        assert finding["evidence"]
        assert all(list(item) == ["key", "values", "text"] for item in finding["evidence"])
    jsonschema.validate(answer.json, alexnet("schema", "explain").json)


def test_select_and_ignore(alexnet):
    def codes(*arguments):
        return [finding["code"] for finding in alexnet("explain", *arguments, "--json").json["findings"]]

    assert codes("--select", "grouping,stack") == ["stack", "grouping"]  # in the rules' order
    assert codes("--select", "stack", "--select", "grouping", "--ignore", "stack") == ["grouping"]
    assert codes("--ignore", "stack") == list(RULES)[1:]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--select", "grouping2"], "did you mean grouping?"),
        (["--ignore", "stak"], "did you mean stack?"),
        (["--select", "stack", "--ignore", "stack"], "leave no finding"),
        (["--lang", "de"], "known: en, ko"),
    ],
)
def test_wrong_options_exit_2(alexnet, arguments, said):
    answer = alexnet("explain", *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_verdicts_are_words_and_evidence_stands_beneath_its_claim(alexnet):
    out = alexnet("explain", "--width", "100").out
    parts = (
        "Every layer except max-pooling",
        "partly  relu-outputs",
        "- No ReLU runs between architecture.18 (Linear) and log_softmax.",
        "Feature maps go from wide",
        "partly  narrow-and-deep",
    )
    places = [out.index(part) for part in parts]
    assert places == sorted(places)
    korean = alexnet("explain", "--lang", "ko").out
    assert "일부만 맞다  relu-outputs" in korean
    assert "3,025곳" in korean


@pytest.mark.parametrize("language", list(CATALOGUES))
@pytest.mark.parametrize("width", [40, 60, 100])
def test_nothing_is_wider_than_the_page_or_cut(report, language, width):
    told = tell(findings(report, RULES, changes_of("alexnet", report)), language)
    text = render(explain_document(report, told, language), "table", Style(width=width))
    assert max(map(width_of, text.splitlines())) <= width
    assert "…" not in text
    together = "".join(text.split())
    for finding in told:
        for item in finding.evidence:
            assert "".join(item.text.split()) in together


def test_ascii_pages_say_the_same(report):
    told = tell(findings(report), "en")
    text = render(explain_document(report, told, "en"), "table", Style(width=80, unicode=False))
    assert text.isascii()
    assert "3x227x227" in text
    assert "fails  grouping" in text


def test_many_that_are_alike_are_cut_on_the_page_only():
    report = traced("ResNetLike")
    used = [item for item in tell(findings(report, ["weight-sharing"]), "en")[0].evidence if item.key == "used"]
    assert len(used) == MOST_ALIKE + 1
    page = render(explain_document(report, tell(findings(report), "en"), "en"), "table", Style())
    assert used[MOST_ALIKE - 1].text in page
    assert used[MOST_ALIKE].text not in page
    assert "1 more like this" in page


@pytest.mark.parametrize("options", [[], ["--lang", "ko"], ["--format", "html"], ["--json"]])
def test_a_saved_report_is_explained_without_torch(alexnet, tmp_path, options):
    path = tmp_path / "report.json"
    assert alexnet("summary", "--json", "-o", str(path)).code == 0
    done = run_without_torch("explain", str(path), *options)
    assert done.returncode == 0, done.stderr
    assert "architecture.18" in done.stdout
    assert "44,892,355,200" in done.stdout
