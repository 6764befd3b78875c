"""What a training step shows of a model's wiring: each defect is found, and its twin without the defect is not."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import torch
import wiring_models
from helpers import trace_target

from alexnet_cli.analyses.check import sentence
from alexnet_cli.analyses.findings.finding import Finding
from alexnet_cli.analyses.findings.one_layer import Changes
from alexnet_cli.analyses.findings.rules import OF_WIRING, RULES, findings, is_shown, wiring_findings
from alexnet_cli.answers.check import check, read_asked
from alexnet_cli.cli.ci_formats import github
from alexnet_cli.messages import CATALOGUES
from alexnet_cli.session.changes import STEP
from alexnet_cli.session.session import Live, Named, Session
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.views.explain import tell

HERE = Path(wiring_models.__file__)
RUNS_ONCE = """
from torch import nn


class Own(BaseException):
    pass


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 5)
        self.kept = []

    def forward(self, x):
        self.kept.append(self.fc(x))
        if len(self.kept) > 1:
            raise RAISED
        return self.kept[0]
"""
BATCH, WIDTH, FLOAT = 4, 8, 4
PICTURE, VECTOR, TOKENS = "3,8,8", "8", "16:int64"
DEFECTS = {
    "Unreached": (VECTOR, "gradients-reach-all", "partly", "reached"),
    "Optimised": (VECTOR, "optimiser-has-all", "partly", "optimised_whole"),
    "Grows": (VECTOR, "nothing-grows", "fails", "bounded"),
    "FrozenPart": (PICTURE, "modes-agree", "fails", "StaysFrozen"),
    "TrainedInEval": (PICTURE, "modes-agree", "fails", "trained_in_training"),
    "FrozenNorm": (PICTURE, "modes-agree", "fails", "trained_in_training"),
    "AlwaysDrops": (VECTOR, "modes-agree", "fails", "asks_for_the_mode"),
    "NormsOne": (VECTOR, "modes-agree", "fails", "norms_all"),
    "Copies": (VECTOR, "kept-once", "fails", "shares"),
    "Casts": (VECTOR, "no-wider-casts", "fails", "casts_nothing"),
    "AllLogits": (TOKENS, "few-logits", "fails", "chunked"),
}
DTYPES = {"Casts": "bfloat16", "casts_nothing": "bfloat16"}


@cache
def session(name: str, size: str = VECTOR, batch: int = BATCH) -> Session:
    how = TraceOptions(inputs=(parse_input(size),), batch_size=batch, dtype=DTYPES.get(name))
    return Session(Named(f"{HERE}:{name}"), how, cache=False)


def found(name: str, code: str, size: str = VECTOR, batch: int = BATCH) -> Finding:
    about = session(name, size, batch)
    (finding,) = findings(about.report(), [code], Changes(about.report(), {}, step=about.training(STEP)))
    return finding


def evidence(name: str, code: str, key: str, size: str = VECTOR) -> list[dict]:
    return [item.values for item in found(name, code, size).evidence if item.key == key]


def line(text: str, *, last: bool = False) -> str:
    """Return a line of the models' file as it is told."""
    numbered = [
        f"{HERE}:{number}: {each.strip()}"
        for number, each in enumerate(HERE.read_text().splitlines(), 1)
        if text in each
    ]
    return numbered[-1 if last else 0]


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found_and_its_twin_has_none(name):
    size, code, verdict, twin = DEFECTS[name]
    assert found(name, code, size).verdict == verdict
    assert is_shown(code, verdict)
    assert found(twin, code, size).verdict == "holds"


# Gradients and the optimiser


def test_parameters_without_a_gradient_are_named_by_why_and_where():
    assert evidence("Unreached", "gradients-reach-all", "counts") == [{"trained": 6, "missed": 4}]
    assert evidence("Unreached", "gradients-reach-all", "cut_off") == [
        {
            "path": "aside",
            "names": ["aside.weight", "aside.bias"],
            "params": WIDTH * 4 + 4,
            "line": line("self.aside = "),
        }
    ]
    (unread,) = evidence("Unreached", "gradients-reach-all", "not_read")
    assert (unread["path"], unread["params"]) == ("spare", WIDTH * 2 + 2)
    assert unread["line"] == line("self.spare = ")


