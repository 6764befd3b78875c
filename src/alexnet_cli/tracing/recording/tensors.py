"""What the recorder looks at in a tensor, its shape and storage, and how long each storage of a run lived."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import NoneType
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from alexnet_cli.tape import Role, Shape, Storage
from alexnet_cli.torch_insides import DisableTorchFunction, storage_identity

BEFORE = -1
_STRIDED = torch.strided
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
        return storage_identity(tensor.untyped_storage())  # type: ignore[no-any-return] # an int
    except (RuntimeError, NotImplementedError):
        return id(tensor)


def bytes_of(tensor: Tensor) -> int:
    """Return the bytes of a tensor's elements."""
    return tensor.numel() * tensor.itemsize


@dataclass(slots=True)
class _Seen:
    bytes: int
    role: Role
    born: int
    died: int | None = None
    saved_by: object | None = None


class _Watch(weakref.ref[Any]):
    """A weak reference that knows what has died when it is told that."""

    __slots__ = ("key", "seen")
    key: int
    seen: _Seen


class StorageTable:
    """Numbers the storages that it is shown, and sees them die.

    A weak reference to a storage ends when torch gives its memory back, also on `meta` and where only the autograd
    graph held it: that is what makes the liveness exact. `clock` is the number of operators that have run.
    """

    def __init__(self) -> None:
        self.clock = 0
        self._seen: list[_Seen] = []
        self._numbers: dict[int, int] = {}
        self._watches: list[_Watch] = []

    def register(self, tensors: Iterable[Tensor], role: Role) -> None:
        """Show what is there before the run; a lazy layer's parameters are not yet."""
        for tensor in tensors:
            if not is_lazy(tensor):
                self.number(tensor, BEFORE, role)

    def number(self, tensor: Tensor, born: int = BEFORE, role: Role = "activation") -> int:
        """Return the number of a tensor's storage; one that was not known was allocated at `born`."""
        held, key = _held(tensor)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._seen)
            seen = _Seen(bytes_of(tensor) if held is tensor else held.nbytes(), role, born)
            self._seen.append(seen)
            watch = _Watch(held, self._died)
            watch.key, watch.seen = key, seen
            self._watches.append(watch)
        return number

    def claim(self, tensors: Iterable[Tensor], role: Role) -> None:
        """Say what storages turned out to be: gradients, or a lazy layer's parameters."""
        with DisableTorchFunction():  # to the recorder's function mode looking at a tensor is a call
            for tensor in tensors:
                seen = self._seen[self.number(tensor, self.clock, role)]
                if seen.role == "activation":
                    seen.role = role

    def save(self, tensor: Tensor, by: object) -> None:
        """Note that a tensor was saved for backward; the first to save a storage is told."""
        seen = self._seen[self.number(tensor)]
        if seen.saved_by is None and seen.role in ("activation", "input"):
            seen.saved_by = by

    def hand_over(self, old: int, new: int, position: int) -> None:
        """Let a storage that operation `position` made be the memory of one that was freed right after it."""
        before, after = self._seen[old], self._seen[new]
        same = before.bytes == after.bytes and before.role == "activation" and before.saved_by is None
        if same and before.born >= 0 and after.born == position and before.died == position + 1:
            before.died = position

    def finish(self, row_of: Callable[[Any], int | None]) -> tuple[Storage, ...]:
        """Stop watching; `row_of` gives the row of what `save` was told."""
        self._watches.clear()
        self._numbers.clear()
        return tuple(
            Storage(
                seen.bytes, seen.role, seen.born, seen.died, None if seen.saved_by is None else row_of(seen.saved_by)
            )
            for seen in self._seen
        )

    def _died(self, watch: _Watch) -> None:
        watch.seen.died = self.clock
        self._numbers.pop(watch.key, None)


def _held(tensor: Tensor) -> tuple[Any, int]:
    """Return what holds a tensor's memory, and its identity: a sparse tensor stands for itself."""
    if tensor.layout is _STRIDED:
        try:
            storage = tensor.untyped_storage()
        except (RuntimeError, NotImplementedError):
            return tensor, id(tensor)
        return storage, storage_identity(storage)
    return tensor, id(tensor)
