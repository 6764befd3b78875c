"""How a private name of torch is looked up, and which were."""

from __future__ import annotations

from contextlib import suppress
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
