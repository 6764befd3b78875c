"""Goes through a graph as a run would: which values each node reads and makes, and how much it computes."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from alexnet_cli.targets.onnx.aten import Translated, translated
from alexnet_cli.targets.onnx.graph import Constant, Graph, Node
from alexnet_cli.targets.onnx.macs import macs_of
from alexnet_cli.targets.onnx.parts import Part, Tree
from alexnet_cli.targets.onnx.sizes import Known

_Numbers = ChainMap[str, int]
_MATRIX = 2
_WHOLE = ("int64", "int32", "bool")
_SIZE_OPS = """
    Shape Size Gather Slice Concat Squeeze Unsqueeze Cast Add Sub Mul Div Mod Neg Min Max Reshape Identity Where Equal
    Greater Less Split ReduceProd ReduceSum
"""
_OF_SIZES = frozenset(_SIZE_OPS.split())


class Slot(NamedTuple):
    """A value: what is known about it, the constant that it is, and whether it is a size of other values."""

    known: Known
    constant: Constant | None = None
    is_size: bool = False


class Ran(NamedTuple):
    """A node as it runs: its part, the numbers of the values that it reads and makes, and its MACs, None if unknown.

    A node in one of several branches may not run: then it is not known what it reads, and it does not count.
    """

    node: Node
    part: Part
    reads: tuple[int | None, ...]
    makes: tuple[int | None, ...]
    macs: int | None
    as_torch: Translated
    certain: bool


@dataclass(slots=True)
class _Times:
    """How often a graph runs, None if that is not known; `certain` is whether it runs at all."""

    count: int | None = 1
    certain: bool = True


@dataclass
class Walk:
    """All values and nodes of a graph, those of the graphs in it included."""

    opset: int
    tree: Tree = field(default_factory=Tree)
    slots: list[Slot] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()

    def run(self, graph: Graph) -> None:
        """Go through the main graph."""
        numbers: _Numbers = ChainMap()
        self._enter(graph, numbers)
        self.inputs = tuple(numbers[name] for name in graph.inputs)
        for node in graph.nodes:
            if not self._is_size(node, graph, numbers):
                self._step(node, graph, numbers, self.tree.add(node), _Times())
        self.outputs = tuple(numbers[name] for name in graph.outputs)

    def known(self, numbers: Iterable[int | None]) -> list[Known]:
        """Return what is known about values."""
        return [Known() if number is None else self.slots[number].known for number in numbers]

    def _enter(self, graph: Graph, numbers: _Numbers) -> None:
        """Number a graph's inputs and its own constants."""
        own = graph.constants.maps[0] if isinstance(graph.constants, ChainMap) else graph.constants
        for name, constant in own.items():
            numbers[name] = self._slot(constant.known, constant)
        for name in graph.inputs:
            numbers[name] = self._slot(graph.values.get(name, Known()))

    def _slot(self, known: Known, constant: Constant | None = None, *, is_size: bool = False) -> int:
        self.slots.append(Slot(known, constant, is_size))
        return len(self.slots) - 1

    def _is_size(self, node: Node, graph: Graph, numbers: _Numbers) -> bool:
        """Tell whether a node only works out sizes of values, which a model in Python does without any operator."""
        if not node.is_standard or node.op not in _OF_SIZES or node.bodies:
            return False
        read = [self.slots[numbers[name]] for name in node.inputs if name]
        known = [graph.values.get(name, Known()) for name in node.outputs]
        if node.op not in ("Shape", "Size"):
            small = all(one.shape is None or len(one.shape) < _MATRIX for one in known)
            if not small or any(one.dtype not in _WHOLE for one in known) or not any(slot.is_size for slot in read):
                return False
            if not all(slot.is_size or slot.constant for slot in read):
                return False
        for name, one in zip(node.outputs, known, strict=True):
            numbers[name] = self._slot(one, is_size=True)
        return True

    def _step(self, node: Node, graph: Graph, numbers: _Numbers, part: Part, times: _Times) -> None:
        reads = tuple(self._read(name, numbers) for name in node.inputs)
        if node.bodies:
            self._bodies(node, numbers, part, times)
        known = [graph.values.get(name, Known()) for name in node.outputs]
        constants = [None if number is None else self.slots[number].constant for number in reads]
        macs = macs_of(node, self.known(reads), known)
        if macs:
            macs = None if times.count is None else macs * times.count
        makes = tuple(self._slot(one) if name else None for name, one in zip(node.outputs, known, strict=True))
        numbers.update({name: made for name, made in zip(node.outputs, makes, strict=True) if made is not None})
        data = [None if number is None else self.slots[number].known for number in reads]
        as_torch = translated(node, data, known, constants, self.opset)
        self.ran.append(Ran(node, part, reads, makes, macs, as_torch, times.certain))

    def _read(self, name: str, numbers: _Numbers) -> int | None:
        """Return the number of a value that is read, None if there is none, or if it is a size."""
        number = numbers.get(name) if name else None
        return None if number is None or self.slots[number].is_size else number

    def _bodies(self, node: Node, numbers: _Numbers, part: Part, times: _Times) -> None:
        """Go through the graphs in a node: its part becomes a module that has a part for each."""
        part.kind, part.has_bodies = "module", True
        for name, body in node.bodies.items():
            inner = numbers.new_child()
            self._enter(body, inner)
            below = part if len(node.bodies) == 1 else self.tree.body(name, "Branch", part)
            often = self._times(node, body, numbers, times)
            for each in body.nodes:
                if not self._is_size(each, body, inner):
                    self._step(each, body, inner, self.tree.function(each, below), often)

    def _times(self, node: Node, body: Graph, numbers: _Numbers, around: _Times) -> _Times:
        if node.op == "If":
            return _Times(None, certain=False)
        count = None
        if node.op == "Loop":
            count = self._trips(node, body, numbers)
        elif node.op == "Scan":
            count = self._scanned(node, numbers)
        return _Times(None if count is None or around.count is None else count * around.count, around.certain)

    def _trips(self, node: Node, body: Graph, numbers: _Numbers) -> int | None:
        """Return how often a Loop runs: as often as it says, if its condition is given and passed on as it is."""
        trips, start = (self._constant(name, numbers) for name in (*node.inputs[:2], "", "")[:2])
        goes_on = len(node.inputs) > 1 and not node.inputs[1]
        if not trips or len(trips) != 1 or not (goes_on or start == (1,)) or not body.outputs:
            return None
        name, makers = body.outputs[0], {output: each for each in body.nodes for output in each.outputs}
        while name in makers and makers[name].op == "Identity":
            name = makers[name].inputs[0]
        held = body.constants.get(name)
        stays = name == body.inputs[1] if len(body.inputs) > 1 else False
        return max(trips[0], 0) if stays or (held is not None and held.values == (1,)) else None

    def _constant(self, name: str, numbers: _Numbers) -> Sequence[int] | None:
        number = numbers.get(name)
        held = None if number is None else self.slots[number].constant
        return None if held is None else held.values

    def _scanned(self, node: Node, numbers: _Numbers) -> int | None:
        """Return the number of slices of a Scan's first sequence."""
        count = node.attributes.get("num_scan_inputs")
        axes = node.attributes.get("scan_input_axes") or [0]
        if not isinstance(count, int) or not 0 < count <= len(node.inputs):
            return None
        number = numbers.get(node.inputs[-count])
        shape = None if number is None else self.slots[number].known.shape
        return shape[axes[0]] if shape is not None and -len(shape) <= axes[0] < len(shape) else None
