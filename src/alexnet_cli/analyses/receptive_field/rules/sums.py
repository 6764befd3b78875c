"""Operators that mix what stands along whole axes: reductions, softmax, norms, recurrences along an axis."""

from __future__ import annotations

from collections.abc import Iterable

from alexnet_cli.analyses.receptive_field.rules.joins import pointwise
from alexnet_cli.analyses.receptive_field.seen import Seen, is_uneven, plain, stepping
from alexnet_cli.analyses.receptive_field.step import NotFollowedError, Outcome, Rule, Step

_CHANNELS = 1


def _reduce(step: Step) -> Outcome:
    if len(step.read) > 1:
        return pointwise(step)  # the other meaning of `max` and `min`
    return step.first().reduced(step.axes(), keep=len(step.shape) == len(step.read[0]))


def _along(step: Step, axes: Iterable[int]) -> Seen:
    """Let every unit see what all units along some axes see together; the axes may change their sizes."""
    seen = step.first().mixed(axes)
    if len(step.shape) != len(seen.axes):
        raise NotFollowedError
    for place, (old, new) in enumerate(zip(seen.shape, step.shape, strict=True)):
        if old != new:
            if stepping(seen.axes[place]):
                raise NotFollowedError
            seen = seen.with_axis(place, plain(new))
    return seen


def _bounded(step: Step, axes: Iterable[int]) -> Outcome:
    """Bound what units see that read some units along some axes, and not all."""
    mixing = [step.first().axes[axis] for axis in axes]
    along = frozenset[int]().union(*map(stepping, mixing))
    return _along(step, axes).loosened(None if any(map(is_uneven, mixing)) else along)


def _layer_norm(step: Step) -> Outcome:
    rank = len(step.read[0])
    return (step.first().mixed(range(rank - len(step.argument("normalized_shape")), rank)),)


def _batch_norm(step: Step) -> Outcome:
    """Batch statistics are taken over all axes but the channels; running ones come from no input."""
    training = step.argument("training", default=False) or "with_update" in step.operation.op
    rank = len(step.read[0])
    return (step.first().mixed([axis for axis in range(rank) if axis != _CHANNELS] if training else ()),)


# Of the norms only the normed value is followed; no layer reads the statistics.
SUMS: dict[str, Rule] = {
    """mean sum nansum prod amax amin max min aminmax median nanmedian mode std var std_mean var_mean logsumexp
    linalg_vector_norm norm argmax argmin any all count_nonzero kthvalue""": _reduce,
    "_softmax _log_softmax _safe_softmax softmax log_softmax sort topk argsort": lambda step: _along(
        step, [step.axis(default=-1)]
    ),
    "cumsum cumprod cummax cummin logcumsumexp glu index_select": lambda step: _bounded(step, [step.axis(default=-1)]),
    "_fft_r2c _fft_c2c _fft_c2r": lambda step: _along(step, step.axes()),
    "roll": lambda step: _bounded(step, step.axes("dims")),
    "native_layer_norm _fused_rms_norm": _layer_norm,
    "native_group_norm": lambda step: (step.first().mixed(range(1, len(step.read[0]))),),
    """native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm
    _native_batch_norm_legit_functional _batch_norm_with_update _batch_norm_no_update miopen_batch_norm""": _batch_norm,
}
