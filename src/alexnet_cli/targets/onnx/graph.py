"""A graph as plain values: nodes in order with attributes, modules and bodies, constants, and what values are like."""

from __future__ import annotations

import ast
import re
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from alexnet_cli.targets.onnx.read import broken
from alexnet_cli.targets.onnx.sizes import Known, dtype_name, known_of
from alexnet_cli.targets.onnx.trimmed import LONGEST_VALUES

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, SparseTensorProto, StringStringEntryProto, TensorProto

DEEPEST = 60
_LARGEST = 2**61
_LONGEST_LIST = 64
_TORCH = "pkg.torch.onnx."
_KIND, _FOLDED_FROM = "pkg.torch.export.graph_signature.InputSpec.kind", "pkg.onnxscript.optimizer.folded_from"
_SEPARATOR = "/"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")
Scope = tuple[str, str]
"""A module's path and its class, empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is in the file: an initializer, or what a node `Constant` makes; small integers are in `values`.

    `kind` is what torch's exporter says that it was in the model, such as `PARAMETER` or `BUFFER`; `sources` are the
    constants that it was computed from.
    """

    name: str
    known: Known
    values: tuple[int, ...] | None = None
    kind: str = ""
    sources: tuple[str, ...] = ()

    @property
    def elements(self) -> int:
        """The number of its elements."""
        return prod(self.known.shape or ())


@dataclass(frozen=True, slots=True)
class Node:
    """An operator. `scopes` are the modules around it from the outermost in; `call` names the function it is part of.

    `function` is that function's own name. `inputs` that are left out are empty.
    """

    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    scopes: tuple[Scope, ...]
    call: str
    function: str
    bodies: Mapping[str, Graph] = field(default_factory=dict)

    @property
    def is_standard(self) -> bool:
        """Whether it is an operator of ONNX itself."""
        return self.domain in ("", "ai.onnx")


_Values: TypeAlias = ChainMap[str, Known]
_Constants: TypeAlias = ChainMap[str, Constant]
_Names: TypeAlias = ChainMap[str, None]


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which they can run; `values` has what is known about values, also those of outer graphs."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Constant]
    values: Mapping[str, Known]


def graph_of(graph: GraphProto, path: Path) -> Graph:
    """Return a graph as plain values.

    Raises:
        TargetError: a node reads what was not made before it, a name is repeated, or a tensor is impossibly large.
    """
    return _Reader(path).graph(graph, ChainMap(), ChainMap(), ChainMap())


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path

    def graph(self, proto: GraphProto, outer: _Values, fixed: _Constants, before: _Names) -> Graph:
        """Return a graph inside one that has the values `outer`, the constants `fixed`, and made those `before` it."""
        if len(outer.maps) > DEEPEST:
            raise broken(self.path, f"its graphs are nested more than {DEEPEST} levels deep")
        values, constants, there = outer.new_child(), fixed.new_child(), before.new_child()
        for value in (*proto.value_info, *proto.output):
            values[value.name] = known_of(value.type)
        said = {value.name: _origin(value.metadata_props) for value in proto.value_info if value.metadata_props}
        dense = [self._constant(tensor, tensor.name) for tensor in proto.initializer]
        sparse = [self._sparse(tensor, tensor.values.name) for tensor in proto.sparse_initializer]
        for held in (*dense, *sparse):
            kind, sources = said.get(held.name, ("", ()))
            self._hold(replace(held, kind=kind, sources=sources), values, constants, there)
        inputs = {value.name: known_of(value.type) for value in proto.input if value.name not in constants.maps[0]}
        values.update(inputs)
        there.update(dict.fromkeys(inputs))
        nodes = []
        for node in proto.node:
            self._check(node, there)
            there.update(dict.fromkeys(filter(None, node.output)))
            if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
                self._hold(self._made_constant(node), values, constants, there)
            else:
                nodes.append(self._node(node, values, constants, there))
        outputs = tuple(value.name for value in proto.output)
        for name in outputs:
            if name not in there:
                raise broken(self.path, f"its output {printable(name)!r} is made by no node")
        return Graph(tuple(nodes), tuple(inputs), outputs, constants, values)

    def _check(self, node: NodeProto, there: _Names) -> None:
        for name in node.input:
            if name and name not in there:
                raise broken(
                    self.path, f"the node {_label(node)!r} reads {printable(name)!r}, which no node before it makes"
                )
        for name in node.output:
            if name and name in there:
                raise broken(self.path, f"the value {printable(name)!r} is made twice")

    @staticmethod
    def _hold(held: Constant, values: _Values, constants: _Constants, there: _Names) -> None:
        values[held.name] = held.known
        constants[held.name] = held
        there[held.name] = None

    def _constant(self, tensor: TensorProto, name: str) -> Constant:
        shape = self._dims(tensor.dims, name)
        return Constant(name, Known(shape, dtype_name(tensor.data_type)), _integers(tensor))

    def _sparse(self, tensor: SparseTensorProto, name: str) -> Constant:
        return Constant(name, Known(self._dims(tensor.dims, name), dtype_name(tensor.values.data_type)))

    def _made_constant(self, node: NodeProto) -> Constant:
        """Return what a node `Constant` makes, by whichever of its attributes has the value."""
        name, found = next(iter(node.output), ""), Constant("", Known((), "string"))
        for attribute in node.attribute:
            match attribute.name:
                case "value":
                    found = self._constant(attribute.t, name)
                case "sparse_value":
                    found = self._sparse(attribute.sparse_tensor, name)
                case "value_int":
                    found = Constant(name, Known((), "int64"), (attribute.i,))
                case "value_ints":
                    few = tuple(attribute.ints) if len(attribute.ints) <= _LONGEST_LIST else None
                    found = Constant(name, Known((len(attribute.ints),), "int64"), few)
                case "value_float":
                    found = Constant(name, Known((), "float32"))
                case "value_floats":
                    found = Constant(name, Known((len(attribute.floats),), "float32"))
        return replace(found, name=name)

    def _dims(self, dims: Iterable[int], name: str) -> tuple[int, ...]:
        shape = tuple(dims)
        if any(size < 0 for size in shape) or prod(shape) > _LARGEST:
            raise broken(self.path, f"the tensor {printable(name)!r} has an impossible shape")
        return shape

    def _node(self, node: NodeProto, values: _Values, constants: _Constants, there: _Names) -> Node:
        attributes: dict[str, Any] = {}
        bodies = {}
        for attribute in node.attribute:
            if attribute.HasField("g"):
                bodies[attribute.name] = self.graph(attribute.g, values, constants, there)
            elif (value := _attribute(attribute)) is not None:
                attributes[attribute.name] = value
        scopes, call, function = _place(node)
        return Node(
            node.op_type, node.domain, _label(node), tuple(node.input), tuple(node.output), attributes, scopes, call,
            function, bodies,
        )  # fmt: skip


