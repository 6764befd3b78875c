"""What the recorder looks at in a tensor: its shape, its size and the identity of its storage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from alexnet_cli.tape import Shape


def tensors_in(value: object) -> list[Tensor]:
    """Return the tensors of a nested value: tuples, lists, dicts, sets and dataclasses, in order."""
    if isinstance(value, Tensor):
        return [value]
    found: list[Tensor] = []
    _collect(value, found)
    return found


def _collect(value: Any, found: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        found.append(value)
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            _collect(item, found)
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            _collect(getattr(value, name, None), found)


def shapes_of(value: object) -> tuple[Shape, ...]:
    """Return the shapes of all tensors in a nested value; a lazy layer's parameters have none yet."""
    return tuple([tuple(tensor.shape) for tensor in tensors_in(value) if not is_lazy(tensor)])


def shapes_of_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Shape, ...]:
    """Return the shapes of all tensors in the arguments of a call."""
    return shapes_of(args[0] if len(args) == 1 and not kwargs else (args, kwargs))


def flat_tensors(values: Iterable[Any]) -> list[Tensor]:
    """Return the tensors among an operator's arguments, which nest at most once."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += [item for item in value if isinstance(item, Tensor)]
    return found


def storage_of(tensor: Tensor) -> int:
    """Return the identity of a tensor's storage, which its views share; it works on `meta` too.

    A tensor that has none to show (sparse, batched by vmap) stands for itself.
    """
    if tensor.layout != torch.strided:
        return id(tensor)
    try:
        return int(tensor.untyped_storage()._cdata)
    except (RuntimeError, NotImplementedError):
        return id(tensor)


def bytes_of(tensor: Tensor) -> int:
    """Return the bytes of a tensor's elements."""
    return tensor.numel() * tensor.element_size()
