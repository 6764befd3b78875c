"""Matrix products, attention and embeddings: sums over the axis that two values share."""

from __future__ import annotations

from alexnet_cli.analyses.receptive_field.merging import merged
from alexnet_cli.analyses.receptive_field.reshaping import inserted
from alexnet_cli.analyses.receptive_field.seen import Seen, everything, marked, plain, reduced, with_axis
from alexnet_cli.analyses.receptive_field.step import NotFollowedError, Outcome, Rule, Step, named
from alexnet_cli.tape import Shape

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
        rest = reduced(seen, [axis])
        if number == left and not vector:
            rest = inserted(rest, len(rest.axes), plain(step.shape[-1]))
        elif number == right and step.shape:
            rest = inserted(rest, len(rest.axes) - (not vector), plain(step.shape[-1 - (not vector)]))
        parts.append(rest)
    return merged(parts, step.shape)


def _linear(step: Step) -> Outcome:
    last = len(step.shape) - 1
    return with_axis(reduced(step.first(), [last], keep=True), last, plain(step.shape[last]))


def _attention(step: Step) -> Outcome:
    """Query (…, l, e), key (…, s, e), value (…, s, v): a place of the query reads all places of key and value."""
    rank = len(step.shape)
    if any(step.seen[3:]) or any(len(shape) != rank for shape in step.read[:3]):
        raise NotFollowedError
    summed = ([rank - 1], [rank - 2, rank - 1], [rank - 2])
    parts = [
        _shared(reduced(seen, axes, keep=True), step.shape)
        for seen, axes in zip(step.seen, summed, strict=False)
        if seen is not None
    ]
    whole = merged(parts, step.shape)
    return whole, *(everything(shape, whole.sizes) for shape in step.made[1:])


def _shared(seen: Seen, shape: Shape) -> Seen:
    """Let heads be shared: several heads of the query may read one of the key."""
    for place, (size, wanted) in enumerate(zip(seen.shape, shape, strict=True)):
        if size not in (1, wanted):
            if marked(seen.axes[place]):
                raise NotFollowedError
            seen = with_axis(seen, place, ())
    return seen


def _embedding(step: Step) -> Outcome:
    """Look up a row for each index."""
    weights, indices = step.seen[:2]
    if weights is not None or indices is None:
        raise NotFollowedError
    return inserted(indices, len(indices.axes), plain(step.shape[-1]))


PRODUCTS: dict[str, Rule] = {
    **dict.fromkeys(_PRODUCTS, _product),
    "linear": _linear,
    **named(
        _attention,
        """_scaled_dot_product_efficient_attention _scaled_dot_product_flash_attention
        _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_cudnn_attention
        _scaled_dot_product_fused_attention_overrideable""",
    ),
    "embedding": _embedding,
}
