"""What defines a layer: the plain values among its attributes."""

from __future__ import annotations

from math import isfinite
from typing import Any

from torch import nn

LONGEST_TEXT = 200
LONGEST_SEQUENCE = 32
LARGEST_INTEGER = 2**63 - 1  # what JSON readers can be trusted with
_NOT_SETTINGS = frozenset({"training", "call_super_init", "dump_patches"})


def module_settings(module: nn.Module) -> dict[str, Any]:
    """Return the constructor's arguments as far as the module keeps them, and whether it has a bias."""
    settings = {
        name: _plain(value)
        for name, value in vars(module).items()
        if not name.startswith("_") and name not in _NOT_SETTINGS and _is_plain(value)
    }
    if "bias" in module._parameters and "bias" not in settings:
        settings["bias"] = module._parameters["bias"] is not None
    return settings


def call_settings(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the plain keyword arguments of a function call."""
    return {name: _plain(value) for name, value in kwargs.items() if not name.startswith("_") and _is_plain(value)}


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= LONGEST_SEQUENCE and all(_is_plain_scalar(item) for item in value)
    return _is_plain_scalar(value)


def _is_plain_scalar(value: object) -> bool:
    match value:  # by type, not isinstance: subclasses of str and int need not be values
        case str() if type(value) is str:
            return len(value) <= LONGEST_TEXT
        case int() if type(value) in (bool, int):
            return abs(value) <= LARGEST_INTEGER
        case float():
            return isfinite(value)
        case _:
            return False


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
