"""Shape rules for common operators on `meta`, in place of torch's Python kernels.

The first of torch's kernels to run imports sympy and torch.fx, which takes a second or more. A rule handles plain
contiguous tensors of one dtype and returns NotImplemented for everything else, invalid arguments included, so that
torch's own kernel answers or raises. Tests compare every rule with the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from alexnet_cli.torch_insides import operator_named

Rule = Callable[..., Any]
Ints = Sequence[int]
RULES: dict[Any, Rule] = {}
MISSING: list[str] = []
"""Operators with a rule that this version of torch does not have."""
_BATCH_AND_CHANNELS = 2
_IMAGES = 4


def meta_rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for ATen operators, such as `relu` or `add.Tensor`; names that torch lacks are skipped."""

    def register(rule: Rule) -> Rule:
        for name in names:
            overload = operator_named(name)
            if overload is None:
                MISSING.append(name)
            else:
                RULES[overload] = rule
        return rule

    return register


def empty(shape: Sequence[int], like: Tensor) -> Tensor:
    """Return a contiguous tensor with the dtype and device of another."""
    return torch.empty(shape, dtype=like.dtype, device=like.device)


def plain(*tensors: Tensor | None) -> bool:
    """Tell whether all tensors are on `meta`, contiguous, and of one floating-point dtype."""
    present = [tensor for tensor in tensors if tensor is not None]
    dtype = present[0].dtype
    return dtype.is_floating_point and all(
        tensor.is_meta and tensor.dtype == dtype and tensor.is_contiguous() for tensor in present
    )


@meta_rule("_softmax", "_log_softmax")
def _softmax(given: Tensor, *_: Any, **__: Any) -> Any:
    return empty(given.shape, given) if plain(given) and given.dim() > 0 else NotImplemented


