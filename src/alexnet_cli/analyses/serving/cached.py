"""What a language model keeps from one token to the next, by the layer that makes it, from the tape.

A layer's cache is what its operations made or wrote last, and what it only reads if nothing writes it (what an encoder
said). So windows, shared and latent keys and values, and states of one size come out by themselves. Bytes are those of
the elements that are kept; allocated are those of the storages behind them, of which a window may be a view.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.report import Layer, Report
from alexnet_cli.tape import Shape, State, Tape


class CachedLayer(Struct, frozen=True):
    """What one module keeps after the run: `shapes` with the batch, bytes of the whole batch.

    `bytes_per_token` is what the token of this run added for one sequence: 0 where a window is full or a state has one
    size, None for a prompt.
    """

    path: str
    type: str
    shapes: tuple[Shape, ...]
    dtypes: tuple[str, ...]
    bytes: int
    allocated_bytes: int
    bytes_per_token: int | None


class Cache(Struct, frozen=True):
    """What a model keeps after the run, by layer and in total."""

    bytes: int
    allocated_bytes: int
    bytes_per_token: int | None
    layers: tuple[CachedLayer, ...]


def state_of(report: Report) -> tuple[Tape, State]:
    """Return the tape of a prompt or of a token, and its state; both are empty of values for another run."""
    tape = tape_of(report)
    return tape, tape.state or State((), ())


def cache(report: Report) -> Cache:
    """Return what a model keeps after a prompt or a token.

    Raises:
        UsageError: the report has no operator trace.
    """
    tape, state = state_of(report)
    owner = _Owners(report, tape)
    after, before = owner.by_path(state.after), owner.by_path(state.before)
    types = {layer.path: layer.type for layer in report.layers}
    batch = (report.run and report.run.batch_size) or 1
    layers = []
    for path, values in after.items():
        held = [tape.values[value] for value in values]
        size = sum(value.bytes for value in held)
        added = size - sum(tape.values[value].bytes for value in before.get(path, ()))
        shapes, dtypes = (value.shape for value in held), (value.dtype for value in held)
        layers.append(
            CachedLayer(
                path=path,
                type=types.get(path, ""),
                shapes=tuple(shapes),
                dtypes=tuple(dict.fromkeys(dtypes)),
                bytes=size,
                allocated_bytes=sum(tape.storages[number].bytes for number in {value.storage for value in held}),
                bytes_per_token=added // batch if is_token(report) else None,
            )
        )
    return Cache(
        bytes=sum(layer.bytes for layer in layers),
        allocated_bytes=sum(layer.allocated_bytes for layer in layers),
        bytes_per_token=sum(layer.bytes_per_token or 0 for layer in layers) if is_token(report) else None,
        layers=tuple(layers),
    )


def values_by_path(report: Report, *, before: bool = False) -> dict[str, list[int]]:
    """Return the values of the state after the run, or before it, that belong to each module, by its path."""
    tape, state = state_of(report)
    return _Owners(report, tape).by_path(state.before if before else state.after)


def is_token(report: Report) -> bool:
    """Tell whether a report is that of one token after a cache."""
    return bool(report.run and report.run.serving and report.run.serving.part == "decode")


class _Owners:
    """Which module a storage of the state belongs to: that of the last operation that wrote to it, else of a reader.

    Modules are told by their paths: one that is called twice may read in one call and write in the other.
    """

    def __init__(self, report: Report, tape: Tape) -> None:
        self.values = tape.values
        paths = paths_of(report)
        self._wrote: dict[int, str] = {}
        self._read: dict[int, str] = {}
        for operation in tape.operations:
            if operation.nature == "view" or operation.row is None:
                continue
            for value in operation.reads:
                self._read.setdefault(tape.values[value].storage, paths[operation.row])
            for value in operation.makes:
                self._wrote[tape.values[value].storage] = paths[operation.row]

    def by_path(self, values: Sequence[int]) -> dict[str, list[int]]:
        """Return the values that belong to each module, by its path; what no operation touched is the model's own."""
        found: dict[str, list[int]] = defaultdict(list)
        for value in values:
            storage = self.values[value].storage
            found[self._wrote.get(storage, self._read.get(storage, ""))].append(value)
        return found


def paths_of(report: Report) -> dict[int | None, str]:
    """Return, for each row, the path of the module whose code ran it; what is in no row is the model's own."""
    return {None: "", **{row: report.layers[module].path for row, module in enumerate(modules_of(report.layers))}}


def modules_of(layers: Sequence[Layer]) -> list[int]:
    """Return, for each row, the row of the module whose code ran it: a module is its own."""
    owners: list[int] = []
    above: list[int] = []
    for row, layer in enumerate(layers):
        while above and layers[above[-1]].depth >= layer.depth:
            above.pop()
        owners.append(row if layer.kind == "module" or not above else above[-1])
        if layer.kind == "module":
            above.append(row)
    return owners
