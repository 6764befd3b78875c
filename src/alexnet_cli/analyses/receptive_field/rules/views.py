"""Operators that move elements and do not mix them: views, slices, flips, repeats."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod

from msgspec.structs import replace

from alexnet_cli.analyses.receptive_field.moves import flipped, joined, selected, sliced
from alexnet_cli.analyses.receptive_field.seen import Seen, plain
from alexnet_cli.analyses.receptive_field.step import NotFollowedError, Outcome, Rule, Step
from alexnet_cli.tape import Shape


def _view(step: Step) -> Outcome:
    if prod(step.shape) != prod(step.read[0]):
        raise NotFollowedError  # elements of another size
    return step.first().regrouped(step.shape)


def _transpose(step: Step) -> Outcome:
    order = list(range(len(step.read[0])))
    one, other = step.axis("dim0"), step.axis("dim1")
    order[one], order[other] = other, one
    return step.first().taken(order)


def _repeat(step: Step) -> Outcome:
    seen = step.first()
    new = (1,) * (len(step.shape) - len(seen.axes))
    sizes = zip(((),) * len(new) + seen.axes, new + seen.shape, step.shape, strict=True)
    return replace(seen, axes=tuple(plain(size // old) + axis for axis, old, size in sizes))


def _select(step: Step) -> Outcome:
    axis = step.axis()
    return selected(step.first(), axis, step.argument("index") % step.read[0][axis])


def _slice(step: Step) -> Outcome:
    axis = step.axis(default=0)
    size = step.read[0][axis]
    first = step.argument("start", 0)
    first = max(first + size, 0) if first < 0 else min(first, size)
    return sliced(step.first(), axis, first, step.argument("step", 1), step.shape[axis])


def _split(step: Step) -> Outcome:
    axis, seen = step.axis(default=0), step.first()
    sizes = [shape[axis] for shape in step.made]
    starts = [0, *accumulate(sizes)]
    return tuple(sliced(seen, axis, first, 1, size) for first, size in zip(starts, sizes, strict=False))


def _squeeze(step: Step) -> Outcome:
    gone = step.axes()
    return step.first().taken(axis for axis, size in enumerate(step.read[0]) if size != 1 or axis not in gone)


def _unbind(step: Step) -> Outcome:
    axis, seen = step.axis(default=0), step.first()
    return tuple(selected(seen, axis, index) for index in range(len(step.made)))


def _flip(step: Step) -> Outcome:
    seen = step.first()
    for axis in step.axes("dims") if step.argument("dims") else ():
        seen = flipped(seen, axis)
    return seen


def _pixel_shuffle(step: Step) -> Outcome:
    *batch, channels, height, width = step.read[0]
    factor, rank = step.argument("upscale_factor"), len(batch)
    apart = (*batch, channels // factor**2, factor, factor, height, width)
    order = (*range(rank + 1), rank + 3, rank + 1, rank + 4, rank + 2)
    return joined(joined(_shuffled(step, apart, order), rank + 1), rank + 2)


def _pixel_unshuffle(step: Step) -> Outcome:
    *batch, channels, height, width = step.read[0]
    factor, rank = step.argument("downscale_factor"), len(batch)
    apart = (*batch, channels, height // factor, factor, width // factor, factor)
    return _shuffled(step, apart, (*range(rank + 1), rank + 2, rank + 4, rank + 1, rank + 3))


def _channel_shuffle(step: Step) -> Outcome:
    batch, channels, *rest = step.read[0]
    groups = step.argument("groups")
    return _shuffled(step, (batch, groups, channels // groups, *rest), (0, 2, 1, *range(3, len(rest) + 3)))


def _shuffled(step: Step, apart: Shape, order: Sequence[int]) -> Seen:
    """Divide the elements among other axes, put those in another order, and join them to the result's."""
    return step.first().regrouped(apart).taken(order).regrouped(step.shape)


def _view_as_complex(step: Step) -> Outcome:
    last = len(step.read[0]) - 1
    return selected(step.first().mixed([last]), last, 0)


VIEWS: dict[str, Rule] = {
    "view _unsafe_view reshape _reshape_alias": _view,
    "permute": lambda step: step.first().taken(step.axes("dims")),
    "transpose": _transpose,
    "t": lambda step: step.first().taken(range(len(step.shape))[::-1]),
    "unsqueeze": lambda step: step.first().inserted(step.axis(rank=len(step.shape))),
    "squeeze": _squeeze,
    "expand": lambda step: step.first().expanded(step.shape),
    "repeat": _repeat,
    "select": _select,
    "slice": _slice,
    "split split_with_sizes unsafe_split unsafe_split_with_sizes": _split,
    "unbind": _unbind,
    "flip": _flip,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "channel_shuffle native_channel_shuffle": _channel_shuffle,
    "view_as_real": lambda step: step.first().inserted(len(step.read[0]), plain(2)),
    "view_as_complex": _view_as_complex,
}
