"""ONNX's operators under torch's names, with the arguments that say how they move data, as a trace records them.

Where torch has no such operator, or what it does depends on values, the operator keeps ONNX's name: the data flow then
takes it that each result may depend on all that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

from alexnet_cli.tape import Nature
from alexnet_cli.targets.onnx.graph import Constant, Node
from alexnet_cli.targets.onnx.operators import POINTWISE
from alexnet_cli.targets.onnx.sizes import Known
from alexnet_cli.targets.onnx.step import Step

_SPATIAL, _MATRIX, _ATTENTION_RANK = 2, 2, 4
_SOFTMAX_OF_ONE_AXIS = 13
_WIDEST = 2**16
"""A wider window is not followed: no layer has one, and each of its places would be looked at."""
_VIEW_OPS = "Reshape Flatten Squeeze Unsqueeze Transpose Slice Split Expand Identity Optional OptionalGetElement"
_VIEWS = frozenset(_VIEW_OPS.split())
_OF_ONE = ("Reduce", "Pad", "Tile", "Resize", "Upsample")
"""They read data from their first input only, and from the others where to move it."""
_LINEAR = {1: "upsample_linear1d", 2: "upsample_bilinear2d", 3: "upsample_trilinear3d"}


class Translated(NamedTuple):
    """An operator as the tape has it; `places` are those of its inputs whose values it reads."""

    op: str
    arguments: dict[str, Any]
    nature: Nature
    places: tuple[int, ...]


_Named = tuple[str, dict[str, Any], Nature]
"""An operator's name, its arguments, and its nature."""
_Rule = Callable[[Step], _Named | None]


def translated(
    node: Node, read: Sequence[Known | None], made: Sequence[Known], constants: Sequence[Constant | None], opset: int
) -> Translated:
    """Return an operator under torch's name if it has one; `read` has None for inputs that are not data."""
    given = tuple(place for place, known in enumerate(read) if known is not None)
    step = Step(node, [known or Known() for known in read], made, constants, opset, given)
    rule = RULES.get(node.op) if node.is_standard and made and made[0].shape is not None else None
    try:
        found = None if rule is None else rule(step)
    except (IndexError, TypeError, ValueError):  # inputs or attributes are missing, or too few
        found = None
    nature: Nature = "compute"
    if node.is_standard:
        nature = "view" if node.op in _VIEWS else "pointwise" if node.op in POINTWISE else "compute"
    op, arguments, nature = found or (node.op, {}, nature)
    if node.is_standard and node.op in ("Shape", "Size"):
        return Translated(op, {}, "compute", ())  # it reads no data
    one = nature == "view" or (node.is_standard and node.op.startswith(_OF_ONE))
    return Translated(op, arguments, nature, given[:1] if one else given)


