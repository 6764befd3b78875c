"""What a failing layer or function wants and what it got, in plain words: one rule a kind of layer or function."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import nn

from alexnet_cli.errors import ForwardError, first_line, told, users_frames
from alexnet_cli.report import ErrorInfo, Layer
from alexnet_cli.tape import Shape
from alexnet_cli.torch_insides import ConvNd, NormBase
from alexnet_cli.tracing.inputs.remedy import Remedy
from alexnet_cli.tracing.recording.calls import Call
from alexnet_cli.units import shape as cross


@dataclass(frozen=True)
class Diagnosis:
    """`what` completes a sentence that begins with the layer; `change` says which setting would fit this input."""

    what: str
    change: str | None = None


@dataclass(frozen=True)
class Failure:
    """The exception, the call that raised it and the rows that finished before."""

    error: BaseException
    call: Call
    rows: Sequence[Layer]

    @property
    def given(self) -> Shape:
        """The shape of the first tensor that came in, empty if there is none."""
        return self.call.input_shapes[0] if self.call.input_shapes else ()


Rule = Callable[[Failure, Any], Diagnosis | None]


def linear(failure: Failure, layer: nn.Linear) -> Diagnosis | None:
    """The last dimension is not `in_features`."""
    given = failure.given
    if not given or given[-1] == layer.in_features:
        return None
    what = f"takes {_some(layer.in_features, 'feature')} but got {given[-1]}{_flattened(given, failure.rows)}"
    if prod(given[1:]) == layer.in_features:
        return Diagnosis(what, f"{layer.in_features} = {cross(given[1:])}: flatten it first, as with nn.Flatten()")
    return Diagnosis(what, f"in_features={given[-1]} fits this input")


def convolution(failure: Failure, layer: ConvNd) -> Diagnosis | None:
    """The number of dimensions or of channels is wrong, or the kernel is larger than the map."""
    given, rank = failure.given, len(layer.kernel_size)
    wanted = f"{layer.in_channels}×{'×'.join('DHW'[-rank:]) if rank > 1 else 'L'}"
    unbatched = len(given) == rank + 1 and given[0] == layer.in_channels
    if len(given) != rank + 2 and not unbatched:
        return Diagnosis(f"takes a batch of {wanted} but got {cross(given)}", f"give each input as {wanted}")
    channels = given[-rank - 1]
    if channels != layer.in_channels:
        what = f"takes {_some(layer.in_channels, 'channel')} but got {channels} (an input of {cross(given)})"
        return Diagnosis(what, f"in_channels={channels} fits this input")
    if "ernel size" in str(failure.error):
        kernel = cross(tuple(layer.kernel_size))
        return Diagnosis(f"has a kernel of {kernel}, larger than its input of {cross(given)} with padding")
    return None


def batch_norm(failure: Failure, layer: NormBase) -> Diagnosis | None:
    """The channels are not `num_features`, or there is one value for each of them in training."""
    given = failure.given
    if "more than 1 value per channel" in str(failure.error):
        what = f"in training mode needs more than one value for each channel but got {cross(given)}"
        return Diagnosis(what, "--batch-size 2 runs, and so does the model in eval mode")
    if "D input" in str(failure.error):
        return Diagnosis(f"takes another number of dimensions: {first_line(failure.error)}")
    if len(given) > 1 and given[1] != layer.num_features:
        what = f"takes {_some(layer.num_features, 'channel')} but got {given[1]} (an input of {cross(given)})"
        return Diagnosis(what, f"num_features={given[1]} fits this input")
    return None


def group_norm(failure: Failure, layer: nn.GroupNorm) -> Diagnosis | None:
    """The channels are not `num_channels`."""
    given = failure.given
    if len(given) < 2 or given[1] == layer.num_channels:  # noqa: PLR2004 - batch and channels
        return None
    what = f"takes {layer.num_channels} channels but got {given[1]} (an input of {cross(given)})"
    return Diagnosis(what, f"num_channels={given[1]} fits this input")


def layer_norm(failure: Failure, layer: nn.LayerNorm) -> Diagnosis | None:
    """The last dimensions are not `normalized_shape`."""
    wanted = tuple(layer.normalized_shape)
    last = failure.given[-len(wanted) :]
    if last == wanted:
        return None
    what = (
        f"normalises over {cross(wanted)} but the last dimensions of its input {cross(failure.given)} are {cross(last)}"
    )
    return Diagnosis(what, f"normalized_shape={list(last)} fits this input")


def recurrent(failure: Failure, layer: nn.RNNBase) -> Diagnosis | None:
    """The last dimension is not `input_size`."""
    given = failure.given
    if not given or given[-1] == layer.input_size:
        return None
    what = f"takes {layer.input_size} features a step but got {given[-1]} (an input of {cross(given)})"
    return Diagnosis(what, f"input_size={given[-1]} fits this input")


def attention(failure: Failure, layer: nn.MultiheadAttention) -> Diagnosis | None:
    """The last dimension is not `embed_dim`."""
    given = failure.given
    if not given or given[-1] == layer.embed_dim:
        return None
    what = f"takes embeddings of {layer.embed_dim} but got {given[-1]} (an input of {cross(given)})"
    return Diagnosis(what, f"embed_dim={given[-1]} fits this input")


def embedding(failure: Failure, layer: nn.Embedding) -> Diagnosis | None:
    """The indices are not integers, or beyond the end of the table."""
    if isinstance(failure.error, IndexError):
        found = re.search(r"index (\d+) is out of range", str(failure.error))
        index = f"index {found[1]}" if found else "an index"
        what = f"has {layer.num_embeddings} rows (0 to {layer.num_embeddings - 1}) but got {index}"
        change = f"num_embeddings={int(found[1]) + 1} fits this input; or give a shorter one" if found else None
        return Diagnosis(what, change)
    if "scalar type" in str(failure.error):
        return Diagnosis(
            "takes integer indices but got floats", "give the input as integers, as in --input-size 16:int64"
        )
    return None


def concatenation(failure: Failure, _: None) -> Diagnosis | None:
    """The shapes differ beside the dimension that is joined."""
    return Diagnosis(f"cannot join {_each(failure)}: they may differ only in the dimension that is joined")


def broadcast(failure: Failure, _: None) -> Diagnosis | None:
    """Two shapes that do not go together element by element."""
    shapes = failure.call.input_shapes
    if len(shapes) != 2:  # noqa: PLR2004 - of two operands
        return None
    pairs = zip(reversed(shapes[0]), reversed(shapes[1]), strict=False)
    clash = [(-place, a, b) for place, (a, b) in enumerate(pairs, 1) if a != b and 1 not in (a, b)]
    if not clash:
        return None
    place, left, right = clash[0]
    return Diagnosis(
        f"cannot combine {_each(failure)}: dimension {place} is {left} on one side and {right} on the other"
    )


def matrix_product(failure: Failure, _: None) -> Diagnosis | None:
    """The inner dimensions differ."""
    shapes = failure.call.input_shapes
    if len(shapes) < 2 or not all(shapes[:2]):  # noqa: PLR2004 - of two operands
        return None
    rows = shapes[1][-2] if len(shapes[1]) > 1 else shapes[1][-1]
    return Diagnosis(f"cannot multiply {_each(failure)}: {shapes[0][-1]} columns meet {rows} rows")


def view(failure: Failure, _: None) -> Diagnosis | None:
    """The number of elements does not fit the wanted shape."""
    given = failure.given
    found = re.search(r"shape '\[(.*)\]' is invalid", str(failure.error))
    if not found or not given:
        return None
    features = prod(given[1:])
    what = f"cannot see {cross(given)} ({prod(given)} elements) as ({found[1]})"
    return Diagnosis(what, f"one image has {features} features here: flatten(1) keeps them, whatever they are")


def attention_function(failure: Failure, _: None) -> Diagnosis | None:
    """Query, key and value do not go together."""
    if len(failure.call.input_shapes) < 3:  # noqa: PLR2004 - query, key, value
        return None
    query, key, value = failure.call.input_shapes[:3]
    return Diagnosis(
        f"got a query of {cross(query)}, a key of {cross(key)} and a value of {cross(value)}: "
        "query and key want the same last dimension, key and value the same length"
    )


def dtypes(failure: Failure, _: object) -> Diagnosis | None:
    """Two dtypes met that do not mix."""
    said = first_line(failure.error)
    if not re.search(r"same dtype|should be the same|expected scalar type|expected m1 and m2", said):
        return None
    return Diagnosis(
        f"got tensors of two dtypes: {said}", "--dtype sets that of the model, :dtype after a shape the input's"
    )


LAYER_RULES: tuple[tuple[type[nn.Module], Rule], ...] = (
    (nn.Linear, linear),
    (ConvNd, convolution),
    (NormBase, batch_norm),
    (nn.GroupNorm, group_norm),
    (nn.LayerNorm, layer_norm),
    (nn.RNNBase, recurrent),
    (nn.MultiheadAttention, attention),
    (nn.Embedding, embedding),
)
FUNCTION_RULES: dict[str, Rule] = {
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "hstack", "vstack"), concatenation),
    **dict.fromkeys(("add", "sub", "mul", "div", "truediv", "add_", "sub_", "mul_", "where", "pow"), broadcast),
    **dict.fromkeys(("matmul", "mm", "bmm", "linear"), matrix_product),
    **dict.fromkeys(("view", "reshape"), view),
    "scaled_dot_product_attention": attention_function,
}


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _each(failure: Failure) -> str:
    *others, last = [cross(item) for item in failure.call.input_shapes]
    return f"{', '.join(others)} and {last}" if others else last


def _flattened(given: Shape, rows: Sequence[Layer]) -> str:
    """Say what the features were before they were flattened: `(6400 = 256×5×5 flattened)`."""
    before = rows[-1].input_shapes[0] if rows and rows[-1].family == "reshape" and rows[-1].input_shapes else ()
    if prod(before[1:]) == given[-1] and len(before) > len(given):
        return f" ({given[-1]} = {cross(before[1:])} flattened)"
    return f" (an input of {cross(given)})"


def diagnose(failure: Failure, path: str, function: Call | None, remedy: Remedy, origin: str | None) -> ErrorInfo:
    """Return what to tell of a failure.

    `path` is that of the module whose call failed, `function` the torch function in it that raised, `origin` the
    line of the user's code that made the module.
    """
    module = failure.call.module
    found = _by_layer(failure) or dtypes(failure, None)
    name = f"{path or 'the model itself'} ({signature(module)})" if module is not None else "the model"
    if found is None and function is not None:
        found = _by_function(Failure(failure.error, function, failure.rows))
        name = f"{function.name} in {name}" if found else name
    found = found or dtypes(failure, None) or Diagnosis(f"raised {told(failure.error)}")
    where = f"defined at {origin}" if origin else None
    frames = users_frames(failure.error)
    hints = (remedy.advice(), found.change, where, frames and f"raised at {frames}")
    return ErrorInfo(ForwardError.code, f"{name} {found.what}", "\n".join(filter(None, hints)) or None, path)


def too_deep() -> ForwardError:
    """Return what to tell of a model that Python cannot walk or call: torch does both one module inside the other."""
    return ForwardError(
        f"the model nests calls deeper than Python's recursion limit of {sys.getrecursionlimit()}: "
        "too many modules inside one another, or a forward that calls itself without end",
        "it would fail without this program too: put the layers side by side, as in one nn.Sequential, "
        "or raise the limit a little by sys.setrecursionlimit in the target's file",
    )


def signature(module: nn.Module) -> str:
    """Return the layer as its class prints it, `Linear(in_features=9216, …)`; the class alone for a container."""
    printed = type(module).__name__ if any(True for _ in module.children()) else repr(module)
    return printed if "\n" not in printed else type(module).__name__


def _by_layer(failure: Failure) -> Diagnosis | None:
    rule = next((rule for cls, rule in LAYER_RULES if isinstance(failure.call.module, cls)), None)
    return rule(failure, failure.call.module) if rule else None


def _by_function(failure: Failure) -> Diagnosis | None:
    rule = FUNCTION_RULES.get(failure.call.name)
    return rule(failure, None) if rule else None
