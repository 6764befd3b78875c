"""Groups of options that several commands share, as dataclasses that typer sees as single options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def with_groups(*, without: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator for a command whose parameters may be dataclasses of options.

    Each field becomes an option of the command, in the place of the group, except those in `without`, which keep their
    defaults. The command itself is called with the dataclass.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters = inspect.signature(command, eval_str=True).parameters
        groups: dict[str, Any] = {
            name: each.annotation for name, each in parameters.items() if is_dataclass(each.annotation)
        }

        def run(**values: Any) -> None:
            for name, group in groups.items():
                own = [field.name for field in fields(group) if field.name in values]
                values[name] = group(**{field: values.pop(field) for field in own})
            command(**values)

        flat = [option for each in parameters.values() for option in _flattened(each, without)]
        run.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined] # functions have one once it is set
        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        return run

    return decorate


def _flattened(parameter: inspect.Parameter, without: Collection[str]) -> Iterator[inspect.Parameter]:
    if not is_dataclass(parameter.annotation):
        yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        return
    hints = get_type_hints(parameter.annotation, include_extras=True)
    for field in fields(parameter.annotation):
        if field.name not in without:
            yield inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
