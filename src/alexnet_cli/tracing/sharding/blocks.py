"""Which modules of a model are its blocks, which FSDP shards one by one and checkpoints run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import nn

from alexnet_cli.errors import UsageError, nearest
from alexnet_cli.torch_insides import own_modules, own_parameters

_HOLDERS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)


def blocks_of(model: nn.Module, classes: Sequence[str] = ()) -> list[nn.Module]:
    """Return the modules of these classes, or else those that repeat: siblings of one class in a list, outermost first.

    transformers' models name the class themselves. A layer that torch brings is a block only if it is named, or holds
    others, as `nn.TransformerEncoderLayer` does. One that shares parameters with what is outside it is left out.

    Raises:
        UsageError: the model has no module of a class that is named.
    """
    if classes:
        return _named(model, classes)
    own = [name for name in getattr(model, "_no_split_modules", None) or () if isinstance(name, str)]
    present = {type(module).__name__ for module in model.modules()}
    found = _named(model, sorted(present.intersection(own))) if present.intersection(own) else _repeating(model)
    return [block for block in found if not _shares(block, model)]


def _shares(block: nn.Module, model: nn.Module) -> bool:
    """Tell whether a block shares parameters with what is outside it: torch then shards both as one, with the rest."""
    inside = {id(module) for module in block.modules()}
    elsewhere = (module for module in model.modules() if id(module) not in inside)
    others = {id(parameter) for module in elsewhere for parameter in own_parameters(module).values()}
    return any(id(parameter) in others for parameter in block.parameters())


def _named(model: nn.Module, classes: Sequence[str]) -> list[nn.Module]:
    known = {type(module).__name__: None for module in model.modules()}
    for name in classes:
        if name not in known:
            raise UsageError(f"the model has no {name}", nearest(name, known))
    return [module for module in model.modules() if type(module).__name__ in classes and module is not model]


def _repeating(model: nn.Module) -> list[nn.Module]:
    found: list[nn.Module] = []
    waiting = [model]
    while waiting:
        module = waiting.pop(0)
        children = [child for child in own_modules(module).values() if child is not None]
        alike = Counter(type(child) for child in children if _is_block(child))
        repeated = [
            child for child in children if isinstance(module, _HOLDERS) and _is_block(child) and alike[type(child)] > 1
        ]
        found += repeated
        waiting += [child for child in children if all(child is not each for each in repeated)]
    return found


def _is_block(module: nn.Module) -> bool:
    """Tell whether a module may be a block: it holds other modules and, somewhere, parameters."""
    holds = any(child is not None for child in own_modules(module).values())
    return holds and not isinstance(module, nn.ModuleList) and next(module.parameters(), None) is not None
