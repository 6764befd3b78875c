"""A node with what is known about it: the input of a rule that says what torch calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from alexnet_cli.tape import Shape
from alexnet_cli.targets.onnx.graph import Constant, Node
from alexnet_cli.targets.onnx.sizes import Known


class Step(NamedTuple):
    """A node with what is known about its inputs and results; `constants` has those inputs that are constant."""

    node: Node
    read: Sequence[Known]
    made: Sequence[Known]
    constants: Sequence[Constant | None]
    opset: int
    given: Sequence[int]

    def shape(self, place: int = 0) -> Shape:
        """Return the shape of an input."""
        return self.read[place].shape or ()

    def result(self) -> Shape:
        """Return the shape of the first result."""
        return self.made[0].shape or ()

    def is_constant(self, place: int) -> bool:
        """Tell whether an input is in the file."""
        return place < len(self.constants) and self.constants[place] is not None

    def values(self, place: int, name: str = "") -> list[int] | None:
        """Return the whole numbers of an attribute, or of a constant input; None if there are none."""
        given = self.node.attributes.get(name)
        if isinstance(given, list):
            return given
        constant = self.constants[place] if place < len(self.constants) else None
        return None if constant is None or constant.values is None else list(constant.values)

    def numbers(self, name: str, default: list[int]) -> list[int]:
        """Return an attribute with a number for each spatial axis.

        Raises:
            ValueError: it is something else.
        """
        value = self.node.attributes.get(name, default)
        if not isinstance(value, list) or len(value) != len(default):
            raise ValueError(name)
        return value

    def axis(self, default: int) -> int:
        """Return the attribute `axis`."""
        value = self.node.attributes.get("axis", default)
        return value if isinstance(value, int) else default
