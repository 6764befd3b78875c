"""Groups of options as dataclasses: those that several commands share, and those of an answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import field, fields, is_dataclass, make_dataclass
from typing import Annotated, Any, get_origin, get_type_hints


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
                own = [each.name for each in fields(group) if each.name in values]
                values[name] = group(**{option: values.pop(option) for option in own})
            command(**values)

        flat = [option for each in parameters.values() for option in _flattened(each, without)]
        run.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined] # functions have one once it is set
        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        return run

    return decorate


def options_of(answer: Callable[..., object], **declared: Any) -> Any:
    """Return a group of options for what an answer takes, each with the type and the default that it has there.

    What is declared is typer's description of the option, or an alias where typer needs another type.
    """
    taken = inspect.signature(answer, eval_str=True).parameters
    return make_dataclass(
        "Options",
        [
            (
                name,
                how if get_origin(how) else Annotated[taken[name].annotation, how],
                field(default=taken[name].default),
            )
            for name, how in declared.items()
        ],
    )


def _flattened(parameter: inspect.Parameter, without: Collection[str]) -> Iterator[inspect.Parameter]:
    if not is_dataclass(parameter.annotation):
        yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        return
    hints = get_type_hints(parameter.annotation, include_extras=True)
    for each in fields(parameter.annotation):
        if each.name not in without:
            yield inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name]
            )
