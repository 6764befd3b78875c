"""What `explain` says of the layer to change first: the numbers of a trace, held to arithmetic done here."""

from __future__ import annotations

import os

import explain_models
import pytest
from helpers import trace_target
from test_explain import HERE, changes_of, traced
from test_floors import run_without_torch
from test_trace import CONV_MACS, CONV_PARAMS, LINEAR_MACS, LINEAR_PARAMS

from alexnet_cli.analyses.findings.one_layer import MOST_TRIED, Refused
from alexnet_cli.analyses.findings.rules import OF_WIRING, RULES, candidates, findings
from alexnet_cli.messages import CATALOGUES
from alexnet_cli.session.session import Session
from alexnet_cli.views.explain import tell

SIZE, WORK, OUTPUTS = CODES = ("size-in-one-layer", "work-in-one-layer", "outputs-in-one-layer")
FLOAT, INDEX = 4, 8  # bytes of a float32, and of where in its window a maximum was


@pytest.fixture(scope="module")
def alexnets_evidence(report):
    judged = findings(report, CODES, changes_of("alexnet", report, CODES))
    return {finding.code: {item.key: item.values for item in finding.evidence} for finding in judged}


def said(name, code, **options):
    """Return the evidence of a finding, with the changes that it proposes traced."""
    report = traced(name, **options)
    (finding,) = findings(report, [code], changes_of(name, report, [code], **options))
    return [(item.key, item.values) for item in finding.evidence]


# AlexNet, by hand


def test_half_the_first_linear_layer(alexnets_evidence):
    before = sum(CONV_PARAMS + LINEAR_PARAMS)
    fewer = (9216 * 2048 + 2048) + 2048 * 4096  # its own weights and biases, and the weights that took the half
    assert alexnets_evidence[SIZE]["halved"] == {
        "path": "architecture.14",
        "width": 4096,
        "half": 2048,
        "followers": ["architecture.16"],
        "before": before,
        "after": before - fewer,
        "share": fewer / before,
    }


def test_half_the_second_convolution(alexnets_evidence):
    before = sum(CONV_MACS + LINEAR_MACS)
    fewer = 128 * 96 * 5**2 * 27**2 + 384 * 128 * 3**2 * 13**2
    assert alexnets_evidence[WORK]["halved"] == {
        "path": "architecture.3",
        "width": 256,
        "half": 128,
        "followers": ["architecture.6"],
        "before": before,
        "after": before - fewer,
        "share": fewer / before,
    }


def test_half_the_first_convolution(alexnets_evidence):
    convolutions = 96 * 55**2 + 256 * 27**2 + (384 + 384 + 256) * 13**2
    poolings = 96 * 27**2 + 256 * 13**2 + 256 * 6**2
    before = FLOAT * (convolutions + poolings + 4096 + 4096 + 1000 + 1000)  # ReLUs work in place, softmax does not
    fewer = FLOAT * 48 * (55**2 + 27**2)
    halved = alexnets_evidence[OUTPUTS]["halved"]
    assert (halved["path"], halved["followers"]) == ("architecture.0", ["architecture.3"])
    assert (halved["before"], halved["after"]) == (before, before - fewer)


def test_what_half_the_first_convolution_saves_in_training(alexnets_evidence):
    before = 4_725_004  # what torch.autograd.graph.saved_tensors_hooks sees on the CPU: facts about AlexNet
    fewer = 48 * (FLOAT * 55**2 + (FLOAT + INDEX) * 27**2)  # kept: the ReLU's output, the pooling's, and its indices
    assert alexnets_evidence[OUTPUTS]["kept"] == {
        "path": "architecture.0",
        "before": before,
        "after": before - fewer,
        "share": fewer / before,
    }


@pytest.mark.parametrize(
    ("target", "first", "second"),
    [("alexnet-paper", "fc6", "fc7"), ("alexnet-owt", "classifier.1", "classifier.4")],
)
def test_half_the_first_linear_layer_of_a_variant(target, first, second):
    report = trace_target(target)
    (finding,) = findings(report, [SIZE], changes_of(target, report, [SIZE]))
    (halved,) = [item.values for item in finding.evidence if item.key == "halved"]
    assert (halved["path"], halved["followers"]) == (first, [second])
    assert halved["before"] - halved["after"] == (9216 * 2048 + 2048) + 2048 * 4096


def test_groups_go_on_in_the_paper():
    report = trace_target("alexnet-paper")
    (finding,) = findings(report, [WORK], changes_of("alexnet-paper", report, [WORK]))
    (halved,) = [item.values for item in finding.evidence if item.key == "halved"]
    assert (halved["path"], halved["followers"]) == ("conv2", ["conv3"])
    assert halved["before"] - halved["after"] == 128 * 48 * 5**2 * 27**2 + 384 * 128 * 3**2 * 13**2


# Other networks


