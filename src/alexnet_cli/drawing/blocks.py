"""A chain of layers as blocks in perspective, as papers draw LeNet, AlexNet and VGG.

A block is the output of a layer. Its height and width, its thickness for the channels, the bars of features and the
windows are the square roots of their sizes: sides and windows on one scale, channels and features each on another.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from msgspec import Struct

from alexnet_cli.drawing.content import Block, Node, Plan
from alexnet_cli.drawing.page import Body, Sheet, split_rows
from alexnet_cli.graphics.scene import Area, Item, Label, Line, Mark, Point, Polygon
from alexnet_cli.graphics.text import text_width

TALLEST = (15.0, 13.0, 11.0)
"""In em: heights of the largest map and the longest bar; a lesser one is taken where that saves a row."""
LEAST_GAP, MOST_GAP = 1.5, 5.0
LINE = 1.3
BESIDE, BETWEEN_ROWS = 2.0, 2.0
"""In em: the room between two blocks, from line to line, beside rows for the line to the next, and between rows."""
LEAST_SIDE, LEAST_CHANNELS, LEAST_FEATURES = 48, 64, 64
"""Scales are made for at least these sizes, so that small models are not drawn large."""
DEPTH = 0.35
"""How far depth goes to the right, and as far up: half its length at 45 degrees, sqrt(1/2) / 2."""
BAR, LEAST, GAP, BAR_DEPTH = 0.9, 0.22, 2.4, 0.35
"""In em: the thickness of a bar of features, the least thickness of a block, the width of a gap, the depth of a bar."""


class Scale(Struct, frozen=True):
    """How many pixels a square root of 1 takes, for sides, channels and features; and the text size."""

    side: float
    channels: float
    features: float
    em: float

    def extent(self, block: Block) -> tuple[float, float, float]:
        """Return how thick, high and deep a block is."""
        if block.volume:
            channels, height, width = block.volume
            thick = max(self.channels * sqrt(channels), LEAST * self.em)
            return thick, self.side * sqrt(height), DEPTH * self.side * sqrt(width)
        if block.features:
            return BAR * self.em, max(self.features * sqrt(block.features), LEAST * self.em), BAR_DEPTH * self.em
        return GAP * self.em, self.em, 0


class Placed(Struct, frozen=True):
    """A block in its place: its front face from `left`, `top` to `right`, `bottom`; depth goes to the right and up."""

    node: Node
    block: Block
    left: float
    top: float
    right: float
    bottom: float
    depth: float

    def area(self) -> Area:
        """Return what it covers."""
        return Area(self.left, self.top - self.depth, self.right + self.depth, self.bottom)

    def on_right(self, down: float, back: float) -> Point:
        """Return a point on the right face: this many pixels below its top, at this fraction of the depth."""
        return self.right + back * self.depth, self.top + down - back * self.depth


def draw(plan: Plan, sheet: Sheet) -> Body:
    """Lay out a chain in as few rows as fit the sheet."""
    chain = plan.blocks
    tries = [_fitted([block for _, block in chain], tallest, sheet) for tallest in TALLEST]
    scale, slots, rows = min(tries, key=lambda fitted: len(fitted[2]))
    marks: list[Mark] = []
    top, entry = 0.0, None
    room = sheet.width if len(rows) == 1 else sheet.width - 2 * BESIDE * sheet.em
    for first, last in rows:
        free = (room - sum(slots[first:last])) / max(last - first - 1, 1)
        gap = min(max(free, LEAST_GAP * sheet.em), MOST_GAP * sheet.em)
        row = _place(chain[first:last], slots[first:last], scale, gap, (sheet.width / 2, top))
        base = max(placed.bottom for placed in row) + 2.6 * sheet.em
        marks += _row(row, base, scale)
        marks += [] if entry is None else [_turn(entry, row[0], top, sheet)]
        entry = row[-1]
        top = base + (max(len(placed.block.lines) for placed in row) - 1) * LINE * sheet.em + BETWEEN_ROWS * sheet.em
    return Body(tuple(marks), sheet.width, top - (BETWEEN_ROWS - 0.4) * sheet.em)


def _fitted(blocks: Sequence[Block], tallest: float, sheet: Sheet) -> tuple[Scale, list[float], list[tuple[int, int]]]:
    """Return the scale for a height, the width of each block at that scale, and the rows that they take."""
    scale = _scale_for(blocks, tallest * sheet.em, sheet.em)
    extents = [(block, *scale.extent(block)) for block in blocks]
    slots = [max(thick + depth, _label_width(block, scale.em)) for block, thick, _, depth in extents]
    rows = split_rows(slots, LEAST_GAP * sheet.em, sheet.width)
    if len(rows) > 1:  # with room on both sides for the line to the next
        rows = split_rows(slots, LEAST_GAP * sheet.em, sheet.width - 2 * BESIDE * sheet.em)
    return scale, slots, rows


def _scale_for(blocks: Sequence[Block], tallest: float, em: float) -> Scale:
    """Return the scale at which the largest map and the longest bar are this tall."""
    sides = [max(block.volume[1:]) for block in blocks if block.volume]
    channels = [block.volume[0] for block in blocks if block.volume]
    features = [block.features for block in blocks if block.features]
    return Scale(
        tallest / sqrt(max([LEAST_SIDE, *sides])),
        tallest / 4 / sqrt(max([LEAST_CHANNELS, *channels])),
        tallest / sqrt(max([LEAST_FEATURES, *features])),
        em,
    )


def _label_width(block: Block, em: float) -> float:
    first, *others = block.lines
    widths = [text_width(line, em) for line in (block.size, block.channels, *others)]
    return max(text_width(first, em, bold=True), *widths)


def _place(
    chain: Sequence[tuple[Node, Block]], slots: Sequence[float], scale: Scale, gap: float, at: tuple[float, float]
) -> list[Placed]:
    """Place the blocks of a row side by side, centred on one line; `at` is the middle and the top of the row."""
    extents = [scale.extent(block) for _, block in chain]
    middle = at[1] + 1.6 * scale.em + max(height + depth for _, height, depth in extents) / 2
    x = at[0] - (sum(slots) + gap * (len(slots) - 1)) / 2
    row = []
    for (node, block), slot, (thick, height, depth) in zip(chain, slots, extents, strict=True):
        left, top = x + slot / 2 - (thick + depth) / 2, middle - (height - depth) / 2
        row.append(Placed(node, block, left, top, left + thick, top + height, depth))
        x += slot + gap
    return row


def _row(row: Sequence[Placed], base: float, scale: Scale) -> list[Mark]:
    marks: list[Mark] = []
    for placed, following in zip(row, (*row[1:], None), strict=True):
        items = _faces(placed, scale.em)
        if following is not None:
            items += _link(placed, following, scale)
        items += _captions(placed, base, scale.em)
        marks.append(Mark(tuple(items), "layer", placed.node.family, placed.node.paths, placed.node.told))
    return marks


def _faces(placed: Placed, em: float) -> list[Item]:
    """Draw the front, top and right face of a cuboid, or the dots of a gap."""
    left, top, right, bottom, deep = placed.left, placed.top, placed.right, placed.bottom, placed.depth
    if placed.node.kind == "gap":
        y, size = (top + bottom) / 2, em / 6
        dots = (left + (right - left) / 4 * i for i in (1, 2, 3))
        return [Polygon(((x - size, y), (x, y - size), (x + size, y), (x, y + size)), "dot") for x in dots]
    return [
        Polygon(((left, top), (left + deep, top - deep), (right + deep, top - deep), (right, top)), "top"),
        Polygon(((right, top), (right + deep, top - deep), (right + deep, bottom - deep), (right, bottom)), "side"),
        Polygon(((left, top), (right, top), (right, bottom), (left, bottom)), "front"),
    ]


def _link(placed: Placed, following: Placed, scale: Scale) -> list[Item]:
    """Connect a block with the next: by the window that slides over it, by a fan, or by an arrow."""
    if following.block.window and placed.block.volume:
        return _window(placed, following.block.window, placed.block.volume[2], following, scale)
    if following.block.features and following.node.family == "linear" and placed.node.kind != "gap":
        return [  # each feature of the next block reads all of this one
            Line((placed.on_right(0, 1), (following.left, following.top)), "ray"),
            Line((placed.on_right(placed.bottom - placed.top, 0), (following.left, following.bottom)), "ray"),
        ]
    middle = (following.top + following.bottom) / 2
    return [Line(((placed.right + placed.depth / 2, middle), (following.left - 1, middle)), "edge", arrow=True)]


def _window(place: Placed, size: tuple[int, int], width: int, target: Placed, scale: Scale) -> list[Item]:
    """Draw a window on a block's right face, and lines from its corners to its value in the next block."""
    height = min(scale.side * sqrt(size[0]), place.bottom - place.top)
    part = min(sqrt(size[1] / width), 1.0)
    down, back = (place.bottom - place.top - height) / 2, (1 - part) / 2
    around = (down, back), (down, back + part), (down + height, back + part), (down + height, back)
    corners = tuple(place.on_right(*point) for point in around)
    apex = (target.left, (target.top + target.bottom) / 2)
    return [*(Line((corner, apex), "ray") for corner in corners), Polygon(corners, "window")]


