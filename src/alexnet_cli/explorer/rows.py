"""The tree as a table. Only the lines on the screen are drawn, so that many thousand rows are as quick as ten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from msgspec.structs import replace
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from alexnet_cli import units
from alexnet_cli.analyses.exploring.explored import Explored
from alexnet_cli.analyses.exploring.outline import Shown
from alexnet_cli.document import Unit
from alexnet_cli.explorer.look import cell, rich_style, sign
from alexnet_cli.graphics.text import Style, width_of

_LEAST_TREE = 24
_WIDTHS: dict[Unit, int] = {"shapes": 16, "shape": 14, "text": 10, "share": 11, "intensity": 14, "bytes": 12}
_INDENT, _DOUBLE = 2, 2


class Rows(ScrollView, can_focus=True):
    """The rows that are shown, a header above them, and a cursor on one of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "end(False)", "First", show=False),
        Binding("end,G", "end(True)", "Last", show=False),
        Binding("left,h", "fold", "Fold", show=False),
        Binding("right,l", "unfold", "Open", show=False),
        Binding("enter,space", "turn", "Fold", show=False),
    ]

    @dataclass
    class Selected(Message):
        """The cursor is on another entry."""

        at: int

    @dataclass
    class SortBy(Message):
        """The header of a column was clicked."""

        name: str

    def __init__(self, explored: Explored, shown: Shown, columns: tuple[str, ...], style: Style) -> None:
        super().__init__(id="rows")
        self._explored, self._outline, self._style = explored, explored.outline, style
        self.shown, self.columns = shown, columns
        self.places: tuple[int, ...] = ()
        self.cursor = 0

    def on_mount(self) -> None:
        """Find the rows to show."""
        self.show(self.shown, self.columns)

    @property
    def selected(self) -> int:
        """The entry under the cursor; the first of all where no row is shown."""
        return self.places[self.cursor] if self.places else 0

    def show(self, shown: Shown, columns: tuple[str, ...], at: int | None = None) -> None:
        """Show other rows or columns, with the cursor on entry `at`, or where it was, or on what that is below."""
        wanted = self.selected if at is None else at
        self.shown, self.columns = shown, columns
        self.places = self._outline.visible(shown, self._explored.value)
        order = {place: index for index, place in enumerate(self.places)}
        near = (order[place] for place in (wanted, *self._outline.above(wanted)) if place in order)
        self.cursor = next(near, 0)
        self.virtual_size = Size(0, len(self.places) + 1)
        self._moved()
        self.refresh()

    def reveal(self, at: int) -> None:
        """Put the cursor on an entry, and open what it is below."""
        folded = self.shown.folded - set(self._outline.above(at))
        self.show(replace(self.shown, folded=folded), self.columns, at)

    def go(self, index: int) -> None:
        """Put the cursor on the row with this index, or the first or last."""
        self.cursor = max(min(index, len(self.places) - 1), 0)
        self._moved()
        self.refresh()

    def next_match(self, step: int) -> None:
        """Put the cursor on the next row that has all the words sought, around the end if needed."""
        words = [word.lower() for word in self.shown.words]
        for off in range(1, len(self.places) + 1):
            index = (self.cursor + step * off) % len(self.places)
            if all(word in self._outline.entries[self.places[index]].sought for word in words):
                self.go(index)
                return

    def _moved(self) -> None:
        room = max(self.size.height - 1, 1)
        top = self.scroll_offset.y
        if self.cursor < top or self.cursor >= top + room:
            target = self.cursor if self.cursor < top else self.cursor - room + 1
            self.scroll_to(y=target, animate=False, immediate=True, force=True)
        self.post_message(self.Selected(self.selected))

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._moved()

    def action_move(self, step: int) -> None:
        """Go up or down."""
        self.go(self.cursor + step)

    def action_page(self, step: int) -> None:
        """Go up or down by a screen."""
        self.go(self.cursor + step * max(self.size.height - 2, 1))

    def action_end(self, last: bool) -> None:  # noqa: FBT001 - an action's argument
        """Go to the first or the last row."""
        self.go(len(self.places) - 1 if last else 0)

    def action_fold(self) -> None:
        """Fold the row, or go to the one that it is below."""
        at = self.selected
        if self._outline.has_children(at) and at not in self.shown.folded and not self.shown.flat:
            self.show(replace(self.shown, folded=self.shown.folded | {at}), self.columns)
            return
        parent = self._outline.parents[at]
        if parent in self.places:
            self.go(self.places.index(parent))

    def action_unfold(self) -> None:
        """Open the row, or go to the first below it."""
        at = self.selected
        if at in self.shown.folded:
            self.show(replace(self.shown, folded=self.shown.folded - {at}), self.columns)
        elif self._outline.has_children(at):
            self.action_move(1)

    def action_turn(self) -> None:
        """Fold the row if it is open, open it if it is folded."""
        at = self.selected
        if self._outline.has_children(at) and not self.shown.flat:
            self.show(replace(self.shown, folded=self.shown.folded ^ {at}), self.columns)

    def on_click(self, event: events.Click) -> None:
        """Go to a row; on its sign, or twice, fold or open it; on the header sort."""
        if event.y == 0:
            self._click_header(event.x)
            return
        index = self.scroll_offset.y + event.y - 1
        if index >= len(self.places):
            return
        self.go(index)
        on_sign = 0 <= event.x - 1 - self._indent(self.selected) < _INDENT
        if on_sign or event.chain == _DOUBLE:
            self.action_turn()

    def _click_header(self, x: int) -> None:
        begin = self._tree_width()
        for name, width in self._widths():
            if begin <= x < begin + width:
                self.post_message(self.SortBy(name))
            begin += width

    def _widths(self) -> list[tuple[str, int]]:
        """Return the columns that there is room for, each with its width and the gap before it."""
        found, room = [], self._width() - _LEAST_TREE
        for name in self.columns:
            title, unit = self._explored.columns[name]
            width = 2 + max(_WIDTHS.get(unit, 0), len(title) + 2 * (name == self.shown.by), self._widest(name, unit))
            if width > room:
                break
            found.append((name, width))
            room -= width
        return found

    def _widest(self, name: str, unit: Unit) -> int:
        """Return the width of the first row's value, which of numbers that add up is the largest."""
        return width_of(units.text(self._explored.value(0, name), unit)) if unit not in _WIDTHS else 0

    def hidden_columns(self) -> int:
        """Return how many of the columns there is no room for."""
        return len(self.columns) - len(self._widths())

    def _width(self) -> int:
        """Return the width beside the scrollbar."""
        return self.scrollable_content_region.width

    def _tree_width(self) -> int:
        return self._width() - sum(width for _, width in self._widths())

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self._width()
        if y == 0:
            return Strip(self._header()).adjust_cell_length(width)
        index = self.scroll_offset.y + y - 1
        if index >= len(self.places):
            said = "nothing is found" if not self.places and y == 1 else ""
            return Strip([Segment(f" {said}", rich_style(dim=True))]).adjust_cell_length(width)
        return Strip(self._row(index)).adjust_cell_length(width, rich_style(marked=index == self.cursor))

    def _header(self) -> list[Segment]:
        style = rich_style(bold=True)
        segments = [Segment(cell(" Layer", self._tree_width(), self._style), style)]
        for name, width in self._widths():
            arrow = sign("up" if self.shown.upward else "down", self._style) if name == self.shown.by else ""
            segments.append(self._cell(name, self._explored.columns[name].title + arrow, width, style))
        return segments

    def _cell(self, column: str, text: str, width: int, style: RichStyle) -> Segment:
        """Write a cell after the gap before it: numbers at the right, texts and shapes at the left."""
        is_right = self._explored.columns[column].unit not in ("text", "shape", "shapes")
        return Segment("  " + cell(text, width - 2, self._style, to_the_right=is_right), style)

    def _row(self, index: int) -> list[Segment]:
        at, marked = self.places[index], index == self.cursor
        entry, layer = self._outline.entries[at], self._explored.layer(at)
        shape = "leaf"
        if self._outline.has_children(at) and not self.shown.flat:
            shape = "folded" if at in self.shown.folded and not self.shown.words else "open"
        begin = " " * self._indent(at)
        name = self._explored.full_name(at) if self.shown.flat else entry.name
        room = max(self._tree_width() - 1 - len(begin) - _INDENT, 1)
        text = cell(name, room, self._style).rstrip()
        kind = cell(f" {entry.kind}", room - width_of(text), self._style)
        cursor = sign("cursor", self._style) if marked else " "
        plain = rich_style(marked=marked)
        segments = [
            Segment(cursor + begin, plain),
            Segment(sign(shape, self._style), plain),
            Segment(text, rich_style(marked=marked, bold=shape != "leaf")),
            Segment(kind, plain if marked else rich_style(family=layer.family)),
        ]
        for column, width in self._widths():
            value = units.text(self._explored.value(at, column), self._explored.columns[column].unit)
            segments.append(self._cell(column, value, width, plain))
        return segments

    def _indent(self, at: int) -> int:
        """Return how far an entry is indented; at most to the middle, so that its name has room."""
        return 0 if self.shown.flat else min(self._outline.entries[at].depth * _INDENT, self._tree_width() // 2)
