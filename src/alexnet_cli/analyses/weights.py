"""Whether a checkpoint fits a model: which tensors are missing, unexpected, or have a different shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod
from typing import Literal

from msgspec import Struct

from alexnet_cli.tape import Shape

DEEPEST_PREFIX = 4


class Mismatch(Struct, frozen=True):
    """A tensor that both have, with different shapes."""

    path: str
    model: Shape
    checkpoint: Shape


class Prefix(Struct, frozen=True):
    """A prefix of the keys on one side; without it `matched` tensors would fit."""

    text: str
    side: Literal["model", "checkpoint"]
    matched: int


class WeightsMatch(Struct, frozen=True):
    """How a checkpoint fits a model; `prefix` is set if removing it would let more tensors fit.

    `renamed` tells that what is missing and what is unexpected are as many values: they may have other names.
    """

    matched: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    prefix: Prefix | None = None
    renamed: bool = False

    @property
    def holds(self) -> bool:
        """Whether the checkpoint can be loaded strictly."""
        return not (self.missing or self.unexpected or self.mismatched)


def compare_weights(model: Mapping[str, Shape], checkpoint: Mapping[str, Shape]) -> WeightsMatch:
    """Compare shapes by key; keys stay in the order of the side that has them."""
    both = [key for key in model if key in checkpoint]
    different = [Mismatch(key, model[key], checkpoint[key]) for key in both if model[key] != checkpoint[key]]
    matched = len(both) - len(different)
    missing = tuple(key for key in model if key not in checkpoint)
    unexpected = tuple(key for key in checkpoint if key not in model)
    lacking, extra = sum(prod(model[key]) for key in missing), sum(prod(checkpoint[key]) for key in unexpected)
    return WeightsMatch(
        matched,
        missing,
        unexpected,
        tuple(different),
        _prefix(model, checkpoint, matched),
        renamed=lacking == extra > 0,
    )


def _prefix(model: Mapping[str, Shape], checkpoint: Mapping[str, Shape], matched: int) -> Prefix | None:
    """Return the prefix whose removal lets most tensors fit, the shortest of several; None if none helps."""
    candidates = [
        *(Prefix(text, "checkpoint", _fitting(checkpoint, text, model)) for text in _prefixes(checkpoint)),
        *(Prefix(text, "model", _fitting(model, text, checkpoint)) for text in _prefixes(model)),
    ]
    best = max(candidates, key=lambda prefix: prefix.matched, default=None)
    return best if best is not None and best.matched > matched else None


def _prefixes(keys: Iterable[str]) -> list[str]:
    """List the most common prefixes: `module.`, within these keys the next, and so on."""
    found: list[str] = []
    rest = list(keys)
    while rest and len(found) < DEEPEST_PREFIX:
        start = found[-1] if found else ""
        counts = Counter(key[: key.index(".", len(start)) + 1] for key in rest if "." in key[len(start) :])
        if not counts:
            break
        found.append(counts.most_common(1)[0][0])
        rest = [key for key in rest if key.startswith(found[-1])]
    return found


def _fitting(long: Mapping[str, Shape], prefix: str, short: Mapping[str, Shape]) -> int:
    return sum(key.startswith(prefix) and short.get(key[len(prefix) :]) == shape for key, shape in long.items())
