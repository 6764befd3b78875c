"""Reading the rows of a report: what ran, in order, and the arithmetic of layers with weights."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from alexnet_cli.report import Family, Layer, Report, subtree_ends
from alexnet_cli.tape import Shape


class Weights(NamedTuple):
    """The weights of a convolution or a linear layer by its settings; a linear layer has no kernel."""

    into: int
    out: int
    kernel: Shape
    groups: int
    bias: bool
    transposed: bool

    @property
    def number(self) -> int:
        """How many weights there are, biases not counted."""
        return self.out * self.into // self.groups * prod(self.kernel)

    @property
    def params(self) -> int:
        """How many parameters there are, biases counted."""
        return self.number + (self.out if self.bias else 0)


def steps(report: Report) -> tuple[Layer, ...]:
    """Return the innermost rows, those that no other row is part of, in the order they ran."""
    ends = subtree_ends(report.layers)
    return tuple(row for place, row in enumerate(report.layers) if ends[place] == place + 1)


def of_family(rows: tuple[Layer, ...], *families: Family) -> tuple[Layer, ...]:
    """Return the rows of these families."""
    return tuple(row for row in rows if row.family in families)


def convolutions(report: Report) -> list[tuple[Layer, Weights]]:
    """Return the first call of each convolution that ran as a module, with its weights."""
    found = [(row, weights_of(row)) for row in of_family(steps(report), "conv") if row.call == 1]
    return [(row, weights) for row, weights in found if weights is not None and row.output_shapes and row.input_shapes]


def weights_of(row: Layer) -> Weights | None:
    """Read the weights from a row's settings; None where they do not tell."""
    told = row.settings
    try:
        if row.family == "conv":
            return Weights(
                int(told["in_channels"]),
                int(told["out_channels"]),
                tuple(int(size) for size in told["kernel_size"]),
                int(told["groups"]),
                bool(told["bias"]),
                bool(told["transposed"]),
            )
        if row.family == "linear":
            return Weights(int(told["in_features"]), int(told["out_features"]), (), 1, bool(told["bias"]), False)  # noqa: FBT003 - a linear layer is not transposed
    except (KeyError, TypeError, ValueError):
        return None
    return None


def map_in(row: Layer, weights: Weights) -> Shape:
    """Return the shape of what a convolution takes, channels first, without the batch."""
    return row.input_shapes[0][-len(weights.kernel) - 1 :]


def map_out(row: Layer, weights: Weights) -> Shape:
    """Return the shape of what a convolution puts out, channels first, without the batch."""
    return row.output_shapes[0][-len(weights.kernel) - 1 :]


def places(row: Layer, weights: Weights) -> int:
    """Return at how many places of one image a convolution uses each of its weights."""
    return prod((map_in if weights.transposed else map_out)(row, weights)[1:])


def width_of(row: Layer) -> int | None:
    """Return how many channels or features a convolution, linear layer or embedding puts out; None for other rows."""
    if row.kind != "module" or not row.leaf:
        return None
    weights = weights_of(row)
    if weights is not None:
        return weights.out
    width = row.settings.get("embedding_dim") if row.family == "embedding" else None
    return width if isinstance(width, int) else None
