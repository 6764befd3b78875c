"""What ran when, as SVG for a page: time from left to right, and a lane for each level of what contains what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.graphics.palette import OTHER, Page, hue
from alexnet_cli.graphics.scale import Scale, fitting_ticks
from alexnet_cli.graphics.svg import Drawing, element, straight, tied, tooltip_of, words
from alexnet_cli.graphics.text import sans, shorten, visible

_FONT = 12
_HEIGHT, _STEP = 20, 22
_BASE = 14.5
_FOOT = 20
_NARROWEST = 1.5
"""Blocks narrower than this are drawn as one with their neighbours, in pixels."""
_PADDING = 4
_LEAST_WORDS = 48
"""A name is shortened to this, in pixels, and left out of narrower blocks."""
_GAP = 16


class Block(Struct, frozen=True):
    """Something that ran from `start` to `end`, in seconds, in the lane of this number; `path` is the layer's."""

    label: str
    family: str
    start: float
    end: float
    lane: int
    path: str
    tooltip: str


def rules(scope: str, page: Page) -> str:
    """Return the style rules of the lanes inside `scope`, in the colours of a page."""
    blocks = f"{scope} .block rect {{ fill-opacity: .35; stroke: {page.background}; stroke-width: .5; }}"
    return f"{scope} .block text {{ font-size: {_FONT}px; pointer-events: none; }}\n{blocks}"


def draw(blocks: Sequence[Block], width: float) -> Drawing:
    """Draw lanes `width` pixels wide, the outermost above, and the time below."""
    total = max((block.end for block in blocks), default=0.0)
    lanes = max((block.lane for block in blocks), default=-1) + 1
    foot = lanes * _STEP
    if total <= 0:
        return Drawing(width, foot, ())
    scale, measure = Scale(0.0, total, "seconds"), sans(_FONT)
    drawn = []
    for tick in fitting_ticks(scale, width, measure, _GAP):
        x, half = scale.place(tick.value) * width, measure(tick.label) / 2
        drawn.append(straight(x, 0, x, foot, "grid"))
        drawn.append(words(tick.label, min(max(x, half), width - half), foot + 15, text_anchor="middle", class_="d"))
    for lane in range(lanes):
        own = [block for block in blocks if block.lane == lane]
        drawn += [_drawn(together, width / total) for together in _together(own, width / total)]
    return Drawing(width, foot + _FOOT, tuple(drawn))


def _together(blocks: Sequence[Block], scale: float) -> Iterator[list[Block]]:
    """Yield blocks one by one, and those that are too narrow together with those right beside them that are."""
    found: list[Block] = []
    for block in blocks:
        before = found[-1] if found else block
        apart = (block.start - before.end) * scale > _NARROWEST
        if found and (apart or not all((it.end - it.start) * scale < _NARROWEST for it in (before, block))):
            yield found
            found = []
        found.append(block)
    if found:
        yield found


def _drawn(blocks: Sequence[Block], scale: float) -> str:
    first = blocks[0]
    x, y = first.start * scale, first.lane * _STEP
    width = (blocks[-1].end - first.start) * scale
    tooltip, fill = first.tooltip, hue(first.family)
    if len(blocks) > 1:
        took = units.seconds(sum(block.end - block.start for block in blocks))
        tooltip, fill = f"{len(blocks)} from {first.label} to {blocks[-1].label}: {took}", OTHER
    size = {"x": x, "y": y, "width": width, "height": _HEIGHT}
    parts = [element("rect", tooltip_of(tooltip), fill=fill, **size, **tied([b.path for b in blocks if b.path]))]
    label, measure, room = visible(first.label), sans(_FONT), width - 2 * _PADDING
    if len(blocks) == 1 and room >= min(_LEAST_WORDS, measure(label)):
        parts.append(words(shorten(label, room, measure=measure), x + _PADDING, y + _BASE))
    return element("g", *parts, class_="block")
