"""`summary --weights`: does a checkpoint fit the model?"""

import jsonschema
import pytest
import torch

from alexnet_cli.cli.schema import json_schema

NET = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self, width=4):
        super().__init__(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2))
"""


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


@pytest.fixture
def checkpoint(tmp_path):
    def save(**tensors):
        path = tmp_path / "weights.pt"
        torch.save({name.replace("__", "."): torch.zeros(shape) for name, shape in tensors.items()}, path)
        return str(path)

    return save


FITTING = {"0__weight": (4, 3), "0__bias": (4,), "2__weight": (2, 4), "2__bias": (2,)}


def test_a_checkpoint_that_fits(alexnet, net, checkpoint):
    answer = alexnet("summary", str(net), "--weights", checkpoint(**FITTING), "--strict")
    assert answer.code == 0
    assert "weights: all 4 tensors fit" in answer.out


def test_a_checkpoint_that_does_not_fit(alexnet, net, checkpoint):
    path = checkpoint(**{"0__weight": (5, 3), "0__bias": (4,), "2__weight": (2, 4), "head__bias": (2,)})
    answer = alexnet("summary", str(net), "--weights", path)
    assert answer.code == 0
    assert "weights missing from the file: 2.bias" in answer.out
    assert "weights not in the model: head.bias" in answer.out
    assert "weights with a different shape: 0.weight (5×3 in the file, 4×3 here)" in answer.out
    assert alexnet("summary", str(net), "--weights", path, "--strict").code == 1
    result = alexnet("summary", str(net), "--weights", path, "--strict", "--json")
    assert result.code == 1
    assert result.json["weights"]["missing"] == ["2.bias"]
    assert result.json["weights"]["unexpected"] == ["head.bias"]
    assert result.json["weights"]["mismatched"] == [{"path": "0.weight", "model": [4, 3], "checkpoint": [5, 3]}]
    jsonschema.validate(result.json, json_schema("summary"))


def test_a_prefix_that_is_in_the_way_is_named(alexnet, net, checkpoint):
    path = checkpoint(**{f"module__{name}": shape for name, shape in FITTING.items()})
    answer = alexnet("summary", str(net), "--weights", path)
    assert "without 'module.' at the start of the file's keys, 4 tensors would fit" in answer.out


def test_weights_options_that_make_no_sense_are_refused(alexnet, net, checkpoint, tmp_path):
    assert alexnet("summary", str(net), "--strict").code == 2
    assert alexnet("summary", str(net), "--weights", str(tmp_path / "none.pt")).code == 3
    path = checkpoint(**FITTING)
    assert alexnet("summary", path, "--weights", path).code == 2


def test_a_checkpoint_is_a_target_of_its_own(alexnet, checkpoint):
    answer = alexnet("params", checkpoint(**FITTING), "--by-type", "--json")
    assert answer.code == 0
    assert answer.json["totals"]["params"] == 4 * 3 + 4 + 2 * 4 + 2
    assert answer.json["totals"]["macs"] is None
    assert answer.json["run"] is None
    assert [entry["type"] for entry in answer.json["by_type"]] == ["Linear"]
