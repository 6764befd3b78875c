"""The products of attention that a causal prompt need not do, as the operators tell them."""

from __future__ import annotations

from alexnet_cli.analyses.serving.cached import modules_of
from alexnet_cli.report import Report
from alexnet_cli.tape import Operation, Tape

_UNMASKED = 3
"""Attention without a mask reads query, key and value."""
SOFTMAX = frozenset({"_softmax", "_safe_softmax"})
_PRODUCTS = frozenset({"bmm", "baddbmm", "mm"})


def spared_macs(report: Report, tape: Tape) -> int | None:
    """Return the MACs of attention with keys after the query: n (n - 1) / 2 of n × n pairs.

    They are spared where an operator says `is_causal`, or where a call that is written out masks with `tril`. None
    where attention has another mask, or is written out by the model itself: which pairs that leaves is not known.
    """
    lengths = {
        operation.unit: shape[-2]
        for operation in tape.operations
        if operation.op == "tril" and len(shape := tape.values[operation.reads[0]].shape) > 1 and shape[-1] == shape[-2]
    }
    modules = modules_of(report.layers)
    own = {
        modules[operation.row]
        for operation in tape.operations
        if operation.op in SOFTMAX and operation.unit not in lengths and operation.row is not None
    }
    spared = 0
    for operation in tape.operations:
        macs = operation.macs or 0
        if is_fused(operation):
            *_, queries, _width = tape.values[operation.reads[0]].shape
            if operation.arguments.get("is_causal"):
                spared += macs * (queries - 1) // (2 * queries)
            elif len(operation.reads) > _UNMASKED and queries > 1:
                return None
        elif macs and operation.unit in lengths:
            spared += macs * (lengths[operation.unit] - 1) // (2 * lengths[operation.unit])
        elif macs and operation.row is not None and modules[operation.row] in own and _of_data(operation, tape):
            return None
    return spared


def is_fused(operation: Operation) -> bool:
    """Tell whether an operator is attention as a whole."""
    return operation.op.startswith("_scaled_dot_product")


def _of_data(operation: Operation, tape: Tape) -> bool:
    """Tell whether an operation multiplies two matrices that are no weights."""
    roles = {tape.storages[tape.values[value].storage].role for value in operation.reads}
    return operation.op in _PRODUCTS and "parameter" not in roles
