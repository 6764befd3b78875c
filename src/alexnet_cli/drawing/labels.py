"""What a figure writes about a single layer: what it does, its window and stride, its name."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

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


class Label(Struct, frozen=True):
    """The words for a layer.

    `what` is its work with the defining settings, as `Conv2d 11×11, 96, /4`; `short` names it beside another layer, as
    `ReLU`; `block` names it as a block, as `max pool`; `windows` are lines such as `11×11 /4`, `2 groups`; `window` is
    the height and width of the window that slides over its input.
    """

    what: str
    short: str
    block: str
    windows: tuple[str, ...]
    window: tuple[int, int] | None


def label(layer: Layer) -> Label:
    """Return the words for a layer."""
    name, kernel = _type(layer), _kernel(layer)
    details = ", ".join(part for part in _details(layer, kernel) if part)
    windows = ("" if kernel is None else f"{units.shape(kernel)} {_stride(layer)}".strip(), _groups(layer))
    texts = (f"{name} {details}" if details else name, _SHORT.get(layer.type) or name, _block_name(layer))
    what, short, block = map(visible, texts)
    return Label(
        what,
        short,
        block,
        tuple(text for text in windows if text),
        None if layer.settings.get("transposed") else _window(kernel),
    )


def _block_name(layer: Layer) -> str:
    """Return the last part of a path, unless that is only a number; else what the layer does."""
    last = layer.path.rpartition(".")[2]
    if last and not last.isdecimal() and layer.kind != "function":
        return last
    kind = layer.type.lower()
    match layer.family:
        case "conv":
            return "up-conv" if layer.settings.get("transposed") else "conv"
        case "pool":
            return " ".join([*(name for name in ("max", "avg") if name in kind), "pool"])
        case "linear" if kind == "linear":
            return "linear"
        case _:
            return layer.type


def _type(layer: Layer) -> str:
    """Return the type of a layer; in-place functions go by their plain name: `add` for `add_`."""
    return layer.type.rstrip("_") or layer.type if layer.kind == "function" else layer.type


def _details(layer: Layer, kernel: tuple[int, ...] | None) -> list[str]:
    settings = layer.settings
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


def _window(kernel: tuple[int, ...] | None) -> tuple[int, int] | None:
    if kernel is None:
        return None
    return (kernel[-2], kernel[-1]) if len(kernel) > 1 else (kernel[0], 1)


def _groups(layer: Layer) -> str:
    groups = layer.settings.get("groups", 1)
    return f"{groups} groups" if layer.family == "conv" and groups != 1 else ""


def _stride(layer: Layer) -> str:
    sizes = _sizes(layer.settings.get("stride")) or ()
    if not sizes or set(sizes) == {1}:
        return ""
    return f"/{sizes[0]}" if len(set(sizes)) == 1 else f"/{units.shape(sizes)}"


def _sizes(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    whole = isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, int) for item in value)
    return tuple(value) if whole else None
