"""The memory of a forward and of a training step, from the lifetimes of the storages on the tape.

A storage counts once, however many views it has, from the operator that allocates it until torch frees it. Workspaces
that kernels allocate while they run are on the tape of a trace as on the CPU, the allocator's rounding is on none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Literal, get_args

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from alexnet_cli.errors import UsageError
from alexnet_cli.report import GRAPH, Report
from alexnet_cli.tape import Operation, Phase, Storage, Tape

Kind = Literal["weights", "buffers", "input", "cache", "gradients", "optimizer", "saved", "temporary", "workspace"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What memory is used for.

`cache` is what a language model keeps for its next token, `saved` is saved for backward, `temporary` is everything else
that operators allocate for others, `workspace` what kernels allocate beside their results.
"""

_KIND_OF_ROLE: dict[str, Kind] = {
    "parameter": "weights",
    "buffer": "buffers",
    "input": "input",
    "cache": "cache",
    "gradient": "gradients",
    "optimizer": "optimizer",
    "workspace": "workspace",
}


class Moment(Struct, frozen=True, kw_only=True):
    """The memory that is live while an operator runs: the bytes in total and by kind.

    `op` None is before the first operator; `path` is the layer whose work it is.
    """

    op: str | None
    phase: Phase
    path: str | None
    bytes: int
    live_bytes: dict[str, int]


class Peak(Moment, frozen=True):
    """The moment with most live memory, and the position of the operator that runs."""

    operation: int


class Inference(Struct, frozen=True):
    """Memory of a forward without gradients; `peak_activation_bytes` excludes weights and buffers, not the input."""

    weights_bytes: int
    buffer_bytes: int
    input_bytes: int
    peak_activation_bytes: int
    peak_bytes: int
    peak: Peak


class Training(Struct, frozen=True):
    """Memory of a training step; `saved_activation_bytes` is saved for backward, with the input, without weights.

    The `loss` is there unless it is the sum of the outputs.
    """

    optimizer: str
    amp: str | None
    foreach: bool
    weights_bytes: int
    buffer_bytes: int
    input_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    saved_activation_bytes: int
    peak_bytes: int
    peak: Peak
    loss: str | UnsetType = UNSET


class LayerMemory(Struct, frozen=True, omit_defaults=True):
    """A row's memory: the bytes that it is the first to save for backward, and those allocated for its outputs.

    `row` is its position in the report's layers. `workspace_bytes` is the most that one of its kernels allocates beside
    its results, in a trace as on the CPU, `workspace_at_most` that this is a bound.
    """

    row: int
    path: str
    type: str
    family: str
    saved_bytes: int
    output_bytes: int
    workspace_bytes: int = 0
    workspace_at_most: bool = False


class Recipe(Struct, frozen=True):
    """How a training step was traced."""

    optimizer: str = "sgd"
    amp: str | None = None
    foreach: bool = False
    loss: str | UnsetType = UNSET


class Memory(Struct, frozen=True):
    """The memory of a forward and of a training step; None if it failed, or has nothing to train.

    `layers` and `timeline` are those of the training step, or of the forward if there is no step.
    """

    inference: Inference | None
    training: Training | None
    layers: tuple[LayerMemory, ...]
    timeline: tuple[Moment, ...]


def memory(forward: Report, step: Report | None, recipe: Recipe = Recipe()) -> Memory:  # noqa: B008 - frozen
    """Return the memory of a forward and of a training step, which were traced separately.

    Raises:
        UsageError: the forward has no operator trace.
    """
    trained = step if step is not None and step.error is None else None
    longest = trained or forward
    return Memory(
        inference=inference(forward) if forward.error is None else None,
        training=None if trained is None else training(trained, recipe),
        layers=by_layer(longest),
        timeline=timeline(longest),
    )


def timeline(report: Report) -> tuple[Moment, ...]:
    """Return the live memory before the run and during each operator."""
    tape = tape_of(report)
    by_kind: dict[Kind, list[Storage]] = {kind: [] for kind in KINDS}
    for storage in tape.storages:
        by_kind[kind_of(storage)].append(storage)
    live = zip(*(live_bytes(storages, len(tape.operations)) for storages in by_kind.values()), strict=True)
    moments = []
    for done, held in zip((None, *tape.operations), live, strict=False):
        op, phase, path = at_work(report, done)
        parts = {str(kind): size for kind, size in zip(KINDS, held, strict=True) if size}
        moments.append(Moment(op=op, phase=phase, path=path, bytes=sum(held), live_bytes=parts))
    return tuple(moments)


