"""What lies over the rows: the choice of columns, and the list of keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

from alexnet_cli.analyses.exploring.explored import Explored

KEYS = """\
arrows pgup pgdn home end   go to a row; in the map, to a tile
left right                  fold or open a row
enter                       fold or open; in the map, zoom in
backspace                   in the map, zoom out
1 to 9, 0                   open to this depth; open all
/                           search names and types for words
n N                         next and previous row with the words
esc                         end the search
s r                         sort by the next column; reverse
t                           the tree, or a list of its leaves
c                           choose columns
m b                         the treemap; by another measure
v                           read the values of a tensor
tab                         to the pane with details, and back
q                           quit"""


class Columns(ModalScreen[tuple[str, ...]]):
    """Which columns to show; those chosen last come last."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose", "Choose", show=False),
        Binding("escape,q,c", "done", "Show"),
    ]

    def __init__(self, explored: Explored, chosen: tuple[str, ...]) -> None:
        super().__init__()
        self._explored, self._chosen = explored, chosen
        self._names = (*chosen, *(name for name in explored.columns if name not in chosen))

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with Vertical(id="box"):
            yield Static("Columns: enter chooses, esc shows them", markup=False)
            yield OptionList(*(self._said(name) for name in self._names), markup=False)

    def _said(self, name: str) -> str:
        return f"[{'x' if name in self._chosen else ' '}] {self._explored.columns[name].title}"

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Choose a column, or no longer."""
        name = self._names[event.option_index]
        left = tuple(each for each in self._chosen if each != name)
        self._chosen = left if name in self._chosen else (*left, name)
        event.option_list.replace_option_prompt_at_index(event.option_index, self._said(name))

    def action_choose(self) -> None:
        """Choose the column under the cursor, or no longer."""
        self.query_one(OptionList).action_select()

    def action_done(self) -> None:
        """Show the columns that are chosen."""
        self.dismiss(self._chosen)


class Help(ModalScreen[None]):
    """The keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        """Lay out the keys."""
        with Vertical(id="box"):
            yield Static(KEYS, markup=False)