def _windows(step: Step, kernel: Sequence[int]) -> dict[str, Any]:
    """Return how windows move, under torch's names; the padding is that in front."""
    count = len(kernel)
    stride, dilation = step.numbers("strides", [1] * count), step.numbers("dilations", [1] * count)
    padding = step.numbers("pads", [0] * 2 * count)[:count]
    auto = step.node.attributes.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        sides = zip(step.shape()[_SPATIAL:], step.result()[_SPATIAL:], kernel, stride, dilation, strict=True)
        totals = [max((new - 1) * move + (size - 1) * gap + 1 - old, 0) for old, new, size, move, gap in sides]
        padding = [total // 2 if auto == "SAME_UPPER" else total - total // 2 for total in totals]
    if min(*stride, *dilation, *kernel) < 1 or max(*stride, *dilation, *kernel, *map(abs, padding)) > _WIDEST:
        raise ValueError
    return {"stride": stride, "padding": padding, "dilation": dilation}


def _convolution(step: Step) -> _Named | None:
    weight = step.shape(1)
    transposed = step.node.op == "ConvTranspose"
    if len(weight) <= _SPATIAL or (transposed and step.node.attributes.get("auto_pad", "NOTSET") != "NOTSET"):
        return None
    groups = {"groups": step.node.attributes.get("group", 1), "transposed": transposed}
    if step.given[:2] != (0, 1) or not isinstance(groups["groups"], int) or groups["groups"] < 1:
        return None
    return "convolution", {**_windows(step, weight[_SPATIAL:]), **groups}, "compute"


def _pool(step: Step) -> _Named | None:
    kernel = step.node.attributes.get("kernel_shape")
    if not isinstance(kernel, list) or not 1 <= len(kernel) <= len(_LINEAR):
        return None
    kind = "max" if step.node.op == "MaxPool" else "avg"
    return f"{kind}_pool{len(kernel)}d", {"kernel_size": kernel, **_windows(step, kernel)}, "compute"


def _global_pool(step: Step) -> _Named:
    op = "amax" if step.node.op == "GlobalMaxPool" else "mean"
    return op, {"dim": list(range(_SPATIAL, len(step.shape()))), "keepdim": True}, "compute"


def _reduced(op: str) -> _Rule:
    def rule(step: Step) -> _Named | None:
        axes = step.values(1, "axes")
        if axes is None and step.node.inputs[1:2] not in ((), ("",)):
            return None
        if not axes:
            if step.node.attributes.get("noop_with_empty_axes"):
                return None
            axes = list(range(len(step.shape())))
        return op, {"dim": axes, "keepdim": bool(step.node.attributes.get("keepdims", 1))}, "compute"

    return rule


def _along(op: str, default: int = -1, nature: Nature = "compute") -> _Rule:
    return lambda step: (op, {"dim": step.axis(default)}, nature)


def _softmax(op: str) -> _Rule:
    return lambda step: (op, {"dim": step.axis(-1)}, "compute") if step.opset >= _SOFTMAX_OF_ONE_AXIS else None


def _linear(step: Step) -> _Named | None:
    """A product with a constant matrix; `transB` only says how that is stored."""
    whole = len(step.shape()) >= _MATRIX and len(step.shape(1)) == _MATRIX
    if whole and step.is_constant(1) and not step.node.attributes.get("transA"):
        return "linear", {}, "compute"
    if step.node.op == "MatMul" and len(step.shape()) == len(step.shape(1)) > _MATRIX:
        return ("bmm", {}, "compute") if step.shape()[:-2] == step.shape(1)[:-2] else None
    return None


def _attention(step: Step) -> _Named | None:
    plain = len(step.shape()) == _ATTENTION_RANK and not any(step.node.inputs[4:])
    return ("_scaled_dot_product_efficient_attention", {}, "compute") if plain else None


def _gather(step: Step) -> _Named | None:
    axis, rank = step.axis(0), len(step.shape(1))
    if step.is_constant(0) and len(step.shape()) == _MATRIX and axis == 0 and tuple(step.given) == (0, 1):
        return "embedding", {}, "compute"
    index = step.values(1)
    if index is not None and rank == 0:
        return "select", {"dim": axis, "index": index[0]}, "view"
    return ("index_select", {"dim": axis}, "compute") if step.is_constant(1) and rank == 1 else None


def _slice(step: Step) -> _Named | None:
    starts = step.values(1, "starts")
    axes = step.values(3, "axes") or (list(range(len(starts))) if starts else None)
    steps = step.values(4) or [1] * len(starts or ())
    if starts is None or axes is None or len(starts) != 1 or len(axes) != 1 or len(steps) != 1 or steps[0] < 1:
        return None
    return "slice", {"dim": axes[0], "start": starts[0], "step": steps[0]}, "view"


def _squeeze(op: str) -> _Rule:
    def rule(step: Step) -> _Named:
        axes = step.values(1, "axes")
        one = axes is not None and len(axes) == 1
        return (op, {"dim": axes[0]}, "view") if one and axes else ("view", {}, "view")

    return rule


def _permute(step: Step) -> _Named | None:
    order = step.node.attributes.get("perm") or list(range(len(step.shape())))[::-1]
    is_order = sorted(order) == list(range(len(step.shape())))
    return ("permute", {"dims": order}, "view") if is_order else None


def _pad(step: Step) -> _Named | None:
    pads, rank = step.values(1, "pads"), len(step.shape())
    if pads is None or len(pads) != 2 * rank or step.node.attributes.get("mode", "constant") == "wrap":
        return None
    order = [at for axis in reversed(range(rank)) for at in (axis, axis + rank)]
    return "constant_pad_nd", {"pad": [pads[at] for at in order]}, "compute"


def _layer_norm(step: Step) -> _Named:
    return "native_layer_norm", {"normalized_shape": list(step.shape()[step.axis(-1) :])}, "compute"


def _batch_norm(step: Step) -> _Named | None:
    trains = step.node.attributes.get("training_mode")
    return None if trains else ("native_batch_norm", {"training": False}, "compute")


def _dropout(step: Step) -> _Named | None:
    """What does nothing outside of training returns what it is given."""
    return ("view", {}, "view") if len(step.made) == 1 and not any(step.node.inputs[2:]) else None


def _depth_to_space(step: Step) -> _Named | None:
    factor = step.node.attributes.get("blocksize")
    by_column = step.node.attributes.get("mode") == "CRD" and isinstance(factor, int)
    return ("pixel_shuffle", {"upscale_factor": factor}, "compute") if by_column else None


def _resize(step: Step) -> _Named | None:
    """Resizing maps by whole factors, in the ways that torch has."""
    said, old, new = step.node.attributes, step.shape(), step.result()
    count = len(old) - _SPATIAL
    whole = len(old) == len(new) and old[:2] == new[:2] and all(a and b % a == 0 for a, b in zip(old, new, strict=True))
    if not whole or count not in _LINEAR or said.get("antialias") or step.node.inputs[1:2] not in ((), ("",)):
        return None
    mode, places = said.get("mode", "nearest"), said.get("coordinate_transformation_mode", "half_pixel")
    corners = places == "align_corners"
    if mode == "nearest" and places == "asymmetric" and said.get("nearest_mode", "") == "floor":
        return f"upsample_nearest{count}d", {}, "compute"
    if mode == "linear" and (corners or places in ("half_pixel", "pytorch_half_pixel")):
        return _LINEAR[count], {"align_corners": corners}, "compute"
    return None


def _view(step: Step) -> _Named | None:
    return ("view", {}, "view") if prod(step.shape()) == prod(step.result()) else None


RULES: dict[str, _Rule] = {
    **dict.fromkeys(("Conv", "ConvTranspose"), _convolution),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
    **dict.fromkeys(("Gemm", "MatMul"), _linear),
    **dict.fromkeys(("Reshape", "Flatten", "Identity"), _view),
    "ReduceMean": _reduced("mean"),
    "ReduceSum": _reduced("sum"),
    "ReduceMax": _reduced("amax"),
    "ReduceMin": _reduced("amin"),
    "ReduceProd": _reduced("prod"),
    "ReduceL2": _reduced("linalg_vector_norm"),
    "Softmax": _softmax("_softmax"),
    "LogSoftmax": _softmax("_log_softmax"),
    "Attention": _attention,
    "Gather": _gather,
    "Concat": _along("cat", 0),
    "Split": _along("split_with_sizes", 0, "view"),
    "Slice": _slice,
    "Squeeze": _squeeze("squeeze"),
    "Unsqueeze": _squeeze("unsqueeze"),
    "Transpose": _permute,
    "Expand": lambda _: ("expand", {}, "view"),
    "Tile": lambda _: ("repeat", {}, "compute"),
    "Pad": _pad,
    "LayerNormalization": _layer_norm,
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "DepthToSpace": _depth_to_space,
    "Resize": _resize,
}
