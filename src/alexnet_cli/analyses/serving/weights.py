"""Which weights a token uses: all of a dense layer, a row of a table, and some of many experts.

Experts are told by what runs: a grouped product whose weight has E matrices and whose rows are k for each token, or E
matrices of which k are looked up for each token. How many of them a batch touches depends on the router; under uniform
routing T tokens that choose k of E experts each touch E (1 - (1 - k / E)^T) in expectation, as one token misses an
expert with probability 1 - k / E. Of a loop over modules, and where all experts run and some are weighed with zero, the
tape does not tell which a token needs: they count as dense.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import prod

from msgspec import Struct

from alexnet_cli.analyses.serving.cached import modules_of
from alexnet_cli.analyses.traffic import is_lookup, reads_of
from alexnet_cli.report import Report
from alexnet_cli.tape import Operation, Tape

GROUPED_PRODUCTS = frozenset({"_grouped_mm", "_scaled_grouped_mm", "transformers::grouped_mm_fallback"})
_BITS = 8
_MATRICES = 3
"""How many dimensions the weights of several experts have."""


class Experts(Struct, frozen=True):
    """Layers of `count` experts each, of which a token uses `per_token`.

    `params` and `bytes` are those of all their experts. `touched` is how many experts of one layer the run's tokens
    touch, expected under uniform routing.
    """

    count: int
    per_token: int
    layers: int
    params: int
    bytes: int
    touched: float


class Weight(Struct, frozen=True):
    """A storage of weights that a run read, of `elements` elements.

    One token reads `looked_up` bytes of it, None for all. If it holds experts, these are those of `per_token` of
    `experts`; `row` is their module's, in the report's layers.
    """

    bytes: int
    elements: int
    looked_up: Fraction | None = None
    experts: int = 0
    per_token: int = 0
    row: int | None = None

    def read(self, tokens: int) -> float:
        """Return the bytes that must be read for so many tokens, for experts in expectation under uniform routing."""
        if self.experts:
            return self.bytes * (1 - (1 - self.per_token / self.experts) ** tokens)
        return self.bytes if self.looked_up is None else min(self.bytes, float(self.looked_up * tokens))

    @property
    def active(self) -> Fraction:
        """The number of elements that one token uses."""
        share = Fraction(1) if self.looked_up is None else min(self.looked_up / self.bytes, Fraction(1))
        return self.elements * share


class Weights(Struct, frozen=True):
    """The weights that a run over `tokens` tokens read."""

    tokens: int
    each: tuple[Weight, ...]

    def read(self, tokens: int) -> float:
        """Return the bytes that must be read for so many tokens."""
        return sum(weight.read(tokens) for weight in self.each)

    @property
    def active(self) -> int:
        """The number of elements that one token uses, of a table the rows that it looks up."""
        return round(sum(weight.active for weight in self.each))

    @property
    def experts(self) -> tuple[Experts, ...]:
        """The experts, those of alike layers together."""
        groups: dict[tuple[int, int], list[Weight]] = defaultdict(list)
        for weight in self.each:
            if weight.experts:
                groups[weight.experts, weight.per_token].append(weight)
        return tuple(
            Experts(
                count=count,
                per_token=chosen,
                layers=len({weight.row for weight in group}),
                params=sum(weight.elements for weight in group),
                bytes=sum(weight.bytes for weight in group),
                touched=count * (1 - (1 - chosen / count) ** self.tokens),
            )
            for (count, chosen), group in groups.items()
        )


def weights(report: Report, tape: Tape, tokens: int) -> Weights:
    """Return the weights that a run over so many tokens read."""
    modules = modules_of(report.layers)
    whole: set[int] = set()
    looked_up: Counter[int] = Counter()
    shapes: dict[int, tuple[int, int]] = {}
    experts: dict[int, tuple[int, int, int | None]] = {}
    for operation in tape.operations:
        for place, value, size in _parameters(operation, tape):
            number = tape.values[value].storage
            elements = tape.values[value].bytes * _BITS // bits_of(tape.values[value].dtype)
            known = shapes.get(number, (0, 0))
            shapes[number] = max(known, (elements, tape.values[value].bytes))
            found = _experts(operation, place, tape, tokens)
            if found is not None:
                experts[number] = found
                looked_up[number] += tape.values[value].bytes * tokens * found[1] // found[0]
            elif place == 0 and is_lookup(operation):
                looked_up[number] += size
            else:
                whole.add(number)
    each = []
    for number, (elements, size) in shapes.items():
        all_bytes = tape.storages[number].bytes
        count, chosen, row = experts.get(number, (0, 0, None)) if number not in whole else (0, 0, None)
        part = None if number in whole else Fraction(looked_up[number], tokens)
        row = None if row is None else modules[row]
        each.append(Weight(all_bytes, elements * all_bytes // size if size else 0, part, count, chosen, row))
    return Weights(tokens, tuple(each))


def bits_of(dtype: str) -> int:
    """Return the bits of an element: `bfloat16` has 16, `float8_e4m3fn` 8, `bool` 8."""
    digits = re.search(r"\d+", dtype)
    return int(digits.group()) if digits else _BITS


def _parameters(operation: Operation, tape: Tape) -> Iterator[tuple[int, int, int]]:
    """Yield the parameters that an operation reads: place among what it reads, value, bytes."""
    for value, size in reads_of(operation, tape.values):
        if tape.storages[tape.values[value].storage].role == "parameter":
            yield operation.reads.index(value), value, size


def _experts(operation: Operation, place: int, tape: Tape, tokens: int) -> tuple[int, int, int | None] | None:
    """Return how many experts the weight at a place holds, how many a token uses, and the row; None if it has none."""
    shape = tape.values[operation.reads[place]].shape
    if len(shape) < _MATRICES:
        return None
    if operation.op in GROUPED_PRODUCTS and place == 1:
        rows: Sequence[int] = tape.values[operation.reads[0]].shape[:1]
    elif is_lookup(operation) and place == 0 and tape.values[operation.makes[0]].shape[-2:] == shape[1:]:
        rows = tape.values[operation.makes[0]].shape[:-2]
    else:
        return None
    chosen, rest = divmod(prod(rows), tokens)
    return None if rest or not 0 < chosen <= shape[0] else (shape[0], chosen, operation.row)


def active_params(report: Report, used: Weights) -> int | None:
    """Return the parameters that one token uses, None where they are not what is stored, as for packed weights."""
    return used.active if sum(weight.elements for weight in used.each) <= report.totals.params else None
