"""A module that the caller holds, with the inputs that its forward is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from alexnet_cli.targets.subject import Example, Loaded, Subject

if TYPE_CHECKING:
    from torch import nn


def live_subject(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Subject:
    """Return the subject of a module in memory; it is never changed, and its weights are not copied."""
    name = type(module).__name__
    example = Example(tuple(args), dict(kwargs)) if args or kwargs else None
    return Subject(name, f"a {name} in memory", partial(Loaded, module, shared=True), example=example)