def _label(node: NodeProto) -> str:
    """Return what a node is called: its name, or what it makes."""
    return printable(node.name or next(filter(None, node.output), node.op_type))


def printable(name: str) -> str:
    """Return a name without control characters, and not longer than anyone reads."""
    return _UNPRINTABLE.sub("�", name)[:200]


def _attribute(attribute: Any) -> Any:
    """Return an attribute that is a number, a text or a short list of them; None for any other."""
    kind = attribute.type
    if kind == attribute.INT:
        return attribute.i
    if kind == attribute.FLOAT:
        return float(f"{attribute.f:.7g}")  # it is a float32: 1e-5 and not 9.999999747378752e-06
    if kind == attribute.STRING:
        return printable(attribute.s.decode("utf-8", "replace"))
    if kind == attribute.INTS and len(attribute.ints) <= _LONGEST_LIST:
        return list(attribute.ints)
    return None


def _integers(tensor: TensorProto) -> tuple[int, ...] | None:
    """Return the values of a small tensor of integers, if the file has them."""
    few = prod(tensor.dims) <= _LONGEST_LIST and tensor.ByteSize() <= 2 * LONGEST_VALUES
    if not few or tensor.data_location or dtype_name(tensor.data_type) not in ("int64", "int32", "bool"):
        return None
    from onnx import numpy_helper

    try:
        return tuple(int(value) for value in numpy_helper.to_array(tensor).reshape(-1))
    except (ValueError, TypeError, OverflowError):
        return None


def _origin(pairs: Iterable[StringStringEntryProto]) -> tuple[str, tuple[str, ...]]:
    """Return a constant's `kind` and `sources`."""
    said = {pair.key: pair.value for pair in pairs}
    return said.get(_KIND, ""), tuple(_texts(said.get(_FOLDED_FROM, "")))


def _place(node: NodeProto) -> tuple[tuple[Scope, ...], str, str]:
    """Return the modules around a node, the call it is part of, and the function called.

    torch's exporter writes them as metadata: the modules' paths, and last the name of the call; its older one writes
    them as the node's name, `/encoder/layers.0/linear1/MatMul`.
    """
    said = {pair.key: pair.value for pair in node.metadata_props if pair.key.startswith(_TORCH)}
    paths = _texts(said.get(_TORCH + "name_scopes", ""))
    classes = _texts(said.get(_TORCH + "class_hierarchy", ""))
    if paths and len(paths) == len(classes):
        function = classes[-1].split(".")[1] if classes[-1].count(".") > 1 else node.op_type
        pairs = zip(paths[:-1], classes[:-1], strict=True)
        scopes = tuple((path, kind.rpartition(".")[2]) for path, kind in pairs if kind.count("."))
        return scopes if scopes and not scopes[0][0] else (("", ""), *scopes), paths[-1], function
    scopes = (("", ""),)
    if node.name.startswith(_SEPARATOR) and node.name.count(_SEPARATOR) <= DEEPEST:
        for part in printable(node.name).split(_SEPARATOR)[1:-1]:
            above = scopes[-1][0]
            own = part.removeprefix(above.rpartition(".")[2] + ".")  # it writes `/layer1/layer1.0/conv1`
            inside = part if part.startswith(above + ".") or not above else f"{above}.{own}"
            scopes = (*scopes, (inside, ""))
    return scopes, "", node.op_type


def _texts(written: str) -> list[str]:
    """Read a list of texts that Python wrote."""
    if len(written) > LONGEST_VALUES:
        return []
    try:
        read = ast.literal_eval(written) if written else []
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    plain = isinstance(read, list) and all(isinstance(each, str) for each in read) and len(read) <= DEEPEST
    return [printable(each) for each in read] if plain else []
