"""Architecture inspector for PyTorch models, from the shell, a notebook or a script.

    from alexnet_cli import inspect

    look = inspect(model, x)
    print(look.summary())

Nothing here imports torch before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "1.0.0"

if TYPE_CHECKING:
    from alexnet_cli.api.inspection import Inspection, compare, inspect
    from alexnet_cli.errors import AlexnetError
    from alexnet_cli.tracing.formulas import macs_formula

__all__ = ["AlexnetError", "Inspection", "__version__", "compare", "inspect", "macs_formula"]

_PLACES = {
    "AlexnetError": "errors",
    "Inspection": "api.inspection",
    "compare": "api.inspection",
    "inspect": "api.inspection",
    "macs_formula": "tracing.formulas",
}


def __getattr__(name: str) -> Any:
    """Import what is public when it is first asked for: the command line needs none of it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
