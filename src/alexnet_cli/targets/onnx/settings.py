"""What is known of a row beside its work: the family of its class, and settings under the names that torch uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from alexnet_cli.report import Family
from alexnet_cli.targets.onnx.macs import Shapes, UnknownError
from alexnet_cli.targets.onnx.walk import Ran, Walk

_CLASSES: dict[Family, str] = {
    "conv": r"(Lazy)?Conv(Transpose)?[123]d",
    "linear": r"(Lazy|NonDynamicallyQuantizable)?Linear|Bilinear",
    "norm": r"(Lazy|Sync)?(Batch|Instance)Norm([123]d)?|(Layer|Group|RMS)Norm|LocalResponseNorm|CrossMapLRN2d",
    "pool": r"(Adaptive|Fractional)?(Max|Avg|LP)(Unp|P)ool[123]d",
    "softmax": r"(Log)?Softmax(2d)?|Softmin",
    "attention": r"MultiheadAttention",
    "activation": r"R?ReLU6?|(C|S|Leaky|P|R)?(ReLU|ELU)|GELU|SiLU|Mish|GLU|Threshold|(Log|Hard)?[Ss]igmoid"
    r"|(Hard)?[Tt]anh|Hardswish|Softplus|Softsign|(Hard|Soft|Tanh)shrink",
    "dropout": r"((Feature)?Alpha)?Dropout[123]?d?",
    "embedding": r"Embedding(Bag)?",
    "recurrent": r"(LSTM|GRU|RNN)(Cell)?",
    "reshape": r"(Unf|F)latten|(Unf|F)old|Identity|Pixel(Uns|S)huffle|ChannelShuffle|\w+Pad[123]d",
}
"""torch's layers, whose families a trace reads from the classes themselves."""


def class_family(name: str) -> Family | None:
    """Return the family of one of torch's layers by the name of its class; None for any other."""
    return next((family for family, pattern in _CLASSES.items() if re.fullmatch(pattern, name)), None)


def settings_of(one: Ran, row: Sequence[Ran], walk: Walk) -> dict[str, Any]:
    """Return a row's settings as far as the operator that does its work tells them; else its attributes."""
    rule = _RULES.get(one.node.op) if one.node.is_standard else None
    if rule is not None:
        try:
            return rule(_Layer(one, row, walk))
        except (UnknownError, LookupError, TypeError, ValueError):
            pass  # a shape that does not suit the operator
    return dict(one.node.attributes) if one.as_torch.op == one.node.op else dict(one.as_torch.arguments)


class _Layer(Shapes):
    """The operator that does a row's work, among all operators of the row."""

    def __init__(self, one: Ran, row: Sequence[Ran], walk: Walk) -> None:
        super().__init__(one.node, walk.known(one.reads), walk.known(one.makes))
        self.one, self.row, self.said = one, row, one.node.attributes

    def windows(self, count: int) -> dict[str, Any]:
        """Return how windows move; the padding as it is written where it is not the same on both sides."""
        pads = self.said.get("pads", [0] * 2 * count)
        even = self.said.get("auto_pad", "NOTSET") == "NOTSET" and pads[:count] == pads[count:]
        moved = {"stride": self.said.get("strides", [1] * count), "dilation": self.said.get("dilations", [1] * count)}
        own = {"padding": pads[:count]} if even else {"auto_pad": self.said.get("auto_pad"), "pads": pads}
        return {**moved, **own}


def _convolution(layer: _Layer) -> dict[str, Any]:
    groups, weight = layer.said.get("group", 1), layer.read(1)
    transposed, sizes = layer.one.node.op == "ConvTranspose", weight[2:]
    over, own = (weight[0], weight[1] * groups) if transposed else (weight[1] * groups, weight[0])
    known = {"in_channels": over, "out_channels": own, "kernel_size": list(sizes), **layer.windows(len(sizes))}
    bias = any(layer.one.reads[place] is not None for place in range(2, len(layer.one.reads)))
    return {**known, "groups": groups, "transposed": transposed, "bias": bias}


def _linear(layer: _Layer) -> dict[str, Any]:
    features, weight = layer.made()[-1], layer.read(1)
    if len(weight) != len(("in", "out")) or not features:
        raise UnknownError
    bias = len(layer.one.reads) > len(weight) or any(other.node.op == "Add" for other in layer.row)
    return {"in_features": weight[0] * weight[1] // features, "out_features": features, "bias": bias}


def _pool(layer: _Layer) -> dict[str, Any]:
    kernel = layer.said["kernel_shape"]
    return {"kernel_size": kernel, **layer.windows(len(kernel)), "ceil_mode": bool(layer.said.get("ceil_mode", 0))}


def _layer_norm(layer: _Layer) -> dict[str, Any]:
    return {"normalized_shape": list(layer.read(1)), "eps": layer.said.get("epsilon", 1e-5)}


def _batch_norm(layer: _Layer) -> dict[str, Any]:
    return {"num_features": layer.read(1)[0], "eps": layer.said.get("epsilon", 1e-5)}


def _recurrent(layer: _Layer) -> dict[str, Any]:
    """All operators of a kind in a row are the layers of one module; the first takes its input."""
    both = layer.said.get("direction") == "bidirectional"
    count = sum(other.node.op == layer.one.node.op for other in layer.row)
    sizes = {"input_size": layer.read(1)[2], "hidden_size": layer.read(2)[2]}
    return {**sizes, "num_layers": count, "bidirectional": both}


def _gather(layer: _Layer) -> dict[str, Any]:
    if layer.one.as_torch.op != "embedding":
        raise UnknownError
    count, width = layer.read(0)
    return {"num_embeddings": count, "embedding_dim": width}


_RULES: dict[str, Callable[[_Layer], dict[str, Any]]] = {
    **dict.fromkeys(("Conv", "ConvTranspose"), _convolution),
    **dict.fromkeys(("Gemm", "MatMul"), _linear),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    "LayerNormalization": _layer_norm,
    "BatchNormalization": _batch_norm,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    "Gather": _gather,
}
