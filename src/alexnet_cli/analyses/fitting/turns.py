"""The micro-batches of a traced step, of which each but the first does the same and adds to the gradients.

So one trace is enough of any number of them: that of another micro-batch than the first. The first does what it does
but for adding to the gradients, and holds no more. That a model is like this, one trace of its first two tells.
"""

from __future__ import annotations

from msgspec.structs import replace

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.serving.cached import modules_of
from alexnet_cli.analyses.traffic import turns_of
from alexnet_cli.report import Layer, Report
from alexnet_cli.tape import Tape


def repeats(report: Report) -> bool:
    """Tell whether the second of two micro-batches does what the first does, adds to its gradients, and no more.

    The first must leave nothing else behind, as a model would that keeps tensors from one forward to the next.
    """
    tape = tape_of(report)
    turns = turns_of(tape.operations)
    if not turns or turns[-1] != 1:
        return False
    start = turns.index(1)
    left = (each for each in tape.storages if 0 <= each.born < start and (each.died is None or each.died > start))
    adds = accumulations(tape, start)
    again = [at for at in range(start, len(turns)) if at not in adds]
    rows = rows_of_modules(report.layers)
    return (
        all(each.role == "gradient" for each in left)
        and len(again) == start
        and all(_does(tape, at, rows) == _does(tape, other, rows) for at, other in enumerate(again))
    )


def accumulations(tape: Tape, start: int = 0) -> set[int]:
    """Return the positions of what adds to gradients that were there before the operation at `start`."""
    kept = {at for at, each in enumerate(tape.storages) if each.role == "gradient" and each.born < start}
    return {
        at
        for at, done in enumerate(tape.operations)
        if at >= start and done.phase == "backward" and any(tape.values[value].storage in kept for value in done.makes)
    }


def as_first(tape: Tape) -> Tape:
    """Return the trace of another micro-batch with what the first would leave: what is added to gradients is these."""
    added = {tape.values[value].storage for at in accumulations(tape) for value in tape.operations[at].reads}
    storages = (replace(each, died=None) if at in added else each for at, each in enumerate(tape.storages))
    return replace(tape, storages=tuple(storages))


def by_modules(report: Report) -> Report:
    """Return a trace whose operations are the work of modules, as those of a second forward are: it has no rows."""
    tape = tape_of(report)
    rows = rows_of_modules(report.layers)
    operations = tuple(replace(done, row=rows[done.row]) for done in tape.operations)
    return replace(report, tape=replace(tape, operations=operations))


def rows_of_modules(layers: tuple[Layer, ...]) -> dict[int | None, int | None]:
    """Return for each row the first of the module that it is of: its own, or that of a function's caller."""
    first: dict[str, int] = {}
    for row, layer in enumerate(layers):
        if layer.kind == "module":
            first.setdefault(layer.path, row)
    return {None: None, **{row: first.get(layers[module].path) for row, module in enumerate(modules_of(layers))}}


def _does(tape: Tape, at: int, rows: dict[int | None, int | None]) -> tuple[object, ...]:
    """Return what an operation does, by the module whose work it is and by the sizes that it reads and makes."""
    done = tape.operations[at]
    sizes = [
        [(tape.values[it].shape, tape.values[it].dtype, tape.values[it].bytes) for it in values]
        for values in (done.reads, done.makes)
    ]
    return done.op, done.phase, rows[done.row], done.macs, done.nature, done.again, done.arguments, sizes
