"""A model that can be traced: how to build it and, where known, what to feed it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet_cli.targets.inputs import InputSpec

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Loaded:
    """A module; `shared` if it is somebody else's instance, which must be left as it is."""

    module: nn.Module
    shared: bool = False


@dataclass(frozen=True)
class Subject:
    """A resolved target.

    `load` builds the module on torch's current default device. It and the model's forward run inside `within`,
    which puts in place what the target's code needs and takes it away again. `inputs` is what the model is known
    to take, None where that has to be found.
    """

    target: str
    description: str
    load: Callable[[], Loaded]
    inputs: tuple[InputSpec, ...] | None = None
    within: Callable[[], AbstractContextManager[object]] = nullcontext
