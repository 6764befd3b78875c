"""Which layers of a traced step could run otherwise with the same result, and which could be trained alone.

The former are activations in place and scores in chunks; the latter linear layers by adapters, or the last blocks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from alexnet_cli.analyses.fitting.chain import Block, owners
from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.report import Report, siblings, subtree_ends
from alexnet_cli.tape import Operation, Tape

_BY_RESULT = frozenset({"ReLU", "LeakyReLU", "ELU", "CELU", "SELU", "RReLU"})
"""Activations whose gradient torch can tell from their result. Of others, as SiLU, torch copies what they overwrite."""
_LINEAR = frozenset({"Linear", "Conv1D"})
_LOSSES = frozenset({"nll_loss_forward", "nll_loss2d_forward"})


def in_place(report: Report, chain: Sequence[Block]) -> tuple[str, ...]:
    """Return the paths of the activations that may write over what they are given, in each of their calls.

    Nothing else may need that: neither an operator that runs later, in the backward too, nor the model's output. It
    must be made by the step, in the same block of the chain, as a block that is run again needs what it was given.
    """
    tape = tape_of(report)
    owner = owners(report, chain)
    calls = Counter(layer.path for layer in report.layers if layer.kind == "module")
    rows = {row: layer.path for row, layer in enumerate(report.layers) if layer.type in _BY_RESULT and layer.path}
    reads = _reads(tape)
    returned = {tape.values[value].storage for value in tape.outputs}
    may: Counter[str] = Counter()
    for at, done in enumerate(tape.operations):
        if done.phase != "forward" or done.row not in rows or done.nature == "view" or not done.reads:
            continue
        given = tape.values[done.reads[0]].storage
        storage = tape.storages[given]
        writes = given in {tape.values[value].storage for value in done.makes}
        maker = tape.operations[storage.born] if storage.born >= 0 else None
        same = maker is not None and maker.row is not None and owner.get(maker.row) == owner.get(done.row)
        later = (tape.operations[each] for each in reads[given] if each > at)
        alone = all(each.row == done.row and each.phase == "backward" and not each.again for each in later)
        if not writes and same and alone and given not in returned and _rises(done):
            may[rows[done.row]] += 1
    return tuple(path for path in dict.fromkeys(rows.values()) if may[path] == calls[path])


def _reads(tape: Tape) -> dict[int, list[int]]:
    """Return the operations that read each storage; a view of it does not count, what reads the view does."""
    found: dict[int, list[int]] = defaultdict(list)
    for at, done in enumerate(tape.operations):
        if done.nature != "view":
            for value in done.reads:
                found[tape.values[value].storage].append(at)
    return found


def _rises(done: Operation) -> bool:
    """Tell whether an activation has no negative slope: with one its result does not tell its gradient."""
    return all(value >= 0 for value in done.arguments.values() if isinstance(value, (int, float)))


def scored(report: Report) -> str | None:
    """Return the path of the linear layer of whose scores a step takes one cross-entropy, of several positions."""
    tape = tape_of(report)
    losses = [done for done in tape.operations if done.op in _LOSSES and done.phase == "forward"]
    if len(losses) != 1 or tape.values[losses[0].reads[1]].bytes <= 8:  # noqa: PLR2004 - a label
        return None
    maker = {value: done for done in tape.operations if done.phase == "forward" for value in done.makes}
    done = maker.get(losses[0].reads[0])
    while done is not None and not done.macs:
        done = maker.get(done.reads[0]) if done.reads else None
    layer = None if done is None or done.row is None else report.layers[done.row]
    if layer is None or layer.type != "Linear" or not layer.path:
        return None
    return layer.path if sum(each.path == layer.path for each in report.layers) == 1 else None


def linear_layers(report: Report) -> tuple[str, ...]:
    """Return the paths of the linear layers but for the output layer, as peft's `target_modules="all-linear"`.

    The output layer is one whose result the model returns, changed by nothing with a second tensor in it.
    """
    output = _output_layers(report)
    found = (layer.path for layer in report.layers if layer.kind == "module" and layer.type in _LINEAR and layer.path)
    return tuple(path for path in dict.fromkeys(found) if path not in output)


def _output_layers(report: Report) -> set[str]:
    tape = tape_of(report)
    maker = {value: done for done in tape.operations if done.phase == "forward" for value in done.makes}
    found = set()
    for value in tape.outputs:
        done = maker.get(value)
        while done is not None:
            row = None if done.row is None else report.layers[done.row]
            if row is not None and row.kind == "module" and row.type in _LINEAR:
                found.add(row.path)
            before = [made for made in map(maker.get, done.reads) if made is not None]
            if done.macs or len(before) != 1:
                break
            [done] = before
    return found


def from_block(report: Report, chain: Sequence[Block], first: int) -> tuple[str, ...]:
    """Return the paths of the modules that run from block `first` of a chain on, or after all of them.

    A module that runs before that too is not among them, but its parts may be.
    """
    layers, ends = report.layers, subtree_ends(report.layers)
    rows: dict[str, tuple[int, int]] = {}
    for row, layer in enumerate(layers):
        rows[layer.path] = (rows.get(layer.path, (row, row))[0], ends[row])
    start = rows[chain[first].paths[0]][0] if first < len(chain) else rows[chain[-1].paths[-1]][1]

    def within(row: int) -> Iterator[str]:
        for part in siblings(ends, row + 1, ends[row]):
            layer = layers[part]
            if layer.kind != "module" or ends[part] <= start:
                continue
            if rows[layer.path][0] >= start:
                yield layer.path
            else:
                yield from within(part)

    return tuple(dict.fromkeys(within(0))) if layers else ()
