"""The JSON of an exported program as plain values, checked while it is decoded. No torch.

The structs have the names of torch's schema (`torch/_export/serde/schema.py`, version 8, torch 2.6 and newer); what is
not needed to run the program on shapes is left out: guards, stack traces, tree specs, verifiers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

MAJOR = 8
DTYPES = {
    number: name
    for first, names in (
        (1, "uint8 int8 int16 int32 int64 float16 float32 float64 complex32 complex64 complex128 bool bfloat16"),
        (28, "uint16 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu uint32 uint64"),
    )
    for number, name in enumerate(names.split(), first)
}
"""The numbers of dtypes in torch's schema."""

_SYMBOL = re.compile(r"Symbol\('([^\W\d]\w*)'.*\)|([^\W\d]\w*)", re.DOTALL)


class Named(Struct):
    """A reference to a value, or to a parameter, by its name in the graph."""

    name: str


class OptionalTensor(Struct):
    """A tensor in a list of optional ones."""

    as_tensor: Named | None = None


class Hint(Struct):
    """The value that a symbol had when the program was exported."""

    as_int: int | None = None


class Expression(Struct):
    """A symbolic size. It is never evaluated: only a lone symbol is recognised."""

    expr_str: str
    hint: Hint | None = None

    @property
    def symbol(self) -> str | None:
        """The symbol, None if the expression is more than one."""
        found = _SYMBOL.fullmatch(self.expr_str)
        return None if found is None else found[1] or found[2]


class Size(Struct):
    """One dimension of a tensor, or a symbolic number."""

    as_int: int | None = None
    as_expr: Expression | None = None

    @property
    def usual(self) -> int:
        """The size when the program was exported; 1 if that is not told."""
        hint = self.as_expr.hint if self.as_expr is not None else None
        value = self.as_int if self.as_int is not None else hint.as_int if hint is not None else None
        return 1 if value is None else value

    @property
    def symbol(self) -> str | None:
        """The symbol that the size is, None if it is a number or an expression."""
        return None if self.as_expr is None else self.as_expr.symbol


class TensorMeta(Struct):
    """Shape and type of a tensor; `dtype` is a number of torch's schema."""

    dtype: int
    sizes: list[Size]
    strides: list[Size] = []
    requires_grad: bool = False

    @property
    def usual(self) -> tuple[int, ...]:
        """The shape when the program was exported."""
        return tuple(size.usual for size in self.sizes)


class Number(Struct):
    """A number that may be symbolic: the name of a value, or itself."""

    as_name: str | UnsetType = UNSET
    as_int: int | UnsetType = UNSET
    as_float: float | UnsetType = UNSET
    as_bool: bool | UnsetType = UNSET


class Device(Struct):
    """A device, which is replaced by the one that the program is run on."""

    type: str


class Complex(Struct):
    """A complex number."""

    real: float
    imag: float


class Inner(Struct):
    """A graph that an operator is given."""

    name: str
    graph: Graph