def test_they_are_those_that_torch_leaves_without_a_gradient():
    model = wiring_models.Unreached()
    model(torch.ones(BATCH, WIDTH)).sum().backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    wiring = session("Unreached").training(STEP).wiring
    assert {it.name for it in wiring.without_gradient} == without


def test_frozen_parameters_wait_for_no_gradient():
    assert found("frozen", "gradients-reach-all").verdict == "holds"
    assert found("frozen", "ddp-takes-it").verdict == "holds"


def test_the_optimiser_is_the_models_own_or_unknown():
    (left,) = evidence("Optimised", "optimiser-has-all", "left_out")
    assert (left["path"], left["names"], left["line"]) == (
        "head",
        ["head.weight", "head.bias"],
        line("self.head = nn.Linear(8, 2)"),
    )
    assert found("optimised_whole", "optimiser-has-all").verdict == "holds"
    for name, key in [
        ("reached", "no_optimiser"),
        ("OptimisedByArguments", "needs_arguments"),
        ("optimiser_fails", "optimiser_failed"),
    ]:
        unknown = found(name, "optimiser-has-all")
        assert (unknown.verdict, [item.key for item in unknown.evidence]) == ("not_applicable", [key])


# DistributedDataParallel


def test_ddp_needs_to_search_for_unused_parameters():
    (unused,) = evidence("Unreached", "ddp-takes-it", "find_unused")
    assert (unused["count"], unused["names"][0]) == (4, "aside.weight")
    assert found("reached", "ddp-takes-it").verdict == "holds"


def test_ddp_takes_no_parameters_without_a_shape_and_no_growing_buffers():
    assert evidence("Lazy", "ddp-takes-it", "lazy") == [{"names": ["fc.weight", "fc.bias"]}]
    (buffer,) = evidence("Grows", "ddp-takes-it", "buffer")
    assert buffer["name"] == "seen"
    assert found("bounded", "ddp-takes-it").verdict == "holds"


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without torch.distributed")
def test_it_is_what_ddp_does(tmp_path):
    """One process is enough: the reducer waits for every parameter all the same."""

    def two_steps(model):
        model = torch.nn.parallel.DistributedDataParallel(model)
        for _ in range(2):
            output = model(torch.ones(BATCH, WIDTH))
            sum(each.sum() for each in (output if isinstance(output, tuple) else (output,))).backward()

    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/ddp", rank=0, world_size=1)
    try:
        two_steps(wiring_models.reached())
        with pytest.raises(RuntimeError, match="find_unused_parameters"):
            two_steps(wiring_models.Unreached())
    finally:
        torch.distributed.destroy_process_group()


# What grows


def test_what_grows_is_told_with_its_line_and_whether_it_holds_a_graph():
    rows = WIDTH * FLOAT
    (buffer,) = evidence("Grows", "nothing-grows", "buffer")
    assert buffer == {
        "name": "seen",
        "before": (1 + BATCH) * rows,
        "after": (1 + 2 * BATCH) * rows,
        "line": line("torch.cat([self.seen"),
    }
    (losses,) = evidence("Grows", "nothing-grows", "graph")
    assert (losses["name"], losses["before"], losses["after"]) == ("losses", FLOAT, 2 * FLOAT)


# Modes


def test_a_part_put_into_eval_mode_when_made_is_in_training_mode_again():
    (undone,) = evidence("FrozenPart", "modes-agree", "undone", PICTURE)
    assert (undone["region"], undone["line"]) == ("backbone", line("self.backbone.eval()"))
    model = wiring_models.FrozenPart().train()
    assert model.backbone.norm.training
    assert not wiring_models.StaysFrozen().train().backbone.norm.training


def test_a_trained_part_in_eval_mode_names_its_layers():
    (told,) = evidence("TrainedInEval", "modes-agree", "eval", PICTURE)
    assert (told["region"], told["paths"]) == ("backbone", ["backbone.norm", "backbone.drop"])


def test_a_frozen_norm_that_updates_its_statistics():
    (told,) = evidence("FrozenNorm", "modes-agree", "updates", PICTURE)
    assert told["paths"] == ["part.norm"]


