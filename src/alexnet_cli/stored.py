"""What a checkpoint tells about its tensors, and about the values of one of them, as plain values."""

from __future__ import annotations

from msgspec import Struct

from alexnet_cli.tape import Shape


class StoredTensor(Struct, frozen=True):
    """A tensor of a checkpoint: its key, and its size in elements and bytes.

    `same_as` is the key of an earlier tensor that it shares its memory with; `packed` the format of a quantised weight,
    whose shape is then that of the weight, and whose bytes include its scales.
    """

    key: str
    shape: Shape
    dtype: str
    elements: int
    bytes: int
    buffer: bool = False
    same_as: str | None = None
    packed: str | None = None


class Statistics(Struct, frozen=True):
    """The values of a tensor: how many there are, are zero, and are not finite; the others are of the finite ones.

    `deviation` is the standard deviation over all finite values, divided by their number. `histogram` counts the finite
    values in equal steps from `least` to `most`. All of these are None, or empty, where no value is finite.
    """

    elements: int
    zeros: int
    not_finite: int
    least: float | None
    most: float | None
    mean: float | None
    deviation: float | None
    histogram: tuple[int, ...]
