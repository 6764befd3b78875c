"""Why a forward failed: which layer, which shapes met there, what would fit, and where the layer is defined."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import nn

from alexnet_cli.errors import ForwardError, first_line, told
from alexnet_cli.report import ErrorInfo, Layer
from alexnet_cli.tape import Shape
from alexnet_cli.torch_insides import ConvNd, NormBase
from alexnet_cli.tracing.inputs.remedy import Remedy
from alexnet_cli.tracing.recording.calls import Call
from alexnet_cli.units import shape as cross
from alexnet_cli.users_code import users_frames


@dataclass(frozen=True)
class Diagnosis:
    """`what` completes a sentence that begins with the layer; `change` says which setting would fit this input."""

    what: str
    change: str | None = None


@dataclass(frozen=True)
class Failure:
    """The exception, the call that raised it, and the rows that finished before."""

    error: BaseException
    call: Call
    rows: Sequence[Layer]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of the tensors passed to the call."""
        return self.call.input_shapes

    @property
    def given(self) -> Shape:
        """The shape of the first of them, empty if there are none."""
        return self.shapes[0] if self.shapes else ()


Rule = Callable[[Failure, Any], Diagnosis | None]


def diagnose(failure: Failure, path: str, function: Call | None, remedy: Remedy, origin: str | None) -> ErrorInfo:
    """Explain a failed forward.

    `path` belongs to the module whose call failed, `function` is the torch function in it that raised, `origin` the
    line of the user's code that creates the module.
    """
    module = failure.call.module
    name = f"{path or 'the model itself'} ({signature(module)})" if module is not None else "the model"
    found = _by_layer(failure) or _dtypes(failure)
    if found is None and function is not None:
        found = _by_function(failure, function)
        name = f"{function.name} in {name}" if found else name
    found = found or Diagnosis(f"raised {told(failure.error)}")
    where = f"defined at {origin}" if origin else None
    frames = users_frames(failure.error)
    hints = (remedy.advice(), found.change, where, frames and f"raised at {frames}")
    return ErrorInfo(ForwardError.code, f"{name} {found.what}", "\n".join(filter(None, hints)) or None, path)


def is_understood(failure: Failure, function: Call | None) -> bool:
    """Tell whether the layer's or the function's sizes explain the failure, or only what was raised is known."""
    by_sizes = _by_layer(failure) or _dtypes(failure) or (function and _by_function(failure, function))
    return by_sizes is not None


def _by_function(failure: Failure, function: Call) -> Diagnosis | None:
    rule = FUNCTION_RULES.get(function.name)
    return rule(Failure(failure.error, function, failure.rows), None) if rule else None


def too_deep() -> ForwardError:
    """Explain that a model nests modules deeper than Python can walk or call them."""
    return ForwardError(
        f"the model nests calls deeper than Python's recursion limit of {sys.getrecursionlimit()}: "
        "too many modules inside one another, or a forward that calls itself without end",
        "it would fail without this program too: put the layers side by side, as in one nn.Sequential, "
        "or raise the limit a little with sys.setrecursionlimit in the target's file",
    )


def signature(module: nn.Module) -> str:
    """Return a layer as its class prints it, `Linear(in_features=9216, …)`; only the class for a container."""
    printed = type(module).__name__ if any(True for _ in module.children()) else repr(module)
    return printed if "\n" not in printed else type(module).__name__


def _by_layer(failure: Failure) -> Diagnosis | None:
    rule = next((rule for cls, rule in LAYER_RULES if isinstance(failure.call.module, cls)), None)
    return rule(failure, failure.call.module) if rule else None


def _linear(failure: Failure, layer: nn.Linear) -> Diagnosis | None:
    given = failure.given
    if not given or given[-1] == layer.in_features:
        return None
    what = f"takes {_some(layer.in_features, 'feature')} but got {given[-1]}{_flattened(given, failure.rows)}"
    if prod(given[1:]) == layer.in_features:
        return Diagnosis(what, f"{layer.in_features} = {cross(given[1:])}: flatten it first, as with nn.Flatten()")
    return Diagnosis(what, f"in_features={given[-1]} fits this input")


