"""Pixels at the right and the bottom edge of an image that no window of a convolution net reads, by image size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from msgspec import Struct

from alexnet_cli.analyses.receptive_field.fields import LayerField, receptive_fields
from alexnet_cli.analyses.scale.axes import Axis
from alexnet_cli.analyses.scale.runs import Runs
from alexnet_cli.errors import AlexnetError
from alexnet_cli.report import Report

_MAP_RANK = 4


class Unread(Struct, frozen=True):
    """A size of an image, and how many of its last rows, and columns, no window reads."""

    size: int
    pixels: int


class Edges(Struct, frozen=True):
    """What the windows of all layers up to `path` leave unread, for the sizes of one period, which is its `jump`."""

    dimension: str
    path: str
    jump: int
    sizes: tuple[Unread, ...]


class Window(Struct, frozen=True):
    """How a layer's units follow from those before it, along one axis: `size` units at a time, `stride` further each.

    There are `padding` units on each side, which belong to no image.
    """

    size: int
    stride: int
    padding: int

    def units(self, before: int) -> int:
        """Return how many units there are after so many before."""
        return (before + 2 * self.padding - self.size) // self.stride + 1

    def last_read(self, last: int, before: int) -> int:
        """Return the last unit before that the unit `last` reads."""
        return min(self.stride * last + self.size - 1 - self.padding, before - 1)


class Windows(Struct, frozen=True):
    """The windows of all layers, one after the other, the last being that at `path`, which moves by `jump` pixels."""

    each: tuple[Window, ...]
    path: str
    jump: int

    def units(self, image: int) -> list[int]:
        """Return how many units each layer has in a row of its map."""
        return _units(self.each, image)[1:]


def edges(windows: Windows, runs: Runs, axis: Axis) -> Edges:
    """Return what is unread at the edges of images."""
    first = axis.sizes[0]
    sizes = [size for size in range(first, first + windows.jump + 1) if runs.may_run(runs.moved(axis.dimension, size))]
    pixels = tuple(Unread(image, unread(windows.each, image)) for image in sizes)
    return Edges(axis.name, windows.path, windows.jump, pixels)


def windows_of(report: Report, image: int) -> Windows | None:
    """Return the windows of a model that was run at this size of an image; None unless all are known."""
    maps = _maps(report)
    found = [_window(before, layer) for before, layer in zip((None, *maps), maps, strict=False)]
    known = tuple(window for window in found if window is not None)
    if not maps or len(known) < len(found) or not _explain(known, maps, image):
        return None
    return Windows(known, maps[-1].path, int((maps[-1].jump or (1,))[-1] or 1))


def unread(windows: Sequence[Window], image: int) -> int:
    """Return how many of the last pixels none of the last layer's units sees, from layer to layer, the last first."""
    *before, units = _units(windows, image)
    last = units - 1
    for window, units in zip(reversed(windows), reversed(before), strict=True):
        last = window.last_read(last, units)
    return image - 1 - last


def _units(windows: Sequence[Window], image: int) -> list[int]:
    """Return the pixels in a row of an image, and how many units follow from them, window after window."""
    return list(accumulate(windows, lambda units, window: window.units(units), initial=image))


def _maps(report: Report) -> list[LayerField]:
    try:
        layers = receptive_fields(report).layers
    except AlexnetError:
        return []
    return [layer for layer in layers if layer.status == "exact" and len(layer.output_shape or ()) == _MAP_RANK]


def _window(before: LayerField | None, layer: LayerField) -> Window | None:
    """Return a layer's window from the fields of its units and of those before it; None if there is no such one."""
    size, jump, start = _last(layer.size), _last(layer.jump), _last(layer.start)
    wide, apart, centre = (1.0, 1.0, 0.0) if before is None else map(_last, (before.size, before.jump, before.start))
    if None in (size, jump, start, wide, apart, centre):
        return None
    width, stride = (size - wide) / apart + 1, jump / apart  # type: ignore[operator]
    padding = (width - 1) / 2 - (start - centre) / apart  # type: ignore[operator]
    whole = all(float(number).is_integer() for number in (width, stride, padding))
    return Window(int(width), int(stride), int(padding)) if whole and stride >= 1 and width >= 1 else None


def _last(numbers: Sequence[float | None] | None) -> float | None:
    return None if numbers is None else numbers[-1]


def _explain(windows: Sequence[Window], maps: Sequence[LayerField], image: int) -> bool:
    """Tell whether windows, one after the other, give the sizes that the maps have: no branches, no rounding up."""
    sizes = [layer.output_shape and layer.output_shape[-1] for layer in maps]
    return all(window.padding >= 0 for window in windows) and sizes == _units(windows, image)[1:]
