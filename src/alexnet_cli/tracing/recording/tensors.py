"""What the recorder reads off tensors, and the storages of a run: how large each is and how long it lived."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType, NoneType
from typing import Any

import torch
from msgspec import Struct
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from alexnet_cli.tape import Role, Shape, Storage
from alexnet_cli.torch_insides import (
    DisableTorchFunction,
    local_tensor,
    packed_below,
    packed_bytes,
    packed_tensors,
    storage_behind,
    storage_identity,
    tensors_inside,
)

BEFORE = -1
_PLAIN = (Tensor, nn.Parameter)
_HOLD_NOTHING = frozenset({NoneType, bool, int, float, str, torch.dtype, torch.device, torch.layout})
"""Common types of arguments that hold no tensors: one lookup is cheaper than checking for each container."""


def tensors_in(value: object) -> list[Tensor]:
    """Return the tensors in nested tuples, lists, dicts, sets and dataclasses, in order.

    Uninitialized parameters of lazy layers are left out, as they have neither shape nor storage yet.
    """
    if type(value) is Tensor:  # the common case
        return [value]
    return tensors_among(value if type(value) is tuple else (value,))


def tensors_among(values: Iterable[Any]) -> list[Tensor]:
    """Return the tensors in several nested values, such as the arguments of an operator."""
    found: list[Tensor] = []
    _collect(values, found)
    return found


def _collect(values: Iterable[Any], found: list[Tensor]) -> None:
    for value in values:
        kind = type(value)
        if kind in _HOLD_NOTHING:
            continue
        if kind is Tensor or kind is nn.Parameter:
            found.append(value)
        elif isinstance(value, Tensor):
            if not is_lazy(value):
                found.append(value)
        elif isinstance(value, (list, tuple, set)):
            _collect(value, found)
        elif isinstance(value, dict):
            _collect(value.values(), found)
        elif hasattr(value, "__dataclass_fields__"):
            _collect([getattr(value, name, None) for name in value.__dataclass_fields__], found)


def tensors_within(value: object) -> list[Tensor]:
    """Return the tensors that an object leads to, through its attributes too, each once; modules are not entered."""
    found: dict[int, Tensor] = {}
    waiting, seen = [value], dict[int, object]()  # `seen` holds the objects, so that no id comes twice
    while waiting:
        each = waiting.pop()
        if type(each) in _HOLD_NOTHING or id(each) in seen or isinstance(each, (type, nn.Module, ModuleType)):
            continue
        seen[id(each)] = each
        if isinstance(each, Tensor):
            found[id(each)] = each
        elif isinstance(each, Mapping):
            waiting += reversed(list(each.values()))
        elif isinstance(each, (list, tuple, set)):
            waiting += reversed(list(each))
        elif hasattr(each, "__dict__") and not callable(each):
            waiting += reversed(list(vars(each).values()))
    return list(found.values())


def shapes_of(value: object) -> tuple[Shape, ...]:
    """Return the shapes of all tensors in a nested value."""
    return tuple([tuple(tensor.shape) for tensor in tensors_in(value)])


def shapes_of_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Shape, ...]:
    """Return the shapes of all tensors in the arguments of a call."""
    if len(args) == 1 and type(args[0]) is Tensor and not kwargs:  # the common case
        return (tuple(args[0].shape),)
    return shapes_of((*args, *kwargs.values()))


def storage_of(tensor: Tensor) -> int:
    """Return the identity of a tensor's storage, which its views share; on `meta` too.

    Tensors without an accessible storage (sparse, batched by vmap) have their own identity. A distributed tensor has
    the storage of its part on this rank: its own holds nothing.
    """
    if type(tensor) not in _PLAIN:
        tensor = local_tensor(tensor)
    try:
        return storage_behind(tensor)  # type: ignore[no-any-return] # an int
    except RuntimeError:
        return id(tensor)


def bytes_of(tensor: Tensor) -> int:
    """Return the bytes of a tensor's elements."""
    return tensor.numel() * tensor.itemsize


def distinct_bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor's distinct elements: a dimension that is expanded counts once."""
    if tensor.layout is not torch.strided or tensor.is_contiguous():
        return bytes_of(tensor)
    elements = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= size if stride or not size else 1
    return elements * tensor.element_size()


def packed_weights(model: nn.Module) -> dict[int, Tensor]:
    """Return a stand-in of as many bytes for what each quantised layer packs its weights in, by the layer's id."""
    found: dict[int, Tensor] = {}
    seen: set[int] = set()
    for module in model.modules():
        held = {id(packed): (part, packed) for part, packed in packed_below(module) if id(packed) not in seen}
        seen |= set(held)
        size = sum(packed_bytes(part, each) for part, packed in held.values() for each in packed_tensors(packed))
        if size:
            found[id(module)] = torch.empty(size, dtype=torch.uint8, device="meta")
    return found


class _Seen(Struct, eq=False):
    bytes: int
    role: Role
    born: int
    died: int | None = None
    saved_by: object | None = None
    at_most: bool = False


class _Watch(weakref.ref[Any]):
    """A weak reference that knows which storage has died."""

    __slots__ = ("key", "seen")
    key: int
    seen: _Seen


