"""An operator of the tape with what is known about its arguments: the input of a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from alexnet_cli.analyses.receptive_field.seen import Seen
from alexnet_cli.tape import Operation, Shape

_REQUIRED: Any = object()


class NotFollowedError(Exception):
    """A rule cannot tell what an operator's results see: an argument is missing or of an unknown kind."""


class Step(Struct, frozen=True):
    """An operator; `seen` is what its arguments see, None for those that do not depend on the input."""

    operation: Operation
    seen: tuple[Seen | None, ...]
    read: tuple[Shape, ...]
    made: tuple[Shape, ...]

    @property
    def shape(self) -> Shape:
        """The shape of the first result."""
        return self.made[0]

    @property
    def known(self) -> tuple[Seen, ...]:
        """What the arguments that depend on the input see."""
        return tuple(seen for seen in self.seen if seen is not None)

    def first(self) -> Seen:
        """Return what the first argument sees, where that is all that the operator may depend on.

        Raises:
            NotFollowedError: another argument depends on the input too, or the first does not.
        """
        if self.seen and self.seen[0] is not None and len(self.known) == 1:
            return self.seen[0]
        raise NotFollowedError

    def argument(self, name: str, default: Any = _REQUIRED) -> Any:
        """Return an argument.

        Raises:
            NotFollowedError: it is not there, and has no default.
        """
        value = self.operation.arguments.get(name, default)
        if value is _REQUIRED:
            raise NotFollowedError
        return value

    def axis(self, name: str = "dim", default: Any = _REQUIRED, rank: int | None = None) -> int:
        """Return an argument that names an axis, counted from the front; `rank` is the first argument's by default."""
        value = self.argument(name, default)
        rank = len(self.read[0]) if rank is None else rank
        if not isinstance(value, int) or not -rank <= value < rank:
            raise NotFollowedError
        return value % rank if rank else 0

    def axes(self, name: str = "dim") -> tuple[int, ...]:
        """Return an argument that names some axes of the first argument, or one; all where it is not given."""
        rank = len(self.read[0])
        value = self.argument(name, None)
        given = [value] if isinstance(value, int) else value
        if not given:
            return tuple(range(rank))
        if not _are_whole(given) or any(not -rank <= axis < rank for axis in given):
            raise NotFollowedError
        return tuple(axis % rank for axis in given)

    def numbers(self, name: str, count: int, default: Any = _REQUIRED) -> list[int]:
        """Return an argument with a number for each spatial axis; one number, or a list of one, is meant for all."""
        value = self.argument(name, default)
        given = [value] if isinstance(value, int) else value
        if not _are_whole(given) or len(given) not in (1, count):
            raise NotFollowedError
        return list(given) * count if len(given) == 1 else list(given)


def _are_whole(given: object) -> bool:
    """Tell whether an argument is a list of whole numbers, which in a damaged file it need not be."""
    return isinstance(given, (list, tuple)) and all(isinstance(number, int) for number in given)


Outcome = Seen | tuple[Seen | None, ...] | None
"""What the results see: one for all, one for each of the first (the others see everything), or nothing of the input."""

Rule = Callable[[Step], Outcome]
