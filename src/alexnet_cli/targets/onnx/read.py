"""Reads the message of an ONNX file, without its weights, with every local function put in its place."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet_cli.errors import TargetError
from alexnet_cli.interrupts import interrupts_wait
from alexnet_cli.targets.checkpoint.contents import damaged, opened
from alexnet_cli.targets.onnx.helper import asked
from alexnet_cli.targets.onnx.trimmed import MalformedError, trimmed

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_KIND = "ONNX file"
_SMALL = 4_000_000
"""Bytes of a file that is read as it is."""
_MOST_NODES = 1_000_000


def read_model(path: Path) -> ModelProto:
    """Read a model; tensors of some size have no values, and data in other files is not looked for.

    Raises:
        TargetError: the file cannot be read, is no ONNX model, or the `onnx` package is missing.
    """
    with opened(path, _KIND) as (file, size):
        if size <= _SMALL:
            data = file.read(_SMALL + 1)
        else:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as whole:
                data = _trimmed(whole, path)
    return _parsed(data, path)


def _trimmed(whole: memoryview, path: Path) -> bytes:
    try:
        return trimmed(whole)
    except MalformedError as error:
        raise broken(path, str(error)) from None  # its frames hold parts of the mapped file


def broken(path: Path, what: str) -> TargetError:
    """Return the error for a file that is not what its name says."""
    return damaged(path, what, _KIND)


def _parsed(data: bytes, path: Path) -> ModelProto:
    try:
        with interrupts_wait():
            import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise TargetError(
            f"reading {path} needs the onnx package", "install it with `pip install 'alexnet-cli[onnx]'`"
        ) from error
    try:
        model = onnx.ModelProto.FromString(data)
    except (DecodeError, ValueError) as error:
        raise broken(path, "it is not an ONNX model, or was cut off") from error
    if not model.opset_import and not model.graph.node:
        raise broken(path, "it has no graph")
    whole = _inlined(model, path)
    if any(isinstance(text, bytes) for text in _texts(whole)):
        raise broken(path, "a name in it is not UTF-8")
    return whole


def _texts(model: ModelProto) -> Iterator[object]:
    """Yield the texts of a model that are looked at; the protobuf library returns bytes where one is not UTF-8."""
    yield from (model.producer_name, model.producer_version)
    yield from (each.domain for each in model.opset_import)
    for graph in graphs_in(model.graph):
        yield from (tensor.name for tensor in graph.initializer)
        yield from (tensor.values.name for tensor in graph.sparse_initializer)
        for value in (*graph.input, *graph.output, *graph.value_info):
            yield value.name
            for pair in value.metadata_props:
                yield from (pair.key, pair.value)
            yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
        for node in graph.node:
            yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
            yield from (attribute.name for attribute in node.attribute)
            for pair in node.metadata_props:
                yield from (pair.key, pair.value)


def _inlined(model: ModelProto, path: Path) -> ModelProto:
    """Put the nodes of local functions where they are called: their values have shapes only there."""
    if _expanded(model, path) > _MOST_NODES:
        raise broken(path, f"its graph has more than {_MOST_NODES:,} nodes")
    if not model.functions:
        return model
    whole = asked("inline", model)
    if whole is None:
        raise broken(path, "its functions do not fit together")
    return whole


def _expanded(model: ModelProto, path: Path) -> int:
    """Return how many nodes a model has once each call of a local function is replaced by its nodes."""
    functions = {(each.domain, each.name, each.overload): each for each in model.functions}
    sizes: dict[tuple[str, str, str], int] = {}

    def size(nodes: Iterable[NodeProto], under_way: frozenset[tuple[str, str, str]]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type, node.overload)
            total += 1
            if key in under_way:
                raise broken(path, f"its function {node.op_type!r} calls itself")
            if key in functions:
                if key not in sizes:
                    sizes[key] = size(_every_node(functions[key].node), under_way | {key})
                total += sizes[key]
            if total > _MOST_NODES:
                return total
        return total

    return size(_every_node(model.graph.node), frozenset())


def graphs_in(graph: GraphProto) -> Iterator[GraphProto]:
    """Yield a graph and the graphs in its nodes."""
    waiting = [graph]
    while waiting:
        yield waiting[-1]
        waiting += _bodies(waiting.pop().node)


def _every_node(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Yield nodes, and those of the graphs in them."""
    for node in nodes:
        yield node
        for body in _bodies([node]):
            for graph in graphs_in(body):
                yield from graph.node


def _bodies(nodes: Iterable[NodeProto]) -> list[GraphProto]:
    """Return the graphs that are attributes of nodes."""
    given = (attribute for node in nodes for attribute in node.attribute)
    return [body for each in given for body in ([each.g] if each.HasField("g") else each.graphs)]
