"""`alexnet memory` and `alexnet check --max-train-memory` as a user meets them."""

from __future__ import annotations

import json

import jsonschema
import pytest
from test_floors import run_without_torch

from alexnet_cli.analyses.hardware import HARDWARE
from alexnet_cli.cli.schema import json_schema

GIB = 2**30


def test_json_has_the_stated_keys(alexnet):
    answer = alexnet("memory", "-b", "8", "--capacity", "600MB", "--json")
    assert (answer.code, answer.err) == (0, "")
    jsonschema.validate(answer.json, json_schema("memory"))
    inference, training, fit = answer.json["inference"], answer.json["training"], answer.json["fit"]
    assert {"weights_bytes", "peak_activation_bytes", "peak_bytes"} <= inference.keys()
    assert inference["weights_bytes"] + inference["peak_activation_bytes"] == inference["peak_bytes"]
    assert training["optimizer"] == "sgd"
    assert training["weights_bytes"] == training["gradient_bytes"] == 4 * 62_378_344
    assert training["optimizer_bytes"] == 0
    assert training["saved_activation_bytes"] == 8 * 4_725_004
    assert sum(training["peak"]["live_bytes"].values()) == training["peak_bytes"] <= 600_000_000
    assert (fit["gpu"], fit["capacity_bytes"], fit["fits"]) == (None, 600_000_000, True)
    assert sum(layer["saved_bytes"] for layer in answer.json["layers"]) == training["saved_activation_bytes"]
    assert "timeline" not in answer.json


def test_a_cross_entropy_counts_scores_and_their_gradients(alexnet, tmp_path):
    """The peak is in the bias's gradient: all gradients, the scores that the model returned, and their gradient."""
    (tmp_path / "net.py").write_text("from torch import nn\n\ndef net():\n    return nn.Linear(16, 100)\n")
    asked = ("memory", f"{tmp_path / 'net.py'}:net", "-i", "16", "-b", "8")
    weights, scores, labels = 4 * (16 * 100 + 100), 4 * 8 * 100, 8 * 8
    held = alexnet(*asked, "--loss", "cross-entropy", "--json").json["training"]
    assert held["loss"] == "cross-entropy"
    assert held["input_bytes"] == 4 * 8 * 16 + labels
    loss_its_gradient = 2 * 4
    assert held["peak_bytes"] == 2 * weights + held["input_bytes"] + 2 * scores + loss_its_gradient
    assert "Loss                cross-entropy" in alexnet(*asked, "--loss", "cross-entropy").out
    plain = alexnet(*asked, "--json").json["training"]
    assert "loss" not in plain
    assert plain == alexnet(*asked, "--loss", "sum", "--json").json["training"]


def test_the_timeline_ends_with_weights_and_gradients(alexnet):
    moments = alexnet("memory", "--timeline", "--json").json["timeline"]
    assert moments[0]["live_bytes"] == {"weights": 4 * 62_378_344, "input": 4 * 3 * 227 * 227}
    assert moments[-1]["phase"] == "optimizer"
    assert moments[-1]["live_bytes"]["gradients"] == 4 * 62_378_344


@pytest.mark.parametrize("room", [["--gpu", "gtx-580"], ["--capacity", "1GiB"], ["--capacity", "700MB"]])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_largest_batch_fits_and_one_more_does_not(alexnet, room, optimizer):
    fit = alexnet("memory", *room, "--optimizer", optimizer, "--json").json["fit"]
    for kind, key in (("inference", "largest_batch_inference"), ("training", "largest_batch_training")):
        largest = fit[key]
        for batch, fits in ((largest, True), (largest + 1, False)):
            if batch == 0:
                continue
            again = alexnet("memory", *room, "--optimizer", optimizer, "-b", str(batch), "--json").json
            assert again["fit"][f"fits_{kind}"] is fits
            assert (again[kind]["peak_bytes"] <= fit["capacity_bytes"]) is fits


def test_adam_does_not_fit_where_sgd_does(alexnet):
    fits = {
        name: alexnet("memory", "--capacity", "900MB", "--optimizer", name, "--json").json["fit"]["fits"]
        for name in ("sgd", "adam")
    }
    assert fits == {"sgd": True, "adam": False}


