"""What a rule returns, as numbers and names without text; and how rules read the rows of a report."""

from __future__ import annotations

from math import prod
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from alexnet_cli.report import Family, Layer, Report, cut_at
from alexnet_cli.tape import Shape

Verdict = Literal["holds", "partly", "fails", "not_applicable"]


class Evidence(Struct, frozen=True):
    """One fact: `key` says what it is about, `values` are its numbers and the layers that it names."""

    key: str
    values: dict[str, Any]


class Finding(Struct, frozen=True):
    """A rule's verdict on a model; `code` does not change from release to release."""

    code: str
    verdict: Verdict
    evidence: tuple[Evidence, ...]


class Judged(NamedTuple):
    """A rule's answer."""

    verdict: Verdict
    evidence: tuple[Evidence, ...]


def fact(key: str, **values: Any) -> Evidence:
    """Return one piece of evidence."""
    return Evidence(key, values)


def not_applicable(key: str, **values: Any) -> Judged:
    """Return that the rule does not apply, and why."""
    return Judged("not_applicable", (fact(key, **values),))


def by_exceptions(*, kept: int, exceptions: int) -> Verdict:
    """Judge a claim about several things by whether all, some or none fulfil it."""
    if not exceptions:
        return "holds"
    return "partly" if kept else "fails"


def by_share(share: float, *, holds: float, partly: float) -> Verdict:
    """Judge a claim about a share, a fraction of 1, by two limits."""
    if share >= holds:
        return "holds"
    return "partly" if share >= partly else "fails"


class Weights(NamedTuple):
    """The weights of a convolution or linear layer, from its settings; a linear layer has no kernel."""

    into: int
    out: int
    kernel: Shape = ()
    groups: int = 1
    bias: bool = True
    transposed: bool = False

    @property
    def number(self) -> int:
        """The number of weights, without biases."""
        return self.out * self.into // self.groups * prod(self.kernel)

    @property
    def params(self) -> int:
        """The number of parameters, biases included."""
        return self.number + (self.out if self.bias else 0)

    def can_be_split(self, groups: int) -> bool:
        """Tell whether it has no groups, and channels that so many groups divide."""
        return self.groups == 1 and self.into % groups == self.out % groups == 0


def steps(report: Report) -> tuple[Layer, ...]:
    """Return the rows without children, in the order they ran."""
    return tuple(report.layers[rows.start] for rows in cut_at(report.layers, None))


def of_family(rows: tuple[Layer, ...], *families: Family) -> tuple[Layer, ...]:
    """Return the rows of these families."""
    return tuple(row for row in rows if row.family in families)


class Convolution(NamedTuple):
    """A call of a convolution; maps are shapes with the channels first, without the batch."""

    row: Layer
    weights: Weights

    @property
    def map_in(self) -> Shape:
        """The shape of its input."""
        return self.row.input_shapes[0][-len(self.weights.kernel) - 1 :]

    @property
    def map_out(self) -> Shape:
        """The shape of its output."""
        return self.row.output_shapes[0][-len(self.weights.kernel) - 1 :]

    @property
    def places(self) -> int:
        """At how many positions of one image it uses each of its weights."""
        return prod((self.map_in if self.weights.transposed else self.map_out)[1:])


def convolutions(report: Report) -> list[Convolution]:
    """Return the first call of each convolution that ran as a module."""
    rows = [row for row in steps(report) if row.family == "conv" and row.call == 1]
    found = [Convolution(row, weights) for row in rows if (weights := weights_of(row)) is not None]
    return [conv for conv in found if conv.row.output_shapes and conv.row.input_shapes]


def weights_of(row: Layer) -> Weights | None:
    """Read the weights from a row's settings; None if they are incomplete."""
    told = row.settings
    try:
        if row.family == "conv":
            kernel = tuple(int(size) for size in told["kernel_size"])
            into, out, groups = int(told["in_channels"]), int(told["out_channels"]), int(told["groups"])
            return Weights(into, out, kernel, groups, bool(told["bias"]), bool(told["transposed"]))
        if row.family == "linear":
            return Weights(int(told["in_features"]), int(told["out_features"]), bias=bool(told["bias"]))
    except (KeyError, TypeError, ValueError):
        pass
    return None


def width_of(row: Layer) -> int | None:
    """Return the number of output channels or features of a convolution, linear layer or embedding, else None."""
    if row.kind != "module" or not row.leaf:
        return None
    weights = weights_of(row)
    if weights is not None:
        return weights.out
    width = row.settings.get("embedding_dim") if row.family == "embedding" else None
    return width if isinstance(width, int) else None
