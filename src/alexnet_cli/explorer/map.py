"""The treemap: what is below one row, each part with an area in proportion to its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from alexnet_cli import units
from alexnet_cli.analyses.exploring.explored import Explored
from alexnet_cli.analyses.exploring.treemap import Tile, Treemap, treemap
from alexnet_cli.explorer.look import cell, rich_style, sign
from alexnet_cli.graphics.text import Style, width_of

_BOX = 3
"""Least sides of a tile that is drawn with a frame; a smaller one is filled."""
_DOUBLE = 2
_Canvas = list[list[tuple[str, Tile | None]]]


class Map(Widget, can_focus=True):
    """A treemap with a cursor: a tile, which stands for an entry."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", "Left", show=False),
        Binding("right,l", "move(1, 0)", "Right", show=False),
        Binding("up,k", "move(0, -1)", "Up", show=False),
        Binding("down,j", "move(0, 1)", "Down", show=False),
        Binding("enter", "zoom", "Into", show=False),
        Binding("backspace", "leave", "Out", show=False),
    ]

    @dataclass
    class Selected(Message):
        """The cursor is on another entry."""

        at: int

    def __init__(self, explored: Explored, style: Style) -> None:
        super().__init__(id="map")
        self._explored, self._style = explored, style
        self.measure = explored.measures[0] if explored.measures else ""
        self.root = 0
        self.at = 0
        self.map = Treemap((), 0)
        self._canvas: _Canvas = []

    def show(self, at: int) -> None:
        """Put the cursor on an entry, and zoom out until it is in the map."""
        while self.root and at != self.root and self.root not in self._explored.outline.above(at):
            self.root = self._explored.outline.parents[self.root] or 0
        self.at = at
        self._fill()

    def next_measure(self) -> None:
        """Show the next of the measures."""
        measures = self._explored.measures
        if measures:
            self.measure = measures[(measures.index(self.measure) + 1) % len(measures)]
            self._lay_out()

    def on_resize(self) -> None:
        """Fill the new size."""
        self._fill()

    def _fill(self) -> None:
        """Lay out the tiles; the cursor is on the largest if it was on what all of them are in."""
        self._lay_out()
        if self.at == self.root:
            self._select(self.tile)

    @property
    def tile(self) -> Tile | None:
        """The tile under the cursor: the entry's, or that of what it is below, or the first."""
        by_entry = {tile.at: tile for tile in self.map.tiles if not tile.own}
        by_entry = {tile.at: tile for tile in self.map.tiles if tile.own and tile.at == self.root} | by_entry
        found = (by_entry[at] for at in (self.at, *self._explored.outline.above(self.at)) if at in by_entry)
        return next(found, max(self.map.inner(), key=lambda tile: (tile.size, -tile.top, -tile.left), default=None))

    def _lay_out(self) -> None:
        width, height = self.size.width, self.size.height - 1
        self.map = Treemap((), 0)
        if self.measure and width > 0 and height > 0:
            self.map = treemap(self._explored, self.measure, self.root, (width, height))
        self._canvas = [[(" ", None)] * width for _ in range(max(height, 0))]
        for tile in self.map.tiles:
            _Drawn(self._explored, self.measure, self._style, self._canvas).draw(tile)
        self.refresh()

    def _select(self, tile: Tile | None) -> None:
        if tile is not None:
            self.at = tile.at
            self.refresh()
            self.post_message(self.Selected(tile.at))

    def action_move(self, right: int, down: int) -> None:
        """Go to the nearest tile in a direction."""
        if self.tile is not None:
            self._select(self.map.beside(self.tile, right, down))

    def action_zoom(self) -> None:
        """Show what is below the row at the top of the map that the cursor is in."""
        outline = self._explored.outline
        chain = [self.at, *outline.above(self.at)]
        inner = chain[: chain.index(self.root)] if self.root in chain else []
        into = next((at for at in reversed(inner) if outline.has_children(at)), None)
        if into is not None:
            self.root = into
            self._lay_out()

    def action_leave(self) -> None:
        """Zoom out by one level."""
        self.at = self.root
        self.root = self._explored.outline.parents[self.root] or 0
        self._lay_out()
        self.post_message(self.Selected(self.at))

    def on_click(self, event: events.Click) -> None:
        """Go to a tile; twice, show what is below it; on the line above the map zoom out."""
        if event.y == 0:
            self.action_leave()
            return
        self._select(self.map.at(event.x, event.y - 1))
        if event.chain == _DOUBLE:
            self.action_zoom()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.size.width
        if y == 0:
            return Strip([Segment(cell(self._title(), width, self._style), rich_style(bold=True))])
        line = self._canvas[y - 1] if y <= len(self._canvas) else []
        marked = self.tile
        segments = []
        for x, (char, tile) in enumerate(line):
            family = self._explored.layer(tile.at).family if tile else ""
            is_marked = marked is not None and marked.holds(x, y - 1) and (tile == marked or not marked.opened)
            segments.append(Segment(char, rich_style(family=family, marked=is_marked)))
        return Strip(segments).simplify().adjust_cell_length(width)

    def _title(self) -> str:
        if not self.measure:
            return " nothing here has a size"
        title, unit = self._explored.columns[self.measure]
        whole = units.text(self._explored.value(self.root, self.measure), unit)
        small = f" ({units.count(self.map.too_small)} too small to draw)" if self.map.too_small else ""
        return f" {title} of {self._explored.full_name(self.root)}: {whole}{small}"


