"""Equal siblings folded into one row, such as the 126 blocks of a large transformer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.shares import held_by
from alexnet_cli.report import Layer, siblings, subtree_ends

POSITION_SETTINGS = ("layer_idx", "layer_id", "layer_index", "block_idx", "idx", "index")
"""Settings that only give the position of a block."""


class FoldedRow(Struct, frozen=True):
    """A row that stands for `count` equal rows: its numbers are their sums, its path covers all of theirs."""

    layer: Layer
    count: int


def fold_repeats(layers: Sequence[Layer]) -> list[FoldedRow]:
    """Fold neighbours whose subtrees have equal types, settings, shapes and numbers into one."""
    ends = subtree_ends(layers)
    keys = likenesses(layers, ends, by_call=True)

    def folded(root: int) -> list[FoldedRow]:
        rows = [FoldedRow(layers[root], 1)]
        for _, group in groupby(siblings(ends, root + 1, ends[root]), key=keys.__getitem__):
            alike = [folded(row) for row in group]
            if len(alike) == 1:
                rows += alike[0]
                continue
            for same in zip(*alike, strict=True):
                rows.append(_summed([row.layer for row in same], same[0].count * len(alike)))
        return rows

    return [row for top in siblings(ends, 0, len(layers)) for row in folded(top)]


def likenesses(layers: Sequence[Layer], ends: Sequence[int], *, by_call: bool = False) -> list[int]:
    """Number the rows so that rows with equal subtrees share a number; `by_call` tells calls of a module apart."""
    numbers: dict[tuple[object, ...], int] = {}
    keys = [0] * len(layers)
    for position in range(len(layers) - 1, -1, -1):
        row = layers[position]
        settings = {name: value for name, value in row.settings.items() if name not in POSITION_SETTINGS}
        look = (
            row.type,
            row.kind,
            row.call if by_call else 0,
            row.input_shapes,
            row.output_shapes,
            row.params,
            row.macs,
            row.reuses is None,
            msgspec.json.encode(settings),
            tuple(keys[part] for part in siblings(ends, position + 1, ends[position])),
        )
        keys[position] = numbers.setdefault(look, len(numbers))
    return keys


def _summed(rows: Sequence[Layer], count: int) -> FoldedRow:
    first = rows[0]
    known = all(row.macs is not None for row in rows)
    layer = replace(
        first,
        path=span(first.path, rows[-1].path),
        index=None,
        params=sum(row.params for row in rows),
        params_total=sum(row.params_total for row in rows),
        macs=sum(row.macs or 0 for row in rows) if known else first.macs,
        macs_total=None if first.macs_total is None else sum(row.macs_total or 0 for row in rows),
        params_by_family=held_by(rows),
    )
    return FoldedRow(layer, count)


def span(first: str, last: str) -> str:
    """Write a range of paths: `layers.0.norm` to `layers.125.norm` is `layers.0–125.norm`."""
    left, right = first.split("."), last.split(".")
    if len(left) != len(right):
        return first
    return ".".join(a if a == b else f"{a}–{b}" for a, b in zip(left, right, strict=True))
