"""Which layer holds these tensors, inferred from their names and shapes: a checkpoint does not say.

The names are those of torch's own layers. What the shapes cannot tell apart is named after the more common one:
a group norm looks like a layer norm, an instance norm with running statistics like a batch norm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from alexnet_cli.report import Family
from alexnet_cli.tape import Shape
from alexnet_cli.targets.checkpoint.stored import Stored


class Inferred(NamedTuple):
    """A layer's type, its family, and what its shapes tell of its settings."""

    type: str
    family: Family
    settings: dict[str, Any]


UNKNOWN = Inferred("Parameters", "other", {})

_BUFFERS = frozenset(
    {
        "running_mean",
        "running_var",
        "num_batches_tracked",
        "inv_freq",
        "original_inv_freq",
        "position_ids",
        "token_type_ids",
        "masked_bias",
        "attn_mask",
        "causal_mask",
        "relative_position_index",
        "cos_cached",
        "sin_cached",
    }
)
_INDEX_DTYPES = frozenset({"bool", "int64"})  # of masks, counters and indices; quantised weights have smaller ones
_EMBEDDING = re.compile(r"emb|wte|wpe|relative_attention_bias|^shared$")
_GATES = {4: "LSTM", 3: "GRU", 1: "RNN"}
_MATRIX, _MASK_DIMENSIONS = 2, 4
_CONVOLUTIONS = {3: "1d", 4: "2d", 5: "3d"}


def is_buffer(name: str, tensor: Stored) -> bool:
    """Tell whether a tensor is a buffer by its name, its dtype, or being a causal mask as in GPT-2's `attn.bias`."""
    mask = name == "bias" and len(tensor.shape) == _MASK_DIMENSIONS and tensor.shape[:2] == (1, 1)
    return name in _BUFFERS or tensor.dtype in _INDEX_DTYPES or (mask and tensor.shape[2] == tensor.shape[3] > 1)


def infer(module: str, tensors: Mapping[str, Stored]) -> Inferred:
    """Infer the layer from the tensors that lie directly in it; `module` is its own name, without its parents'."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if "weight_hh_l0" in shapes or "weight_hh" in shapes:
        return _recurrent(shapes)
    if "in_proj_weight" in shapes or "in_proj_bias" in shapes:
        return _attention(shapes)
    if "running_mean" in shapes:
        features = {"num_features": _first(shapes["running_mean"]), "affine": "weight" in shapes}
        return Inferred("BatchNorm", "norm", features)
    weight = shapes.get("weight", shapes.get("weight_v", shapes.get("gamma")))
    bias = shapes.get("bias", shapes.get("beta"))
    if weight is None:
        kept = all(is_buffer(name, tensor) for name, tensor in tensors.items())
        return UNKNOWN._replace(type="Buffers") if kept else UNKNOWN
    return _weighted(module, weight, bias)


def _weighted(module: str, weight: Shape, bias: Shape | None) -> Inferred:
    if weight == bias or len(weight) == 1:
        return _norm(weight, bias)
    if len(weight) == _MATRIX and bias is None and _EMBEDDING.search(module.lower()):
        return Inferred("Embedding", "embedding", {"num_embeddings": weight[0], "embedding_dim": weight[1]})
    if len(weight) not in {_MATRIX, *_CONVOLUTIONS} or (bias is not None and len(bias) != 1):
        return UNKNOWN
    turned = bias is not None and bias[0] == weight[1] != weight[0]
    if bias is not None and not turned and bias[0] != weight[0]:
        return UNKNOWN
    if len(weight) == _MATRIX:
        features = {"in_features": weight[0 if turned else 1], "out_features": weight[1 if turned else 0]}
        return Inferred("Linear", "linear", features | {"bias": bias is not None})
    return _convolution(weight, bias, turned=turned)


def _convolution(weight: Shape, bias: Shape | None, *, turned: bool) -> Inferred:
    dimensions = _CONVOLUTIONS[len(weight)]
    if turned:
        name = f"ConvTranspose{dimensions}"
        channels = {"in_channels": weight[0], "out_channels_per_group": weight[1]}
    else:
        name = f"Conv{dimensions}"
        channels = {"in_channels_per_group": weight[1], "out_channels": weight[0]}
    return Inferred(name, "conv", {**channels, "kernel_size": list(weight[2:]), "bias": bias is not None})


def _norm(weight: Shape, bias: Shape | None) -> Inferred:
    if weight == (1,) and bias is None:
        return Inferred("PReLU", "activation", {"num_parameters": 1})
    if bias not in {None, weight}:
        return UNKNOWN
    return Inferred("RMSNorm" if bias is None else "LayerNorm", "norm", {"normalized_shape": list(weight)})


def _recurrent(shapes: Mapping[str, Shape]) -> Inferred:
    cell = "weight_hh" in shapes
    inputs = shapes.get("weight_ih" if cell else "weight_ih_l0", ())
    hidden = shapes["weight_hh" if cell else "weight_hh_l0"]
    if not len(inputs) == len(hidden) == _MATRIX or not hidden[1]:
        return UNKNOWN
    projected = "weight_hr_l0" in shapes  # only an LSTM has projections
    gates = _GATES.get(hidden[0] // hidden[1]) if hidden[0] % hidden[1] == 0 else None
    kind = "LSTM" if projected else gates
    if kind is None:
        return UNKNOWN
    size = hidden[0] // 4 if projected else hidden[1]
    settings: dict[str, Any] = {"input_size": inputs[1], "hidden_size": size}
    if cell:
        return Inferred(f"{kind}Cell", "recurrent", {**settings, "bias": "bias_hh" in shapes})
    settings["num_layers"] = sum(re.fullmatch(r"weight_hh_l\d+", name) is not None for name in shapes)
    settings["bias"] = "bias_hh_l0" in shapes
    settings["bidirectional"] = "weight_hh_l0_reverse" in shapes
    return Inferred(kind, "recurrent", settings)


def _attention(shapes: Mapping[str, Shape]) -> Inferred:
    weight = shapes.get("in_proj_weight", shapes.get("q_proj_weight", ()))
    settings = {"embed_dim": weight[1]} if len(weight) == _MATRIX else {}
    return Inferred("MultiheadAttention", "attention", {**settings, "bias": "in_proj_bias" in shapes})


def _first(shape: Shape) -> int | None:
    return shape[0] if shape else None
