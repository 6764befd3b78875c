"""How a private name of torch is looked up, and which were; and what stands in for a name for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

with suppress(ImportError):  # not all of them come with `import torch`
    import torch.overrides
    import torch.utils._device
    import torch.utils._python_dispatch

NAMES: dict[str, bool] = {}
"""Every name that was looked up, and whether this torch has it."""


def look_up(path: str, fallback: Any = None) -> Any:
    """Return what a dotted path below `torch` names, the fallback if this torch does not have it."""
    found: Any = torch
    for part in path.split("."):
        found = getattr(found, part, None)
    NAMES[path] = found is not None
    return fallback if found is None else found


@contextmanager
def replaced(owner: Any, **values: Any) -> Iterator[None]:
    """Give a module, a class or an object other attributes inside; afterwards it has again those that it had."""
    kept = {name: getattr(owner, name) for name in values}
    try:
        for name, value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in kept.items():
            setattr(owner, name, value)
