"""Whether a checkpoint fits a model: which tensors are missing, unexpected, or of another shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
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
    """What the keys on one side begin with, which makes `matched` tensors fit once it is taken away."""

    text: str
    side: Literal["model", "checkpoint"]
    matched: int


class WeightsMatch(Struct, frozen=True):
    """How a checkpoint fits a model; `prefix` is a hint, set where taking it away would let more tensors fit."""

    matched: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    prefix: Prefix | None = None

    @property
    def holds(self) -> bool:
        """Whether the checkpoint can be loaded strictly."""
        return not (self.missing or self.unexpected or self.mismatched)


def compare_weights(model: Mapping[str, Shape], checkpoint: Mapping[str, Shape]) -> WeightsMatch:
    """Compare the shapes by key; the keys keep the order of the side that has them."""
    both = [key for key in model if key in checkpoint]
    different = [Mismatch(key, model[key], checkpoint[key]) for key in both if model[key] != checkpoint[key]]
    matched = len(both) - len(different)
    return WeightsMatch(
        matched,
        tuple(key for key in model if key not in checkpoint),
        tuple(key for key in checkpoint if key not in model),
        tuple(different),
        _prefix(model, checkpoint, matched),
    )


def _prefix(model: Mapping[str, Shape], checkpoint: Mapping[str, Shape], matched: int) -> Prefix | None:
    """Return the prefix that lets the most tensors fit, the shortest of several; None if none lets more fit."""
    candidates = [
        *(Prefix(text, "checkpoint", _fitting(checkpoint, text, model)) for text in _prefixes(checkpoint)),
        *(Prefix(text, "model", _fitting(model, text, checkpoint)) for text in _prefixes(model)),
    ]
    best = max(candidates, key=lambda prefix: prefix.matched, default=None)
    return best if best is not None and best.matched > matched else None


def _prefixes(keys: Iterable[str]) -> list[str]:
    """List what most keys begin with: `module.`, and within these what most begin with, and so on."""
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
