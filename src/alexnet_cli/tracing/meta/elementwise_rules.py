"""Shape rules for operators of which each element of the result depends on those in its place; see `rules`.

Torch lays the result out densely, in the order of the operands' strides (`TensorIterator::reorder_dimensions`): where
none says otherwise in row-major order, else as the first operand says of whose dimensions no two are alike.
"""

from __future__ import annotations

from itertools import pairwise, zip_longest
from typing import Any

import torch
from torch import Tensor

from alexnet_cli.tracing.meta.rules import empty, meta_rule


@meta_rule("relu", "sigmoid", "tanh", "silu", "gelu", "rsqrt", "exp", "sqrt", "neg", "sin", "cos", "pow.Tensor_Scalar")
def _same_shape(given: Tensor, *_: Any, **__: Any) -> Any:
    return _result(given.shape, given) if given.dim() > 0 else NotImplemented


@meta_rule("sigmoid_", "tanh_", "relu_")
def _in_place(given: Tensor) -> Any:
    plain = given.is_meta and given.dtype.is_floating_point and given.dim() > 0
    return given if plain and (given.is_contiguous() or all(given.stride())) else NotImplemented


@meta_rule("add.Tensor", "sub.Tensor", "mul.Tensor", "div.Tensor", "mul.Scalar", "div.Scalar")
def _binary(left: Tensor, right: Any, *, alpha: float = 1) -> Any:
    del alpha
    if isinstance(right, (int, float)) and not isinstance(right, bool):
        return _result(left.shape, left)
    if not isinstance(right, Tensor):
        return NotImplemented
    shape = left.shape if left.shape == right.shape else _broadcast(left.shape, right.shape)
    return NotImplemented if shape is None else _result(shape, left, right)


@meta_rule("threshold_backward", "sigmoid_backward", "tanh_backward", "silu_backward", "gelu_backward")
def _backward(gradient: Tensor, other: Tensor, *_: Any, **__: Any) -> Any:
    same = gradient.shape == other.shape and other.dim() > 0
    return _result(other.shape, gradient, other) if same else NotImplemented


def _result(shape: torch.Size, *operands: Tensor) -> Any:
    """Return a tensor of that shape, laid out by the operands: all on `meta`, and of one floating-point dtype."""
    first = operands[0]
    dtype = first.dtype
    if not dtype.is_floating_point or not all(each.is_meta and each.dtype == dtype for each in operands):
        return NotImplemented
    alike = all(each.shape == shape and each.is_contiguous() for each in operands)
    if alike or all(map(_in_order, operands)):
        return empty(shape, first)
    strides = first.stride()
    if first.shape != shape or min(shape) == 1 or 0 in strides or len(set(strides)) < len(strides):
        return NotImplemented
    order = sorted(range(len(strides)), key=strides.__getitem__, reverse=True)
    return torch.empty_permuted(shape, order, dtype=dtype, device=first.device)


def _in_order(tensor: Tensor) -> bool:
    """Tell whether strides only fall; a dimension that is expanded has none, and goes with any order."""
    steps = [step for step in zip(tensor.stride(), tensor.shape, strict=True) if step[0]]
    return all(before > after or (before == after and size == 1) for (before, _), (after, size) in pairwise(steps))


def _broadcast(left: torch.Size, right: torch.Size) -> torch.Size | None:
    """Return the shape that two have together, None if they have none."""
    sizes = list(zip_longest(reversed(left), reversed(right), fillvalue=1))
    if any(one != other and 1 not in (one, other) for one, other in sizes):
        return None
    return torch.Size([other if one == 1 else one for one, other in reversed(sizes)])
