"""The operators that ran, as plain values, which a report keeps beside its rows.

A `Tape` holds the operators in the order they ran, the values (tensors at a moment) that they read and made, and the
storages behind the values with the time that each of them lived. Data flow, windows, bytes moved and live memory all
follow from it, without torch. Positions count from 0; sizes are in bytes.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

Shape = tuple[int, ...]
Phase = Literal["forward", "backward", "optimizer"]
Role = Literal["parameter", "buffer", "input", "gradient", "optimizer", "activation", "cache"]
Nature = Literal["compute", "view", "pointwise"]


class Value(Struct, frozen=True, omit_defaults=True):
    """A tensor at one moment: an operator that writes in place makes a new value of the same storage.

    `bytes` are those of its distinct elements: a dimension that is expanded counts once.
    """

    shape: Shape
    dtype: str
    storage: int
    bytes: int


class Storage(Struct, frozen=True, omit_defaults=True):
    """A piece of memory, allocated by operation `born` (-1: before the run), freed before operation `died` ran.

    `died` None: it was still there at the end. `saved_by` is the row that was first to save it for backward.
    """

    bytes: int
    role: Role = "activation"
    born: int = -1
    died: int | None = None
    saved_by: int | None = None


class Operation(Struct, frozen=True, omit_defaults=True):
    """One ATen operator that ran, views included.

    `row` is the position in the report's layers of the row whose work it is, in the backward phase the row whose
    gradient it computes. Operations with the same `unit` were asked for by one call of a torch function (or, in
    backward, are one node of the graph): a fused kernel could do them at once. `reads` are the values of its tensor
    arguments in their order, `makes` those of its results and of what it writes in place; `arguments` its other
    arguments by name. `macs` is None where it has no formula.

    `nature` is what torch's schema and tags say about the operator: a `view` moves no data and its results share the
    storage of what it reads; in a `pointwise` operator each element of a result depends only on the elements at its
    own place (after broadcasting); everything else is `compute`.
    """

    op: str
    unit: int
    row: int | None = None
    phase: Phase = "forward"
    macs: int | None = 0
    reads: tuple[int, ...] = ()
    makes: tuple[int, ...] = ()
    arguments: dict[str, Any] = {}
    nature: Nature = "compute"


class State(Struct, frozen=True):
    """What a language model keeps from one token to the next, as values: before the run and after it.

    The storages behind them have the role `cache`.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]


class Tape(Struct, frozen=True):
    """The operators, values and storages of a run. `inputs` and `outputs` are the model's arguments and results.

    `state` is there if a prompt or a token of a language model was run.
    """

    operations: tuple[Operation, ...]
    values: tuple[Value, ...]
    storages: tuple[Storage, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    state: State | UnsetType = UNSET
