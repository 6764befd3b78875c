from __future__ import annotations

import pytest
import torch
from torch import nn

from alexnet_cli.targets.checkpoint.contents import Stored
from alexnet_cli.targets.checkpoint.layers import infer, is_buffer
from alexnet_cli.tracing.recording.calls import module_family


def stored(module):
    return {
        name: Stored(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), tensor.nbytes)
        for name, tensor in module.state_dict().items()
        if "." not in name
    }


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv1d(3, 8, 5),
        nn.Conv2d(3, 8, (5, 3), bias=False),
        nn.Conv3d(3, 8, 5),
        nn.ConvTranspose2d(3, 8, 2),
        nn.Linear(3, 8),
        nn.Linear(3, 8, bias=False),
        nn.LayerNorm(6),
        nn.LayerNorm((4, 4)),
        nn.RMSNorm(6),
        nn.PReLU(),
        nn.LSTM(3, 5, num_layers=2, bidirectional=True),
        nn.LSTM(3, 6, proj_size=2),
        nn.GRU(3, 5, bias=False),
        nn.RNN(3, 5),
        nn.GRUCell(3, 5),
        nn.MultiheadAttention(8, 2),
        nn.MultiheadAttention(8, 2, kdim=4, vdim=4),
    ],
    ids=str,
)
def test_torchs_own_layers_are_inferred_with_their_settings(module):
    found = infer("layer", stored(module))
    assert found.type == type(module).__name__
    assert found.family == module_family(type(module))
    constructed = vars(module) | {"bias": any("bias" in name for name in stored(module))}
    for name, value in found.settings.items():
        base = name.removesuffix("_per_group")
        assert constructed[base] == (tuple(value) if isinstance(value, list) else value), name


@pytest.mark.parametrize("name", ["embed_tokens", "wte", "wpe", "word_embeddings", "tok_emb", "shared"])
def test_embeddings_are_recognised_by_name(name):
    found = infer(name, stored(nn.Embedding(10, 4)))
    assert found.type == "Embedding"
    assert found.settings == {"num_embeddings": 10, "embedding_dim": 4}


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_is_recognised_by_its_statistics(affine):
    found = infer("bn", stored(nn.BatchNorm2d(6, affine=affine)))
    assert (found.type, found.family, found.settings) == ("BatchNorm", "norm", {"num_features": 6, "affine": affine})


def test_transposed_linear_layers_of_gpt2_are_recognised():
    found = infer("c_attn", {"weight": Stored((4, 12), "float32", 192), "bias": Stored((12,), "float32", 48)})
    assert found.settings == {"in_features": 4, "out_features": 12, "bias": True}


@pytest.mark.parametrize(
    "shapes",
    [
        {"gamma_1": (4,)},
        {"weight": ()},
        {"weight": (1, 2, 3, 4, 5, 6)},
        {"weight": (3, 4), "bias": (5,)},
        {"weight": (3,), "bias": (5,)},
        {"weight": (3, 4), "bias": (1, 3)},
        {"weight_hh_l0": (7, 3), "weight_ih_l0": (7, 3)},
        {"weight_hh_l0": (0, 0), "weight_ih_l0": (0, 0)},
        {"weight_hh_l0": (8,)},
    ],
)
def test_ambiguous_shapes_are_not_guessed(shapes):
    found = infer("layer", {name: Stored(shape, "float32", 0) for name, shape in shapes.items()})
    assert (found.type, found.family) == ("Parameters", "other")


def test_scalars_with_familiar_names_raise_no_error():
    for name in ("running_mean", "in_proj_weight", "weight_hh", "weight_v", "gamma"):
        infer("", {name: Stored((), "float32", 4)})


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "buffer"),
    [
        ("running_mean", (4,), "float32", True),
        ("num_batches_tracked", (), "int64", True),
        ("inv_freq", (4,), "float32", True),
        ("bias", (1, 1, 8, 8), "bool", True),
        ("bias", (1, 1, 8, 8), "float32", True),
        ("bias", (8,), "float32", False),
        ("weight", (8, 1, 3, 3), "float32", False),
        ("weight", (8, 8), "int8", False),
    ],
)
def test_buffers_are_recognised_by_name_shape_and_dtype(name, shape, dtype, buffer):
    assert is_buffer(name, Stored(shape, dtype, 0)) is buffer


def test_buffers_and_parameters_of_a_saved_model_are_counted_apart(tmp_path, read):
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 2))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    report = read(tmp_path / "model.pt")
    assert report.totals.params == 3 * 8 * 9 + 2 * 8 + 8 * 2 + 2
    assert report.totals.buffers == 2 * 8 + 1
    assert [row.type for row in report.layers] == ["Module", "Conv2d", "BatchNorm", "Linear"]
