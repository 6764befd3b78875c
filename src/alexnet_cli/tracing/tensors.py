"""What the recorder looks at in a tensor: its shape, its size and the identity of its storage."""

from __future__ import annotations

from collections.abc import Iterable
from types import NoneType
from typing import Any

from torch import Tensor
from torch.nn.parameter import is_lazy

from alexnet_cli.tape import Shape

_HOLD_NOTHING = frozenset({NoneType, bool, int, float, str})
"""The commonest arguments that are no tensors: to look up their type costs less than to ask for all they are not."""


def tensors_in(value: object) -> list[Tensor]:
    """Return the tensors of a nested value: tuples, lists, dicts, sets and dataclasses, in order.

    A lazy layer's parameters are left out: they have neither shape nor storage yet.
    """
    if type(value) is Tensor:  # the commonest
        return [value]
    found: list[Tensor] = []
    _collect((value,), found)
    return found


def _collect(values: Iterable[Any], found: list[Tensor]) -> None:
    for value in values:
        if type(value) in _HOLD_NOTHING:
            continue
        if isinstance(value, Tensor):
            if not is_lazy(value):
                found.append(value)
        elif isinstance(value, (list, tuple, set)):
            _collect(value, found)
        elif isinstance(value, dict):
            _collect(value.values(), found)
        elif hasattr(value, "__dataclass_fields__"):
            _collect([getattr(value, name, None) for name in value.__dataclass_fields__], found)


def shapes_of(value: object) -> tuple[Shape, ...]:
    """Return the shapes of all tensors in a nested value."""
    return tuple([tuple(tensor.shape) for tensor in tensors_in(value)])


def shapes_of_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Shape, ...]:
    """Return the shapes of all tensors in the arguments of a call."""
    if len(args) == 1 and type(args[0]) is Tensor and not kwargs:  # the commonest
        return (tuple(args[0].shape),)
    return shapes_of((*args, *kwargs.values()))


def flat_tensors(values: Iterable[Any]) -> list[Tensor]:
    """Return the tensors among an operator's arguments, which nest at most once."""
    found: list[Tensor] = []
    for value in values:
        if type(value) in _HOLD_NOTHING:
            continue
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += [item for item in value if isinstance(item, Tensor)]
    return found


def storage_of(tensor: Tensor) -> int:
    """Return the identity of a tensor's storage, which its views share; it works on `meta` too.

    A tensor that has none to show (sparse, batched by vmap) stands for itself.
    """
    try:
        return tensor.untyped_storage()._cdata  # type: ignore[no-any-return] # an int
    except (RuntimeError, NotImplementedError):
        return id(tensor)


def bytes_of(tensor: Tensor) -> int:
    """Return the bytes of a tensor's elements."""
    return tensor.numel() * tensor.itemsize
