"""Multiply–accumulates of ONNX's operators, from shapes, by what their specifications say that they compute.

Bias additions, scales and zero points are not included. A formula returns None where a shape is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from alexnet_cli.tape import Shape
from alexnet_cli.targets.onnx.graph import Node
from alexnet_cli.targets.onnx.operators import FREE
from alexnet_cli.targets.onnx.sizes import Known

_OURS = ("", "ai.onnx", "com.microsoft", "ai.onnx.preview")
_ATTENTION_RANK = 4


class UnknownError(Exception):
    """A shape is not known, or does not suit the operator."""


class Shapes:
    """The shapes of a node's inputs and results."""

    def __init__(self, node: Node, read: Sequence[Known], made: Sequence[Known]) -> None:
        self.node = node
        self._read = read
        self._made = made

    def has(self, place: int) -> bool:
        """Tell whether an input is given."""
        return place < len(self.node.inputs) and bool(self.node.inputs[place])

    def read(self, place: int) -> Shape:
        """Return the shape of an input.

        Raises:
            UnknownError: it is not given, or not known.
        """
        return self._shape(self._read[place] if self.has(place) else Known())

    def made(self) -> Shape:
        """Return the shape of the first result.

        Raises:
            UnknownError: it is not known.
        """
        return self._shape(self._made[0] if self._made else Known())

    @staticmethod
    def _shape(known: Known) -> Shape:
        if known.shape is None:
            raise UnknownError
        return known.shape

    def number(self, name: str, default: int) -> int:
        """Return an attribute that is a whole number.

        Raises:
            UnknownError: it is something else.
        """
        value = self.node.attributes.get(name, default)
        if not isinstance(value, int):
            raise UnknownError
        return value


Formula = Callable[[Shapes], int]


def macs_of(node: Node, read: Sequence[Known], made: Sequence[Known]) -> int | None:
    """Return the MACs of an operator; None if it computes and they are not known."""
    ours = node.domain in _OURS and (node.op != "Attention" or node.is_standard)
    formula = FORMULAS.get(node.op) if ours else None
    if formula is None:
        return 0 if ours and node.op in FREE else None
    try:
        return formula(Shapes(node, read, made))
    except (UnknownError, IndexError):
        return None


def _convolution(weight: int) -> Formula:
    """Each element of the result meets the weights of its channel: W is (M, C / group, k1, k2, …)."""
    return lambda shapes: prod(shapes.made()) * prod(shapes.read(weight)[1:])


def _transposed(shapes: Shapes) -> int:
    """Each element of the input is written with all weights of its channel: W is (C, M / group, k1, k2, …)."""
    return prod(shapes.read(0)) * prod(shapes.read(1)[1:])


def _gemm(shapes: Shapes) -> int:
    """A' is (M, K) and B' (K, N): M * K * N, where the result is (M, N)."""
    return prod(shapes.read(0)) * shapes.made()[-1]


def _product(shapes: Shapes) -> int:
    """As numpy.matmul: the last size of A is summed over for each element of the result, however B is stored."""
    return prod(shapes.made()) * shapes.read(0)[-1]


def _fused_product(shapes: Shapes) -> int:
    """A product in which A may be turned."""
    if shapes.number("transBatchA", 0):
        raise UnknownError
    return prod(shapes.made()) * shapes.read(0)[-2 if shapes.number("transA", 0) else -1]


def _einsum(shapes: Shapes) -> int:
    """Two factors: one MAC for each combination of their indices; of more factors the order is not said."""
    equation = shapes.node.attributes.get("equation")
    if not isinstance(equation, str) or "." in equation:
        raise UnknownError
    terms = [term.strip() for term in equation.replace(" ", "").partition("->")[0].split(",")]
    if len(terms) == 1:
        return 0
    sizes: dict[str, int] = {}
    for place, term in enumerate(terms):
        shape = shapes.read(place)
        if len(term) != len(shape) or len(set(term)) != len(term):
            raise UnknownError
        for index, size in zip(term, shape, strict=True):
            sizes[index] = max(sizes.get(index, 0), size)
    if len(terms) != len(("left", "right")):
        raise UnknownError
    return prod(sizes.values())


def _recurrent(shapes: Shapes) -> int:
    """Each step of each sequence uses each weight of W (directions, gates * hidden, input) and of R once."""
    return prod(shapes.read(0)[:2]) * (prod(shapes.read(1)) + prod(shapes.read(2)))


def _attention(shapes: Shapes) -> int:
    """Scores of the query with all keys, and their product with the values; past keys come before the new ones.

    Query, key and value are (batch, heads, length, width), or (batch, length, heads * width).
    """
    query, key, value = (shapes.read(place) for place in range(3))
    if len(query) != _ATTENTION_RANK:
        heads, shared = shapes.number("q_num_heads", 0), shapes.number("kv_num_heads", 0)
        if not heads or not shared:
            raise UnknownError
        query = (query[0], heads, query[1], query[2] // heads)
        key, value = ((each[0], shared, each[1], each[2] // shared) for each in (key, value))
    past = shapes.read(4)[2] if shapes.has(4) else 0
    return prod(query[:3]) * (key[2] + past) * (query[3] + value[3])


FORMULAS: dict[str, Formula] = {
    "Conv": _convolution(1),
    "FusedConv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "FusedGemm": _gemm,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
    "FusedMatMul": _fused_product,
    "MatMulNBits": _product,
    "Einsum": _einsum,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "Attention": _attention,
}
"""From an operator's shapes to its MACs. `Attention` is ONNX's own, not ONNX Runtime's."""
