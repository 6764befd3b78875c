"""Where the parts of a whole are drawn in a rectangle, each with an area in proportion to its size.

After Bruls, Huizing, van Wijk, "Squarified treemaps", Data Visualization 2000: rows of parts are laid along the shorter
side of what is left, and a part joins a row as long as that brings no part of it further from a square.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.exploring.explored import Explored

CELL = 2.0
"""How much taller than wide a character is, about: shapes are to look like squares."""
_LEAST_WIDTH, _LEAST_HEIGHT = 8, 4
"""Of a rectangle that shows what is in it below a line that names it."""


class Rectangle(Struct, frozen=True):
    """A place in a plane: its corner at the top left, and its size."""

    x: float
    y: float
    width: float
    height: float


class Tile(Struct, frozen=True):
    """An entry's rectangle in whole characters, from `left` to before `right` and from `top` to before `bottom`.

    `own` is what a container itself has beside the entries below it; where it is `opened`, these are drawn below its
    first line.
    """

    at: int
    left: int
    top: int
    right: int
    bottom: int
    size: int
    own: bool = False
    opened: bool = False

    def holds(self, x: int, y: int) -> bool:
        """Tell whether a character lies in it."""
        return self.left <= x < self.right and self.top <= y < self.bottom


class Treemap(Struct, frozen=True):
    """The tiles, outer before inner, and how many entries with a size are too small to be drawn."""

    tiles: tuple[Tile, ...]
    too_small: int

    def inner(self) -> tuple[Tile, ...]:
        """Return the tiles that nothing is drawn in."""
        return tuple(tile for tile in self.tiles if not tile.opened)

    def at(self, x: int, y: int) -> Tile | None:
        """Return the innermost tile at a character."""
        return next((tile for tile in reversed(self.tiles) if tile.holds(x, y)), None)

    def beside(self, tile: Tile, right: int, down: int) -> Tile | None:
        """Return the nearest inner tile in a direction: `right` or `down` is 1 or -1, the other 0."""
        x, y = (tile.left + tile.right) / 2, (tile.top + tile.bottom) / 2

        def away(other: Tile) -> tuple[float, float] | None:
            """How far another tile begins beyond this one's edge, and how far it lies to the side."""
            if right:
                gap = other.left - tile.right if right > 0 else tile.left - other.right
                return None if gap < 0 else (gap / CELL, max(other.top - y, y - other.bottom, 0))
            gap = other.top - tile.bottom if down > 0 else tile.top - other.bottom
            return None if gap < 0 else (gap, max(other.left - x, x - other.right, 0) / CELL)

        found = [(sum(far), far, other) for other in self.inner() if other is not tile and (far := away(other))]
        return min(found, key=lambda item: item[:2])[2] if found else None


def squarified(sizes: Sequence[float], within: Rectangle) -> list[Rectangle]:
    """Return a rectangle for each size, in their order; they fill the one given. All sizes are above zero."""
    order = sorted(range(len(sizes)), key=lambda at: -sizes[at])
    scale = within.width * within.height / sum(sizes) if sizes else 0.0
    found: dict[int, Rectangle] = {}
    left, row = within, list[int]()
    for at in order:
        side = min(left.width, left.height)
        areas = [sizes[each] * scale for each in (*row, at)]
        if row and _worst(areas, side) > _worst(areas[:-1], side):
            left = _lay(row, sizes, scale, left, found)
            row = []
        row.append(at)
    if row:
        _lay(row, sizes, scale, left, found)
    return [found[at] for at in range(len(sizes))]


def _worst(areas: Sequence[float], side: float) -> float:
    """Return the largest ratio of the sides, of these areas in a row along a side: equation 1 of the paper."""
    total = sum(areas)
    if not total or not side or not min(areas):
        return float("inf")
    return max(side**2 * max(areas) / total**2, total**2 / (side**2 * min(areas)))


def _lay(
    row: Sequence[int], sizes: Sequence[float], scale: float, left: Rectangle, found: dict[int, Rectangle]
) -> Rectangle:
    """Place a row along the shorter side, and return what is left beside it."""
    whole = sum(sizes[at] for at in row)
    tall = left.height <= left.width
    side, most = (left.height, left.width) if tall else (left.width, left.height)
    depth = min(whole * scale / side, most) if side else 0.0
    along = left.y if tall else left.x
    for at in row:
        length = side * sizes[at] / whole  # not of the areas: a sliver's depth is what rounding left of a large number
        found[at] = Rectangle(left.x, along, depth, length) if tall else Rectangle(along, left.y, length, depth)
        along += length
    if tall:
        return Rectangle(left.x + depth, left.y, max(left.width - depth, 0.0), left.height)
    return Rectangle(left.x, left.y + depth, left.width, max(left.height - depth, 0.0))


def treemap(explored: Explored, measure: str, root: int, size: tuple[int, int]) -> Treemap:
    """Return the treemap of what is below a root, in a rectangle of so many characters: its width and height.

    `measure` is a column that adds up. The treemap of a leaf is the leaf itself.
    """
    tiles: list[Tile] = []
    too_small = 0
    waiting = [(root, 0, 0, *size)]
    while waiting:
        at, *box = waiting.pop()
        for tile in _filled(explored, measure, at, box):
            if tile.right <= tile.left or tile.bottom <= tile.top:
                too_small += 1
                continue
            has_room = tile.right - tile.left >= _LEAST_WIDTH and tile.bottom - tile.top >= _LEAST_HEIGHT
            opened = not tile.own and explored.outline.has_children(tile.at) and tile.at != at and has_room
            tiles.append(replace(tile, opened=opened))
            if opened:
                waiting.append((tile.at, tile.left, tile.top + 1, tile.right, tile.bottom))
    return Treemap(tuple(tiles), too_small)


def _filled(explored: Explored, measure: str, at: int, box: Sequence[int]) -> Iterator[Tile]:
    """Yield the tiles of the entries directly below one, in its box; edges that two share stay shared when rounded."""
    left, top, right, bottom = box
    parts = [(child, explored.size(child, measure), False) for child in explored.outline.children(at)]
    parts = [part for part in (*parts, (at, explored.own_size(at, measure), True)) if part[1] > 0]
    places = squarified([part[1] for part in parts], Rectangle(left, top * CELL, right - left, (bottom - top) * CELL))
    for (child, amount, is_own), place in zip(parts, places, strict=True):
        yield Tile(
            child,
            round(place.x),
            round(place.y / CELL),
            round(place.x + place.width),
            round((place.y + place.height) / CELL),
            amount,
            is_own,
        )
