"""Which sizes a graph has: those that it leaves open are given or named, and shapes follow by `onnx`'s inference."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from alexnet_cli.errors import UsageError
from alexnet_cli.report import Input
from alexnet_cli.tape import Shape
from alexnet_cli.targets.checkpoint.safetensors import BITS
from alexnet_cli.targets.inputs import LARGEST_DIMENSION, InputSpec
from alexnet_cli.targets.onnx.helper import asked as ask
from alexnet_cli.targets.onnx.read import graphs_in
from alexnet_cli.targets.subject import Asked

if TYPE_CHECKING:
    from onnx import ModelProto, TypeProto, ValueInfoProto
    from onnx import TensorShapeProto as ShapeProto

_BITS = {**BITS, "uint4": 4, "int4": 4, "uint2": 2, "int2": 2}
_NAMES = """float32 uint8 int8 uint16 int16 int32 int64 string bool float16 float64 uint32 uint64 complex64 complex128
bfloat16 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz uint4 int4 float4_e2m1fn float8_e8m0fnu uint2 int2"""
_DTYPES = dict(enumerate(_NAMES.split(), 1))
"""The dtypes of `TensorProto.DataType` by number, with torch's names."""
_LARGEST = 2**62
_LONGEST_EXPRESSION = 200
_OF_A_SEQUENCE = re.compile(r"seq|len|time", re.IGNORECASE)
_ARITHMETIC: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


