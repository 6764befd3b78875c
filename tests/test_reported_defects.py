"""Defects that were found by running other people's models, each with the smallest model that shows it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from alexnet_cli import AlexnetError, inspect
from alexnet_cli.analyses.flow import Links


class HeldTwice(nn.Module):
    """25 parameters that no call of a module reads, by several names each."""

    def __init__(self, kind: str, *, used: bool):
        super().__init__()
        w = nn.Parameter(torch.ones(5, 5))
        self.used = used
        if kind == "list":
            self.held = nn.ParameterList([w, w, w])
        elif kind == "dict":
            self.held = nn.ParameterDict({"a": w, "b": w})
        else:
            self.held = nn.Module()
            self.held.first = self.held.second = w

    def forward(self, x: Tensor) -> Tensor:
        return x @ next(self.held.parameters()) if self.used else x * 2


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("kind", ["list", "dict", "two names"])
def test_a_parameter_with_several_names_in_an_uncalled_module_is_counted_once(kind, used):
    report = inspect(HeldTwice(kind, used=used), torch.ones(2, 5)).report
    assert report.totals.params == 25
    unused = sum(module.params for module in report.totals.unused_modules)
    assert sum(layer.params for layer in report.layers) + unused == 25
    assert unused == (0 if used else 25)


class TwoNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = self.second = nn.Parameter(torch.ones(5, 5))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.first @ self.second


def test_a_parameter_with_two_names_in_one_module_is_not_said_to_be_shared():
    (layer, *_) = inspect(TwoNames(), torch.ones(2, 5)).report.layers
    assert (layer.params, layer.reuses) == (25, None)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = np.power(16, 0.5)
        self.sizes = (np.float64(0.5), 2)
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) / self.scale


def test_settings_that_are_numpy_floats_are_numbers_in_json():
    look = inspect(Scaled(), torch.ones(1, 4))
    settings = json.loads(look.summary().json())["layers"][0]["settings"]
    assert settings == {"scale": 4.0, "sizes": [0.5, 2]}
    assert type(look.report.layers[0].settings["scale"]) is float


class OwnLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(32, 64)), nn.Parameter(torch.ones(32))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


def test_a_linear_function_names_the_features_that_do_not_fit():
    with pytest.raises(AlexnetError) as caught:
        inspect(OwnLinear(), torch.ones(2, 32))
    assert "takes 64 features (a weight of 32×64) but got 32 (an input of 2×32)" in caught.value.message


class LooksUp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return {"a": x}[x]


def test_a_key_error_about_a_tensor_on_meta_is_the_models_own_failure():
    with pytest.raises(AlexnetError, match="KeyError") as caught:
        inspect(LooksUp(), torch.ones(2, 2))
    assert caught.value.exit_code == 4
    assert caught.value.report.run.device == "meta"


RANDOM = """
from torch import nn

class Random(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 64)

    def forward(self, x):
        for _ in range(int((self.layer(x) > 0).sum())):
            x = self.layer(x)
        return x
"""
"""A model that does as much work as its weights and its input say."""


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_what_a_model_does_with_random_values_is_the_same_in_each_run(alexnet, tmp_path, device):
    path = tmp_path / "random_model.py"
    path.write_text(RANDOM)
    torch.manual_seed(1)
    first = alexnet("summary", f"{path}:Random", "-i", "64", "--device", device, "--json")
    state = torch.get_rng_state()
    torch.manual_seed(2)
    second = alexnet("summary", f"{path}:Random", "-i", "64", "--device", device, "--json")
    assert first.json["totals"] == second.json["totals"]
    assert first.json["totals"]["macs"] > 64 * 64
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())  # the caller's own random state is as it was
    if device == "meta":
        assert "it was run on the CPU, on random inputs with seed 0" in first.err
        assert first.json["run"]["measured"] is None  # nobody asked to measure


# A name that no file can have


@pytest.mark.parametrize("suffix", ["", ".pt", ".json", ".onnx", ".pt2", ".py:Net", "/config.json"])
@pytest.mark.parametrize("command", ["cost", "compare"])
def test_a_target_with_a_name_that_is_too_long(alexnet, command, suffix):
    target = "x" * 300 + suffix
    answer = alexnet(command, target, *(["alexnet"] if command == "compare" else []))
    assert answer.code in (2, 3)
    assert "cannot write" not in answer.err
    assert target.removesuffix(":Net") in answer.err  # which Python 3.14 calls not found, as other files


@pytest.mark.parametrize(
    "words",
    [
        ("models", "-o", "{}.json"),
        ("summary", "-o", "{}/net.json"),
        ("fit", "--budget", "1GiB", "--emit", "{}.py"),
        ("draw", "-o", "{}.svg"),
        ("report", "-o", "{}.html"),
        ("check", "--baseline", "{}.json"),
        ("summary", "--formulas", "{}.py"),
        ("oom", "{}.pickle"),
    ],
    ids=lambda words: f"{words[0]}{words[-2]}",
)
def test_a_file_with_a_name_that_is_too_long(alexnet, words):
    name = "x" * 300
    answer = alexnet(*(word.format(name) for word in words))
    assert answer.code in (2, 3)
    assert name in answer.err
    assert "the answer" not in answer.err
    assert "OSError" not in answer.err


# An error of the program itself


@pytest.fixture
def broken(monkeypatch):
    def fail(*_arguments, **_options):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("alexnet_cli.session.session.Session.report", fail)


def test_an_internal_error_has_an_exit_code_of_its_own_and_says_what_to_report(alexnet, broken):
    answer = alexnet("params", "alexnet", "--by-type")
    assert answer.code == 70
    assert "Traceback" not in answer.err
    assert "alexnet itself failed: ZeroDivisionError: on purpose" in answer.err
    assert "alexnet params alexnet --by-type" in answer.err
    assert "Traceback" in alexnet("params", "--traceback").err


def test_an_internal_error_is_an_object_in_json(alexnet, broken):
    answer = alexnet("params", "--json")
    assert (answer.code, answer.json["error"]["code"], answer.json["command"]) == (70, "internal", "params")


def test_a_layer_that_reads_what_a_later_one_makes_has_no_edge():
    """As in a saved report that was changed by hand."""
    _, edges = Links([0, 1, 2], [(0, 1), (2, 1), (1, 2)]).settled()
    assert edges == ((0, 1), (1, 2))
