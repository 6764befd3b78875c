"""`alexnet fit` as a user meets it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from alexnet_cli import AlexnetError, inspect
from alexnet_cli.analyses.fitting.tried import KINDS
from alexnet_cli.cli.schema import json_schema

BATCH = ("-b", "1024", "--gpu", "gtx-580", "--optimizer", "sgd-momentum")


def test_json_has_the_stated_keys(alexnet):
    answer = alexnet("fit", *BATCH, "--json")
    assert (answer.code, answer.err) == (0, "")
    found = answer.json
    jsonschema.validate(found, json_schema("fit"))
    assert (found["budget_bytes"], found["gpu"]) == (3 * 2**30, "NVIDIA GeForce GTX 580 3GB")
    assert found["chosen"] == found["candidates"][0]
    assert found["lower_bound_bytes"] is None
    assert found["traces"] >= len(found["candidates"])
    for each in found["candidates"]:
        assert each["fits"] is (each["peak_bytes"] <= found["budget_bytes"])
        assert each["over_bytes"] == max(each["peak_bytes"] - found["budget_bytes"], 0)
    asked = next(each for each in found["candidates"] if not each["kinds"])
    assert all(each["saves_bytes"] == asked["peak_bytes"] - each["peak_bytes"] for each in found["candidates"])


def test_the_step_as_asked_is_that_of_memory(alexnet):
    found = alexnet("fit", *BATCH, "--json").json
    asked = next(each for each in found["candidates"] if not each["kinds"])
    assert asked["peak_bytes"] == alexnet("memory", *BATCH, "--json").json["training"]["peak_bytes"]
    assert asked["slowdown"] == 1


def test_the_first_that_fits_costs_least_of_those_with_the_same_result(alexnet):
    found = alexnet("fit", *BATCH, "--json").json
    rivals = [each for each in found["candidates"] if each["fits"] and each["same_result"]]
    assert len(rivals) > 1
    assert found["chosen"]["seconds_floor"] == min(each["seconds_floor"] for each in rivals)
    assert "chosen" in alexnet("fit", *BATCH).out


def test_where_the_step_fits_nothing_is_changed(alexnet):
    answer = alexnet("fit", "--budget", "8GiB", "--json")
    assert (answer.code, answer.json["chosen"]["change"], answer.json["traces"]) == (0, "as asked", 1)
    assert "none is needed" in alexnet("fit", "--budget", "8GiB").out


def test_a_budget_that_nothing_reaches_says_so_with_the_least_peak(alexnet, tmp_path):
    file = tmp_path / "patch.py"
    all_trained = ("--without", "lora", "--without", "qlora", "--without", "freeze")
    step = ("-b", "64", "--optimizer", "adamw", "--budget", "100MiB", *all_trained)
    answer = alexnet("fit", *step, "--emit", str(file), "--json")
    assert answer.code == 1
    found = answer.json
    assert found["chosen"] is None
    assert found["emitted"] is None
    assert not file.exists()
    assert found["lower_bound_bytes"] == min(each["peak_bytes"] for each in found["candidates"])
    weights = 4 * 62_378_344
    assert 2 * weights < found["lower_bound_bytes"] < 3 * weights  # weights, gradients, and what is at work
    assert "nothing fits in 100.00 MiB" in answer.err


def test_kinds_that_are_not_wanted_are_not_tried(alexnet):
    unwanted = [name for name in KINDS if name != "checkpoint"]
    asked = [word for name in unwanted for word in ("--without", name)]
    found = alexnet("fit", *BATCH, *asked, "--json").json
    assert {kind for each in found["candidates"] for kind in each["kinds"]} == {"checkpoint"}


def test_without_a_gpu_work_is_counted_in_flops(alexnet):
    found = alexnet("fit", "-b", "256", "--budget", "1200MiB", "--json").json
    assert found["hardware"] is None
    for each in found["candidates"]:
        assert each["seconds_floor"] is None
        asked = next(other for other in found["candidates"] if not other["kinds"])
        for_as_many = 256 / each["step"]["batch_size"]
        assert each["slowdown"] == pytest.approx(each["flops"] * for_as_many / asked["flops"])


def test_for_the_cpu_peaks_are_those_of_memory_with_workspaces(alexnet):
    cuda, cpu = (
        alexnet("fit", "-b", "4", "--budget", "8GiB", "--no-foreach", *words, "--json").json
        for words in ((), ("--for", "cpu"))
    )
    assert (cuda["predicted_for"], cpu["predicted_for"]) == ("cuda", "cpu")
    held = alexnet("memory", "-b", "4", "--no-foreach", "--for", "cpu", "--json").json
    assert cpu["chosen"]["peak_bytes"] == held["training"]["peak_bytes"] > cuda["chosen"]["peak_bytes"]
    assert "for the CPU" in alexnet("fit", "-b", "4", "--budget", "8GiB", "--for", "cpu").out


def test_the_code_is_written_and_named(alexnet, tmp_path):
    file = tmp_path / "patch.py"
    answer = alexnet("fit", *BATCH, "--emit", str(file), "--json")
    assert answer.json["emitted"] == str(file)
    text = file.read_text()
    assert text.startswith("# How a training step of alexnet fits: ")
    assert f"MICRO_BATCHES = {answer.json['chosen']['step']['micro_batches']}" in text
    assert [each.name for each in tmp_path.iterdir()] == ["patch.py"]  # nothing half written beside it


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--budget 24GiB"),
        (["--gpu", "h1000"], "did you mean h100-sxm"),
        (["--budget", "24"], "24GiB"),
        (["--gpu", "t4", "--for", "cpu"], "give --budget"),
        (["--budget", "1GiB", "--for", "gpu"], "known: cuda, cpu"),
        (["--gpu", "apple-m1"], "--budget"),
        (["--gpu", "t4", "--optimizer", "adma"], "did you mean adam?"),
        (["--gpu", "t4", "--amp", "int8"], "known: bf16, fp16"),
        (["--gpu", "t4", "--loss", "cross-entropie"], "did you mean cross-entropy?"),
        (["--gpu", "t4", "--without", "compile"], "known: checkpoint, micro-batches"),
        (["--gpu", "t4", "--lora", "0"], "--lora 16"),
        (["--gpu", "t4", "--emit", "patch.txt"], "patch.py"),
        (["--gpu", "t4", "--emit", "no/such/folder/patch.py"], "make it first"),
        (["--gpu", "t4", "-b", "0"], "batch-size"),
    ],
)
def test_invalid_options_are_refused_with_what_to_do(alexnet, arguments, said):
    answer = alexnet("fit", *arguments)
    if arguments == ["--gpu", "apple-m1"] and answer.code == 0:
        pytest.skip("its memory is known")
    assert answer.code == 2
    assert said in answer.err
    assert answer.out == ""


def test_the_page_shows_the_code_that_is_written(tmp_path):
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "fit.md").read_text()
    *_, command = re.findall(r"^\$ alexnet (fit .*)$", page, re.MULTILINE)
    words = [sys.executable, "-m", "alexnet_cli", *command.split(), "--emit", str(tmp_path / "patch.py")]
    subprocess.run(words, cwd=docs, capture_output=True, check=True)
    [shown] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert (tmp_path / "patch.py").read_text() == shown


def test_what_has_no_step_is_refused(alexnet, tmp_path):
    path = tmp_path / "report.json"
    assert alexnet("summary", "--json", "-o", str(path)).code == 0
    assert "needs a model to run" in alexnet("fit", str(path), "--gpu", "t4").err
    net = tmp_path / "net.py"
    net.write_text("from torch import nn\nfrozen = nn.Linear(4, 4).requires_grad_(False)\n")
    answer = alexnet("fit", f"{net}:frozen", "-i", "4", "--gpu", "t4")
    assert (answer.code, "nothing to train" in answer.err) == (2, True)


def test_a_model_that_fails_is_explained(alexnet):
    answer = alexnet("fit", "-i", "3,224,224", "--gpu", "t4", "--json")
    assert (answer.code, answer.json["error"]["path"]) == (4, "architecture.14")
    assert answer.json["chosen"] is None


def test_the_api_gives_the_same(alexnet):
    found = inspect("alexnet", batch_size=1024).fit(gpu="gtx-580", optimizer="sgd-momentum")
    assert json.loads(found.json())["chosen"] == alexnet("fit", *BATCH, "--json").json["chosen"]
    assert "What was tried" in str(found)


def test_the_api_raises_nothing_where_nothing_fits():
    found = inspect("alexnet").fit(budget="1MiB")
    assert found.chosen is None
    with pytest.raises(AlexnetError, match="unknown optimizer"):
        inspect("alexnet").fit(budget="1MiB", optimizer="adma")