class Known(NamedTuple):
    """What is known about a value: its shape, None if any size is not known, and its dtype."""

    shape: Shape | None = None
    dtype: str = "unknown"

    @property
    def bytes(self) -> int | None:
        """The bytes of its elements."""
        bits = _BITS.get(self.dtype)
        return None if self.shape is None or bits is None else -(-prod(self.shape) * bits // 8)


class Sized(NamedTuple):
    """A model whose open sizes were given where that is possible: the inputs, the batch, and the sizes left open."""

    model: ModelProto
    inputs: tuple[Input, ...]
    batch_size: int | None
    open: tuple[str, ...]


def dtype_name(number: int) -> str:
    """Return torch's name for one of ONNX's types of elements."""
    return _DTYPES.get(number, "unknown")


def known_of(kind: TypeProto) -> Known:
    """Return the shape and dtype of a value's type."""
    if not kind.HasField("tensor_type"):
        return Known()
    tensor = kind.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
    whole = tensor.HasField("shape") and all(size >= 0 for size in sizes) and prod(sizes) <= _LARGEST
    return Known(tuple(sizes) if whole else None, dtype_name(tensor.elem_type))


def sized(model: ModelProto, asked: Asked) -> Sized:
    """Give the sizes that a model leaves open, and infer all others from them.

    The batch is the size that the inputs begin with; other open sizes are given by `inputs`, or stay unknown.

    Raises:
        UsageError: an input that was given does not fit.
    """
    held = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in held]
    batch = _batch_symbol(inputs)
    given = {} if batch is None or asked.batch_size is None else {batch: asked.batch_size}
    if asked.inputs is not None:
        given |= _from_inputs(inputs, asked)
    for graph in graphs_in(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.HasField("tensor_type"):
                _settle(_shape(value), given)
    known = {value.name: known_of(value.type) for value in inputs}
    shown = [Input(one.shape, one.dtype, name=name) for name, one in known.items() if one.shape is not None]
    size = _common_first(model, inputs) if batch is None else given.get(batch)
    return Sized(_inferred(model), tuple(shown) if len(shown) == len(inputs) else (), size, _open(inputs))


def _shape(value: ValueInfoProto) -> ShapeProto:
    return value.type.tensor_type.shape


def _batch_symbol(inputs: Iterable[ValueInfoProto]) -> str | None:
    """Return the name of the one size that inputs begin with and that is open; None if that is not the batch."""
    firsts = [_shape(value).dim[0] for value in inputs if len(_shape(value).dim)]
    unknown = [first for first in firsts if not first.HasField("dim_value")]
    for first in unknown:
        first.dim_param = first.dim_param or "batch"
    names = {first.dim_param for first in unknown}
    return next(iter(names)) if len(names) == 1 and not _OF_A_SEQUENCE.search(*names) else None


def _common_first(model: ModelProto, inputs: Iterable[ValueInfoProto]) -> int | None:
    """Return the size that all inputs and outputs begin with, which is the batch; None if they differ."""
    firsts = {
        _shape(value).dim[0].dim_value if len(_shape(value).dim) else 0 for value in (*inputs, *model.graph.output)
    }
    return firsts.pop() or None if len(firsts) == 1 else None


def _from_inputs(inputs: list[ValueInfoProto], asked: Asked) -> dict[str, int]:
    """Return the open sizes that the given inputs settle.

    Raises:
        UsageError: they do not fit the model's inputs.
    """
    given = [spec for spec in asked.inputs or () if isinstance(spec, InputSpec)]
    known = [value.name for value in inputs]
    if len(given) != len(asked.inputs or ()) or len(given) > len(inputs):
        raise UsageError(f"{asked.target} takes {len(inputs)} inputs: {', '.join(known)}", "give the shape of each")
    found: dict[str, int] = {}
    for place, spec in enumerate(given):
        if spec.name is not None and spec.name not in known:
            raise UsageError(f"{asked.target} has no input {spec.name!r}", f"known: {', '.join(known)}")
        value = inputs[place if spec.name is None else known.index(spec.name)]
        whole = spec.whole or asked.batch_size is None
        shape = spec.as_vector().shape if whole else (asked.batch_size or 1, *spec.as_vector().shape)
        dims = _shape(value).dim
        for size, dim in zip(shape, dims, strict=False):
            fits = dim.dim_value == size if dim.HasField("dim_value") else found.setdefault(dim.dim_param, size) == size
            if not fits or len(shape) != len(dims):
                own = "×".join(str(each.dim_value or each.dim_param or "?") for each in dims)
                raise UsageError(
                    f"the input {value.name!r} of {asked.target} has the shape {own}, not {'×'.join(map(str, shape))}",
                    "only sizes that the file leaves open can be given",
                )
            if not dim.HasField("dim_value") and not dim.dim_param:
                dim.dim_value = size
    return {name: size for name, size in found.items() if name}


def _open(inputs: Iterable[ValueInfoProto]) -> tuple[str, ...]:
    """Name the sizes of the inputs that are still open."""
    dims = (dim for value in inputs for dim in _shape(value).dim if not dim.HasField("dim_value"))
    return tuple(dict.fromkeys(dim.dim_param or "an unnamed size" for dim in dims))


def _settle(shape: ShapeProto, given: Mapping[str, int]) -> None:
    for dim in shape.dim:
        if dim.HasField("dim_value") or not dim.dim_param:
            continue
        size = _value_of(dim.dim_param, given)
        if size is not None:
            dim.dim_value = size


def _value_of(expression: str, given: Mapping[str, int]) -> int | None:
    """Return the size that an expression such as `2*batch + 1` stands for; None if it is not known."""
    if expression in given:
        return given[expression]
    if len(expression) > _LONGEST_EXPRESSION:
        return None
    try:
        size = _evaluated(ast.parse(expression, mode="eval").body, given)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None
    return size if size is not None and 0 <= size <= LARGEST_DIMENSION else None


def _evaluated(part: ast.expr, given: Mapping[str, int]) -> int | None:
    match part:
        case ast.Constant(value=int() as value):
            return int(value)
        case ast.Name(id=name):
            return given.get(name)
        case ast.BinOp(left=left, op=sign, right=right):
            sides = _evaluated(left, given), _evaluated(right, given)
            known = type(sign) in _ARITHMETIC and sides[0] is not None and sides[1] is not None
            return _ARITHMETIC[type(sign)](*sides) if known else None  # type: ignore[arg-type] # neither is None
    return None


def _inferred(model: ModelProto) -> ModelProto:
    """Let `onnx` infer the shapes that the file does not say; it leaves out those that it cannot tell."""
    said = {
        value.name
        for graph in graphs_in(model.graph)
        for value in (*graph.output, *graph.value_info)
        if known_of(value.type).shape is not None
    }
    made = {
        name
        for graph in graphs_in(model.graph)
        for node in graph.node
        if node.op_type != "Constant"
        for name in node.output
    }
    whole = not made - said - {""}
    return model if whole else ask("infer", model) or model
