"""A model's config, from which the sizes of its inputs can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn


class Config:
    """A model's config and those nested in it: transformers' and diffusers' are objects or mappings."""

    def __init__(self, model: nn.Module) -> None:
        root = getattr(model, "config", None)
        self.parts: list[tuple[str, Any]] = [] if root is None else [("", root)]
        for name, part in self.parts:  # grows while it is walked
            inner = part if isinstance(part, Mapping) else getattr(part, "__dict__", {})
            known = {id(other) for _, other in self.parts}
            self.parts += [
                (f"{name}.{key}", value)
                for key, value in inner.items()
                if id(value) not in known and (hasattr(value, "model_type") or str(key).endswith("_config"))
            ]

    def __bool__(self) -> bool:
        return bool(self.parts)

    def get(self, *names: str, of: str = "") -> Any:
        """Return the first setting of these names, from parts whose name holds one of the words in `of` first."""
        words = of.split()
        parts = sorted(self.parts, key=lambda part: not any(word in part[0] for word in words)) if words else self.parts
        for _, part in parts:
            for name in names:
                value = part.get(name) if isinstance(part, Mapping) else getattr(part, name, None)
                if value is not None:
                    return value
        return None

    def numbers(self, pattern: str) -> Iterator[tuple[str, int]]:
        """Yield the settings that are whole numbers and whose names fit a pattern."""
        for _, part in self.parts:
            settings = part if isinstance(part, Mapping) else getattr(part, "__dict__", {})
            for name, value in settings.items():
                if isinstance(value, int) and not isinstance(value, bool) and re.fullmatch(pattern, str(name)):
                    yield str(name), value

    def number(self, *names: str, of: str = "", default: int = 0) -> int:
        """Return the first setting that is a positive number; of a sequence its first."""
        value = self.get(*names, of=of)
        if isinstance(value, (tuple, list)) and value:
            value = value[0]
        return int(value) if isinstance(value, (int, float)) and value >= 1 else default
