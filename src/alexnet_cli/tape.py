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
Role = Literal["parameter", "buffer", "input", "gradient", "optimizer", "activation", "cache", "workspace"]
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

    `died` None: it was still there at the end. `saved_by` is the row that was first to save it for backward, `saved_in`
    the call in the source that did. A `workspace` is what a kernel allocates beside its results, for operation `born`
    alone; `at_most` says that it is a bound.
    """

    bytes: int
    role: Role = "activation"
    born: int = -1
    died: int | None = None
    saved_by: int | None = None
    saved_in: int | None = None
    at_most: bool = False


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

    `call` is the innermost call in the tape's source that it ran in, where the source was recorded.

    `again` tells that a checkpoint runs it in the backward, as it did not keep what it made in the forward.
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
    call: int | None = None
    again: bool = False


class State(Struct, frozen=True):
    """What a language model keeps from one token to the next, as values: before the run and after it.

    The storages behind them have the role `cache`.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]


class SourceFile(Struct, frozen=True):
    """A file of source; `digest` is that of its text, None if the text is not what ran (it was changed since)."""

    path: str
    digest: str | None


class Spot(Struct, frozen=True, omit_defaults=True):
    """An instruction of a function in a source file that made calls: `line` is its line, `at` its offset in the code.

    `first` is the line where the function begins, its decorators included.
    """

    file: int
    line: int
    at: int
    function: str
    first: int


class Step(Struct, frozen=True, array_like=True):
    """A spot on the way to a call: which `run` of its function it was, and which `part` of that run.

    A spot that runs three times in one run of its function has three parts. Runs and parts are numbered by the trace.
    """

    spot: int
    run: int
    part: int


class SourceCall(Struct, frozen=True, omit_defaults=True):
    """A call of a module or of a torch function that the user's code made.

    `trail` leads to it, outermost first, from the code that the call `within` ran. Its operations, and those of the
    calls in it, are those from `start` to before `stop`. `shapes` are those of the tensors that it returned, `makes`
    the values that these are, -1 for one that no operation made.
    """

    trail: tuple[Step, ...]
    start: int
    stop: int
    within: int | None = None
    shapes: tuple[Shape, ...] = ()
    makes: tuple[int, ...] = ()


class Source(Struct, frozen=True):
    """Where in the user's own source a run was: its calls, in the order in which they began.

    `failed` are the spots on the way to what raised, outermost first.
    """

    files: tuple[SourceFile, ...]
    spots: tuple[Spot, ...]
    calls: tuple[SourceCall, ...]
    failed: tuple[int, ...] = ()


class Tape(Struct, frozen=True):
    """The operators, values and storages of a run. `inputs` and `outputs` are the model's arguments and results.

    `state` is there if a prompt or a token of a language model was run, `source` if it was asked for.
    """

    operations: tuple[Operation, ...]
    values: tuple[Value, ...]
    storages: tuple[Storage, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    state: State | UnsetType = UNSET
    source: Source | UnsetType = UNSET
