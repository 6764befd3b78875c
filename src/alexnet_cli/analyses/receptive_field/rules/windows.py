"""Operators that slide windows along axes: convolutions and poolings."""

from __future__ import annotations

from math import gcd

from alexnet_cli.analyses.receptive_field.moves import Resampling, Window, resampled, windowed
from alexnet_cli.analyses.receptive_field.seen import (
    Seen,
    is_uneven,
    loosened,
    mixed,
    plain,
    reduced,
    stepping,
    with_axis,
)
from alexnet_cli.analyses.receptive_field.step import Outcome, Rule, Step, named

_CHANNELS = 1


def _convolution(step: Step) -> Outcome:
    shape, kernel = step.read[0], step.read[1]
    spatial = len(shape) - 2
    groups, transposed = step.argument("groups"), step.argument("transposed")
    seen = _over_channels(step.first(), groups, step.shape[_CHANNELS])
    strides, paddings, dilations = (step.numbers(name, spatial) for name in ("stride", "padding", "dilation"))
    for number in range(spatial):
        axis = 2 + number
        window = Window(kernel[axis], strides[number], paddings[number], dilations[number])
        if transposed:
            seen = resampled(seen, axis, _transposed(window), step.shape[axis])
        else:
            seen = windowed(seen, axis, window, step.shape[axis])
    return seen


def _over_channels(seen: Seen, groups: int, channels: int) -> Seen:
    """Sum over the channels; with groups each sums over its own, and what differs among them still does."""
    axis = seen.axes[_CHANNELS]
    summed = mixed(seen, [_CHANNELS])
    if groups > 1:
        summed = loosened(summed, stepping(axis))
    return with_axis(summed, _CHANNELS, plain(channels, uneven=groups > 1 and is_uneven(axis)))


def _transposed(window: Window) -> Resampling:
    """Return how a transposed convolution reads: place i is written to i * stride - padding + tap * dilation."""
    span = (window.kernel - 1) * window.dilation

    def taps(unit: int) -> list[int]:
        last = (unit + window.padding) // window.stride
        first = -((span - unit - window.padding) // window.stride)
        return [i for i in range(first, last + 1) if (unit + window.padding - i * window.stride) % window.dilation == 0]

    return Resampling(taps, window.stride, 1)


def _pool(step: Step) -> Outcome:
    seen, rank, spatial = step.first(), len(step.read[0]), _spatial(step)
    kernels = step.numbers("kernel_size", spatial)
    strides = step.numbers("stride", spatial) if step.argument("stride", ()) else kernels
    paddings, dilations = step.numbers("padding", spatial, 0), step.numbers("dilation", spatial, 1)
    for number, settings in enumerate(zip(kernels, strides, paddings, dilations, strict=True)):
        axis = rank - spatial + number
        seen = windowed(seen, axis, Window(*settings), step.shape[axis])
    return seen


def _adaptive_pool(step: Step) -> Outcome:
    seen, rank, spatial = step.first(), len(step.read[0]), _spatial(step)
    for axis in range(rank - spatial, rank):
        old, new = step.read[0][axis], step.shape[axis]
        seen = reduced(seen, [axis], keep=True) if new == 1 else resampled(seen, axis, _shares(old, new), new)
    return seen


def _shares(old: int, new: int) -> Resampling:
    """Return how adaptive pooling reads: unit o from floor(o * old / new) to before ceil((o + 1) * old / new)."""
    common = gcd(old, new)
    return Resampling(lambda unit: range(unit * old // new, -(-(unit + 1) * old // new)), new // common, old // common)


def _spatial(step: Step) -> int:
    """Return the number of axes that a pooling slides along, which its name says."""
    return int(step.operation.op.partition("pool")[2][0])


WINDOWS: dict[str, Rule] = {
    **named(_convolution, "convolution _convolution convolution_overrideable"),
    **named(
        _pool,
        """max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d
        avg_pool3d""",
    ),
    **named(
        _adaptive_pool,
        """adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d
        adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d""",
    ),
}
