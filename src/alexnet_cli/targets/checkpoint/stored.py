"""What a checkpoint holds, as plain values."""

from __future__ import annotations

from math import prod

from msgspec import Struct

from alexnet_cli.tape import Shape

LARGEST = 2**63 - 1
"""The largest size that is believed: a file cannot be larger, and JSON readers take no larger integers."""


class Stored(Struct, frozen=True):
    """One tensor: its size in bytes, and the key of an earlier tensor that is the same memory."""

    shape: Shape
    dtype: str
    size_bytes: int
    same_as: str | None = None

    @property
    def elements(self) -> int:
        """How many values it has."""
        return prod(self.shape)


class Contents(Struct, frozen=True):
    """The tensors of a checkpoint by key, in the order of the file, and a phrase that says what it is."""

    tensors: dict[str, Stored]
    description: str
