"""Everything that relies on how typer works inside.

Each use has a fallback, and a test that shows it: without a name, the program may be slower, never wrong.

- `PARSE_ERROR`: what typer raises for a command line that it cannot parse. It exports only a subclass; the class
  whose `format_message` that one inherits is looked up among its ancestors.
- `QuickGroup`: typer builds a pydantic validator for each parameter of the command that runs, given or not, and
  importing pydantic takes longer than all of this program. `get_runtime_param` and `type_descriptor` let plain strings
  and small whole numbers, and parameters that were not given, pass without it. Everything else, and every error, is
  left to typer; so is everything if one of these names is missing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import typer
from msgspec import Struct
from typer import core

PARSE_ERROR: type[Any] = [kind for kind in typer.BadParameter.__mro__ if hasattr(kind, "format_message")][-1]
"""The base class of typer's errors about a command line; all have `format_message`."""

_MOST_DIGITS = 18


class QuickGroup(core.TyperGroup):
    """Typer's group of commands; reads plain values of the command that runs without pydantic."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, or None."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _quicken(command.get_params(ctx))
        return command

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters that precede the command's name."""
        parameters = super().get_params(ctx)
        _quicken(parameters)
        return parameters


def _quick_kinds() -> dict[type, type]:
    """Return typer's kinds of parameters, each with a subclass that reads plain values quickly."""

    def get_runtime_param(self: Any) -> Any:
        return _Reader(super(type(self), self).get_runtime_param)

    kinds = [getattr(core, name, None) for name in ("TyperOption", "TyperArgument")]
    return {
        kind: type(f"Quick{kind.__name__}", (kind,), {"get_runtime_param": get_runtime_param}) for kind in kinds if kind
    }


_QUICK = _quick_kinds()


def _quicken(parameters: Iterable[object]) -> None:
    for parameter in parameters:
        quick = _QUICK.get(type(parameter))
        if quick is not None:
            with contextlib.suppress(TypeError):  # where the class cannot be changed, typer reads the value
                parameter.__class__ = quick  # typer creates the parameters itself and takes no class for them


class _Reader(Struct, frozen=True):
    """Reads a plain value itself and any other through typer's own reader, which `thorough` makes."""

    thorough: Callable[[], Any]

    def coerce(self, value: Any, *others: Any, **named: Any) -> Any:
        """Return the value as the parameter's type."""
        try:
            return _plain(value, named["param"])
        except (AttributeError, KeyError, ValueError):  # not plain, or typer has changed
            return self.thorough().coerce(value, *others, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.thorough(), name)


def _plain(value: Any, param: Any) -> Any:
    """Return a plain value as the parameter's type.

    Raises:
        ValueError: the value is not plain.
    """
    kind = param.type_descriptor.annotation
    several = param.multiple or param.nargs == -1
    if value is None:
        return () if several else None
    if several and kind == list[str] and isinstance(value, (list, tuple)) and all(map(_is_text, value)):
        return list(value)
    if not several and kind is str and _is_text(value):
        return value
    if not several and kind is int:
        number = _whole_number(value)
        if (param.min is None or number >= param.min) and (param.max is None or number <= param.max):
            return number
    raise ValueError(value)


def _is_text(value: object) -> bool:
    return type(value) is str and value.isascii()  # typer handles what is not text in the terminal's encoding


def _whole_number(value: object) -> int:
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS:
        return int(value)
    if type(value) is int:
        return value
    raise ValueError(value)
