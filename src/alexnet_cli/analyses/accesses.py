"""What an ATen operator must read of its arguments and write of its results, in bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from alexnet_cli.tape import Operation, Value

_EMPTY = frozenset({"empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided"})

_FILLS = "copy_ fill_ zero_ normal_ uniform_ bernoulli_ exponential_ random_ cauchy_ geometric_ log_normal_"
_OVERWRITES = frozenset(_FILLS.split())
"""What they write to they do not read."""

_LOOKUPS = frozenset({"embedding", "_embedding_bag", "_embedding_bag_forward_only"})
"""They read a row of their first argument for each element of their second."""

_GATHERS = frozenset({"index", "index_select", "gather", "take", "_unsafe_index"})
"""They read an element of their first argument for each that they put out."""

_ADDING_SCATTERS = frozenset({"scatter_add_", "scatter_reduce_", "index_add_"})
_SCATTERS = _ADDING_SCATTERS | {"index_put_", "_index_put_impl_", "scatter_", "index_copy_", "put_"}

_OF_SHAPE_ONLY = """
    max_pool2d_with_indices_backward max_pool3d_with_indices_backward avg_pool2d_backward avg_pool3d_backward
    _adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward adaptive_max_pool2d_backward
    adaptive_max_pool3d_backward reflection_pad1d_backward reflection_pad2d_backward reflection_pad3d_backward
    replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward nll_loss_backward
    nll_loss2d_backward
"""
_SHAPE_ONLY = frozenset(_OF_SHAPE_ONLY.split())
"""Their second argument, the forward's input, they are given for its shape."""

Access = tuple[int, int]
"""A value and how many of its bytes are moved."""


def reads_of(operation: Operation, values: Sequence[Value]) -> Iterator[Access]:
    """Yield the values that an operator must read, the bytes that it needs of each."""
    op = operation.op
    if operation.nature == "view" or not operation.makes or op.endswith("_like") or op.startswith("new_"):
        return
    for place, value in enumerate(operation.reads):
        if op == "convolution_backward":
            size = values[value].bytes if _convolution_needs(operation, place) else 0
        elif place == 0:
            size = _read_of_first(operation, values)
        else:
            size = 0 if place == 1 and op in _SHAPE_ONLY else values[value].bytes
        if size:
            yield value, size


def writes_of(operation: Operation, values: Sequence[Value]) -> Iterator[Access]:
    """Yield the values that an operator writes, the bytes that it writes of each."""
    if operation.nature != "view" and operation.op not in _EMPTY:
        for value in operation.makes:
            size = values[value].bytes
            yield value, min(size, _scattered(operation, values)) if operation.op in _SCATTERS else size


def _read_of_first(operation: Operation, values: Sequence[Value]) -> int:
    op, first = operation.op, values[operation.reads[0]]
    if op in _OVERWRITES:
        return 0
    if op in _SCATTERS:
        adds = op in _ADDING_SCATTERS or operation.arguments.get("accumulate", False)
        return min(first.bytes, _scattered(operation, values)) if adds else 0
    if op in _LOOKUPS and first.shape[0]:
        return min(first.bytes, prod(values[operation.reads[1]].shape) * (first.bytes // first.shape[0]))
    if op in _GATHERS:
        return min(first.bytes, sum(values[value].bytes for value in operation.makes))
    return first.bytes


def _scattered(operation: Operation, values: Sequence[Value]) -> int:
    """Return the bytes that a scatter puts into its first argument: those of its values, or one for each index."""
    target, *others = (values[value] for value in operation.reads)
    if len(others) > 1 or others[-1].dtype == target.dtype:
        return others[-1].bytes
    return prod(others[-1].shape) * target.bytes // max(prod(target.shape), 1)


def _convolution_needs(operation: Operation, place: int) -> bool:
    """Tell whether a convolution's backward reads an argument: the input for the weight's gradient, and reversed."""
    to_input, to_weight, _ = operation.arguments.get("output_mask", (True, True, True))
    return bool((True, to_weight, to_input)[place])
