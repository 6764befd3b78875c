from __future__ import annotations

import pytest
import torch
from torch import nn

from alexnet_cli.analyses.weights import Mismatch, Prefix, compare_weights
from alexnet_cli.targets.checkpoint.read import read_contents

MODEL = {"a.0.weight": (2, 3), "a.0.bias": (2,), "b.weight": (4,)}


def test_the_same_keys_and_shapes_hold():
    match = compare_weights(MODEL, dict(reversed(MODEL.items())))
    assert match.holds
    assert (match.matched, match.prefix) == (3, None)


def test_each_kind_of_difference_is_named():
    match = compare_weights(MODEL, {"a.0.weight": (3, 2), "b.weight": (4,), "c": ()})
    assert not match.holds
    assert match.matched == 1
    assert match.missing == ("a.0.bias",)
    assert match.unexpected == ("c",)
    assert match.mismatched == (Mismatch("a.0.weight", (2, 3), (3, 2)),)
    assert match.prefix is None


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module.", "model."])
def test_a_prefix_of_the_checkpoint_is_a_hint(prefix):
    match = compare_weights(MODEL, {"loss.weight": (1,), **{prefix + key: shape for key, shape in MODEL.items()}})
    assert match.matched == 0
    assert match.prefix == Prefix(prefix, "checkpoint", 3)


def test_a_prefix_of_the_model_is_a_hint():
    match = compare_weights({"net." + key: shape for key, shape in MODEL.items()}, MODEL)
    assert match.prefix == Prefix("net.", "model", 3)


def test_nothing_fits_nothing():
    assert compare_weights({}, {}).holds
    assert compare_weights({}, {"a": ()}).unexpected == ("a",)


def test_the_shapes_of_a_file_are_those_of_the_model(tmp_path):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    torch.save(model.state_dict(), tmp_path / "model.pth")
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    held = {key: tensor.shape for key, tensor in read_contents(tmp_path / "model.pth").tensors.items()}
    assert compare_weights(shapes, held).holds
