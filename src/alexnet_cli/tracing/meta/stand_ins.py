"""What stands in on `meta` for real devices: attention as one operator, and a CPU that computes nothing.

On `meta` torch decomposes `scaled_dot_product_attention` into matrix products and a softmax, with the whole matrix of
scores in memory. The CPU and CUDA have kernels that never hold it; where such a kernel applies, the CPU's operator
stands for it while a run is recorded. With dropout only CUDA has one; the CPU's operator stands for that one too.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

import torch
from torch import Tensor

from alexnet_cli.torch_insides import kernel_replaced, operator_named, replaced
from alexnet_cli.tracing.meta.rules import grouped_mm

_PLAIN_DIMS = 4
_WRITTEN_OUT = operator_named("_scaled_dot_product_attention_math")
_FUSED = operator_named("_scaled_dot_product_flash_attention_for_cpu")


def fused_attention(key: str = "AutogradMeta", *, dropout: bool = True) -> AbstractContextManager[None]:
    """Run attention as one operator inside; `key` is torch's dispatch key for the traced device.

    Without `dropout` attention that drops scores is written out, as on the CPU.
    If torch has renamed these operators, attention stays decomposed.
    """
    if _WRITTEN_OUT is None or _FUSED is None:
        return nullcontext()
    kernel = _attention if dropout else _attention_of_cpu
    return kernel_replaced("scaled_dot_product_attention", kernel, key)


def _attention_of_cpu(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, dropout_p: float = 0.0, *others: Any, **how: Any
) -> Any:
    if dropout_p:
        return _WRITTEN_OUT(query, key, value, attn_mask, dropout_p, *others, **how)[0]
    return _attention(query, key, value, attn_mask, dropout_p, *others, **how)


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
    if not _applies(query, key, value, attn_mask, enable_gqa=enable_gqa):
        return _WRITTEN_OUT(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)[0]
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = _added(attn_mask, query.dtype)
    return _FUSED(query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale)[0]


def _applies(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, enable_gqa: bool) -> bool:
    """Tell whether the fused kernels support these: batches of heads of one size, and a mask that is not trained.

    With `enable_gqa` several query heads may share one head of key and value.
    """
    plain = all(tensor.dim() == _PLAIN_DIMS for tensor in (query, key, value)) and key.shape == value.shape
    if not plain or not query.is_floating_point() or (mask is not None and mask.requires_grad):
        return False
    batch, heads, _, width = query.shape
    shared = enable_gqa and key.shape[1] > 0 and heads % key.shape[1] == 0
    return (batch, width) == (key.shape[0], key.shape[-1]) and (heads == key.shape[1] or shared)


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a boolean mask into one to add to the scores, the only kind that the kernels accept, as torch does."""
    kept, masked = (torch.scalar_tensor(value, dtype=dtype, device=mask.device) for value in (0.0, float("-inf")))
    return torch.where(mask, kept, masked)


@contextmanager
def pretended_cpu(mode: Any, *, as_on_cpu: bool = False) -> Iterator[None]:
    """Make tensors that claim to be on the CPU but hold no values; `mode` is torch's `FakeTensorMode`.

    Autocast decides by a tensor's device and has no rules for `meta`. Unless it is `as_on_cpu`, attention with dropout
    is fused as on CUDA.
    """
    log = logging.getLogger("torch._subclasses.fake_tensor")
    level = log.level
    log.setLevel(logging.CRITICAL)  # we report what a model raises
    grouped = kernel_replaced("_grouped_mm", grouped_mm, "Meta") if operator_named("_grouped_mm") else nullcontext()
    fake, attention = mode(allow_non_fake_inputs=True), fused_attention("AutogradCPU", dropout=not as_on_cpu)
    forget = getattr(mode, "cache_clear", lambda: None) if as_on_cpu else lambda: None
    forget()  # it keeps results by operator, whatever kernel gave them
    try:
        with warnings.catch_warnings(), attention, grouped, fake:
            warnings.filterwarnings("ignore", message="Accessing the data pointer of FakeTensor")  # torch's deepcopy
            yield
    finally:
        forget()
        log.setLevel(level)


@contextmanager
def nothing_filled() -> Iterator[None]:
    """Do nothing inside where weights on `meta` are filled by chance: torch's kernel is in Python, and slow.

    An older torch may not let its own kernel be replaced.
    """
    with ExitStack() as stack:
        with suppress(RuntimeError):
            stack.enter_context(kernel_replaced("uniform_", lambda weight, *_, **__: weight, "Meta"))
        yield


def one_sequence_each() -> AbstractContextManager[None]:
    """Let transformers take each row for one sequence, as positions that count up from 0 say.

    It compares their values to find out whether rows are packed of several. Without values they count as packed, and
    gives attention a mask, for which kernels differ. Before transformers has been imported this does nothing.
    """
    masks, name = sys.modules.get("transformers.masking_utils"), "find_packed_sequence_indices"
    return replaced(masks, **{name: lambda *_, **__: None}) if hasattr(masks, name) else nullcontext()