def _captions(placed: Placed, base: float, em: float) -> list[Item]:
    """Write the size above a block, its channels right below it, and its other lines from `base` on."""
    block, area = placed.block, placed.area()
    middle = (area.left + area.right) / 2
    above = [Label(middle, area.top - 0.45 * em, block.size, em, "middle", halo=True)] if block.size else []
    if block.channels:
        play = (max(area.width, _label_width(block, em)) - text_width(block.channels, em)) / 2
        x = min(max((placed.left + placed.right) / 2, middle - play), middle + play)
        above.append(Label(x, placed.bottom + em, block.channels, em, "middle", halo=True))
    below = [
        Label(middle, base + i * LINE * em, text, em, "middle", bold=i == 0, dim=i > 0)
        for i, text in enumerate(block.lines)
    ]
    return [*above, *below]


def _turn(before: Placed, after: Placed, top: float, sheet: Sheet) -> Mark:
    """Lead from the end of a row to the beginning of the next."""
    area = before.area()
    start = (area.right, (area.top + area.bottom) / 2)
    side, lane = sheet.width, top - 0.5 * sheet.em
    end = (after.left - 1, (after.top + after.bottom) / 2)
    return Mark((Line((start, (side, start[1]), (side, lane), (0, lane), (0, end[1]), end), arrow=True),), "edge")
