"""Changes the number of outputs or inputs of a layer: its weights get new shapes, on the device they are on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alexnet_cli.tape import Shape
from alexnet_cli.torch_insides import ConvNd, NormBase, own_parameters
from alexnet_cli.tracing.narrowing import Refusal

Fixed = ConvNd | nn.Linear | NormBase | nn.GroupNorm | nn.LayerNorm | nn.RMSNorm | nn.PReLU
"""The layers with a fixed input width that can be changed."""


def outputs_of(layer: nn.Module) -> int | None:
    """Return how many channels or features a layer outputs, None if its input determines that."""
    match layer:
        case ConvNd():
            return layer.out_channels
        case nn.Linear():
            return layer.out_features
        case nn.Embedding() | nn.EmbeddingBag():
            return layer.embedding_dim
        case _:
            return None


def put_out(layer: nn.Module, width: int) -> None:
    """Change the number of outputs of a convolution, linear layer or embedding.

    Raises:
        Refusal: its groups do not divide the width, or it does not store its weights as torch's layers do.
    """
    _check_weights(layer)
    match layer:
        case ConvNd():
            _check_groups(width, layer.groups)
            layer.out_channels = width
            _shape_filters(layer)
        case nn.Linear():
            layer.out_features = width
            _reshape(layer, "weight", (width, layer.in_features))
            _reshape(layer, "bias", (width,))
        case nn.Embedding() | nn.EmbeddingBag():
            layer.embedding_dim = width
            _reshape(layer, "weight", (layer.num_embeddings, width))


def axis_of(layer: Fixed, rank: int) -> int | None:
    """Return which dimension of an input of this rank must have the layer's width, None if any width works."""
    match layer:
        case ConvNd():
            return rank - len(layer.kernel_size) - 1
        case nn.Linear():
            return rank - 1
        case nn.LayerNorm() | nn.RMSNorm():
            return rank - len(layer.normalized_shape)
        case nn.PReLU() if layer.num_parameters == 1:
            return None
        case _:
            return 1


def take_in(layer: Fixed, width: int) -> None:
    """Change the number of inputs of a layer.

    Raises:
        Refusal: its groups do not divide the width, or it does not store its weights as torch's layers do.
    """
    _check_weights(layer)
    match layer:
        case ConvNd():
            _take_channels(layer, width)
        case nn.Linear():
            layer.in_features = width
            _reshape(layer, "weight", (layer.out_features, width))
        case nn.LayerNorm() | nn.RMSNorm():
            layer.normalized_shape = (width, *layer.normalized_shape[1:])
            _reshape_all(layer, layer.normalized_shape)
        case nn.GroupNorm():
            _check_groups(width, layer.num_groups)
            layer.num_channels = width
            _reshape_all(layer, (width,))
        case nn.PReLU():
            layer.num_parameters = width
            _reshape_all(layer, (width,))
        case NormBase():
            layer.num_features = width
            _reshape_all(layer, (width,))
            for name in ("running_mean", "running_var"):
                buffer = getattr(layer, name)
                setattr(layer, name, None if buffer is None else _empty(buffer, (width,)))


def _take_channels(layer: ConvNd, width: int) -> None:
    if layer.groups == layer.in_channels > 1:  # depthwise: a fixed number of filters per channel
        layer.out_channels = layer.out_channels // layer.groups * width
        layer.groups = width
    _check_groups(width, layer.groups)
    layer.in_channels = width
    _shape_filters(layer)


def _shape_filters(layer: ConvNd) -> None:
    into, out = layer.in_channels, layer.out_channels
    first, second = (into, out) if layer.transposed else (out, into)
    _reshape(layer, "weight", (first, second // layer.groups, *layer.kernel_size))
    _reshape(layer, "bias", (out,))


def _check_groups(width: int, groups: int) -> None:
    if width % groups:
        raise Refusal("not_divisible", width=width, groups=groups)


def _check_weights(layer: nn.Module) -> None:
    """Refuse a layer that computes its weights from others, or has more of them than torch's own layers."""
    if not {"weight"} <= set(own_parameters(layer)) <= {"weight", "bias"}:
        raise Refusal("other_weights", type=type(layer).__name__)


def _reshape_all(layer: nn.Module, shape: Shape) -> None:
    for name in own_parameters(layer):
        _reshape(layer, name, shape)


def _reshape(layer: nn.Module, name: str, shape: Shape) -> None:
    parameter = own_parameters(layer)[name]
    if parameter is not None:
        made = nn.Parameter(_empty(parameter, shape), requires_grad=parameter.requires_grad)
        own_parameters(layer)[name] = made


def _empty(like: Tensor, shape: Shape) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device)
