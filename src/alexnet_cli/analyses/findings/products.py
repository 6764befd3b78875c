"""The matrix products of a run: of activations with activations, as attention does, and with weights."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import NamedTuple

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.serving.cached import paths_of
from alexnet_cli.analyses.serving.causal import SOFTMAX, is_fused
from alexnet_cli.analyses.traffic import is_lookup
from alexnet_cli.report import Report
from alexnet_cli.tape import Operation, Tape

_ADDS_FIRST = frozenset({"addmm", "addmv", "addbmm", "baddbmm", "addmm_", "baddbmm_"})
"""They add the product of their second and third argument to the first."""
_EXPERTS_RANK = 3
"""A lookup in so many dimensions chooses matrices, the weights of experts."""


def fixed_values(tape: Tape) -> set[int]:
    """Return the values that do not depend on the inputs: weights, what is made of them alone, chosen experts."""
    roles = [tape.storages[value.storage].role for value in tape.values]
    fixed = {value for value, role in enumerate(roles) if role in ("parameter", "buffer")}
    for operation in tape.operations:
        reads = operation.reads
        chooses = is_lookup(operation) and reads[0] in fixed and len(tape.values[reads[0]].shape) >= _EXPERTS_RANK
        if chooses or all(value in fixed for value in reads):
            fixed.update(operation.makes)
        else:
            fixed.difference_update(operation.makes)
    return fixed


def of_activations(operation: Operation, fixed: set[int]) -> bool:
    """Tell whether an operator multiplies two matrices that both depend on the inputs."""
    factors = factors_of(operation)
    return bool(operation.macs) and len(factors) > 1 and fixed.isdisjoint(factors)


def factors_of(operation: Operation) -> tuple[int, ...]:
    """Return the two matrices that an operator multiplies, of fused attention query, key and value."""
    if is_fused(operation):
        return operation.reads[:3]
    first = 1 if operation.op in _ADDS_FIRST else 0
    return operation.reads[first : first + 2]


class Products(NamedTuple):
    """MACs of products of activations with activations, by the path of their module, and of all products with weights.

    `operators` is how many operators ran.
    """

    of_activations: dict[str, int]
    of_weights: int
    operators: int

    @property
    def attention(self) -> int:
        """The MACs of activations with activations in all modules."""
        return sum(self.of_activations.values())


def products_of(report: Report) -> Products:
    """Sum up the matrix products of a forward.

    Raises:
        UsageError: the report has no operator trace.
    """
    tape = tape_of(report)
    fixed, paths = fixed_values(tape), paths_of(report)
    found: Counter[str] = Counter()
    others = 0
    for operation in tape.operations:
        if of_activations(operation, fixed):
            found[paths[operation.row]] += operation.macs or 0
        else:
            others += operation.macs or 0
    return Products(dict(found), others, len(tape.operations))


def with_softmax(report: Report, tape: Tape) -> set[str]:
    """Return the paths of the modules that attend by a softmax of scores."""
    paths = paths_of(report)
    return {paths[each.row] for each in tape.operations if each.op in SOFTMAX or is_fused(each)}


def places_of(report: Report, length: int) -> int | None:
    """Return how many positions the model has a row for in a table; None if it looks none up.

    Such a table is looked up by one index for each token, which does not depend on the inputs or counts the tokens.
    """
    tape = tape_of(report)
    fixed = fixed_values(tape)
    known = fixed | _counts(tape)
    batch = (report.run and report.run.batch_size) or 1
    rows = [
        tape.values[operation.reads[0]].shape[0]
        for operation in tape.operations
        if is_lookup(operation)
        and len(operation.reads) > 1
        and operation.reads[0] in fixed
        and operation.reads[1] in known
        and len(tape.values[operation.reads[0]].shape) == _EXPERTS_RANK - 1
        and prod(tape.values[operation.reads[1]].shape) in (length, batch * length)
    ]
    return min((each for each in rows if each >= length), default=None)


def _counts(tape: Tape) -> set[int]:
    """Return the whole numbers that come from a running sum, which counts tokens."""
    found = set[int]()
    for operation in tape.operations:
        if operation.op == "cumsum" or not found.isdisjoint(operation.reads):
            found.update(value for value in operation.makes if tape.values[value].dtype.startswith("int"))
    return found
