"""Shapes from the CPU, for an operator whose `meta` kernel is missing or refuses what the CPU takes.

The operator runs alone on the CPU, on zeros and on ones of the shapes of its arguments, and only if these are small.
If both give the same shapes, they are the answer; an operator whose shapes depend on values gets none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from alexnet_cli.torch_insides import has_tag

MOST_BYTES = 2**26
"""Larger arguments are not made: a search for inputs may come here hundreds of times."""
_REFUSES_A_KIND = re.compile(r"type|strides?\b|contiguous|aligned")
"""What a kernel may say that is stricter than the CPU's; about sizes the two agree."""
_VALUES_DECIDE = ("dynamic_output_shape", "data_dependent_output")


def shapes_by_cpu(overload: Any, args: Any, kwargs: dict[str, Any], error: BaseException) -> Any:
    """Return the new tensors that an operator makes, without values; NotImplemented if the CPU does not tell them.

    `error` is what the kernel for `meta` raised.
    """
    if not isinstance(error, NotImplementedError) and not _REFUSES_A_KIND.search(str(error)):
        return NotImplemented
    known = getattr(overload, "namespace", None) == "aten" and not any(has_tag(overload, tag) for tag in _VALUES_DECIDE)
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
    leaves = torch.device(kwargs.get("device") or "meta").type != "meta"  # with values, as `tolist` does
    small = sum(tensor.numel() * tensor.element_size() for tensor in tensors) <= MOST_BYTES
    plain = all(tensor.layout == torch.strided for tensor in tensors)
    if not (known and small and plain) or leaves:
        return NotImplemented
    try:
        answers = [
            tree_map_only(Tensor, _empty, _run(overload, args, kwargs, fill)) for fill in (torch.zeros, torch.ones)
        ]
    except Exception:  # noqa: BLE001 - the CPU refuses it too: what `meta` said stands
        return NotImplemented
    (first, second), (shape, other) = (map(_described, answers), (tree_flatten(answer)[1] for answer in answers))
    return answers[0] if first == second and shape == other else NotImplemented


def _run(overload: Any, args: Any, kwargs: dict[str, Any], fill: Callable[..., Tensor]) -> Any:
    def real(tensor: Tensor) -> Tensor:
        if not tensor.is_meta:
            return tensor
        made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
        return made.copy_(fill(tensor.shape, dtype=tensor.dtype))

    on_cpu, named = tree_map_only(Tensor, real, (args, kwargs))
    if isinstance(named.get("device"), torch.device):
        named["device"] = torch.device("cpu")
    return overload(*on_cpu, **named)


def _empty(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _described(result: Any) -> list[Any]:
    """Return what must not depend on values: shapes, strides and dtypes, and whatever is no tensor."""
    return [
        (tuple(leaf.shape), leaf.stride(), leaf.dtype) if isinstance(leaf, Tensor) else leaf
        for leaf in tree_flatten(result)[0]
    ]
