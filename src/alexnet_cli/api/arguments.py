"""What `inspect` takes from Python, checked and written as the command line takes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from alexnet_cli.errors import UsageError

Shape = str | int | Sequence[int]
"""An input's shape without the batch, as numbers or as the command line takes it: `"3,224,224"`, `"128:int64"`."""


def shapes_said(given: Shape | Sequence[Shape]) -> list[str]:
    """Write shapes as the command line takes them: numbers are one shape, anything else is one for each argument."""
    if isinstance(given, (str, int)):
        return [str(given)]
    if all(isinstance(size, int) for size in given):
        return [",".join(map(str, given))]
    return [text for shape in given for text in shapes_said(shape)]


def arguments_said(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Write the arguments of a target's class or function as the command line takes them: `depth=2`.

    Raises:
        UsageError: JSON cannot hold one of them.
    """
    try:
        return tuple(f"{name}={json.dumps(value)}" for name, value in given.items())
    except (TypeError, ValueError) as error:
        raise UsageError(f"arg takes what JSON can hold: {error}", "or build the module and pass that") from None


def check_module(model: object) -> None:
    """Check that what is to be looked at is a module.

    Raises:
        UsageError: it is something else.
    """
    from torch import nn

    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise UsageError(
            f"inspect takes a module or a target, not a {kind}", 'as in inspect(model, x), inspect("net.py:Net")'
        )
