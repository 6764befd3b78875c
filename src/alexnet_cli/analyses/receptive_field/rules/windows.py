"""Operators that slide windows along axes or resize them: convolutions, poolings, interpolation."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, gcd

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


_FIRST_ROUNDED = 41
"""From this factor on torch's arithmetic, in float32, may pick the unit before the nearest."""
_SIDES = {"linear": 1, "bilinear": 1, "trilinear": 1, "bicubic": 2}
"""How many old units an interpolation reads on either side of a place."""
_SCALES = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}


def _interpolate(step: Step) -> Outcome:
    """Resize maps as torch's `interpolate` defines it.

    A new unit u of m lies at u * n / m among the n old ones for `nearest`, at (u + 1/2) * n / m - 1/2 for linear and
    cubic interpolation, at u * (n - 1) / (m - 1) with `align_corners`.
    """
    seen = step.first()
    first_axis = 2
    method = step.operation.op.partition("upsample_")[2][:-2]
    for axis in range(first_axis, len(step.shape)):
        old, new = step.read[0][axis], step.shape[axis]
        margin = _margin(_scale(step, axis - first_axis), old, new)
        if method.startswith("nearest"):
            how = _nearest(old, new, margin, middle=method.endswith("exact"))
        else:
            how = _between(old, new, margin, _SIDES[method], corners=step.argument("align_corners", default=False))
        seen = _resized(seen, axis, how, new)
    return seen


def _resized(seen: Seen, axis: int, how: Resampling | None, size: int) -> Seen:
    if how is None:  # all new units read the one old one
        return with_axis(mixed(seen, [axis]), axis, plain(size))
    return resampled(seen, axis, how, size)


def _nearest(old: int, new: int, margin: int, *, middle: bool) -> Resampling | None:
    if old == 1:
        return None
    ratio = Fraction(old, new)
    tight = not margin and (ratio.denominator == 1 or (ratio.numerator == 1 and ratio.denominator < _FIRST_ROUNDED))

    def taps(unit: int) -> range:
        place = (unit + Fraction(int(middle), 2)) * ratio
        first = place.numerator // place.denominator
        below = margin + (not tight and place.denominator == 1)  # rounding may lead to the unit before
        return range(first - below, first + margin + 1)

    return Resampling(taps, ratio.denominator, ratio.numerator, tight)


def _between(old: int, new: int, margin: int, sides: int, *, corners: bool) -> Resampling | None:
    if old == 1:
        return None
    ratio = Fraction(old - 1, max(new - 1, 1)) if corners else Fraction(old, new)
    shift = 0 if corners else (ratio - 1) / 2
    whole_up = ratio.numerator == 1 and ratio.denominator % 2 == 0  # no new unit falls on an old one
    tight = not margin and (ratio.denominator == 1 or (whole_up and not corners))

    def taps(unit: int) -> range:
        place = unit * ratio + shift
        first = place.numerator // place.denominator
        if place.denominator == 1 and tight:
            return range(first, first + 1)
        below = margin + (not tight and place.denominator == 1)
        return range(first - sides + 1 - below, first + sides + margin + 1)

    return Resampling(taps, ratio.denominator, ratio.numerator, tight)


def _scale(step: Step, number: int) -> float | None:
    """Return the factor that was asked for along an axis; None where a size was."""
    given = step.argument("scale_factors", None)
    if given:
        return float(given[number])
    scale = step.argument(_SCALES[len(step.shape) - 2][number], None)
    return None if scale is None else float(scale)


def _margin(scale: float | None, old: int, new: int) -> int:
    """Return by how many units places may be off, as torch uses the factor and not the ratio of the sizes."""
    if not scale or Fraction(scale) * old == new:
        return 0
    return ceil(1 / scale)


INTERPOLATION: dict[str, Rule] = named(
    _interpolate,
    """upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d""",
)
