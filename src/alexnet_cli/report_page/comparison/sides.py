"""What the sections of a comparison are made from."""

from __future__ import annotations

from msgspec import Struct

from alexnet_cli.analyses.compare import Comparison
from alexnet_cli.report import Report
from alexnet_cli.views.compare import label

_COLOURS = ("conv", "linear", "norm", "attention", "embedding", "recurrent", "pool", "softmax")
"""Families whose colours stand for models, in this order."""


class Sides(Struct, frozen=True):
    """The models, two or more, and what is the same in them and what not."""

    reports: tuple[Report, ...]
    comparison: Comparison

    @property
    def names(self) -> tuple[str, ...]:
        """The models' names, each with its letter: `A AlexNet`."""
        return tuple(f"{label(i)} {report.model.class_name}" for i, report in enumerate(self.reports))


def colour(number: int) -> str:
    """Return the family whose colour a model has."""
    return _COLOURS[number % len(_COLOURS)]