def test_a_gpu_brings_its_capacity(alexnet):
    answer = alexnet("memory", "--gpu", "t4")
    assert f"16.00 GiB ({HARDWARE['t4'].name})" in answer.out
    assert HARDWARE["t4"].capacity_bytes == 16 * GIB
    assert "largest batch" in answer.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--capacity", "24"], "24GiB"),
        (["--capacity", "0GiB"], "--capacity: "),
        (["--capacity", "-1GiB"], "--capacity: "),
        (["--capacity", "1e30GiB"], "--capacity: "),
        (["--capacity", "many"], "24GiB"),
        (["--gpu", "h1000"], "did you mean h100-sxm"),
        (["--gpu", "t4", "--capacity", "16GiB"], "give one of them"),
        (["--optimizer", "adma"], "did you mean adam?"),
        (["--amp", "int8"], "known: bf16, fp16"),
        (["--amp", "bf16", "--dtype", "bfloat16"], "leave one out"),
        (["-b", "0"], "batch-size"),
    ],
)
def test_invalid_options_are_refused_with_what_to_do(alexnet, arguments, said):
    answer = alexnet("memory", *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert answer.out == ""


def test_unknown_gpus_list_the_known_ones(alexnet):
    error = alexnet("memory", "--gpu", "nonsense").err
    assert all(name in error for name in HARDWARE)


def test_mixed_precision_is_stated_and_halves_what_layers_put_out(alexnet):
    plain, mixed = (alexnet("memory", *amp, "--json").json for amp in ([], ["--amp", "bf16"]))
    assert mixed["training"]["amp"] == "bf16"
    of_pool = [
        {row["path"]: row["output_bytes"] for row in report["layers"]}["architecture.2"] for report in (plain, mixed)
    ]
    assert of_pool[0] == 2 * of_pool[1]
    assert mixed["training"]["weights_bytes"] == plain["training"]["weights_bytes"]
    assert "in bf16 with weights in float32" in alexnet("memory", "--amp", "bf16").out


def test_a_saved_report_tells_of_its_forward(alexnet, tmp_path):
    path = tmp_path / "report.json"
    assert alexnet("summary", "--json", "-o", str(path)).code == 0
    saved, fresh = (alexnet("memory", target, "--json").json for target in (str(path), "alexnet"))
    assert saved["inference"] == fresh["inference"]
    assert saved["training"] is None
    assert "no training step: there is nothing to train" in alexnet("memory", str(path)).out


def test_a_report_that_was_folded_says_what_is_missing(alexnet, tmp_path):
    path = tmp_path / "report.json"
    assert alexnet("summary", "--depth", "1", "--json", "-o", str(path)).code == 0
    answer = alexnet("memory", str(path))
    assert answer.code == 2
    assert "without --depth" in answer.err


def test_a_model_that_fails_is_explained(alexnet):
    answer = alexnet("memory", "-i", "3,224,224", "--json")
    assert answer.code == 4
    assert answer.json["error"]["path"] == "architecture.14"
    assert answer.json["inference"] is None


def test_a_step_that_fails_where_the_forward_does_not(alexnet, tmp_path):
    net = tmp_path / "net.py"
    net.write_text(
        "from torch import nn\n"
        "def Net():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))\n"
    )
    answer = alexnet("memory", f"{net}:Net", "-i", "3,8,8", "--json")
    assert answer.code == 4  # a batch norm has nothing to average over where a batch holds one value of a channel
    assert answer.json["inference"]["peak_bytes"] > 0
    assert answer.json["training"] is None
    assert answer.json["error"]["path"] == "1"
    assert alexnet("memory", f"{net}:Net", "-i", "3,8,8", "-b", "2").code == 0


def test_check_limits_the_memory_of_a_training_step(alexnet):
    within = alexnet("check", "--max-train-memory", "540MB", "-b", "8", "--json")
    assert (within.code, within.json["checks"][0]["value"]) == (0, 535_334_312)  # MemTracker: 535.3 MB
    beyond = alexnet("check", "--max-train-memory", "540MB", "-b", "8", "--optimizer", "adam")
    assert beyond.code == 1
    assert "at the peak (optimizer" in beyond.err


def test_check_limits_train_memory_from_pyproject(alexnet, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.alexnet.check]\nmax-train-memory = "100MiB"\n')
    monkeypatch.chdir(tmp_path)
    assert alexnet("check").code == 1


def test_check_does_not_pass_what_it_does_not_know(alexnet, tmp_path):
    path = tmp_path / "report.json"
    assert alexnet("summary", "--json", "-o", str(path)).code == 0
    answer = alexnet("check", str(path), "--max-train-memory", "100GiB", "--json")
    assert answer.code == 1
    assert answer.json["checks"][0]["value"] is None
    assert json.loads(path.read_text())["error"] is None


def test_cached_answers_need_no_torch(alexnet):
    fresh = alexnet("memory", "--gpu", "t4")
    again = run_without_torch("memory", "--gpu", "t4", "--width", "80")
    assert (again.returncode, again.stderr) == (0, "")
    assert "largest batch" in again.stdout
    assert fresh.code == 0