@meta_rule("addmm")
def _addmm(bias: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
    del beta, alpha
    if bias.dtype != left.dtype or bias.dim() != 1 or bias.shape[0] != right.shape[-1]:
        return NotImplemented
    return _product(left, right)


@meta_rule("bmm")
def _bmm(left: Tensor, right: Tensor) -> Any:
    if left.dim() != 3 or right.dim() != 3 or left.shape[0] != right.shape[0]:  # noqa: PLR2004 - batch, rows, columns
        return NotImplemented
    return _product(left, right)


@meta_rule("_grouped_mm")
def grouped_mm(left: Tensor, right: Tensor, offs: Tensor | None = None, bias: Any = None, out_dtype: Any = None) -> Any:
    """A mixture of experts: torch's own rule (2.13) takes bfloat16 only, and strides of whole 16 bytes.

    Two matrices share the inner dimension among the groups, a matrix and a stack the rows or the columns. The rows of
    the result are padded to 16 bytes, as on the CPU.
    """
    ranks = left.dim(), right.dim()
    fits = left.dtype == right.dtype and left.dtype.is_floating_point and left.shape[-1] == right.shape[-2]
    whole = ranks == (3, 3)
    if not fits or bias is not None or not {*ranks} <= {2, 3} or (offs is None) != whole:
        return NotImplemented
    groups = {tensor.shape[0] for tensor, rank in ((left, ranks[0]), (right, ranks[1])) if rank == 3}  # noqa: PLR2004
    groups |= set() if offs is None else {offs.shape[0]}
    if len(groups) != 1:
        return NotImplemented
    rows, columns = left.shape[-2], right.shape[-1]
    dtype = out_dtype or left.dtype
    aligned = 16 // dtype.itemsize
    step = -(-columns // aligned) * aligned
    if ranks[0] != ranks[1]:
        return torch.empty_strided((rows, columns), (step, 1), dtype=dtype, device=left.device)
    shape = (*groups, rows, columns)
    return torch.empty_strided(shape, (rows * step, step, 1), dtype=dtype, device=left.device)


@meta_rule("mm")
def _product(left: Tensor, right: Tensor) -> Any:
    """Multiply matrices of any strides; the result is contiguous anyway."""
    fits = left.dtype == right.dtype and left.dtype.is_floating_point and left.shape[-1] == right.shape[-2]
    return (
        empty((*left.shape[:-1], right.shape[-1]), left) if fits and left.numel() and right.numel() else NotImplemented
    )


@meta_rule("convolution")
def _convolution(
    given: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
) -> Any:
    del output_padding
    rank = weight.dim() - 2
    if transposed or given.dim() != rank + 2 or not plain(given, weight, bias) or not given.numel():
        return NotImplemented
    settings = [tuple(values) * (rank if len(values) == 1 else 1) for values in (stride, padding, dilation)]
    channels_fit = given.shape[1] == weight.shape[1] * groups and weight.shape[0] % groups == 0
    if not channels_fit or (bias is not None and bias.shape != weight.shape[:1]):
        return NotImplemented
    maps = tuple(
        (size + 2 * pad - gap * (kernel - 1) - 1) // step + 1
        for size, kernel, step, pad, gap in zip(given.shape[2:], weight.shape[2:], *settings, strict=True)
    )
    return empty((given.shape[0], weight.shape[0], *maps), given) if min(maps) > 0 else NotImplemented


@meta_rule("max_pool2d_with_indices")
def _max_pool(
    given: Tensor, kernel: Ints, stride: Ints = (), padding: Ints = (0,), dilation: Ints = (1,), ceil_mode: bool = False
) -> Any:
    if ceil_mode or tuple(dilation) not in ((1,), (1, 1)):
        return NotImplemented
    shape = _pooled(given, kernel, stride, padding)
    if shape is None:
        return NotImplemented
    return empty(shape, given), torch.empty(shape, dtype=torch.int64, device=given.device)


@meta_rule("avg_pool2d")
def _avg_pool(
    given: Tensor, kernel: Ints, stride: Ints = (), padding: Ints = (0,), ceil_mode: bool = False, *_: Any
) -> Any:
    shape = None if ceil_mode else _pooled(given, kernel, stride, padding)
    return NotImplemented if shape is None else empty(shape, given)


def _pooled(given: Tensor, kernel_size: Ints, stride: Ints, padding: Ints) -> tuple[int, ...] | None:
    kernel, pad = (tuple(values) * (3 - len(values)) for values in (kernel_size, padding))
    step = tuple(stride) * (3 - len(stride)) or kernel
    image = given.dim() == 4 and plain(given) and given.numel()  # noqa: PLR2004 - N, C, H, W
    if not image or min(step) < 1 or any(2 * p > k for p, k in zip(pad, kernel, strict=True)):
        return None
    maps = tuple((size + 2 * p - k) // s + 1 for size, k, s, p in zip(given.shape[2:], kernel, step, pad, strict=True))
    return (*given.shape[:2], *maps) if min(maps) > 0 else None


@meta_rule("_adaptive_avg_pool2d")
def _adaptive_pool(given: Tensor, output_size: Sequence[int]) -> Any:
    if given.dim() != 4 or not plain(given) or not given.numel() or min(output_size) < 1:  # noqa: PLR2004 - N, C, H, W
        return NotImplemented
    return empty((*given.shape[:2], *output_size), given)


@meta_rule("upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d")
def _resized(given: Tensor, output_size: Sequence[int], *_: Any) -> Any:
    """Resample a map: torch's kernels work out each element from Python, some 200 operators for one."""
    sizes = tuple(output_size)
    if given.dim() != _BATCH_AND_CHANNELS + len(sizes) or not plain(given) or not given.numel() or min(sizes) < 1:
        return NotImplemented
    return empty((*given.shape[:_BATCH_AND_CHANNELS], *sizes), given)


@meta_rule("grid_sampler_2d")
def _sampled(given: Tensor, grid: Tensor, *_: Any) -> Any:
    """Sample a map at the places of a grid, (N, C, H, W) at (N, h, w, 2); torch's kernel is as slow."""
    alike = given.is_meta and grid.is_meta and given.dtype == grid.dtype and given.dtype.is_floating_point
    maps = given.dim() == grid.dim() == 4 and given.shape[0] == grid.shape[0] and grid.shape[-1] == 2  # noqa: PLR2004 - N, C, H, W
    if not (alike and maps and given.numel() and grid.numel()):
        return NotImplemented
    return empty((*given.shape[:_BATCH_AND_CHANNELS], *grid.shape[1:3]), given)


@meta_rule("native_layer_norm")
def _layer_norm(given: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, _: float) -> Any:
    rank = len(shape)
    if not plain(given, weight, bias) or tuple(given.shape[-rank:]) != tuple(shape) or not given.numel():
        return NotImplemented
    outer = (*given.shape[:-rank], *(1,) * rank)
    return empty(given.shape, given), empty(outer, given), empty(outer, given)


@meta_rule("embedding")
def _embedding(weight: Tensor, indices: Tensor, *_: Any, **__: Any) -> Any:
    if weight.dim() != 2 or not plain(weight) or indices.dtype not in (torch.int64, torch.int32):  # noqa: PLR2004 - rows, columns
        return NotImplemented
    return empty((*indices.shape, weight.shape[1]), weight)


def _is_joined_in_order(tensor: Tensor) -> bool:
    """Tell whether a tensor may be joined to others in row-major order: torch joins images with channels last so."""
    if not tensor.is_meta or not tensor.dtype.is_floating_point:
        return False
    in_order = tensor.is_contiguous() or tensor.dim() < _IMAGES
    return in_order or (tensor.stride(-1) == 1 and tensor.shape[-1] > 1 and tensor.shape[1] > 1)


@meta_rule("cat")
def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    first = tensors[0]
    if not all(map(_is_joined_in_order, tensors)) or len({tensor.dtype for tensor in tensors}) > 1:
        return NotImplemented
    if first.dim() == 0 or not -first.dim() <= dim < first.dim():
        return NotImplemented
    place = dim % first.dim()
    rest = [tuple(tensor.shape[:place]) + tuple(tensor.shape[place + 1 :]) for tensor in tensors]
    alike = all(tensor.dim() == first.dim() for tensor in tensors) and all(other == rest[0] for other in rest)
    if not alike or not prod(rest[0]):
        return NotImplemented
    joined = sum(tensor.shape[place] for tensor in tensors)
    return empty((*first.shape[:place], joined, *first.shape[place + 1 :]), first)


@meta_rule("_scaled_dot_product_flash_attention_for_cpu")
def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Any:
    if query.dtype not in (torch.float32, torch.float64) or not all(t.is_meta for t in (query, key, value)):
        return NotImplemented
    batch, heads, length, _size = query.shape
    logsumexp = torch.empty((batch, length, heads), dtype=query.dtype, device=query.device).transpose(1, 2)
    return _empty_like(query), logsumexp


def _empty_like(given: Tensor) -> Tensor:
    """Return a dense tensor with its dimensions in the memory order of another's, as `torch.empty_like` does."""
    strides = given.stride()
    order = sorted(range(given.dim()), key=lambda dim: -strides[dim])
    dense = empty([given.shape[dim] for dim in order], given)
    return dense.permute([order.index(dim) for dim in range(given.dim())])


@meta_rule("native_batch_norm")
def _batch_norm(given: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, *_: Any) -> Any:
    if given.dim() < _BATCH_AND_CHANNELS or given.dtype not in (torch.float32, torch.float64):
        return NotImplemented
    of_channels = [tensor for tensor in (weight, bias, mean, variance) if tensor is not None]
    if not given.is_meta or any(tensor.shape != given.shape[1:2] for tensor in of_channels):
        return NotImplemented
    if of_channels and not (plain(*of_channels) and of_channels[0].dtype == given.dtype):
        return NotImplemented
    if not given.is_contiguous() and given.dim() >= _IMAGES and given.stride(1) == min(given.stride()):
        return NotImplemented  # channels last stay so; other orders become row-major, which torch's own rule leaves
    if not training and (mean is None or variance is None):
        return NotImplemented
    saved = given.shape[1] if training else 0
    return empty(given.shape, given), empty((saved,), given), empty((saved,), given)