def test_the_inside_of_a_residual_block_can_be_changed_its_end_cannot():
    (_, largest), (key, refused), (halved_key, halved) = said("ResNetLike", SIZE)
    assert largest["path"] == refused["path"] == "blocks.1.conv2"
    assert (key, refused["at"]) == ("does_not_fit", "blocks.1.add")
    assert (halved_key, halved["path"]) == ("halved", "blocks.1.conv1")
    assert halved["followers"] == ["blocks.1.bn1", "blocks.1.conv2"]
    assert halved["before"] - halved["after"] == 16 * 16 * 9 + 2 * 16 + 32 * 16 * 9


def test_concatenated_channels_are_taken_in_where_they_arrive():
    (_, largest), (key, refused), (halved_key, halved), (kept_key, _) = said("UNet", OUTPUTS)
    assert (largest["path"], key, refused["path"]) == ("cat", "other_kind", "cat")
    assert (halved_key, halved["path"], kept_key) == ("halved", "first.0", "kept")
    assert halved["followers"] == ["first.1", "deep.0", "last"]
    halves = 3 * 8 * 16**2 + 8 * 8**2 + 8 * 16**2  # convolution, norm, ReLU; pooled; in the concatenation
    assert halved["before"] - halved["after"] == FLOAT * halves


def test_a_transformer_is_changed_inside_its_feed_forward():
    keys = [(key, values["path"]) for key, values in said("Transformer", WORK)]
    assert keys == [("largest", "head"), ("last_layer", "head"), ("halved", "encoder.linear1")]
    (*_, (_, halved)) = said("Transformer", WORK)
    assert halved["followers"] == ["encoder.linear2"]
    assert halved["before"] - halved["after"] == 16 * (32 * 32 + 32 * 32)


def test_halving_a_layer_of_an_mlp():
    assert said("mlp", SIZE)[1:] == [
        (
            "halved",
            {
                "path": "0",
                "width": 30,
                "half": 15,
                "followers": ["2"],
                "before": 754,
                "after": (20 * 15 + 15) + (15 * 4 + 4),
                "share": (754 - 379) / 754,
            },
        )
    ]


def test_norms_that_follow_are_named():
    (*_, (_, halved)) = said("normed", WORK)
    assert (halved["path"], halved["followers"]) == ("3", ["4", "7"])
    assert halved["before"] - halved["after"] == 6 * 8 * 3**2 * 4**2 + 6 * 16 * 5


def test_only_the_largest_layers_are_tried():
    keys = said("one_place_at_the_end", SIZE)
    assert [(key, values["path"]) for key, values in keys] == [("largest", "2"), ("last_layer", "2"), ("halved", "0")]
    report = traced("alike")
    assert candidates(report, [SIZE]) == {SIZE: ("0", "1", "2")}
    assert len(candidates(report, [SIZE])[SIZE]) == MOST_TRIED
    assert [key for key, _ in said("Rounds", SIZE)] == ["largest", "shared_weights", "shared_weights", "last_layer"]


def test_nothing_to_train_and_a_step_that_fails_are_told():
    assert [key for key, _ in said("frozen", OUTPUTS)] == ["largest", "halved", "no_step"]
    assert [key for key, _ in said("pooled", OUTPUTS)] == ["largest", "halved", "no_step"]
    assert [key for key, _ in said("pooled", OUTPUTS, batch_size=2)] == ["largest", "halved", "kept"]


def test_a_model_that_needs_values_is_not_changed(alexnet):
    answer = alexnet("explain", f"{HERE}:Looks", "-i", "8", "--select", ",".join(CODES), "--json")
    assert answer.code == 0
    for finding in answer.json["findings"]:
        assert [item["key"] for item in finding["evidence"]] == ["largest", "needs_values"]


def test_a_change_is_traced_on_meta_wherever_the_model_ran(alexnet):
    def evidence(*options):
        out = alexnet("explain", f"{HERE}:normed", "-i", "4,8,8", "--select", ",".join(CODES), "--json", *options)
        return [item["values"] for finding in out.json["findings"] for item in finding["evidence"][1:]]

    assert evidence("--device", "cpu") == evidence()


@pytest.mark.parametrize("language", list(CATALOGUES))
@pytest.mark.parametrize(
    "refused",
    [
        Refused("does_not_fit", {"at": "there"}),
        Refused("last_layer", {}),
        Refused("not_divisible", {"at": "there", "width": 12, "groups": 8}),
        Refused("shared_weights", {"at": "there"}),
        Refused("other_weights", {"at": "there", "type": "Odd"}),
        Refused("other_kind", {"type": "Odd"}),
        Refused("too_few", {"width": 3}),
        Refused("needs_values", {}),
        Refused("not_built", {"error": "there is no memory"}),
    ],
    ids=lambda value: value.key if isinstance(value, Refused) else value,
)
def test_every_reason_is_said_in_words(report, language, refused):
    changes = changes_of("alexnet", report, [SIZE])
    after = dict.fromkeys(changes.after, refused)
    (finding,) = tell(findings(report, [SIZE], type(changes)(changes.before, after)), language)
    told = finding.evidence[1]
    assert told.key == refused.key
    assert "architecture.14" in told.text
    for value in refused.values.values():
        assert str(value) in told.text


# The command


