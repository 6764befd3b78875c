"""Context parallelism: each rank has a part of every sequence, and attention brings it the keys and values of all.

torch's own ring attention runs (`torch.distributed.tensor.experimental.context_parallel`), with its way to balance
causal attention: each rank has a part of the beginning and one of the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed as dist
from torch import Tensor
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function
from torch.utils._pytree import tree_map_only

from alexnet_cli.errors import AlexnetError, UsageError
from alexnet_cli.torch_insides import replaced, ring_attention
from alexnet_cli.tracing.recording.tensors import tensors_in

_HEADS = 4
_HALVES = 2
_ATTENTION = "scaled_dot_product_attention"


def sequence_length(args: Any, kwargs: Any, option: str, ranks: int, kind: str = "ranks") -> int:
    """Return the length of the sequences: the second axis of the first tensor that has one.

    Raises:
        UsageError: none has, which `option` needs, or it does not divide among the ranks of that `kind`.
    """
    length = next((tensor.shape[1] for tensor in tensors_in([args, kwargs]) if tensor.dim() > 1), None)
    if length is None:
        said = f"{option} needs sequences, and no input has a second axis"
        raise UsageError(said, "inputs begin with batch and sequence")
    if length % ranks:
        said = f"a sequence of {length} does not divide among {ranks} {kind}"
        raise UsageError(said, f"choose a length that {ranks} divides")
    return length


def part_of(args: list[Any], kwargs: dict[str, Any], ranks: int) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments with the part of the sequences that each rank has.

    The second axis of the first tensor is the sequence; so is that of each other tensor that is as long, and the only
    axis of a vector that is.

    Raises:
        UsageError: there is no sequence, or it does not divide.
    """
    length = sequence_length(args, kwargs, "--cp", ranks)
    part = length // ranks

    def cut(value: Tensor) -> Tensor:
        if value.dim() > 1 and value.shape[1] == length:
            return value[:, :part].clone()
        return value[:part].clone() if value.shape == (length,) else value

    args, kwargs = tree_map_only(Tensor, cut, (args, kwargs))
    return args, kwargs


class _Shared:
    """Stands for `scaled_dot_product_attention` and runs ring attention among the ranks of a group."""

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.__name__ = _ATTENTION
        self.group = group
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = [each for each in (*args, *kwargs.values()) if isinstance(each, Tensor)]
        if has_torch_function(given):  # a recorder watches, which calls this again
            return handle_torch_function(self, given, *args, **kwargs)
        self.calls += 1
        return self._attend(*args, **kwargs)

    def _attend(  # noqa: PLR0917 - as torch's function
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,  # noqa: FBT001, FBT002 - as torch's function
        scale: float | None = None,
        enable_gqa: bool = False,  # noqa: FBT001, FBT002
    ) -> Tensor:
        del dropout_p, enable_gqa  # neither changes what kernels hold; they see how many heads there are
        if attn_mask is not None:
            raise AlexnetError("not supported yet: --cp with an attention mask", "causal attention and none are")
        if query.dim() != _HEADS or key.shape != value.shape:
            raise AlexnetError("not supported yet: --cp with attention that is not of batch, heads, tokens and width")
        if is_causal and query.shape[2] % _HALVES:
            raise UsageError(
                f"causal attention to {query.shape[2]} tokens on each rank does not balance",
                f"choose a sequence that divides by {_HALVES * self.group.size()}",
            )
        return ring_attention(query, key, value, self.group, is_causal=is_causal, scale=scale)


@contextmanager
def sequences_shared(group: dist.ProcessGroup | None, *, attends: bool = True) -> Iterator[None]:
    """Let attention run among the ranks that share sequences, if there are some.

    Raises:
        UsageError: the model `attends`, and does not call torch's attention.
    """
    if group is None:
        yield
        return
    shared = _Shared(group)
    with replaced(functional, **{_ATTENTION: shared}):  # as torch's own `context_parallel` does it
        yield
    if attends and not shared.calls:
        raise UsageError(
            "--cp needs a model that calls torch's scaled_dot_product_attention, and this one does not",
            "transformers' models call it with attn_implementation='sdpa'",
        )
