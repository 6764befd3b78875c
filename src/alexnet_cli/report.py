"""What a trace found, as plain values: the waist of the program.

A `Report` holds no tensor, no module and no display string. It is what `--json` writes and what a saved
report is read back into, so everything after the trace works without torch. The field names are the JSON
keys. Sizes are in elements (`params`, `buffers`) or bytes (`*_bytes`), shapes have the batch first, MACs are
multiply-accumulates without bias additions and FLOPs are twice the MACs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, Literal, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

from alexnet_cli.tape import Shape, Tape
from alexnet_cli.timing import Passes
from alexnet_cli.wiring import Wiring

SCHEMA_VERSION: Literal[1] = 1

Family = Literal[
    "conv",
    "linear",
    "norm",
    "pool",
    "activation",
    "dropout",
    "embedding",
    "recurrent",
    "attention",
    "reshape",
    "softmax",
    "container",
    "other",
]


GRAPH = "onnx"
"""The device of a graph in a file, which says what a run would do and was not run."""


class Generator(Struct, frozen=True):
    """The program and the torch that made a report; `torch` is None if torch is not installed."""

    name: str
    version: str
    torch: str | None


class Model(Struct, frozen=True):
    """The target as it was given, the model's class, and a sentence about it."""

    target: str
    class_name: str = msgspec.field(name="class")
    description: str


class Input(Struct, frozen=True):
    """One argument of `forward`, batch included; `found` if the program chose it, `name` if by keyword.

    `values` are those of one sample, row by row, where the program chose them for their sense. `per_sample` is how much
    of the first axis belongs to each sample, where the samples follow one another along it.
    """

    shape: Shape
    dtype: str
    found: bool = False
    name: str | None = None
    values: tuple[int, ...] | UnsetType = UNSET
    per_sample: int | UnsetType = UNSET


class Measured(Struct, frozen=True):
    """The measured memory and time of a forward on a real device; None if it cannot be measured."""

    device_name: str
    peak_allocated_bytes: int | None
    seconds: float


class Served(Struct, frozen=True):
    """What a language model was run for: a prompt of `context` tokens, or the token at that place after a cache.

    `context` is None where the arguments were given, cache included.
    """

    part: Literal["prefill", "decode"]
    context: int | None


class Run(Struct, frozen=True):
    """How the model was run; `complete` is False if the forward failed. The device of a graph in a file is `onnx`.

    `serving` is there if the run is a prompt or a token of a language model; `inputs` are then those of the prompt.
    """

    device: str
    dtype: str
    mode: Literal["eval", "train"]
    batch_size: int | None
    inputs: tuple[Input, ...]
    complete: bool
    measured: Measured | None = None
    serving: Served | UnsetType = UNSET


class ErrorInfo(Struct, frozen=True):
    """Why a command failed."""

    code: str
    message: str
    hint: str | None = None
    path: str | None = None


class Layer(Struct, frozen=True):
    """One call of a module, or one function that a container called outside its submodules.

    `params_by_family` is there where the row's own parameters count under another family than the row: those of a
    container, each under that of the function which uses it.
    """

    index: int | None
    path: str
    type: str
    kind: Literal["module", "function"]
    family: Family
    depth: int
    leaf: bool
    call: int
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    settings: dict[str, Any]
    params: int
    trainable_params: int
    param_bytes: int
    buffers: int
    params_total: int
    macs: int | None
    flops: int | None
    macs_total: int | None
    output_bytes: int
    in_place: bool
    reuses: str | None = None
    params_by_family: dict[Family, int] | UnsetType = UNSET

    @property
    def held(self) -> dict[Family, int]:
        """The row's own parameters by the family that they count under: its own, unless told otherwise."""
        if self.params_by_family is not UNSET:
            return self.params_by_family
        return {self.family: self.params} if self.params else {}

    @property
    def only_rearranges(self) -> bool:
        """Whether it is a function that only reshapes one tensor or selects from it: a view, or a copy no larger."""
        if self.kind != "function" or self.family != "reshape" or len(self.input_shapes) != 1:
            return False
        return not self.output_bytes or sum(map(prod, self.output_shapes)) <= prod(self.input_shapes[0])


class UncountedOp(Struct, frozen=True):
    """An operator that computes but has no MAC formula: how often it ran and in which rows."""

    op: str
    calls: int
    paths: tuple[str, ...]


class UnusedModule(Struct, frozen=True):
    """A module that no call reached, with the parameters registered directly in it."""

    path: str
    params: int


class Totals(Struct, frozen=True):
    """Sums over the model; each parameter and buffer is counted once. MACs are None if nothing was run."""

    params: int
    trainable_params: int
    frozen_params: int
    buffers: int
    param_bytes: int
    macs: int | None
    flops: int | None
    layers: int
    uncounted_ops: tuple[UncountedOp, ...] = ()
    unused_modules: tuple[UnusedModule, ...] = ()


class Report(Struct, frozen=True):
    """A traced model; or a checkpoint, which cannot be run: then `run` and MACs are None.

    `tape` is what ran, operator by operator; None where that was not recorded. `passes` are the times of runs that
    were repeated with a clock. `wiring` is there for a training step.
    """

    generator: Generator
    model: Model
    run: Run | None
    error: ErrorInfo | None
    layers: tuple[Layer, ...]
    totals: Totals
    tape: Tape | None = None
    passes: Passes | UnsetType = UNSET
    wiring: Wiring | UnsetType = UNSET


def subtree(layers: Sequence[Layer], row: int) -> range:
    """Return the positions of a row and of every row below it, in time linear in their number."""
    end = row + 1
    while end < len(layers) and layers[end].depth > layers[row].depth:
        end += 1
    return range(row, end)


class InTree(Protocol):
    """What stands in a tree in depth-first order."""

    @property
    def depth(self) -> int:
        """Return how many rows it is below."""


def subtree_ends(layers: Sequence[InTree]) -> tuple[int, ...]:
    """Return, for each row, the position just past its subtree: `subtree` of all rows, in linear time."""
    ends = [len(layers)] * len(layers)
    open_rows: list[int] = []
    for position, row in enumerate(layers):
        while open_rows and layers[open_rows[-1]].depth >= row.depth:
            ends[open_rows.pop()] = position
        open_rows.append(position)
    return tuple(ends)


def cut_at(layers: Sequence[Layer], depth: int | None) -> list[range]:
    """Return the rows that a cut at a depth shows, each with the rows below it, for which it stands.

    Those are the rows at that depth and the rows above it without children; without a depth, all without children.
    """
    ends = zip(layers, subtree_ends(layers), strict=True)
    return [
        range(row, end)
        for row, (layer, end) in enumerate(ends)
        if layer.depth == depth or (end == row + 1 and (depth is None or layer.depth < depth))
    ]


def siblings(ends: Sequence[int], start: int, stop: int) -> Iterator[int]:
    """Yield the topmost rows from `start` to before `stop`; of `row + 1` to `ends[row]`, the children of a row."""
    while start < stop:
        yield start
        start = ends[start]
