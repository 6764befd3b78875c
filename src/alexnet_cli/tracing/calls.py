"""A call of a module or a function, as it was recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from alexnet_cli.tape import Shape
from alexnet_cli.tracing.operators import Operator


@dataclass(slots=True)
class Call:
    """A call of a module or a function; `parts` are the calls inside it, in the order they ran.

    Its own work is what its operators did, those of modules below it left out: `counted` tells whether any of them had
    a MAC formula, `uncounted` names those that compute and have none. `mutated` are the storages written to.
    """

    module: nn.Module | None
    name: str
    started: int
    input_shapes: tuple[Shape, ...] = ()
    output_shapes: tuple[Shape, ...] = ()
    output_bytes: int = 0
    in_place: bool = False
    finished: bool = False
    settings: dict[str, Any] | None = None
    macs: int = 0
    counted: bool = False
    mutated: frozenset[int] = frozenset()
    calls_modules: bool = False
    operators: set[Operator] = field(default_factory=set)
    uncounted: list[str] = field(default_factory=list)
    parts: list[Call] = field(default_factory=list)

    def absorb_parts(self) -> None:
        """Take the work of the parts for one's own."""
        for part in self.parts:
            self.macs += part.macs
            self.counted = self.counted or part.counted
            self.operators |= part.operators
            self.uncounted += part.uncounted
            self.mutated |= part.mutated
        self.parts.clear()
