"""What a figure writes about a single layer: what it does, its window and stride, its name."""

from __future__ import annotations

from typing import Any

from alexnet_cli import units
from alexnet_cli.graphics.text import visible
from alexnet_cli.report import Layer

_SHORT = {
    "LocalResponseNorm": "LRN",
    "BatchNorm1d": "BN",
    "BatchNorm2d": "BN",
    "BatchNorm3d": "BN",
    "LogSoftmax": "log-softmax",
    "log_softmax": "log-softmax",
    "Softmax": "softmax",
    "Dropout": "dropout",
    "relu": "ReLU",
    "relu_": "ReLU",
    "gelu": "GELU",
    "silu": "SiLU",
}
_ENDS = {
    "linear": ("in_features", "out_features"),
    "embedding": ("num_embeddings", "embedding_dim"),
    "recurrent": ("input_size", "hidden_size"),
}
"""The settings that hold a layer's input and output size."""


def what(layer: Layer) -> str:
    """Return a layer's work with the settings that define it: `Conv2d 11×11, 96, /4`."""
    details = ", ".join(filter(None, _details(layer)))
    return visible(f"{_type(layer)} {details}" if details else _type(layer))


def short(layer: Layer) -> str:
    """Return the name of a layer shown beside another: `ReLU`."""
    return visible(_SHORT.get(layer.type) or _type(layer))


def windows(layer: Layer) -> list[str]:
    """Return lines such as `11×11 /4` and `2 groups`."""
    kernel = _kernel(layer)
    sizes = "" if kernel is None else f"{units.shape(kernel)} {_stride(layer)}".strip()
    return [text for text in (sizes, _groups(layer)) if text]


def window(layer: Layer) -> tuple[int, int] | None:
    """Return the height and width of the window that slides over a layer's input, if one does."""
    kernel = _kernel(layer)
    if kernel is None or layer.settings.get("transposed"):
        return None
    return (kernel[-2], kernel[-1]) if len(kernel) > 1 else (kernel[0], 1)


def block_name(layer: Layer) -> str:
    """Return the last part of a path, unless that is only a number; else what the layer does: `max pool`."""
    last = layer.path.rpartition(".")[2]
    kind = layer.type.lower()
    names = {
        "conv": "up-conv" if layer.settings.get("transposed") else "conv",
        "pool": " ".join([*(name for name in ("max", "avg") if name in kind), "pool"]),
        "linear": "linear" if kind == "linear" else layer.type,
    }
    own = last and not last.isdecimal() and layer.kind != "function"
    return visible(last if own else names.get(layer.family, layer.type))


def _type(layer: Layer) -> str:
    """Return the type of a layer; in-place functions go by their plain name: `add` for `add_`."""
    return layer.type.rstrip("_") or layer.type if layer.kind == "function" else layer.type


def _details(layer: Layer) -> list[str]:
    settings, kernel = layer.settings, _kernel(layer)
    if layer.family in _ENDS:
        first, second = (settings.get(name) for name in _ENDS[layer.family])
        return [f"{first}→{second}"] if first is not None and second is not None else []
    if layer.family == "attention":
        heads = settings.get("num_heads")
        return [f"{heads} heads"] if isinstance(heads, int) else []
    if kernel is None or layer.family not in ("conv", "pool"):
        return []
    channels = str(settings.get("out_channels", "")) if layer.family == "conv" else ""
    return [units.shape(kernel), channels, _stride(layer), _groups(layer)]


def _kernel(layer: Layer) -> tuple[int, ...] | None:
    """Return the window along every axis; None if the layer has none, or an unknown one."""
    sizes = _sizes(layer.settings.get("kernel_size"))
    if sizes is None or len(sizes) > 1:
        return sizes
    return sizes * next((int(char) for char in layer.type if char in "123"), 1)


def _groups(layer: Layer) -> str:
    groups = layer.settings.get("groups", 1)
    return f"{groups} groups" if layer.family == "conv" and groups != 1 else ""


def _stride(layer: Layer) -> str:
    sizes = _sizes(layer.settings.get("stride")) or ()
    different = set(sizes)
    return "" if different <= {1} else f"/{units.shape(sizes if len(different) > 1 else sizes[:1])}"


def _sizes(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    whole = isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, int) for item in value)
    return tuple(value) if whole else None