def test_the_page_says_that_it_was_traced_in_both_languages(alexnet):
    english = alexnet("explain", "--select", ",".join(CODES), "--width", "400").out
    korean = alexnet("explain", "--select", ",".join(CODES), "--lang", "ko", "--width", "400").out
    assert english.count("(traced)") == korean.count("(추적값)") == 4
    assert "With 2,048 outputs instead of 4,096 in architecture.14, and architecture.16 to match" in english
    assert "35,113,320" in english
    assert "35,113,320" in korean
    assert "architecture.14 층의 출력을 4,096개에서 2,048개로 줄이고" in korean


def test_a_saved_report_says_that_it_cannot_be_run(alexnet, tmp_path):
    path = tmp_path / "report.json"
    assert alexnet("summary", "--json", "-o", str(path)).code == 0
    done = run_without_torch("explain", str(path), "--select", ",".join(CODES))
    assert done.returncode == 0, done.stderr
    assert "".join(done.stdout.split()).count("asavedreportoracheckpointcannotberun") == len(CODES)
    assert "traced)" not in done.stdout


def test_a_report_from_standard_input_is_read_once(alexnet, monkeypatch, tmp_path):
    path = tmp_path / "report.json"
    assert alexnet("summary", "--json", "-o", str(path)).code == 0
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        answer = alexnet("explain", "-", "--select", SIZE, "--json")
    assert answer.code == 0
    assert [item["key"] for item in answer.json["findings"][0]["evidence"]] == ["largest", "not_traced"]


def test_nothing_more_is_run_where_no_change_is_proposed(alexnet, monkeypatch):
    def refuse(*_arguments, **_options):
        pytest.fail("it was run again")

    monkeypatch.setattr(Session, "vary", refuse)
    without = [code for code in RULES if code not in (*CODES, *OF_WIRING)]
    assert alexnet("explain", "--select", ",".join(without)).code == 0
    assert alexnet("explain", "-i", "3,224,224").code == 4


def test_what_the_model_prints_is_not_printed_again(alexnet, tmp_path):
    path = tmp_path / "loud.py"
    path.write_text(
        "from torch import nn\nprint('imported')\n\n"
        "class Loud(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 4)\n"
        "    def forward(self, x):\n        print('forward')\n        return self.b(self.a(x))\n"
    )
    answer = alexnet("explain", f"{path}:Loud", "-i", "8")
    assert (answer.err.count("imported"), answer.err.count("forward")) == (1, 1)
    assert "(traced)" in "".join(answer.out)


def test_kept_answers_tell_the_changed_model_from_the_original(alexnet, cache_folder):
    first = alexnet("explain", "--json").json
    kept = len(list(cache_folder.iterdir()))
    assert kept == 1 + 3 + 2  # the model, three changes of it, a training step with and without one of them
    again = run_without_torch("explain", "--json", ALEXNET_CACHE_DIR=os.environ["ALEXNET_CACHE_DIR"])
    assert again.returncode == 0, again.stderr
    assert again.stdout == alexnet("explain", "--json").out
    assert alexnet("explain", "--no-cache", "--json").json == first
    assert alexnet("params", "--json").json["totals"]["params"] == sum(CONV_PARAMS + LINEAR_PARAMS)
    assert alexnet("memory", "--json").json["training"]["saved_activation_bytes"] == 4_725_004


def test_a_kept_change_of_ones_own_model_goes_with_its_file(alexnet, tmp_path):
    path = tmp_path / "mine.py"

    def saved(hidden):
        path.write_text(
            f"from torch import nn\ndef net(): return nn.Sequential(nn.Linear(20, {hidden}), nn.Linear({hidden}, 4))\n"
        )
        os.utime(path, (1, 1))
        for _ in range(2):  # the second answer is the kept one
            answer = alexnet("explain", f"{path}:net", "-i", "20", "--cache", "--select", SIZE, "--json").json
        return answer["findings"][0]["evidence"][1]["values"]["after"]

    assert saved(30) == 20 * 15 + 15 + 15 * 4 + 4
    assert saved(40) == 20 * 20 + 20 + 20 * 4 + 4


def test_an_argument_cannot_pass_for_a_change(alexnet):
    answer = alexnet("explain", "--arg", "half the outputs of architecture.14")
    assert answer.code == 2
    assert "not of the form name=value" in answer.err


def test_ones_own_module_is_the_same_after_it(alexnet):
    """The same module is handed out for each trace: a change that stayed would be seen by the next one."""
    answer = alexnet(
        "explain", "explain_models:made_before", "-i", "20", "-b", "2", "--select", ",".join(CODES), "--json"
    )
    found_first = [finding["evidence"][1]["values"] for finding in answer.json["findings"]]
    assert [(values["width"], values["half"]) for values in found_first] == [(30, 15)] * 3
    assert (found_first[0]["before"], found_first[0]["after"]) == (
        (20 * 30 + 30) + 2 * 30 + (30 * 4 + 4),
        (20 * 15 + 15) + 2 * 15 + (15 * 4 + 4),
    )
    made = explain_models.made_before()
    assert (made[0].out_features, made[1].num_features, made[3].in_features) == (30, 30, 30)
    assert not any(part._forward_pre_hooks for part in made.modules())
