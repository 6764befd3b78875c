"""A model that can be traced: how to build it and, where known, what to feed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet_cli.targets.inputs import InputSpec

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Subject:
    """A resolved target.

    `load` returns the module: it builds a new one on torch's current default device, or hands out an instance
    that belongs to somebody else (`shared`), which must then be left as it is. `inputs` is what the model is
    known to take, None where that has to be found.
    """

    target: str
    description: str
    load: Callable[[], nn.Module]
    inputs: tuple[InputSpec, ...] | None = None
    shared: bool = False
