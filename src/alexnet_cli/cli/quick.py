"""Reads plain values of a command line without pydantic, whose import takes longer than all of the program's own.

Typer builds a pydantic validator for each parameter of the command that runs, also for those that were not given.
Here whatever is already of its type, or is a small whole number, is taken as it is; all else, and every error, is
left to typer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption

_MOST_DIGITS = 18


class QuickGroup(TyperGroup):
    """Typer's group of commands; the parameters of the one that runs are read quickly."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, None where there is none."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _quicken(command.get_params(ctx))
        return command

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters that stand before the command's name."""
        parameters = super().get_params(ctx)
        _quicken(parameters)
        return parameters


class _QuickOption(TyperOption):
    def get_runtime_param(self) -> Any:
        return _Reader(super().get_runtime_param)


class _QuickArgument(TyperArgument):
    def get_runtime_param(self) -> Any:
        return _Reader(super().get_runtime_param)


_QUICK: dict[type, type] = {TyperOption: _QuickOption, TyperArgument: _QuickArgument}


def _quicken(parameters: Iterable[object]) -> None:
    for parameter in parameters:
        quick = _QUICK.get(type(parameter))
        if quick is not None:
            parameter.__class__ = quick  # typer makes them, and takes no class for them


@dataclass(frozen=True)
class _Reader:
    """Reads a value, and makes the thorough reader only where that is needed."""

    thorough: Callable[[], Any]

    def coerce(self, value: Any, param: Any, ctx: typer.Context) -> Any:
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
            if number is not None and _in_range(number, param):
                return number
        return self.thorough().coerce(value, param=param, ctx=ctx)


def _is_text(value: object) -> bool:
    return type(value) is str and value.isascii()  # what is not text in the terminal's encoding is not for here


def _whole_number(value: object) -> int | None:
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS:
        return int(value)
    return value if type(value) is int else None


def _in_range(number: int, param: Any) -> bool:
    return (param.min is None or number >= param.min) and (param.max is None or number <= param.max)
