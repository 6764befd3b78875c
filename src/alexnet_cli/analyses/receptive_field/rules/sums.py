"""Operators that mix what stands along whole axes: reductions, softmax, norms, recurrences along an axis."""

from __future__ import annotations

from collections.abc import Iterable

from alexnet_cli.analyses.receptive_field.rules.joins import pointwise
from alexnet_cli.analyses.receptive_field.seen import (
    Seen,
    everything,
    is_uneven,
    loosened,
    mixed,
    plain,
    reduced,
    stepping,
    with_axis,
)
from alexnet_cli.analyses.receptive_field.step import NotFollowedError, Outcome, Rule, Step, named
from alexnet_cli.tape import Shape

_CHANNELS = 1


def _reduce(step: Step) -> Outcome:
    if len(step.read) > 1:
        return pointwise(step)  # the other meaning of `max` and `min`
    seen, rank = step.first(), len(step.shape)
    return reduced(seen, step.axes(), keep=rank == len(seen.axes))


def _along_axis(step: Step) -> Outcome:
    """Let every unit see what all units along an axis see together; the axis may change its size."""
    return _resized(mixed(step.first(), [step.axis(default=-1)]), step.shape)


def _part_of_axis(step: Step) -> Outcome:
    """Bound what units see that read some units along an axis, and not all."""
    seen, axis = step.first(), step.axis(default=-1)
    along = None if is_uneven(seen.axes[axis]) else stepping(seen.axes[axis])
    return _resized(loosened(mixed(seen, [axis]), along), step.shape)


def _along_axes(step: Step) -> Outcome:
    """Let every unit see what all units along several axes see together, or all axes where none is named."""
    return _resized(mixed(step.first(), step.axes()), step.shape)


def _roll(step: Step) -> Outcome:
    """Bound what is seen after some units went to the other end of an axis."""
    seen, axes = step.first(), step.axes("dims")
    uneven = any(is_uneven(seen.axes[axis]) for axis in axes)
    along = frozenset[int]().union(*(stepping(seen.axes[axis]) for axis in axes))
    return loosened(mixed(seen, axes), None if uneven else along)


def _layer_norm(step: Step) -> Outcome:
    rank = len(step.read[0])
    return _normed(step, range(rank - len(step.argument("normalized_shape")), rank))


def _group_norm(step: Step) -> Outcome:
    return _normed(step, range(1, len(step.read[0])))


def _batch_norm(step: Step) -> Outcome:
    """Batch statistics are taken over all axes but the channels; running ones come from no input."""
    training = step.argument("training", default=False) or "with_update" in step.operation.op
    rank = len(step.read[0])
    return _normed(step, [axis for axis in range(rank) if axis != _CHANNELS] if training else ())


def _normed(step: Step, axes: Iterable[int]) -> tuple[Seen, ...]:
    """Return what the normed value sees; the statistics, which no layer reads, are taken to see everything."""
    seen = mixed(step.first(), axes)
    return seen, *(everything(shape, seen.sizes) for shape in step.made[1:])


def _resized(seen: Seen, shape: Shape) -> Seen:
    """Give mixed axes the sizes that they have in the result."""
    if len(shape) != len(seen.axes):
        raise NotFollowedError
    for place, (old, new) in enumerate(zip(seen.shape, shape, strict=True)):
        if old != new:
            if any(factor.along is not None for factor in seen.axes[place]):
                raise NotFollowedError
            seen = with_axis(seen, place, plain(new))
    return seen


SUMS: dict[str, Rule] = {
    **named(
        _reduce,
        """mean sum nansum prod amax amin max min aminmax median nanmedian mode std var std_mean var_mean logsumexp
        linalg_vector_norm norm argmax argmin any all count_nonzero kthvalue""",
    ),
    **named(
        _along_axis,
        "_softmax _log_softmax _safe_softmax softmax log_softmax sort topk argsort",
    ),
    **named(_part_of_axis, "cumsum cumprod cummax cummin logcumsumexp glu index_select"),
    **named(_along_axes, "_fft_r2c _fft_c2c _fft_c2r"),
    "roll": _roll,
    **named(_layer_norm, "native_layer_norm _fused_rms_norm"),
    "native_group_norm": _group_norm,
    **named(
        _batch_norm,
        """native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm
        _native_batch_norm_legit_functional _batch_norm_with_update _batch_norm_no_update miopen_batch_norm""",
    ),
}
