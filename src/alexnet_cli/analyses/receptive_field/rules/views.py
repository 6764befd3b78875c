"""Operators that move elements and do not mix them: views, slices, flips, repeats."""

from __future__ import annotations

from itertools import accumulate
from math import prod

from msgspec.structs import replace

from alexnet_cli.analyses.receptive_field import moves
from alexnet_cli.analyses.receptive_field.moves import Window
from alexnet_cli.analyses.receptive_field.seen import (
    Axis,
    expanded,
    inserted,
    mixed,
    permuted,
    plain,
    regrouped,
    settled,
    squeezed,
)
from alexnet_cli.analyses.receptive_field.step import NotFollowedError, Outcome, Rule, Step, named


def _view(step: Step) -> Outcome:
    if prod(step.shape) != prod(step.read[0]):
        raise NotFollowedError  # elements of another size
    return regrouped(step.first(), step.shape)


def _permute(step: Step) -> Outcome:
    return permuted(step.first(), step.axes("dims"))


def _transpose(step: Step) -> Outcome:
    order = list(range(len(step.read[0])))
    one, other = step.axis("dim0"), step.axis("dim1")
    order[one], order[other] = other, one
    return permuted(step.first(), order)


def _t(step: Step) -> Outcome:
    return permuted(step.first(), range(len(step.shape))[::-1])


def _unsqueeze(step: Step) -> Outcome:
    return inserted(step.first(), step.axis(rank=len(step.shape)))


def _squeeze(step: Step) -> Outcome:
    shape = step.read[0]
    return squeezed(step.first(), [axis for axis in step.axes() if shape[axis] == 1])


def _expand(step: Step) -> Outcome:
    return expanded(step.first(), step.shape)


def _repeat(step: Step) -> Outcome:
    seen = step.first()
    axes = ((),) * (len(step.shape) - len(seen.axes)) + seen.axes
    sizes = (1,) * (len(step.shape) - len(seen.axes)) + seen.shape
    repeated = (plain(size // old) + axis for axis, old, size in zip(axes, sizes, step.shape, strict=True))
    return replace(seen, axes=tuple(repeated))


def _select(step: Step) -> Outcome:
    axis = step.axis()
    return moves.selected(step.first(), axis, step.argument("index") % step.read[0][axis])


def _slice(step: Step) -> Outcome:
    axis = step.axis(default=0)
    size = step.read[0][axis]
    first = step.argument("start", 0)
    first = max(first + size, 0) if first < 0 else min(first, size)
    return moves.sliced(step.first(), axis, first, step.argument("step", 1), step.shape[axis])


def _split(step: Step) -> Outcome:
    axis, seen = step.axis(default=0), step.first()
    sizes = [shape[axis] for shape in step.made]
    starts = [0, *accumulate(sizes)]
    return tuple(moves.sliced(seen, axis, first, 1, size) for first, size in zip(starts, sizes, strict=False))


def _unbind(step: Step) -> Outcome:
    axis, seen = step.axis(default=0), step.first()
    return tuple(moves.selected(seen, axis, index) for index in range(len(step.made)))


def _flip(step: Step) -> Outcome:
    seen = step.first()
    for axis in step.axes("dims") if step.argument("dims") else ():
        seen = moves.flipped(seen, axis)
    return seen


def _unfold(step: Step) -> Outcome:
    axis = step.axis("dimension")
    window = Window(step.argument("size"), step.argument("step"))
    seen, places, taps = moves.unrolled(step.first(), axis, window, step.shape[axis])
    return settled(replace(seen, axes=(*seen.axes[:axis], places, *seen.axes[axis + 1 :], taps)))


def _im2col(step: Step) -> Outcome:
    seen = step.first()
    *batch, channels, height, width = range(len(step.read[0]))
    places: Axis = ()
    taps = seen.axes[channels]
    for number, axis in enumerate((height, width)):
        kernel, stride, padding, dilation = (
            step.numbers(name, 2)[number] for name in ("kernel_size", "stride", "padding", "dilation")
        )
        window = Window(kernel, stride, padding, dilation)
        count = (step.read[0][axis] + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        seen, more_places, more_taps = moves.unrolled(seen, axis, window, count)
        places, taps = places + more_places, taps + more_taps
    return settled(replace(seen, axes=(*(seen.axes[axis] for axis in batch), taps, places)))


def _pixel_shuffle(step: Step) -> Outcome:
    *batch, channels, height, width = step.read[0]
    factor, rank = step.argument("upscale_factor"), len(batch)
    apart = regrouped(step.first(), (*batch, channels // factor**2, factor, factor, height, width))
    order = (*range(rank + 1), rank + 3, rank + 1, rank + 4, rank + 2)
    shuffled = regrouped(permuted(apart, order), step.shape)
    return moves.joined(moves.joined(shuffled, rank + 1), rank + 2)


def _pixel_unshuffle(step: Step) -> Outcome:
    *batch, channels, height, width = step.read[0]
    factor, rank = step.argument("downscale_factor"), len(batch)
    shape = (*batch, channels, height // factor, factor, width // factor, factor)
    apart = regrouped(step.first(), shape)
    order = (*range(rank + 1), rank + 2, rank + 4, rank + 1, rank + 3)
    return regrouped(permuted(apart, order), step.shape)


def _channel_shuffle(step: Step) -> Outcome:
    batch, channels, *rest = step.read[0]
    groups = step.argument("groups")
    apart = regrouped(step.first(), (batch, groups, channels // groups, *rest))
    order = (0, 2, 1, *range(3, len(rest) + 3))
    return regrouped(permuted(apart, order), step.shape)


def _view_as_real(step: Step) -> Outcome:
    seen = step.first()
    return inserted(seen, len(seen.axes), plain(2))


def _view_as_complex(step: Step) -> Outcome:
    last = len(step.read[0]) - 1
    return moves.selected(mixed(step.first(), [last]), last, 0)


VIEWS: dict[str, Rule] = {
    **named(_view, "view _unsafe_view reshape _reshape_alias"),
    "permute": _permute,
    "transpose": _transpose,
    "t": _t,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "expand": _expand,
    "repeat": _repeat,
    "select": _select,
    "slice": _slice,
    **named(_split, "split split_with_sizes unsafe_split unsafe_split_with_sizes"),
    "unbind": _unbind,
    "flip": _flip,
    "unfold": _unfold,
    "im2col": _im2col,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    **named(_channel_shuffle, "channel_shuffle native_channel_shuffle"),
    "view_as_real": _view_as_real,
    "view_as_complex": _view_as_complex,
}