def at_work(report: Report, operation: Operation | None) -> tuple[str | None, Phase, str | None]:
    """Return an operator's name, its phase and the path of its layer; None stands for what is before the first."""
    if operation is None:
        return None, "forward", None
    return operation.op, operation.phase, None if operation.row is None else report.layers[operation.row].path


def live_bytes(storages: Iterable[Storage], steps: int) -> list[int]:
    """Return the bytes of storages that are live before a run of so many operators, during each, and after them."""
    changes = [0] * (steps + 2)
    for storage in storages:
        changes[storage.born + 1] += storage.bytes
        if storage.died is not None:
            changes[storage.died + 1] -= storage.bytes
    return list(accumulate(changes))


def most_at_once(storages: Iterable[Storage]) -> int:
    """Return the most bytes of storages that are live at one time; quick for few of a long run."""
    changes: Counter[int] = Counter()
    for storage in storages:
        changes[storage.born] += storage.bytes
        if storage.died is not None:
            changes[storage.died] -= storage.bytes
    return max(accumulate(changes[at] for at in sorted(changes)), default=0)


def kind_of(storage: Storage) -> Kind:
    """Return what a storage is used for."""
    return _KIND_OF_ROLE.get(storage.role) or ("temporary" if storage.saved_by is None else "saved")


def inference(report: Report) -> Inference:
    """Return the memory of a forward without gradients."""
    told = _told(report)
    activations = told["peak_bytes"] - told["weights_bytes"] - told["buffer_bytes"]
    return Inference(**told, peak_activation_bytes=activations)


def training(report: Report, recipe: Recipe = Recipe()) -> Training:  # noqa: B008 - frozen
    """Return the memory of a training step that was traced with this recipe."""
    tape = tape_of(report)
    sizes = _sizes(tape)
    return Training(
        **asdict(recipe),
        **_told(report),
        gradient_bytes=sizes["gradients"],
        optimizer_bytes=sizes["optimizer"],
        saved_activation_bytes=sum(storage.bytes for storage in tape.storages if storage.saved_by is not None),
    )


def _told(report: Report) -> dict[str, Any]:
    """Return what is told of a forward and of a training step alike."""
    sizes, peak = _sizes(tape_of(report)), peak_of(timeline(report))
    held = {"weights_bytes": sizes["weights"], "buffer_bytes": sizes["buffers"], "input_bytes": sizes["input"]}
    return {**held, "peak_bytes": peak.bytes, "peak": peak}


def peak_of(moments: tuple[Moment, ...]) -> Peak:
    """Return the first moment with the most live memory."""
    position = max(range(len(moments)), key=lambda number: moments[number].bytes)
    return Peak(position - 1, **asdict(moments[position]))


def by_layer(report: Report) -> tuple[LayerMemory, ...]:
    """Return what each row saves for backward and outputs; a storage counts for the first row that saves it."""
    saved: Counter[int] = Counter()
    tape = tape_of(report)
    for storage in tape.storages:
        if storage.saved_by is not None:
            saved[storage.saved_by] += storage.bytes
    work = _workspaces(tape)
    return tuple(
        LayerMemory(row, layer.path, layer.type, layer.family, saved[row], layer.output_bytes, *work.get(row, ()))
        for row, layer in enumerate(report.layers)
        if layer.leaf or saved[row] or row in work
    )


def _workspaces(tape: Tape) -> dict[int, tuple[int, bool]]:
    """Return the bytes of each row's largest workspace, and whether that is a bound."""
    found: dict[int, tuple[int, bool]] = {}
    for storage in tape.storages:
        row = tape.operations[storage.born].row if storage.role == "workspace" else None
        if row is not None:
            found[row] = max(found.get(row, (0, False)), (storage.bytes, storage.at_most))
    return found


def tape_of(report: Report) -> Tape:
    """Return a report's tape.

    Raises:
        UsageError: the report has none.
    """
    if report.tape is None and report.run is not None and report.run.device == GRAPH:
        raise UsageError(
            f"the shapes of some values of {report.model.target} are not known",
            "give the sizes that it leaves open with --input-size, or export it with fixed ones",
        )
    if report.tape is None:
        raise UsageError(
            f"{report.model.target} has no operator trace",
            "give a model, traced on meta, or a report that `alexnet summary --json` saved without --depth",
        )
    return report.tape


def _sizes(tape: Tape) -> Counter[Kind]:
    """Sum up the storages of each kind, whenever they are live."""
    sizes: Counter[Kind] = Counter()
    for storage in tape.storages:
        sizes[kind_of(storage)] += storage.bytes
    return sizes
