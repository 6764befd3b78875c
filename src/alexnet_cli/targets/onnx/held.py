"""Which constants of a graph are parameters, and which row owns each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from alexnet_cli.older_reports import NATURES
from alexnet_cli.tape import Role
from alexnet_cli.targets.checkpoint.contents import Stored
from alexnet_cli.targets.checkpoint.layers import is_buffer
from alexnet_cli.targets.onnx.graph import Constant
from alexnet_cli.targets.onnx.operators import NOT_WEIGHTS, WEIGHTS
from alexnet_cli.targets.onnx.parts import Part, Tree
from alexnet_cli.targets.onnx.walk import Ran, Slot

_FLOATS = ("float", "bfloat", "complex")
_COMPUTED = re.compile(r"(?:_*(?P<op>[a-z][a-z_]*?)\d*(?:_\d+)?)|onnx::\w+|/.*")
"""What exporters call what they computed: `val_12`, `unsqueeze_14`, `onnx::Mul_3`, `/layers/Constant_output_0`."""
_ATEN = """
    arange cat clone full getitem index linspace mean ones scalar_tensor stack sum to triu tril val zeros
    convert_element_type lift_fresh_copy full_like zeros_like ones_like
"""
_OPERATORS = frozenset(NATURES) | frozenset(_ATEN.split())
_LOOKED_UP = 2
_PARAMETER = "PARAMETER"


class Held(NamedTuple):
    """A constant, whether it is a parameter, the part that owns it, and the other parts that read it.

    `elements` are those of the weights that it holds, however they are packed.
    """

    constant: Constant
    elements: int
    is_parameter: bool
    owner: Part
    others: tuple[Part, ...]

    @property
    def role(self) -> Role:
        """Its role on the tape."""
        return "parameter" if self.is_parameter else "buffer"


def held(slots: Sequence[Slot], ran: Iterable[Ran], tree: Tree) -> dict[int, Held]:
    """Return, by the number of its value, what each constant is that a node reads.

    A file does not say what was trained. A constant is a parameter where the exporter says so; where it says nothing,
    if an operator takes it for its weights or looks rows up in it, or if it is not a whole number and its name is not
    one that an exporter gives to what it computed, as `val_3`. Running statistics, masks and the like are buffers, and
    so is a parameter's copy in another layout.
    """
    uses: dict[int, list[tuple[Ran, int]]] = defaultdict(list)
    for one in ran:
        for place, number in enumerate(one.reads):
            if number is not None and slots[number].constant is not None:
                uses[number].append((one, place))
    modules = {part.path: part for part, _ in reversed(list(tree.root.preorder())) if part.kind == "module"}
    has_modules = len(modules) > 1
    found = {}
    for number, readers in uses.items():
        constant = slots[number].constant
        if constant is not None:
            owners = dict.fromkeys(_owner(one.part, has_modules=has_modules) for one, _ in readers)
            named = modules.get(constant.name.rpartition(".")[0]) if "." in constant.name else None
            owner = named or next(iter(owners))
            others = tuple(part for part in owners if part is not owner)
            elements = _elements(constant, readers)
            found[number] = Held(constant, elements, _is_parameter(constant, readers), owner, others)
    parameters = {each.constant.name: each for each in found.values() if each.is_parameter}
    for number, each in found.items():
        if each.is_parameter and _is_copy(each, parameters):
            found[number] = each._replace(is_parameter=False)
    return found


def _is_copy(held: Held, parameters: Mapping[str, Held]) -> bool:
    """Tell whether a constant has the elements of one parameter, which the file has too: once transposed, say."""
    named = [name for name in held.constant.sources if not _is_computed(name)]
    source = parameters.get(named[0]) if len(named) == 1 else None
    return source is not None and source.constant.elements == held.constant.elements


def _owner(part: Part, *, has_modules: bool) -> Part:
    """Return what can own parameters: a module; if a graph has none, each of its operators."""
    if not has_modules:
        return part
    return next(each for each in part.chain() if each.kind == "module")


def _elements(constant: Constant, uses: Iterable[tuple[Ran, int]]) -> int:
    """Return how many numbers a constant holds; ONNX Runtime packs K rows of N weights of a few bits into bytes."""
    for one, place in uses:
        rows, columns = (one.node.attributes.get(name) for name in ("K", "N"))
        packed = one.node.op == "MatMulNBits" and place == 1
        if packed and isinstance(rows, int) and isinstance(columns, int):
            return min(max(rows * columns, 0), constant.elements * 8)
    return constant.elements


def _is_parameter(constant: Constant, uses: Iterable[tuple[Ran, int]]) -> bool:
    places = [(one.node, place) for one, place in uses if one.node.domain in ("", "ai.onnx", "com.microsoft")]
    last = constant.name.rpartition(".")[2]
    whole = Stored(constant.known.shape or (), constant.known.dtype, 0)
    if constant.kind:
        return constant.kind == _PARAMETER
    if any(place in NOT_WEIGHTS.get(node.op, ()) for node, place in places):
        return False
    is_float = constant.known.dtype.startswith(_FLOATS)
    if "." in constant.name and is_buffer(last, whole):
        return False
    if any(place in WEIGHTS.get(node.op, ()) for node, place in places):
        return constant.elements > 1 or not _is_computed(constant.name)
    if not is_float or _is_computed(constant.name):
        looked_up = any(node.op == "Gather" and place == 0 for node, place in places)
        return looked_up and is_float and len(whole.shape) == _LOOKED_UP
    return constant.elements > 1 or "." in constant.name


def _is_computed(name: str) -> bool:
    match = _COMPUTED.fullmatch(name)
    return match is not None and (match["op"] is None or match["op"].rstrip("_") in _OPERATORS)