def _convolution(failure: Failure, layer: ConvNd) -> Diagnosis | None:
    """The number of dimensions or of channels is wrong, or the kernel is larger than the map."""
    given, rank = failure.given, len(layer.kernel_size)
    wanted = f"{layer.in_channels}×{'×'.join('DHW'[-rank:]) if rank > 1 else 'L'}"
    unbatched = len(given) == rank + 1 and given[0] == layer.in_channels
    if len(given) != rank + 2 and not unbatched:
        return Diagnosis(f"takes a batch of {wanted} but got {cross(given)}", f"give each input as {wanted}")
    found = _of_width(-rank - 1, "in_channels", "channel")(failure, layer)
    if found is None and re.search(r"ernel size|negative dimension|Output size is too small", str(failure.error)):
        kernel = cross(tuple(layer.kernel_size))
        return Diagnosis(f"has a kernel of {kernel}, larger than its input of {cross(given)} with padding")
    return found


def _batch_norm(failure: Failure, layer: NormBase) -> Diagnosis | None:
    """The number of channels or of dimensions is wrong, or each channel has a single value in training."""
    if "more than 1 value per channel" in str(failure.error):
        what = f"in training mode needs more than one value per channel but got {cross(failure.given)}"
        return Diagnosis(what, "--batch-size 2 runs, and so does the model in eval mode")
    if "D input" in str(failure.error):
        return Diagnosis(f"takes another number of dimensions: {first_line(failure.error)}")
    return _of_width(1, "num_features", "channel")(failure, layer)


def _layer_norm(failure: Failure, layer: nn.LayerNorm) -> Diagnosis | None:
    wanted = tuple(layer.normalized_shape)
    last = failure.given[-len(wanted) :]
    if last == wanted:
        return None
    what = (
        f"normalizes over {cross(wanted)} but the last dimensions of its input {cross(failure.given)} are {cross(last)}"
    )
    return Diagnosis(what, f"normalized_shape={list(last)} fits this input")


def _embedding(failure: Failure, layer: nn.Embedding) -> Diagnosis | None:
    """The indices are not integers, or point past the end of the table."""
    if isinstance(failure.error, IndexError):
        found = re.search(r"index (\d+) is out of range", str(failure.error))
        index = f"index {found[1]}" if found else "an index"
        what = f"has {layer.num_embeddings} rows (0 to {layer.num_embeddings - 1}) but got {index}"
        change = f"num_embeddings={int(found[1]) + 1} fits this input; or give a shorter one" if found else None
        return Diagnosis(what, change)
    if re.search(r"scalar type|used as indices must be", str(failure.error)):
        return Diagnosis(
            "takes integer indices but got floats", "give the input as integers, as in --input-size 16:int64"
        )
    return None


def _of_width(axis: int, setting: str, noun: str) -> Rule:
    """Return the rule of layers whose input must have a certain width, stored as `setting`, along one dimension."""

    def rule(failure: Failure, layer: Any) -> Diagnosis | None:
        given, wanted = failure.given, getattr(layer, setting)
        if not -len(given) <= axis < len(given) or given[axis] == wanted:
            return None
        takes = noun.format(wanted) if "{}" in noun else _some(wanted, noun)
        what = f"takes {takes} but got {given[axis]} (an input of {cross(given)})"
        return Diagnosis(what, f"{setting}={given[axis]} fits this input")

    return rule


def _concatenation(failure: Failure, _: None) -> Diagnosis | None:
    return Diagnosis(f"cannot join {_each(failure)}: they may differ only in the dimension that is joined")


def _broadcast(failure: Failure, _: None) -> Diagnosis | None:
    if len(failure.shapes) != 2:  # noqa: PLR2004 - of two operands
        return None
    pairs = zip(*map(reversed, failure.shapes), strict=False)
    clash = [(-place, a, b) for place, (a, b) in enumerate(pairs, 1) if a != b and 1 not in (a, b)]
    if not clash:
        return None
    place, left, right = clash[0]
    return Diagnosis(
        f"cannot combine {_each(failure)}: dimension {place} is {left} on one side and {right} on the other"
    )


