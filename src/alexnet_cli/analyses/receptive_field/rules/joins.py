"""Operators that put values together: pointwise arithmetic, concatenation, padding, matrix products, attention."""

from __future__ import annotations

from msgspec.structs import replace

from alexnet_cli.analyses.receptive_field.moves import broadcast, concatenated, merged, placed
from alexnet_cli.analyses.receptive_field.seen import Seen, plain, stepping
from alexnet_cli.analyses.receptive_field.step import NotFollowedError, Outcome, Rule, Step
from alexnet_cli.tape import Shape

SAME_PLACE = """
    bucketize complex _conj contiguous detach floor_divide _fused_dropout hardswish imag lift lift_fresh
    log_sigmoid_forward native_dropout polar _prelu_kernel real rrelu_with_noise _to_copy
"""
"""Operators that are pointwise without torch's tag saying so."""
_FILLED = """
    zeros_like ones_like full_like empty_like rand_like randn_like randint_like new_zeros new_ones new_full new_empty
    new_empty_strided fill zero uniform normal exponential cauchy geometric log_normal random
"""


def pointwise(step: Step) -> Outcome:
    """Let each unit see what the units at its place see."""
    if broadcast(step.read) != step.shape:
        raise NotFollowedError
    return merged(step.known, step.shape)


def _concatenate(step: Step) -> Outcome:
    if any(len(shape) != len(step.shape) for shape in step.read):
        raise NotFollowedError  # torch lets empty tensors of another rank pass
    axis = step.axis(default=0)
    return concatenated(step.seen, [shape[axis] for shape in step.read], axis)


def _stack(step: Step) -> Outcome:
    axis = step.axis(default=0, rank=len(step.shape))
    return concatenated([seen and seen.inserted(axis) for seen in step.seen], [1] * len(step.seen), axis)


def _pad(step: Step) -> Outcome:
    """Pad; what reflection and replication put at the edges is no more looked at than zeros are."""
    seen = step.first()
    widths = step.argument("pad", None) or step.argument("padding")
    for number, before in enumerate(widths[::2]):
        axis = len(step.shape) - 1 - number
        seen = placed(seen, before, step.shape[axis], place=axis)
    return seen


def _written_elsewhere(step: Step) -> Outcome:
    """Read a value again whose memory was written through other views of it: the first read, if not one of those.

    Which units were written is not on the tape: all may see what any unit of the views sees, unless they are alike.
    """
    if len(step.seen) == 1:
        return step.seen[0]
    values: list[Seen] = []
    for seen in step.known:
        whole = replace(seen.reduced(range(len(seen.axes))), axes=tuple(map(plain, step.shape)))
        values.append(seen if step.seen[0] is not None and seen.axes == step.seen[0].axes else whole)
    return merged(values, step.shape).loosened()


JOINS: dict[str, Rule] = {
    SAME_PLACE: pointwise,
    "tril triu": lambda step: step.first().loosened(),  # some units are set to a constant
    "copy": lambda step: step.seen[1] and step.seen[1].expanded(step.shape),
    _FILLED: lambda _: None,
    "cat concat": _concatenate,
    "stack": _stack,
    """constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d""": _pad,
    "alias": _written_elsewhere,
}

_WITH_BIAS = frozenset({"addmm", "baddbmm", "addmv", "_addmm_activation"})
_PRODUCTS = frozenset({"mm", "bmm", "mv", "dot", "vdot"}) | _WITH_BIAS
CONVOLUTIONS = frozenset({"convolution", "_convolution", "convolution_overrideable"})
_MATRIX = 2


def summed_axes(op: str, ranks: tuple[int, ...]) -> dict[int, int]:
    """Return over which axis of which read value a convolution or product sums, None of them for other operators."""
    if op in CONVOLUTIONS:
        return {0: 1}
    if op == "linear":
        return {0: ranks[0] - 1}
    if op not in _PRODUCTS:
        return {}
    left, right = (1, 2) if op in _WITH_BIAS else (0, 1)
    return {left: ranks[left] - 1, right: max(ranks[right] - _MATRIX, 0)}


def _product(step: Step) -> Outcome:
    """Multiply (…, m, k) by (…, k, n), or by (k); k is summed over, and a bias added."""
    axes = summed_axes(step.operation.op, tuple(map(len, step.read)))
    left, right = axes
    vector = len(step.read[right]) == 1
    parts: list[Seen] = [seen for seen in step.seen[:left] if seen is not None]
    for number, axis in axes.items():
        seen = step.seen[number]
        if seen is None:
            continue
        rest = seen.reduced([axis])
        if number == left and not vector:
            rest = rest.inserted(len(rest.axes), plain(step.shape[-1]))
        elif number == right and step.shape:
            rest = rest.inserted(len(rest.axes) - (not vector), plain(step.shape[-1 - (not vector)]))
        parts.append(rest)
    return merged(parts, step.shape)


def _linear(step: Step) -> Outcome:
    last = len(step.shape) - 1
    return step.first().mixed([last]).with_axis(last, plain(step.shape[last]))


def _attention(step: Step) -> Outcome:
    """Query (…, l, e), key (…, s, e), value (…, s, v): a place of the query reads all places of key and value."""
    rank = len(step.shape)
    if any(step.seen[3:]) or any(len(shape) != rank for shape in step.read[:3]):
        raise NotFollowedError
    summed = ([rank - 1], [rank - 2, rank - 1], [rank - 2])
    read = [(seen, axes) for seen, axes in zip(step.seen, summed, strict=False) if seen is not None]
    return (merged([_shared(seen.reduced(axes, keep=True), step.shape) for seen, axes in read], step.shape),)


def _shared(seen: Seen, shape: Shape) -> Seen:
    """Let heads be shared: several heads of the query may read one of the key."""
    for place, (size, wanted) in enumerate(zip(seen.shape, shape, strict=True)):
        if size not in (1, wanted):
            if stepping(seen.axes[place]):
                raise NotFollowedError
            seen = seen.with_axis(place, ())
    return seen


def _embedding(step: Step) -> Outcome:
    """Look up a row for each index."""
    weights, indices = step.seen[:2]
    if weights is not None or indices is None:
        raise NotFollowedError
    return indices.inserted(len(indices.axes), plain(step.shape[-1]))


PRODUCTS: dict[str, Rule] = {
    " ".join(_PRODUCTS): _product,
    "linear": _linear,
    """_scaled_dot_product_efficient_attention _scaled_dot_product_flash_attention
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_cudnn_attention
    _scaled_dot_product_fused_attention_overrideable""": _attention,
    "embedding": _embedding,
}