class _Drawn:
    """Draws tiles on a canvas of characters."""

    def __init__(self, explored: Explored, measure: str, style: Style, canvas: _Canvas) -> None:
        self._explored, self._measure, self._style, self._canvas = explored, measure, style, canvas

    def draw(self, tile: Tile) -> None:
        """Draw a tile: a frame with what it is inside, or a line with that above what is in it."""
        width, height = tile.right - tile.left, tile.bottom - tile.top
        name, amount = self._said(tile)
        if width < _BOX or height < _BOX:
            fill = sign("fill", self._style)
            for y in range(tile.top, tile.bottom):
                self._put(tile, y, tile.left, fill * width)
            if width > _BOX:
                self._put(tile, tile.top, tile.left, cell(name, width - 1, self._style) + fill)
            return
        if tile.opened:
            label = cell(f"{name} {amount}", width - 1, self._style).rstrip()
            self._put(tile, tile.top, tile.left, f"{label} ".ljust(width, sign("line", self._style)))
            return
        corner, across, right, down, below, last = [*sign("frame", self._style)]
        for y in range(tile.top + 1, tile.bottom - 1):
            self._put(tile, y, tile.left, down + " " * (width - 2) + down)
        self._put(tile, tile.top, tile.left, corner + across * (width - 2) + right)
        self._put(tile, tile.bottom - 1, tile.left, below + across * (width - 2) + last)
        for line, text in enumerate((name, amount, self._explored.outline.entries[tile.at].kind)[: height - 2]):
            self._put(tile, tile.top + 1 + line, tile.left + 1, cell(text, width - 2, self._style))

    def _said(self, tile: Tile) -> tuple[str, str]:
        entry = self._explored.outline.entries[tile.at]
        has_more = tile.own and self._explored.outline.has_children(tile.at)
        unit = self._explored.columns[self._measure].unit
        amount = units.size(tile.size) if unit == "bytes" else units.si(tile.size)
        return (f"{entry.name} itself" if has_more else entry.name), amount

    def _put(self, tile: Tile, y: int, x: int, text: str) -> None:
        for char in text:
            width = width_of(char)
            if not width:
                continue  # it belongs to the character before it
            self._canvas[y][x] = (char, tile)
            for off in range(1, width):
                self._canvas[y][x + off] = ("", tile)  # a character of two cells fills this one too
            x += width
