"""Inputs of another kind of numbers, read off the failure of those that were tried: indices, floats, small indices."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from msgspec.structs import replace

from alexnet_cli.targets.inputs import InputSpec

Inputs = tuple[InputSpec, ...]

_INTEGERS = ("int64", "int32")
_SEQUENCE = 2


def of_another_kind(specs: Inputs, text: str) -> Iterator[Inputs]:
    """Yield inputs of the kind of numbers that a failure asks for."""
    if re.search(r"\b(Long|Int|int64|integer|indices)\b", text):
        yield from _as_ids(specs)
    if re.search(r"floating[- ]point", text) and re.search(r"\b(Long|Int|int64|int32)\b", text):
        yield from _as_floats(specs)
    if re.search(r"ind(ex|ices).* out of (range|bounds)", text):
        yield from _as_zeros(specs)


def _as_ids(specs: Inputs) -> Iterator[Inputs]:
    """Make integers of floats: one for each vector of a sequence, or for each number."""
    for place, spec in enumerate(specs):
        if spec.dtype is None:
            shapes = (spec.shape[:-1], spec.shape) if len(spec.shape) == _SEQUENCE else (spec.shape,)
            yield from (with_spec(specs, place, replace(spec, dtype="int64", shape=shape)) for shape in shapes)


def _as_floats(specs: Inputs) -> Iterator[Inputs]:
    """Make floats of integers, first of those that are no sequence, as text is."""
    for place, spec in sorted(enumerate(specs), key=lambda each: len(each[1].shape) == 1):
        if spec.dtype in _INTEGERS and spec.values is None:
            yield with_spec(specs, place, replace(spec, dtype=None))


def _as_zeros(specs: Inputs) -> Iterator[Inputs]:
    """Let integers be zeros, which are in range of whatever they pick from: all but the first, and each."""
    free = [
        place
        for place, spec in enumerate(specs)
        if spec.dtype in _INTEGERS and spec.values is None and spec.fill is None
    ]
    for chosen in (free[1:], *([place] for place in free)):
        if chosen:
            zeros = {place: replace(specs[place], values=(0,) * math.prod(specs[place].shape)) for place in chosen}
            yield tuple(zeros.get(place, spec) for place, spec in enumerate(specs))


def with_spec(specs: Inputs, place: int, spec: InputSpec) -> Inputs:
    """Return the inputs with another one at a place."""
    return (*specs[:place], spec, *specs[place + 1 :])