def test_functions_that_do_not_ask_for_the_mode_are_told_by_their_line():
    told = evidence("AlwaysDrops", "modes-agree", "always")
    assert [(values["types"], values["line"]) for values in told] == [
        (["dropout"], line("F.dropout(")),
        (["batch_norm"], line("F.batch_norm(")),
        (["scaled_dot_product_attention"], line("F.scaled_dot_product_attention(")),
    ]


def test_a_batch_of_one_is_a_remark_and_one_sample_of_a_batch_a_defect():
    assert [values["paths"] for values in evidence("NormsOne", "modes-agree", "one_sample")] == [["norm"]]
    alone = found("trained_in_training", "modes-agree", PICTURE, batch=1)
    assert (alone.verdict, [item.key for item in alone.evidence]) == ("partly", ["batch_of_one"])
    assert not is_shown("modes-agree", "partly")


# What is kept


def test_copies_and_what_is_computed_twice_are_kept_twice():
    size = BATCH * WIDTH * FLOAT
    (copy,) = evidence("Copies", "kept-once", "copy")
    (again,) = evidence("Copies", "kept-once", "again")
    assert (copy["bytes"], copy["line"]) == (size, line("copy = gate.clone()"))
    assert (again["bytes"], again["line"]) == (size, line("self.out(copy)"))
    (total,) = evidence("Copies", "kept-once", "total")
    assert total["bytes"] == 2 * size


def test_an_in_place_activation_keeps_no_second_copy():
    """torch keeps a copy of what it overwrites; the values differ from then on."""
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.SiLU(inplace=True), torch.nn.Linear(8, 8))
    about = Session(Live(model), TraceOptions(inputs=(parse_input(VECTOR),)), cache=False)
    step = about.training(STEP)
    assert any(operation.op == "clone" for operation in step.tape.operations)
    assert wiring_findings(about.report(), step) == ()


def test_a_cast_to_a_wider_dtype_keeps_what_it_adds():
    (wider,) = evidence("Casts", "no-wider-casts", "wider")
    assert (wider["given"], wider["made"]) == ("bfloat16", "float32")
    assert wider["bytes"] == BATCH * WIDTH * (4 - 2)
    assert wider["line"] == line("x.float() if self.wide")


def test_all_logits_count_with_what_softmax_and_backward_make_of_them():
    tokens, words = BATCH * 16, wiring_models.AllLogits.WORDS
    (told,) = evidence("AllLogits", "few-logits", "logits", TOKENS)
    assert (told["positions"], told["classes"]) == (tokens, words)
    assert told["bytes"] == 3 * tokens * words * FLOAT  # their log-softmax, and a gradient of each
    assert told["line"] == line("F.cross_entropy(self.head(x), labels)")


def test_a_classifiers_loss_has_one_row_for_each_sample():
    assert found("Classifies", "few-logits").verdict == "not_applicable"


# How it is told


def test_texts_are_there_in_both_languages_for_all_that_is_told():
    for name, (size, code, *_) in DEFECTS.items():
        for language in CATALOGUES:
            (told,) = tell([found(name, code, size)], language)
            assert told.claim
            assert all(item.text and "{" not in item.text.replace("{self", "") for item in told.evidence)
    korean = re.compile("[가-힣]")
    assert all(korean.search(CATALOGUES["ko"][f"claim.{code}"]) for code in OF_WIRING)


def test_a_model_of_another_object_has_lines_where_it_runs():
    about = Session(Live(wiring_models.Copies()), TraceOptions(inputs=(parse_input(VECTOR),)), cache=False)
    (finding,) = wiring_findings(about.report(), about.training(STEP))
    assert line("gate.clone()") in [item.values.get("line") for item in finding.evidence]


def test_a_saved_report_and_a_failed_step_have_no_wiring():
    report = trace_target("alexnet")
    (finding,) = findings(report, ["gradients-reach-all"])
    assert [item.key for item in finding.evidence] == ["no_training_step"]
    assert RULES["gradients-reach-all"].judged("it broke").evidence[0].values == {"error": "it broke"}


