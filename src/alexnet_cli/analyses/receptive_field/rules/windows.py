"""Operators that slide windows along axes or resize them: convolutions, poolings, interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, gcd

from msgspec.structs import replace

from alexnet_cli.analyses.receptive_field.moves import Resampling, Window, resampled, unrolled, windowed
from alexnet_cli.analyses.receptive_field.rules.joins import CONVOLUTIONS
from alexnet_cli.analyses.receptive_field.seen import Axis, Seen, is_uneven, plain, stepping
from alexnet_cli.analyses.receptive_field.step import Outcome, Rule, Step

_CHANNELS = 1


def _windows(step: Step, kernels: Sequence[int]) -> list[Window]:
    """Return how windows of some sizes move along the spatial axes; without a stride they stand side by side."""
    count = len(kernels)
    strides = step.numbers("stride", count) if step.argument("stride", ()) else kernels
    paddings, dilations = step.numbers("padding", count, 0), step.numbers("dilation", count, 1)
    return [Window(*each) for each in zip(kernels, strides, paddings, dilations, strict=True)]


def _convolution(step: Step) -> Outcome:
    transposed = step.argument("transposed")
    seen = _over_channels(step.first(), step.argument("groups"), step.shape[_CHANNELS])
    for axis, window in enumerate(_windows(step, step.read[1][2:]), 2):
        size = step.shape[axis]
        seen = resampled(seen, axis, _transposed(window), size) if transposed else windowed(seen, axis, window, size)
    return seen


def _over_channels(seen: Seen, groups: int, channels: int) -> Seen:
    """Sum over the channels; with groups each sums over its own, and what differs among them still does."""
    axis = seen.axes[_CHANNELS]
    summed = seen.mixed([_CHANNELS])
    if groups > 1:
        summed = summed.loosened(stepping(axis))
    return summed.with_axis(_CHANNELS, plain(channels, uneven=groups > 1 and is_uneven(axis)))


def _transposed(window: Window) -> Resampling:
    """Return how a transposed convolution reads: place i is written to i * stride - padding + tap * dilation."""
    span = (window.kernel - 1) * window.dilation

    def taps(unit: int) -> list[int]:
        last = (unit + window.padding) // window.stride
        first = -((span - unit - window.padding) // window.stride)
        return [i for i in range(first, last + 1) if (unit + window.padding - i * window.stride) % window.dilation == 0]

    return Resampling(taps, window.stride, 1)


def _pool(step: Step) -> Outcome:
    seen, axes = step.first(), _spatial(step)
    for axis, window in zip(axes, _windows(step, step.numbers("kernel_size", len(axes))), strict=True):
        seen = windowed(seen, axis, window, step.shape[axis])
    return seen


def _adaptive_pool(step: Step) -> Outcome:
    seen = step.first()
    for axis in _spatial(step):
        old, new = step.read[0][axis], step.shape[axis]
        seen = seen.reduced([axis], keep=True) if new == 1 else resampled(seen, axis, _shares(old, new), new)
    return seen


def _shares(old: int, new: int) -> Resampling:
    """Return how adaptive pooling reads: unit o from floor(o * old / new) to before ceil((o + 1) * old / new)."""
    common = gcd(old, new)
    return Resampling(lambda unit: range(unit * old // new, -(-(unit + 1) * old // new)), new // common, old // common)


def _spatial(step: Step) -> range:
    """Return the axes that a pooling slides along, whose number its name says."""
    rank = len(step.read[0])
    return range(rank - int(step.operation.op.partition("pool")[2][0]), rank)


def _unfold(step: Step) -> Outcome:
    axis = step.axis("dimension")
    window = Window(step.argument("size"), step.argument("step"))
    seen, places, taps = unrolled(step.first(), axis, window, step.shape[axis])
    return replace(seen, axes=(*seen.axes[:axis], places, *seen.axes[axis + 1 :], taps)).settled()


def _im2col(step: Step) -> Outcome:
    seen = step.first()
    *batch, channels, height, width = range(len(step.read[0]))
    places: Axis = ()
    taps = seen.axes[channels]
    for axis, window in zip((height, width), _windows(step, step.numbers("kernel_size", 2)), strict=True):
        reach = window.dilation * (window.kernel - 1) + 1
        count = (step.read[0][axis] + 2 * window.padding - reach) // window.stride + 1
        seen, more_places, more_taps = unrolled(seen, axis, window, count)
        places, taps = places + more_places, taps + more_taps
    return replace(seen, axes=(*(seen.axes[axis] for axis in batch), taps, places)).settled()


_FIRST_ROUNDED = 41
"""From this factor on torch's arithmetic, in float32, may pick the unit before the nearest."""
_SIDES = {"nearest": 0, "nearest_exact": 0, "linear": 1, "bilinear": 1, "trilinear": 1, "bicubic": 2}
"""How many old units an interpolation reads on either side of a place; 0 is the one below it."""
_SCALES = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}