class Argument(Struct):
    """An argument or a result: exactly one of the fields is set."""

    as_none: bool | UnsetType = UNSET
    as_tensor: Named | UnsetType = UNSET
    as_tensors: list[Named] | UnsetType = UNSET
    as_optional_tensor: OptionalTensor | UnsetType = UNSET
    as_optional_tensors: list[OptionalTensor] | UnsetType = UNSET
    as_nested_tensors: list[list[Named]] | UnsetType = UNSET
    as_int: int | UnsetType = UNSET
    as_ints: list[int] | UnsetType = UNSET
    as_int_lists: list[list[int]] | UnsetType = UNSET
    as_float: float | str | UnsetType = UNSET
    as_floats: list[float | str] | UnsetType = UNSET
    as_bool: bool | UnsetType = UNSET
    as_bools: list[bool] | UnsetType = UNSET
    as_string: str | UnsetType = UNSET
    as_strings: list[str] | UnsetType = UNSET
    as_complex: Complex | UnsetType = UNSET
    as_sym_int: Number | UnsetType = UNSET
    as_sym_ints: list[Number] | UnsetType = UNSET
    as_sym_float: Number | UnsetType = UNSET
    as_sym_floats: list[Number] | UnsetType = UNSET
    as_sym_bool: Number | UnsetType = UNSET
    as_sym_bools: list[Number] | UnsetType = UNSET
    as_scalar_type: int | UnsetType = UNSET
    as_memory_format: int | UnsetType = UNSET
    as_layout: int | UnsetType = UNSET
    as_device: Device | UnsetType = UNSET
    as_graph: Inner | UnsetType = UNSET

    @property
    def kind(self) -> str | None:
        """The field that is set, None for a kind that is not known."""
        return next((name for name in self.__struct_fields__ if getattr(self, name) is not UNSET), None)

    def names(self) -> Iterator[str]:
        """Yield the names of the values that it refers to."""
        value = getattr(self, self.kind or "as_none")
        for each in _flat(value):
            if isinstance(each, Named):
                yield each.name
            elif isinstance(each, OptionalTensor) and each.as_tensor is not None:
                yield each.as_tensor.name
            elif isinstance(each, Number) and isinstance(each.as_name, str):
                yield each.as_name


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    else:
        yield value


class Given(Struct):
    """An argument of a node, by the name that the operator's schema has for it."""

    name: str
    arg: Argument


class Node(Struct):
    """An operator that runs."""

    target: str
    inputs: list[Given]
    outputs: list[Argument]
    metadata: dict[str, str] = {}


class Graph(Struct):
    """Operators in the order they run."""

    inputs: list[Argument]
    outputs: list[Argument]
    nodes: list[Node]
    tensor_values: dict[str, TensorMeta] = {}
    sym_int_values: dict[str, Size] = {}


class UserInput(Struct):
    """An argument of forward."""

    arg: Argument


class Parameter(Struct):
    """A parameter."""

    arg: Named
    name: str = field(name="parameter_name")


class Buffer(Struct):
    """A buffer."""

    arg: Named
    name: str = field(name="buffer_name")
    persistent: bool = True


class Constant(Struct):
    """A tensor that the code made or held without registering it."""

    arg: Named
    tensor_constant_name: str


class InputSpec(Struct):
    """What an input of the graph is: one of the fields is set."""

    user_input: UserInput | None = None
    parameter: Parameter | None = None
    buffer: Buffer | None = None
    tensor_constant: Constant | None = None
    custom_obj: dict[str, Any] | None = None

    @property
    def held(self) -> Parameter | Buffer | None:
        """The parameter or buffer that it is."""
        return self.parameter or self.buffer


class OutputSpec(Struct):
    """What an output of the graph is; those of no other kind than `user_output` are writes to buffers."""

    user_output: UserInput | None = None


class Signature(Struct):
    """Inputs and outputs."""

    input_specs: list[InputSpec]
    output_specs: list[OutputSpec]


class GraphModule(Struct):
    """The graph and its signature."""

    graph: Graph
    signature: Signature


class Range(Struct):
    """The least and largest value of a symbol, None if it has none."""

    min_val: int | float | None = None
    max_val: int | float | None = None


class Version(Struct):
    """The schema's version."""

    major: int


class Payload(Struct):
    """Which entry of the archive holds a tensor, and which part of it the tensor is."""

    path_name: str
    use_pickle: bool = False
    tensor_meta: Any = None


class Payloads(Struct):
    """The tensors of an archive by name."""

    config: dict[str, Payload]


class Program(Struct):
    """An exported program.

    `shared` is for each name in the state_dict what tells tensors that are the same, None if the archive does not.
    """

    graph_module: GraphModule
    schema_version: Version
    range_constraints: dict[str, Range] = {}
    torch_version: str = "unknown"
    shared: dict[str, str] | None = None