def test_explain_shows_what_fails_and_lists_all_in_json(alexnet):
    shown = alexnet("explain", f"{HERE}:Unreached", "-i", VECTOR, "-b", "4")
    assert "gradients-reach-all" in shown.out
    assert "nothing-grows" not in shown.out
    asked = alexnet("explain", f"{HERE}:Unreached", "-i", VECTOR, "--select", "nothing-grows", "--json")
    assert [finding["verdict"] for finding in asked.json["findings"]] == ["holds"]


def test_memory_tells_what_fails(alexnet):
    answer = alexnet("memory", f"{HERE}:Grows", "-i", VECTOR, "--json")
    jsonschema.validate(answer.json, alexnet("schema", "memory").json)
    assert {finding["code"] for finding in answer.json["wiring"]} == {"nothing-grows", "ddp-takes-it"}
    assert "self.seen" in alexnet("memory", f"{HERE}:Grows", "-i", VECTOR).out
    assert alexnet("memory", f"{HERE}:reached", "-i", VECTOR, "--json").json["wiring"] == []


@pytest.mark.parametrize("option", ["--no-unused-gradients", "--ddp-safe"])
def test_check_fails_by_name_and_holds_for_the_twin(alexnet, option):
    name = option.removeprefix("--")
    answer = alexnet("check", f"{HERE}:Unreached", "-i", VECTOR, option, "-f", "junit")
    assert answer.code == 1
    (failure,) = ET.fromstring(answer.out).iter("failure")
    assert "aside.weight" in failure.get("message")
    assert "wiring_models.py" in failure.get("message")
    assert f"error: {name}: 4 " in answer.err
    assert alexnet("check", f"{HERE}:reached", "-i", VECTOR, option).code == 0


def test_check_counts_in_words_and_annotates():
    about, asked = session("Lazy"), read_asked({"ddp-safe": True, "no-unused-gradients": True})
    result = check(about, asked).result
    assert [(each.name, each.value, each.passed) for each in result.checks] == [
        ("no-unused-gradients", 0, True),
        ("ddp-safe", 2, False),
    ]
    assert sentence(result.checks[1]) == "2 obstacles; fc.weight, fc.bias"
    assert github(result).startswith("::error title=ddp-safe of ")


def test_both_stand_in_pyproject_and_can_be_switched_off(alexnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.alexnet.check]\nddp-safe = true\nno-unused-gradients = true\n")
    target = ("check", f"{HERE}:Unreached", "-i", VECTOR, "--json")
    answer = alexnet(*target)
    assert (answer.code, len(answer.json["checks"])) == (1, 2)
    off = alexnet(*target, "--not-ddp-safe")
    assert [each["name"] for each in off.json["checks"]] == ["no-unused-gradients"]


def test_a_model_with_nothing_to_train_has_no_step_to_check(alexnet):
    answer = alexnet("check", f"{HERE}:nothing_to_train", "-i", VECTOR, "--ddp-safe", "--json")
    assert answer.code == 1
    assert answer.json["checks"][0]["value"] is None


def test_random_operators_are_never_the_same_twice():
    """Whatever torch calls random and elementwise is left out of what is computed again."""
    from alexnet_cli.analyses.findings.kept import _RANDOM

    random = [
        name
        for name in dir(torch.ops.aten)
        for overload in [getattr(torch.ops.aten, name)]
        if hasattr(overload, "overloads")
        and any(torch.Tag.nondeterministic_seeded in getattr(overload, each).tags for each in overload.overloads())
        and any(torch.Tag.pointwise in getattr(overload, each).tags for each in overload.overloads())
    ]
    assert [name for name in random if not _RANDOM.search(name)] == []


@pytest.mark.parametrize(("raised", "told"), [("Own", True), ("GeneratorExit", True), ("KeyboardInterrupt", False)])
def test_a_forward_that_cannot_run_twice_is_told_from_the_step_that_ran(alexnet, tmp_path, raised, told):
    (tmp_path / "net.py").write_text(RUNS_ONCE.replace("RAISED", raised), encoding="utf-8")
    answer = alexnet("memory", f"{tmp_path / 'net.py'}:Net", "-i", "4")
    assert (answer.code, answer.err) == ((0, "") if told else (130, "interrupted\n"))
    assert told == ("training step" in answer.out)
