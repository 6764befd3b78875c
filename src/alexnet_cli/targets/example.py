"""Arguments that forward is called with, of any type, and what forward takes."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from functools import cached_property, partial
from itertools import count
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class Example(Struct, frozen=True, dict=True):
    """The arguments of one call of forward; tensors may be nested in lists, tuples, mappings and dataclasses."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}

    @cached_property
    def batch_size(self) -> int | None:
        """The first dimension of all tensors, None if they do not share one."""
        if any(map(_is_packed, (*self.args, *self.kwargs.values()))):
            return None
        sizes = {tensor.shape[0] if tensor.dim() else None for _, tensor in self.tensors()}
        return sizes.pop() if len(sizes) == 1 else None

    @property
    def is_flat(self) -> bool:
        """Tell whether every argument is a tensor."""
        import torch

        return all(isinstance(value, torch.Tensor) for value in (*self.args, *self.kwargs.values()))

    def tensors(self) -> Iterator[tuple[tuple[str, ...], Tensor]]:
        """Yield each tensor with the keys that lead to it: the argument's position or name, then those inside it."""
        yield from _tensors(dict(enumerate(self.args)), ())
        yield from _tensors(self.kwargs, ())

    def on(self, device: torch.device, batch_size: int | None) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments on a device, repeated or cut to another batch size; the caller's own stay as they are.

        On `meta` nothing is allocated. Elsewhere tensors are copied, as a forward may write to them.
        """
        own = self.batch_size
        resized = batch_size if own is not None and batch_size != own else None
        move = partial(_moved, device=device, batch_size=resized)
        return [mapped(value, move) for value in self.args], {k: mapped(v, move) for k, v in self.kwargs.items()}

    def resized(self, sizes: Iterable[tuple[int, int, int]], *, read_only: bool = False) -> Example:
        """Return the arguments with other sizes: `(tensor, axis, size)`, tensors counted as `tensors` yields them.

        A tensor is cut, or goes on from its beginning. If they are `read_only`, no value is copied that need not be.
        """
        wanted, number = list(sizes), count()

        def change(tensor: Tensor) -> Tensor:
            own = next(number)
            for at, axis, size in wanted:
                if at == own:
                    tensor = seen(tensor, axis, size) if read_only else cut(tensor, axis, size)
            return tensor

        args = tuple(mapped(value, change) for value in self.args)
        return Example(args, {name: mapped(value, change) for name, value in self.kwargs.items()})


def cut(tensor: Tensor, axis: int, size: int) -> Tensor:
    """Return a tensor with another size of one axis: cut, or going on from its beginning."""
    import torch

    if tensor.device.type == "meta":
        return torch.empty((*tensor.shape[:axis], size, *tensor.shape[axis + 1 :]), dtype=tensor.dtype, device="meta")
    places = torch.arange(size, device=tensor.device) % tensor.shape[axis]
    return tensor.index_select(axis, places)


def seen(tensor: Tensor, axis: int, size: int) -> Tensor:
    """Return what `cut` returns, without copying a part of a tensor or one value that all elements have."""
    if size <= tensor.shape[axis]:
        return tensor.narrow(axis, 0, size)
    one = tensor.narrow(axis, 0, 1)
    if tensor.device.type != "meta" and bool((tensor == one).all()):
        return one.expand(*tensor.shape[:axis], size, *tensor.shape[axis + 1 :])
    return cut(tensor, axis, size)


def parameters_of(module: nn.Module) -> list[inspect.Parameter] | None:
    """Return the parameters of forward, None if it does not tell."""
    try:
        return list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return None


def argument_names(module: nn.Module) -> list[str]:
    """Return the names of forward's positional arguments; none if it does not tell."""
    parameters = parameters_of(module) or ()
    return [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]


def keyword_names(module: nn.Module) -> list[str] | None:
    """Return the arguments that forward takes by name, None if it takes any name or does not tell."""
    parameters = parameters_of(module)
    if parameters is None or any(each.kind is each.VAR_KEYWORD for each in parameters):
        return None
    return _named(parameters)


def _named(parameters: Iterable[inspect.Parameter]) -> list[str]:
    return [each.name for each in parameters if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)]


def example_of(value: Any, module: nn.Module) -> Example:
    """Return the call of forward that a value stands for.

    That is an object with `args` and `kwargs`, a tuple or a list of positional arguments, a mapping of keyword
    arguments if forward has all its keys as arguments, or else the only argument.
    """
    if not isinstance(value, (Mapping, tuple)) and hasattr(value, "args") and hasattr(value, "kwargs"):
        return Example(tuple(value.args), dict(value.kwargs))
    if type(value) in (tuple, list):  # a named tuple, such as a packed sequence, is one argument
        return Example(tuple(value))
    if isinstance(value, Mapping) and _are_arguments(value, module):
        return Example(kwargs={str(name): argument for name, argument in value.items()})
    return Example((value,))


def _are_arguments(names: Mapping[Any, Any], module: nn.Module) -> bool:
    parameters = parameters_of(module) or ()
    known = set(_named(parameters))
    if any(each.kind is each.VAR_KEYWORD for each in parameters) and (not known or known & set(names)):
        return bool(names) and all(isinstance(name, str) for name in names)
    return bool(names) and known.issuperset(names)


def _moved(tensor: Tensor, *, device: torch.device, batch_size: int | None) -> Tensor:
    import torch

    if device.type == "meta":
        shape = tensor.shape if batch_size is None else (batch_size, *tensor.shape[1:])
        return torch.empty(shape, dtype=tensor.dtype, device=device)
    moved = tensor.detach().to(device, copy=True)
    return moved if batch_size is None else moved[torch.arange(batch_size, device=device) % len(moved)]


def _parts(value: Any) -> Mapping[Any, Any] | None:
    """Return what a value holds, by key; None if it is not a container."""
    if isinstance(value, Mapping):
        return value
    if _is_packed(value):
        return {"data": value.data}  # the other tensors say how long the sequences are, and stay on the CPU
    if isinstance(value, (list, tuple)):
        return dict(enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields_of(value)}
    return None


def _is_packed(value: Any) -> bool:
    from torch.nn.utils.rnn import PackedSequence

    return isinstance(value, PackedSequence)


def _tensors(parts: Mapping[Any, Any], keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    import torch

    for key, value in parts.items():
        if isinstance(value, torch.Tensor):
            yield (*keys, str(key)), value
        else:
            yield from _tensors(_parts(value) or {}, (*keys, str(key)))


def mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a value with all tensors in it changed; what holds none is returned as it is."""
    import torch

    if isinstance(value, torch.Tensor):
        return change(value)
    parts = _parts(value)
    if not parts:
        return value
    changed = {key: mapped(part, change) for key, part in parts.items()}
    if _is_packed(value):
        return value._replace(**changed)
    if isinstance(value, (list, tuple)):
        items = changed.values()
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    made = copy.copy(value)
    if isinstance(made, MutableMapping):
        made.update(changed)
    elif is_dataclass(made):
        for name, part in changed.items():
            object.__setattr__(made, name, part)  # frozen ones too: this copy is ours
    return made
