"""The values of a run: what tensors show of a storage, from one write to the next."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from alexnet_cli.tape import Value
from alexnet_cli.torch_insides import DisableTorchFunction
from alexnet_cli.tracing.recording.tensors import StorageTable, distinct_bytes

_STRIDED = torch.strided


class ValueTable:
    """Numbers the values of a run, whose storages `storages` numbers.

    A tensor that is read after its storage was written to through another has a new value: `alias` gets the numbers of
    the values that it comes from, and its own.
    """

    def __init__(self, storages: StorageTable, alias: Callable[[tuple[int, ...], int], None]) -> None:
        self._storages = storages
        self._alias = alias
        self._values: list[Value] = []
        self._current: dict[tuple[Any, ...], int] = {}
        self._writes: dict[int, list[int]] = {}

    def __getitem__(self, number: int) -> Value:
        return self._values[number]

    def number(self, tensor: Tensor) -> int:
        """Return the number of a tensor's current value."""
        number = self._storages.number(tensor)
        key = _key(tensor, number)
        known = self._current.get(key)
        writes = self._writes.get(number)
        if known is not None and (writes is None or writes[-1] <= known):
            return known
        value = self._current[key] = self._new(tensor, number)
        if writes is not None:
            self._alias(tuple(writes) if known is None else (known, *writes[bisect_right(writes, known) :]), value)
        return value

    def numbers(self, tensors: Iterable[Tensor]) -> tuple[int, ...]:
        """Return the numbers of tensors' current values."""
        with DisableTorchFunction():  # the recorder's function mode would take looking at a tensor for a call
            return tuple([self.number(tensor) for tensor in tensors])

    def known(self, tensors: Iterable[Tensor]) -> list[int]:
        """Return the numbers of tensors' values as they are known, -1 for one that no operation made."""
        known = [self._storages.known(tensor) for tensor in tensors]
        keys = zip(tensors, known, strict=True)
        return [-1 if number is None else self._current.get(_key(tensor, number), -1) for tensor, number in keys]

    def make(self, tensor: Tensor, position: int) -> int:
        """Return the number of a new value, which operation `position` makes."""
        number = self._storages.number(tensor, position)
        value = self._current[_key(tensor, number)] = self._new(tensor, number)
        return value

    def write(self, tensors: Iterable[Tensor], results: set[int], position: int) -> list[int]:
        """Return the new values of what an operator wrote to, without those among its results, which are ids."""
        others = [self.make(tensor, position) for tensor in tensors if id(tensor) not in results]
        for tensor in tensors:
            number = self._storages.number(tensor)
            insort(self._writes.setdefault(number, []), self._current[_key(tensor, number)])
        return others

    def written(self) -> list[int]:
        """Return the numbers of the storages that an operator wrote to in place."""
        return list(self._writes)

    def storages_of(self, values: Iterable[int]) -> set[int]:
        """Return the numbers of the storages that values are in."""
        return {self._values[value].storage for value in values}

    def is_longer(self, number: int, part: int) -> bool:
        """Tell whether a value has the shape of a part but for one dimension, in which it is longer."""
        value, within = self._values[number], self._values[part]
        alike = len(value.shape) == len(within.shape) and value.dtype == within.dtype
        longer = [size - before for size, before in zip(value.shape, within.shape, strict=False) if size != before]
        return alike and len(longer) == 1 and longer[0] > 0

    def finish(self) -> tuple[Value, ...]:
        """Return the values."""
        return tuple(self._values)

    def _new(self, tensor: Tensor, number: int) -> int:
        self._values.append(Value(tuple(tensor.shape), _name(tensor.dtype), number, distinct_bytes(tensor)))
        return len(self._values) - 1


def _key(tensor: Tensor, number: int) -> tuple[Any, ...]:
    """Identify the part of a storage that a tensor shows: tensors with equal keys hold the same value."""
    if tensor.layout is not _STRIDED:
        return (number,)
    return number, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype


@cache
def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
