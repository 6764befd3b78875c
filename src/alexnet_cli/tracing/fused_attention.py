"""Attention on `meta` as one operator, as real devices run it.

On `meta` torch writes `scaled_dot_product_attention` out as matrix products and a softmax, with the whole matrix of
scores in memory. The CPU and CUDA have kernels that never hold it; where such a kernel applies, the operator of the
CPU stands for it while a run is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

_PLAIN_DIMS = 4


@contextmanager
def fused_attention() -> Iterator[None]:
    """Let attention on `meta` be one operator inside."""
    library = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call] # torch leaves it untyped
    library.impl("scaled_dot_product_attention", _attention, "AutogradMeta")  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        library._destroy()  # type: ignore[no-untyped-call]


def _attention(  # noqa: PLR0917 - torch's signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001, FBT002 - the same
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    if enable_gqa or not _applies(query, key, value, attn_mask):
        return torch.ops.aten._scaled_dot_product_attention_math(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )[0]
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale
    )[0]


def _applies(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> bool:
    """Tell whether the fused kernels take these: batches of heads of one size, and a mask that is not trained."""
    same = query.shape[-1] == key.shape[-1] == value.shape[-1] and query.shape[:-2] == key.shape[:-2]
    plain = all(tensor.dim() == _PLAIN_DIMS for tensor in (query, key, value)) and key.shape == value.shape
    return plain and same and query.is_floating_point() and (mask is None or not mask.requires_grad)