def _matrix_product(failure: Failure, _: None) -> Diagnosis | None:
    shapes = failure.shapes
    if len(shapes) < 2 or not all(shapes[:2]):  # noqa: PLR2004 - of two operands
        return None
    rows = shapes[1][-2] if len(shapes[1]) > 1 else shapes[1][-1]
    return Diagnosis(f"cannot multiply {_each(failure)}: {shapes[0][-1]} columns meet {rows} rows")


def _function_linear(failure: Failure, _: None) -> Diagnosis | None:
    """The last dimension is not the weight's second: a bias that follows is no factor."""
    if len(failure.shapes) < 2 or not all(failure.shapes[:2]):  # noqa: PLR2004 - input and weight
        return None
    given, weight = failure.shapes[:2]
    return Diagnosis(
        f"takes {_some(weight[-1], 'feature')} (a weight of {cross(weight)}) but got {given[-1]} "
        f"(an input of {cross(given)})"
    )


def _view(failure: Failure, _: None) -> Diagnosis | None:
    """The wanted shape has another number of elements."""
    given = failure.given
    found = re.search(r"shape '\[(.*)\]' is invalid", str(failure.error))
    if not found or not given:
        return None
    what = f"cannot view {cross(given)} ({prod(given)} elements) as ({found[1]})"
    return Diagnosis(what, f"one image has {prod(given[1:])} features here: flatten(1) keeps all of them")


def _attention_function(failure: Failure, _: None) -> Diagnosis | None:
    if len(failure.shapes) < 3:  # noqa: PLR2004 - query, key, value
        return None
    query, key, value = failure.shapes[:3]
    return Diagnosis(
        f"got a query of {cross(query)}, a key of {cross(key)} and a value of {cross(value)}: "
        "query and key need the same last dimension, key and value the same length"
    )


def _dtypes(failure: Failure) -> Diagnosis | None:
    """Two dtypes met that do not mix."""
    said = first_line(failure.error)
    if not re.search(r"same dtype|should be the same|expected scalar type|expected m1 and m2", said):
        return None
    return Diagnosis(
        f"got tensors of two dtypes: {said}",
        "--dtype sets the model's dtype, a suffix such as :float16 after a shape the input's",
    )


LAYER_RULES: tuple[tuple[type[nn.Module], Rule], ...] = (
    (nn.Linear, _linear),
    (ConvNd, _convolution),
    (NormBase, _batch_norm),
    (nn.GroupNorm, _of_width(1, "num_channels", "{} channels")),
    (nn.LayerNorm, _layer_norm),
    (nn.RNNBase, _of_width(-1, "input_size", "{} features a step")),
    (nn.MultiheadAttention, _of_width(-1, "embed_dim", "embeddings of {}")),
    (nn.Embedding, _embedding),
)
FUNCTION_RULES: dict[str, Rule] = {
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "hstack", "vstack"), _concatenation),
    **dict.fromkeys(("add", "sub", "mul", "div", "truediv", "add_", "sub_", "mul_", "where", "pow"), _broadcast),
    **dict.fromkeys(("matmul", "mm", "bmm"), _matrix_product),
    "linear": _function_linear,
    **dict.fromkeys(("view", "reshape"), _view),
    "scaled_dot_product_attention": _attention_function,
}


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _each(failure: Failure) -> str:
    *others, last = map(cross, failure.shapes)
    return f"{', '.join(others)} and {last}" if others else last


def _flattened(given: Shape, rows: Sequence[Layer]) -> str:
    """Say what the features were before they were flattened: `(6400 = 256×5×5 flattened)`."""
    before = rows[-1].input_shapes[0] if rows and rows[-1].family == "reshape" and rows[-1].input_shapes else ()
    if prod(before[1:]) == given[-1] and len(before) > len(given):
        return f" ({given[-1]} = {cross(before[1:])} flattened)"
    return f" (an input of {cross(given)})"
