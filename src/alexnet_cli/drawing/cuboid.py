"""The geometry of a block: a cuboid in oblique projection, with the windows and lines on it."""

from __future__ import annotations

from math import sqrt

from msgspec import Struct

from alexnet_cli.drawing.chain import Block
from alexnet_cli.graphics.scene import Area, Item, Label, Line, Point, Polygon
from alexnet_cli.graphics.text import text_width

DEPTH = 0.35
"""How far depth goes to the right, and as far up: half its length at 45 degrees, sqrt(1/2) / 2."""
BAR = 0.9
LEAST = 0.22
GAP = 2.4
"""In em: how thick a bar of features is, the least thickness of a block, and how wide a gap is."""
_BAR_DEPTH = 0.35


class Scale(Struct, frozen=True):
    """How many pixels the square root of 1 is: of a side, of channels, of features; and the size of the text."""

    side: float
    channels: float
    features: float
    em: float


class Cuboid(Struct, frozen=True):
    """A block's place: the front face from `left` to `right` and `top` to `bottom`; `depth` to the right and up."""

    left: float
    top: float
    right: float
    bottom: float
    depth: float

    def area(self) -> Area:
        """Return what it covers."""
        return Area(self.left, self.top - self.depth, self.right + self.depth, self.bottom)

    def on_right(self, down: float, back: float) -> Point:
        """Return a point on the right face: so many pixels down from the top, and that part of the depth back."""
        return self.right + back * self.depth, self.top + down - back * self.depth


def extent(block: Block, scale: Scale) -> tuple[float, float, float]:
    """Return how thick, high and deep a block is, in pixels."""
    if block.volume:
        channels, height, width = block.volume
        thick = max(scale.channels * sqrt(channels), LEAST * scale.em)
        return thick, scale.side * sqrt(height), DEPTH * scale.side * sqrt(width)
    if block.features:
        return BAR * scale.em, max(scale.features * sqrt(block.features), LEAST * scale.em), _BAR_DEPTH * scale.em
    return GAP * scale.em, scale.em, 0


def cuboid_at(block: Block, scale: Scale, middle: Point) -> Cuboid:
    """Place a block with what it covers in the middle of a point."""
    thick, height, depth = extent(block, scale)
    left = middle[0] - (thick + depth) / 2
    top = middle[1] - (height - depth) / 2
    return Cuboid(left, top, left + thick, top + height, depth)


def faces(block: Block, place: Cuboid, em: float) -> list[Item]:
    """Draw a block: the front, top and right face of a cuboid, or the dots of a gap."""
    if block.node.kind == "gap":
        middle = (place.top + place.bottom) / 2
        step = (place.right - place.left) / 4
        return [_dot((place.left + step * i, middle), em / 6) for i in (1, 2, 3)]
    left, top, right, bottom, deep = place.left, place.top, place.right, place.bottom, place.depth
    return [
        Polygon(((left, top), (left + deep, top - deep), (right + deep, top - deep), (right, top)), "top"),
        Polygon(((right, top), (right + deep, top - deep), (right + deep, bottom - deep), (right, bottom)), "side"),
        Polygon(((left, top), (right, top), (right, bottom), (left, bottom)), "front"),
    ]


def window(before: Block, place: Cuboid, size: tuple[int, int], following: Cuboid, scale: Scale) -> list[Item]:
    """Draw a window on a block's right face, and the lines from its corners to where the next block has its value."""
    if before.volume is None:
        return []
    height = min(scale.side * sqrt(size[0]), place.bottom - place.top)
    part = min(sqrt(size[1] / before.volume[2]), 1.0)
    down, back = (place.bottom - place.top - height) / 2, (1 - part) / 2
    around = (down, back), (down, back + part), (down + height, back + part), (down + height, back)
    corners = tuple(place.on_right(*point) for point in around)
    apex = (following.left, (following.top + following.bottom) / 2)
    lines: list[Item] = [Line((corner, apex), "ray") for corner in corners]
    return [*lines, Polygon(corners, "window")]


def fan(place: Cuboid, following: Cuboid) -> list[Item]:
    """Draw the lines from a block's ends to those of a bar, each of whose features reads all of the block."""
    return [
        Line((place.on_right(0, 1), (following.left, following.top)), "ray"),
        Line((place.on_right(place.bottom - place.top, 0), (following.left, following.bottom)), "ray"),
    ]


def captions(block: Block, place: Cuboid, base: float, em: float, line: float) -> list[Item]:
    """Write a block's labels: its size above it, its channels right below it, the others from the line `base` on.

    None reaches out of the room that the block and its widest label take.
    """
    area = place.area()
    middle = (area.left + area.right) / 2
    above = [Label(middle, area.top - 0.45 * em, block.above, em, "middle", halo=True)] if block.above else []
    if block.channels:
        play = (max(area.width, block.label_width(em)) - text_width(block.channels, em)) / 2
        x = min(max((place.left + place.right) / 2, middle - play), middle + play)
        above.append(Label(x, place.bottom + em, block.channels, em, "middle", halo=True))
    below = [
        Label(middle, base + i * line, text, em, "middle", bold=i == 0, dim=i > 0) for i, text in enumerate(block.below)
    ]
    return [*above, *below]


def _dot(middle: Point, radius: float) -> Polygon:
    x, y = middle
    return Polygon(((x - radius, y), (x, y - radius), (x + radius, y), (x, y + radius)), "dot")
