"""What of a model could be trained alone: its linear layers by adapters, or what runs after some of its blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alexnet_cli.analyses.fitting.chain import Block
from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.report import Report, siblings, subtree_ends

_LINEAR = frozenset({"Linear", "Conv1D"})


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
