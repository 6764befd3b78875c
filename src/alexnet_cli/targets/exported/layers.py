"""The settings of torch's layers, told by the operators that they ran and the shapes of their weights.

An exported program names the class of each module and keeps none of its attributes. Where a class is one of torch's, an
object of it is made (on `meta`, without values) from what the operator was given; its attributes are the layer's.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import nn

from alexnet_cli.tape import Shape
from alexnet_cli.targets.exported.calls import Call, Op
from alexnet_cli.targets.exported.operators import plain_arguments

_PREFIX = "torch.nn.modules."


class _Ran(NamedTuple):
    """An operator: its plain arguments, and the shapes of its tensors by argument (lists of them as they come)."""

    name: str
    plain: dict[str, Any]
    shapes: dict[str, Shape]
    among: list[Shape]


def layer_of(call: Call, shape_of: Callable[[str], Shape | None]) -> nn.Module | None:
    """Return a layer of torch with the settings that a call's operators show; None if the class or they do not tell.

    Whatever does not fit the class, and so makes it raise, tells nothing.
    """
    name = call.cls.rpartition(".")[2]
    cls = getattr(nn, name, None) if call.cls.startswith(_PREFIX) else None
    ran = [_ran(op, shape_of) for op in call.ops()]
    if not (isinstance(cls, type) and issubclass(cls, nn.Module) and ran):
        return None
    with suppress(Exception), warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        taken = inspect.signature(cls).parameters
        tell = next((tell for prefix, tell in _TOLD.items() if name.startswith(prefix)), None)
        told = _by_name(ran, taken) if tell is None else tell(ran)
        any_name = "kwargs" in taken  # as the recurrent layers have it
        layer = cls(**{setting: value for setting, value in told.items() if any_name or setting in taken})
        for untold in _UNTOLD.get(name, ()):
            delattr(layer, untold)
        return layer
    return None


def _ran(op: Op, shape_of: Callable[[str], Shape | None]) -> _Ran:
    name = (op.target.split(".")[-2:] or [""])[0]
    shapes: dict[str, Shape] = {}
    among: list[Shape] = []
    for argument, value in op.inputs:
        found = [shape for each in value.names() if (shape := shape_of(op.rename(each))) is not None]
        if value.kind in ("as_tensor", "as_optional_tensor") and found:
            shapes[argument] = found[0]
        among += found
    return _Ran(name, plain_arguments(op), shapes, among)


def _find(ran: list[_Ran], *names: str) -> _Ran:
    return next(each for each in ran if any(name in each.name for name in names))


def _by_name(ran: list[_Ran], taken: Mapping[str, object]) -> dict[str, Any]:
    """Take what the constructor and the operator call by the same name; `relu_` works in place."""
    first = ran[0]
    found = {name: _narrow(value) for name, value in first.plain.items() if name in taken}
    if "inplace" in taken:
        found["inplace"] = first.name.endswith("_")
    return found


def _narrow(value: Any) -> Any:
    """Return one number for a list of equal ones; an empty list is what was left out."""
    if isinstance(value, list):
        return None if not value else value[0] if len(set(value)) == 1 else tuple(value)
    return value


def _linear(ran: list[_Ran]) -> dict[str, Any]:
    op = _find(ran, "linear", "addmm")
    out, into = op.shapes["weight"]
    return {"in_features": into, "out_features": out, "bias": "bias" in op.shapes}


def _conv(ran: list[_Ran]) -> dict[str, Any]:
    op = _find(ran, "conv")
    first, second, *kernel = op.shapes["weight"]
    groups = op.plain.get("groups", 1)
    into, out = (first, second * groups) if "transpose" in op.name else (second * groups, first)
    same = ("stride", "padding", "output_padding", "dilation")
    return {
        "in_channels": into,
        "out_channels": out,
        "kernel_size": tuple(kernel),
        "groups": groups,
        "bias": "bias" in op.shapes,
        **({"padding_mode": ran[0].plain["mode"]} if ran[0].name == "pad" else {}),
        **{name: _narrow(op.plain[name]) for name in same if name in op.plain},
    }


def _norm(ran: list[_Ran]) -> dict[str, Any]:
    op = _find(ran, "batch_norm", "instance_norm")
    affine, tracked = "weight" in op.shapes, "running_mean" in op.shapes
    features = op.shapes["weight" if affine else "running_mean"] if affine or tracked else op.shapes["input"][1:2]
    same = {"eps": op.plain["eps"], "momentum": op.plain["momentum"]}
    return {"num_features": features[0], "affine": affine, "track_running_stats": tracked, **same}


def _layer_norm(ran: list[_Ran]) -> dict[str, Any]:
    op = _find(ran, "_norm")
    affine = "weight" in op.shapes
    has_bias, shape = not affine or "bias" in op.shapes, tuple(op.plain["normalized_shape"])
    return {"normalized_shape": shape, "eps": op.plain.get("eps"), "elementwise_affine": affine, "bias": has_bias}


def _group_norm(ran: list[_Ran]) -> dict[str, Any]:
    op = _find(ran, "group_norm")
    channels = {"num_channels": op.shapes["input"][1], "affine": "weight" in op.shapes}
    return {"num_groups": op.plain["num_groups"], "eps": op.plain["eps"], **channels}


def _local_norm(ran: list[_Ran]) -> dict[str, Any]:
    """Read how `local_response_norm` is written out: a mean over neighbours, times alpha, plus k, to the power beta."""
    size = max(_find(ran, "avg_pool").plain["kernel_size"])
    alpha, k = (_find(ran[1:], name).plain["other"] for name in ("mul", "add"))
    return {"size": size, "alpha": alpha, "beta": _find(ran, "pow").plain["exponent"], "k": k}


def _embedding(ran: list[_Ran]) -> dict[str, Any]:
    op = _find(ran, "embedding")
    number, size = op.shapes["weight"]
    padding = op.plain.get("padding_idx", -1)
    return {"num_embeddings": number, "embedding_dim": size, "padding_idx": padding if padding >= 0 else None}


def _recurrent(ran: list[_Ran]) -> dict[str, Any]:
    op = _find(ran, "lstm", "gru", "rnn_tanh", "rnn_relu")
    weights = [shape for shape in op.among if len(shape) == 2]  # noqa: PLR2004 - matrices
    gates = {"lstm": 4, "gru": 3}.get(op.name, 1)
    same = ("num_layers", "batch_first", "dropout", "bidirectional")
    kind = {"nonlinearity": op.name.removeprefix("rnn_")} if gates == 1 else {}
    return {
        "input_size": weights[0][1],
        "hidden_size": weights[0][0] // gates,
        "bias": op.plain["has_biases"],
        **{name: op.plain[name] for name in same},
        **kind,
    }


def _attention(ran: list[_Ran]) -> dict[str, Any]:
    projected = _find(ran, "linear")
    heads = _find(ran, "scaled_dot_product_attention").shapes["query"][1]
    size, has_bias = projected.shapes["weight"][1], "bias" in projected.shapes
    return {"embed_dim": size, "num_heads": heads, "bias": has_bias, "batch_first": ran[0].name == "transpose"}


def _bilinear(ran: list[_Ran]) -> dict[str, Any]:
    op = _find(ran, "bilinear")
    out, first, second = op.shapes["weight"]
    return {"in1_features": first, "in2_features": second, "out_features": out, "bias": "bias" in op.shapes}


_TOLD: Mapping[str, Callable[[list[_Ran]], dict[str, Any]]] = {
    "Linear": _linear,
    "NonDynamicallyQuantizableLinear": _linear,
    "Conv": _conv,
    "BatchNorm": _norm,
    "InstanceNorm": _norm,
    "LayerNorm": _layer_norm,
    "RMSNorm": _layer_norm,
    "GroupNorm": _group_norm,
    "LocalResponseNorm": _local_norm,
    "Embedding": _embedding,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "MultiheadAttention": _attention,
    "Bilinear": _bilinear,
}
"""By how the name of the class begins."""

_UNTOLD = {"MultiheadAttention": ("dropout",)}
"""Settings that leave no trace in evaluation."""