def _interpolate(step: Step) -> Outcome:
    """Resize maps as torch's `interpolate` defines it."""
    seen = step.first()
    first_axis = 2
    method = step.operation.op.partition("upsample_")[2][:-2]
    for axis in range(first_axis, len(step.shape)):
        old, new = step.read[0][axis], step.shape[axis]
        if old == 1:  # all new units read the one old one
            seen = seen.mixed([axis]).with_axis(axis, plain(new))
        else:
            margin = _margin(_scale(step, axis - first_axis), old, new)
            corners = step.argument("align_corners", default=False)
            seen = resampled(seen, axis, _interpolation(method, old, new, margin, corners=corners), new)
    return seen


def _interpolation(method: str, old: int, new: int, margin: int, *, corners: bool) -> Resampling:
    """Return how the units of an interpolation read.

    A new unit u of m lies at u * n / m among the n old ones for `nearest`, half a unit on for `nearest_exact`, at
    (u + 1/2) * n / m - 1/2 for linear and cubic interpolation, at u * (n - 1) / (m - 1) with `align_corners`.
    """
    sides = _SIDES[method]
    ratio = Fraction(old - 1, max(new - 1, 1)) if corners else Fraction(old, new)
    if sides:
        shift = 0 if corners else (ratio - 1) / 2
        whole_up = ratio.denominator % 2 == 0 and not corners  # no new unit falls on an old one
    else:
        shift = ratio / 2 if method.endswith("exact") else 0
        whole_up = ratio.denominator < _FIRST_ROUNDED
    tight = not margin and (ratio.denominator == 1 or (ratio.numerator == 1 and whole_up))

    def taps(unit: int) -> range:
        place = unit * ratio + shift
        first = place.numerator // place.denominator
        if place.denominator == 1 and tight:
            return range(first, first + 1)
        below = margin + (place.denominator == 1)  # rounding may lead to the unit before
        return range(first + min(1 - sides, 0) - below, first + sides + 1 + margin)

    return Resampling(taps, ratio.denominator, ratio.numerator, tight)


def _scale(step: Step, number: int) -> float | None:
    """Return the factor that was asked for along an axis; None where a size was."""
    given = step.argument("scale_factors", None)
    scale = given[number] if given else step.argument(_SCALES[len(step.shape) - 2][number], None)
    return None if scale is None else float(scale)


def _margin(scale: float | None, old: int, new: int) -> int:
    """Return by how many units places may be off, as torch uses the factor and not the ratio of the sizes."""
    if not scale or Fraction(scale) * old == new:
        return 0
    return ceil(1 / scale)


WINDOWS: dict[str, Rule] = {
    " ".join(CONVOLUTIONS): _convolution,
    """max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d
    avg_pool3d""": _pool,
    """adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d""": _adaptive_pool,
    "unfold": _unfold,
    "im2col": _im2col,
    """upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d""": (
        _interpolate
    ),
}