class StorageTable:
    """Numbers the storages of a run and notices when they are freed.

    A weak reference to a storage dies when torch frees its memory, also on `meta` and if only the autograd graph held
    it, so the lifetimes are exact. `clock` is the number of operators that have run.
    """

    def __init__(self) -> None:
        self.clock = 0
        self._seen: list[_Seen] = []
        self._numbers: dict[int, int] = {}
        self._watches: list[_Watch] = []

    def register(self, tensors: Iterable[Tensor], role: Role) -> None:
        """Register what exists before the run; a lazy layer's parameters do not yet."""
        for tensor in tensors:
            if not is_lazy(tensor):
                self.number(tensor, BEFORE, role)

    def number(self, tensor: Tensor, born: int = BEFORE, role: Role = "activation") -> int:
        """Return the number of a tensor's storage; a new one was allocated at `born`.

        A subclass that holds its values in other tensors has a storage without bytes beside theirs.
        """
        key = storage_of(tensor)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._seen)
            held: Any = tensor if key == id(tensor) else tensor.untyped_storage()
            inner = tensors_inside(tensor)
            for each in inner:
                self.number(each, born, role)
            size = 0 if inner else bytes_of(tensor) if held is tensor else held.nbytes()
            self._watch(held, key, _Seen(size, role, born))
        return number

    def known(self, tensor: Tensor) -> int | None:
        """Return the number of a tensor's storage if it has one already."""
        return self._numbers.get(storage_of(tensor))

    def _watch(self, held: Any, key: int, seen: _Seen) -> None:
        self._seen.append(seen)
        watch = _Watch(held, self._died)
        watch.key, watch.seen = key, seen
        self._watches.append(watch)

    def resized(self, storage: Any) -> None:
        """Note that a storage has other memory now, or none: what it had before is freed."""
        key = storage_identity(storage)
        number = self._numbers.pop(key, None)
        if number is not None:
            self._seen[number].died = self.clock
        if storage.nbytes():
            self._numbers[key] = len(self._seen)
            self._watch(storage, key, _Seen(storage.nbytes(), "activation", self.clock))

    def claim(self, tensors: Iterable[Tensor], role: Role) -> None:
        """Assign a role to storages that turned out to be gradients, or a lazy layer's parameters."""
        with DisableTorchFunction():  # the recorder's function mode would take looking at a tensor for a call
            for tensor in tensors:
                seen = self._seen[self.number(tensor, self.clock, role)]
                if seen.role == "activation":
                    seen.role = role

    def mark(self, numbers: Iterable[int], role: Role) -> None:
        """Assign a role to storages whatever role they had."""
        for number in numbers:
            self._seen[number].role = role

    def held_before(self, numbers: Iterable[int]) -> list[int]:
        """Return those storages that were there before the run and are neither parameters nor known as a cache."""
        return [
            number
            for number in numbers
            if self._seen[number].born == BEFORE and self._seen[number].role not in ("parameter", "cache")
        ]

    def save(self, tensor: Tensor, by: object) -> None:
        """Note that a tensor was saved for backward; the first to save a storage is kept."""
        seen = self._seen[self.number(tensor)]
        if seen.saved_by is None and seen.role in ("activation", "input"):
            seen.saved_by = by

    def work(self, size: int, position: int, *, exact: bool) -> None:
        """Note what a kernel allocates while operation `position` runs, at most so many bytes if not `exact`."""
        if size:
            self._seen.append(_Seen(size, "workspace", position, position + 1, at_most=not exact))

    def hand_over(self, old: int, new: int, position: int) -> None:
        """Let the storage made by operation `position` reuse the memory of one that was freed right after it."""
        before, after = self._seen[old], self._seen[new]
        free = before.role in ("activation", "gradient") and before.saved_by is None
        same = before.bytes == after.bytes and free
        if same and before.born >= 0 and after.born == position and before.died == position + 1:
            before.died = position

    def go_on(self, old: int, new: int, position: int) -> None:
        """Let the storage made by operation `position` be the memory of another, however long that was held."""
        before, after = self._seen[old], self._seen[new]
        if before.bytes == after.bytes and before.born >= 0 and before.saved_by is None and after.born == position:
            ends = (before.died, after.died)
            before.died, after.died = position, None if None in ends else max(filter(None, ends))

    def finish(self, row_of: Callable[[Any], int | None], call_of: Callable[[Any], int | None]) -> tuple[Storage, ...]:
        """Stop watching and return the storages; `row_of` and `call_of` map what `save` was given to row and call."""
        self._watches.clear()
        self._numbers.clear()
        return tuple(
            Storage(seen.bytes, seen.role, seen.born, seen.died, at_most=seen.at_most)
            if seen.saved_by is None
            else Storage(seen.bytes, seen.role, seen.born, seen.died, row_of(seen.saved_by), call_of(seen.saved_by))
            for seen in self._seen
        )

    def _died(self, watch: _Watch) -> None:
        if watch.seen.died is None:  # it may have been resized before
            watch.seen.died = self.clock
        self._numbers.pop(watch.key, None)
