"""What defines a layer: the plain values among its attributes."""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import Any

from torch import nn

LONGEST_TEXT = 200
LONGEST_SEQUENCE = 32
LARGEST_INTEGER = 2**63 - 1  # what JSON readers can be trusted with
_NOT_SETTINGS = frozenset({"training", "call_super_init", "dump_patches"})


def module_settings(module: nn.Module) -> dict[str, Any]:
    """Return the constructor's arguments as far as the module keeps them, and whether it has a bias."""
    attributes = vars(module)
    settings = _plain_ones(attributes, _setting_names(tuple(attributes)))
    if "bias" in module._parameters and "bias" not in settings:
        settings["bias"] = module._parameters["bias"] is not None
    return settings


def call_settings(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the plain keyword arguments of a function call."""
    return _plain_ones(kwargs, tuple(name for name in kwargs if not name.startswith("_")))


@lru_cache(maxsize=1024)
def _setting_names(attributes: tuple[str, ...]) -> tuple[str, ...]:
    """Return which attributes can be settings; layers of one class mostly have the same, two dozen of torch's own."""
    return tuple(name for name in attributes if not name.startswith("_") and name not in _NOT_SETTINGS)


def _plain_ones(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        value = values[name]
        if isinstance(value, (list, tuple)):
            items = [item for item in value[: LONGEST_SEQUENCE + 1] if _is_plain(item)]
            if len(items) == len(value):
                found[name] = items
        elif _is_plain(value):
            found[name] = value
    return found


def _is_plain(value: Any) -> bool:
    """Tell whether JSON has a value as it is; by type, as subclasses of str and int need not be values."""
    kind = type(value)
    if kind is int:
        return bool(abs(value) <= LARGEST_INTEGER)
    if kind is str:
        return len(value) <= LONGEST_TEXT
    return isinstance(value, bool) or (isinstance(value, float) and isfinite(value))
