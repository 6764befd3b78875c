"""Shape rules for common operators of a training step; see `rules`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alexnet_cli.tracing.meta.rules import empty, meta_rule, plain

Wanted = Sequence[bool]
"""Which gradients are needed; the others are None."""


@meta_rule("threshold_backward", "sigmoid_backward", "tanh_backward", "silu_backward", "gelu_backward")
def _pointwise(gradient: Tensor, other: Tensor, *_: Any, **__: Any) -> Any:
    same = plain(gradient, other) and gradient.shape == other.shape
    return empty(other.shape, other) if same and other.dim() > 0 else NotImplemented


@meta_rule("ones_like")
def _ones_like(given: Tensor, *, memory_format: torch.memory_format = torch.preserve_format, **others: Any) -> Any:
    """The gradient of the loss with respect to itself, where backward begins."""
    same = memory_format == torch.preserve_format and not any(others.values())
    return empty(given.shape, given) if same and plain(given) else NotImplemented


@meta_rule("sum.dim_IntList", "mean.dim")
def _reduced(given: Tensor, dims: Sequence[int] | None, keepdim: bool = False, *, dtype: Any = None) -> Any:  # noqa: FBT001, FBT002 - torch's signature
    """A bias's gradient, or adaptive pooling to a single value."""
    if dtype is not None or not dims or not plain(given) or not all(-given.dim() <= dim < given.dim() for dim in dims):
        return NotImplemented
    over = {dim % given.dim() for dim in dims}
    kept = [1 if dim in over else size for dim, size in enumerate(given.shape) if keepdim or dim not in over]
    return empty(kept, given) if len(over) == len(dims) else NotImplemented


@meta_rule("add_.Tensor", "mul_.Tensor")
def _in_place(left: Tensor, right: Tensor, *, alpha: float = 1) -> Any:
    """An optimiser's update."""
    del alpha
    same = isinstance(right, Tensor) and plain(left, right) and left.shape == right.shape
    return left if same else NotImplemented


@meta_rule("_softmax_backward_data", "_log_softmax_backward_data")
def _softmax(gradient: Tensor, output: Tensor, _dim: int, dtype: torch.dtype) -> Any:
    same = plain(output) and gradient.shape == output.shape and gradient.dtype == output.dtype == dtype
    return empty(output.shape, output) if same and gradient.is_meta and output.dim() > 0 else NotImplemented


@meta_rule(
    "max_pool2d_with_indices_backward",
    "avg_pool2d_backward",
    "_adaptive_avg_pool2d_backward",
)
def _pool(gradient: Tensor, given: Tensor, *_: Any, **__: Any) -> Any:
    return empty(given.shape, given) if plain(gradient, given) and gradient.dim() == given.dim() else NotImplemented


@meta_rule("convolution_backward")
def _convolution(gradient: Tensor, given: Tensor, weight: Tensor, bias_sizes: Any, *rest: Any) -> Any:
    wanted: Wanted = rest[-1]
    if not plain(gradient, given, weight) or (wanted[2] and not wanted[1]):
        return NotImplemented
    shapes = (given.shape, weight.shape, bias_sizes or weight.shape[:1])
    return tuple(empty(shape, weight) if want else None for shape, want in zip(shapes, wanted, strict=True))


@meta_rule("native_batch_norm_backward")
def _batch_norm(gradient: Tensor, given: Tensor, weight: Tensor | None, *rest: Any) -> Any:
    wanted: Wanted = rest[-1]
    if weight is None or not plain(gradient, given, weight):
        return NotImplemented
    shapes = (given.shape, weight.shape, weight.shape)
    return tuple(empty(shape, weight) if want else None for shape, want in zip(shapes, wanted, strict=True))


@meta_rule("native_layer_norm_backward")
def _layer_norm(gradient: Tensor, given: Tensor, over: Sequence[int], *rest: Any) -> Any:
    weight, bias, wanted = rest[-3:]
    if weight is None or bias is None or not plain(given, weight, bias):
        return NotImplemented
    if not gradient.is_meta or (gradient.shape, gradient.dtype) != (given.shape, given.dtype):
        return NotImplemented
    shapes = (given.shape, over, over)
    return tuple(empty(shape, given) if want else None for shape, want in zip(shapes, wanted, strict=True))


@meta_rule("embedding_dense_backward")
def _embedding(gradient: Tensor, indices: Tensor, count: int, *_: Any) -> Any:
    if not plain(gradient) or gradient.dim() != indices.dim() + 1:
        return NotImplemented
    return empty((count, gradient.shape[-1]), gradient)
