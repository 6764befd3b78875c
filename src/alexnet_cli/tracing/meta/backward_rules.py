"""Shape rules for common operators of a training step; see `rules`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alexnet_cli.tracing.meta.rules import empty, meta_rule, plain

Wanted = Sequence[bool]
"""Which gradients are needed; the others are None."""


@meta_rule("ones_like", "zeros_like")
def _filled(given: Tensor, *, memory_format: torch.memory_format = torch.preserve_format, **others: Any) -> Any:
    """The gradient of the loss with respect to itself, where backward begins, and a sum of gradients, before it."""
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
    """An optimiser's update, and gradients that are scaled by one number."""
    del alpha
    if not isinstance(right, Tensor) or not plain(left) or not plain(right):
        return NotImplemented
    same = left.shape == right.shape and left.dtype == right.dtype
    return left if same or right.dim() == 0 else NotImplemented


@meta_rule("_softmax_backward_data", "_log_softmax_backward_data")
def _softmax(gradient: Tensor, output: Tensor, _dim: int, dtype: torch.dtype) -> Any:
    same = plain(output) and gradient.shape == output.shape and gradient.dtype == output.dtype == dtype
    return empty(output.shape, output) if same and gradient.is_meta and output.dim() > 0 else NotImplemented


@meta_rule("max_pool2d_with_indices_backward", "avg_pool2d_backward", "_adaptive_avg_pool2d_backward")
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


@meta_rule("nll_loss_forward")
def _nll_loss(given: Tensor, labels: Tensor, weight: Tensor | None, reduction: int, _ignored: int) -> Any:
    """Reductions are 0, none, 1, mean, and 2, sum."""
    if not _is_loss(given, labels, weight):
        return NotImplemented
    return empty(given.shape[:1] if reduction == 0 else (), given), empty((), given)


@meta_rule("nll_loss_backward")
def _nll_loss_backward(gradient: Tensor, given: Tensor, labels: Tensor, weight: Tensor | None, *_: Any) -> Any:
    same = plain(gradient) and gradient.dtype == given.dtype and _is_loss(given, labels, weight)
    return empty(given.shape, given) if same and gradient.shape in ((), given.shape[:1]) else NotImplemented


@meta_rule("addmm.out")
def _add_product(added: Tensor, left: Tensor, right: Tensor, *, out: Tensor, beta: float = 1, alpha: float = 1) -> Any:
    """A weight's gradient that is added to that of other rows."""
    del beta, alpha
    if not plain(added, out) or not all(each.is_meta and each.dtype == out.dtype for each in (left, right)):
        return NotImplemented
    same = left.dim() == right.dim() == 2 and left.shape[1] == right.shape[0]  # noqa: PLR2004 - matrices
    return out if same and added.shape == out.shape == (left.shape[0], right.shape[1]) else NotImplemented


@meta_rule("ne.Scalar")
def _differs(given: Tensor, other: Any) -> Any:
    """Which labels count."""
    same = given.is_meta and given.dtype == torch.long and given.is_contiguous() and type(other) is int
    return torch.empty(given.shape, dtype=torch.bool, device=given.device) if same else NotImplemented


def _is_loss(given: Tensor, labels: Tensor, weight: Tensor | None) -> bool:
    """Tell whether there is a label for each row of scores."""
    alike = plain(given, weight) and given.dim() == 2 and labels.is_meta and labels.dtype == torch.long  # noqa: PLR2004 - rows and classes
    return alike and labels.shape == given.shape[:1] and (weight is None or weight.shape == given.shape[1:])
