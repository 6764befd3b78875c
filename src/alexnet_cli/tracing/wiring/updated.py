"""Which parameters the optimiser updates that a model sets up itself."""

from __future__ import annotations

import inspect
from typing import Literal, NamedTuple

import torch
from torch import nn

from alexnet_cli.errors import told
from alexnet_cli.torch_insides import spare_compiler

METHOD = "configure_optimizers"
"""The method of Lightning's modules, which others have taken over."""


class Updated(NamedTuple):
    """The ids of the parameters in the groups of a model's own optimisers; None where they are not known, and why."""

    ids: frozenset[int] | None
    unknown: Literal["no_method", "arguments", "failed"] = "no_method"
    why: str = ""


def updated_by(model: nn.Module) -> Updated:
    """Ask a model for its optimisers, by a `configure_optimizers` that needs no arguments."""
    make = getattr(model, METHOD, None)
    if not inspect.ismethod(make):
        return Updated(None)
    needed = [
        name
        for name, it in inspect.signature(make).parameters.items()
        if it.default is it.empty and it.kind not in (it.VAR_POSITIONAL, it.VAR_KEYWORD)
    ]
    if needed:
        return Updated(None, "arguments", ", ".join(needed))
    spare_compiler()
    try:
        optimizers = _optimizers_in(make())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
        return Updated(None, "failed", told(error))
    if not optimizers:
        return Updated(None, "failed", "it returns no optimizer")
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return Updated(frozenset(id(parameter) for group in groups for parameter in group["params"]))


def _optimizers_in(value: object) -> list[torch.optim.Optimizer]:
    """Return the optimisers in what Lightning takes: one, a dict, a list, or a list beside one of schedulers."""
    if isinstance(value, torch.optim.Optimizer):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [optimizer for each in value for optimizer in _optimizers_in(each)]
    return []
