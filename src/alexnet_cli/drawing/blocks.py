"""A chain of layers as blocks in perspective, as papers draw LeNet, AlexNet and VGG.

A block is what a layer makes. Its height and width, its thickness for the channels, the bars of features and the
windows are as long as the square roots of their sizes, each kind on a scale of its own but for the windows, which are
on that of the sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from alexnet_cli.drawing import labels
from alexnet_cli.drawing.chain import Block, blocks_of
from alexnet_cli.drawing.cuboid import Cuboid, Scale, captions, cuboid_at, extent, faces, fan, window
from alexnet_cli.drawing.page import Body, Sheet
from alexnet_cli.drawing.plan import Plan
from alexnet_cli.drawing.rows import split_rows
from alexnet_cli.graphics.scene import Item, Line, Mark

TALLEST = (15.0, 13.0, 11.0)
"""In em: how tall the largest map and the longest bar are; the lesser where that saves a row."""
LEAST_GAP = 1.5
MOST_GAP = 5.0
LINE = 1.3
BESIDE = 2.0
"""In em: the room between two blocks, from line to line, and beside rows for the line that leads to the next."""
LEAST_SIDE, LEAST_CHANNELS, LEAST_FEATURES = 48, 64, 64
"""What the scales are made for at least, so that small models are not drawn large."""
BETWEEN_ROWS = 2.0
SCALE_NOTE = (
    "Above a block: height × width of the map, or features; below it: channels. Lengths are the square roots of these: "
    "maps and the windows on them on one scale, channels and features each on another. 3×3 /2: window and stride."
)


def draw(plan: Plan, sheet: Sheet) -> Body:
    """Lay out a chain in as few rows as the sheet has room for."""
    blocks = blocks_of(plan)
    tries = [_fitted(blocks, tallest, sheet) for tallest in TALLEST]
    scale, slots, rows = min(tries, key=lambda fitted: len(fitted[2]))
    marks: list[Mark] = []
    top = 0.0
    entry = None
    room = sheet.width if len(rows) == 1 else _row_width(sheet)
    for first, last in rows:
        part = blocks[first:last]
        gap = _gap(slots[first:last], room, sheet.em)
        places = _places(part, slots[first:last], scale, gap, (sheet.width / 2, top))
        base = max(place.bottom for place in places) + 2.6 * sheet.em
        marks += _row(plan, part, places, base, scale)
        marks += [] if entry is None else [_turn(entry, places[0], top, sheet)]
        entry = places[-1]
        top = base + (max(len(block.below) for block in part) - 1) * LINE * sheet.em + BETWEEN_ROWS * sheet.em
    height = top - (BETWEEN_ROWS - 0.4) * sheet.em
    return Body(tuple(marks), sheet.width, height, (SCALE_NOTE,))


def _fitted(blocks: Sequence[Block], tallest: float, sheet: Sheet) -> tuple[Scale, list[float], list[tuple[int, int]]]:
    """Return the scale of a height, how wide the blocks are then, and the rows that they take."""
    scale = _scale_for(blocks, tallest * sheet.em, sheet.em)
    slots = [_slot(block, scale) for block in blocks]
    rows = split_rows(slots, LEAST_GAP * sheet.em, sheet.width)
    return scale, slots, rows if len(rows) == 1 else split_rows(slots, LEAST_GAP * sheet.em, _row_width(sheet))


def _row_width(sheet: Sheet) -> float:
    """Return how wide a row is that others stand above or below: beside it is room for the line between them."""
    return sheet.width - 2 * BESIDE * sheet.em


def _scale_for(blocks: Sequence[Block], tallest: float, em: float) -> Scale:
    """Return the scale by which the largest map and the longest bar are that tall."""
    sides = [max(block.volume[1:]) for block in blocks if block.volume]
    channels = [block.volume[0] for block in blocks if block.volume]
    features = [block.features for block in blocks if block.features]
    return Scale(
        tallest / sqrt(max([LEAST_SIDE, *sides])),
        tallest / 4 / sqrt(max([LEAST_CHANNELS, *channels])),
        tallest / sqrt(max([LEAST_FEATURES, *features])),
        em,
    )


def _slot(block: Block, scale: Scale) -> float:
    thick, _, depth = extent(block, scale)
    return max(thick + depth, block.label_width(scale.em))


def _gap(slots: Sequence[float], width: float, em: float) -> float:
    """Return the room between the blocks of a row; what is wider than the row is close together."""
    free = (width - sum(slots)) / max(len(slots) - 1, 1)
    return min(max(free, LEAST_GAP * em), MOST_GAP * em)


def _places(
    blocks: Sequence[Block], slots: Sequence[float], scale: Scale, gap: float, at: tuple[float, float]
) -> list[Cuboid]:
    """Place the blocks of a row side by side, their middles on one line; `at` is the row's middle and top."""
    heights = [height + depth for _, height, depth in (extent(block, scale) for block in blocks)]
    middle = at[1] + 1.6 * scale.em + max(heights) / 2
    x = at[0] - (sum(slots) + gap * (len(slots) - 1)) / 2
    places = []
    for block, slot in zip(blocks, slots, strict=True):
        places.append(cuboid_at(block, scale, (x + slot / 2, middle)))
        x += slot + gap
    return places


def _row(plan: Plan, blocks: Sequence[Block], places: Sequence[Cuboid], base: float, scale: Scale) -> list[Mark]:
    marks: list[Mark] = []
    for number, (block, place) in enumerate(zip(blocks, places, strict=True)):
        items: list[Item] = faces(block, place, scale.em)
        if number + 1 < len(blocks):
            items += _link(block, place, blocks[number + 1], places[number + 1], scale)
        marks.append(_mark(plan, block, [*items, *captions(block, place, base, scale.em, LINE * scale.em)]))
    return marks


def _link(block: Block, place: Cuboid, after: Block, target: Cuboid, scale: Scale) -> list[Item]:
    """Connect a block with the next: by the window that slides over it, by a fan, or by an arrow."""
    if after.window and block.volume:
        return window(block, place, after.window, target, scale)
    if after.features and after.family == "linear" and block.node.kind != "gap":
        return fan(place, target)
    middle = (target.top + target.bottom) / 2
    return [Line(((place.right + place.depth / 2, middle), (target.left - 1, middle)), "edge", arrow=True)]


def _turn(before: Cuboid, after: Cuboid, top: float, sheet: Sheet) -> Mark:
    """Lead from the end of a row to the beginning of the next."""
    area = before.area()
    start = (area.right, (area.top + area.bottom) / 2)
    side, lane = sheet.width, top - 0.5 * sheet.em
    end = (after.left - 1, (after.top + after.bottom) / 2)
    return Mark((Line((start, (side, start[1]), (side, lane), (0, lane), (0, end[1]), end), arrow=True),), "edge")


def _mark(plan: Plan, block: Block, items: Sequence[Item]) -> Mark:
    report = plan.report
    paths = labels.paths_of(block.node, report.layers)
    return Mark(tuple(items), "layer", block.family, paths, labels.told(block.node, report))
