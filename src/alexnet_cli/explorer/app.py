"""The application: rows or the treemap, a pane beside or below them, and a search."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec.structs import replace
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.filter import LineFilter, NoColor
from textual.widgets import Footer, Input, Static
from textual.worker import get_current_worker

from alexnet_cli import units
from alexnet_cli.analyses.exploring.explored import Explored
from alexnet_cli.analyses.exploring.outline import Shown
from alexnet_cli.answers.explore import Exploration
from alexnet_cli.document import Facts
from alexnet_cli.errors import AlexnetError
from alexnet_cli.explorer.details import Details, statistics_facts
from alexnet_cli.explorer.look import Ascii, cell, sign
from alexnet_cli.explorer.map import Map
from alexnet_cli.explorer.rows import Rows
from alexnet_cli.explorer.screens import Columns, Help
from alexnet_cli.graphics.text import Style, width_of
from alexnet_cli.stored import Statistics
from alexnet_cli.views.explore import entry_facts
from alexnet_cli.views.parts import run_line, titled

WIDE = 120
"""Columns from which on the pane stands beside the rows."""
_OPENED = 40
"""So many rows are open at the beginning, or fewer."""


class Explorer(App[None]):
    """Walks through a model or a checkpoint."""

    CSS_PATH = "explorer.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - Textual declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("s", "sort", "Sort"),
        Binding("r", "reverse", "Reverse", show=False),
        Binding("t", "flat", "Tree/list"),
        Binding("c", "columns", "Columns"),
        Binding("m", "map", "Map"),
        Binding("b", "measure", "By"),
        Binding("v", "values", "Values"),
        Binding("question_mark", "help", "Keys", key_display="?"),
        Binding("n", "next(1)", "Next", show=False),
        Binding("N", "next(-1)", "Last", show=False),
        Binding("escape", "leave_search", "End", show=False),
        *(Binding(str(depth), f"depth({depth})", "Depth", show=False) for depth in range(10)),
    ]

    def __init__(self, exploration: Exploration, style: Style) -> None:
        super().__init__()
        self._exploration, self._style = exploration, style
        self._explored: Explored = exploration.explored
        self._facts: dict[int, tuple[Facts, ...]] = {}
        self._values: dict[str, Statistics | str] = {}
        self.title = titled(self._explored.report)
        self.theme = "ansi-dark"  # the terminal's own colours, on its own background
        outline = self._explored.outline
        shown = Shown(folded=outline.folded_below(outline.depth_within(_OPENED)), by=exploration.sort)
        self._title = Static(id="title", markup=False)
        self.rows = Rows(self._explored, shown, exploration.columns, style)
        self.map = Map(self._explored, style)
        self.details = Details(style)
        self.search = Input(placeholder="search: words in names and types", id="search", classes="gone")

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield self._title
        yield Container(self.rows, self.map, self.details, id="body")
        yield self.search
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Begin with the rows."""
        self.map.add_class("gone")
        self.rows.focus()

    def get_line_filters(self) -> list[LineFilter]:
        """Take away the colours, and what is not ASCII, where the terminal lacks them."""
        plain = [] if self._style.color else [NoColor()]
        return [*super().get_line_filters(), *plain, *([] if self._style.unicode else [Ascii()])]

    @property
    def shows_map(self) -> bool:
        """Whether the treemap is shown in place of the rows."""
        return not self.map.has_class("gone")

    def on_resize(self) -> None:
        """Write the title for the new width."""
        self._write_title()

    def on_rows_selected(self, message: Rows.Selected) -> None:
        """Show what the cursor is on."""
        if not self.shows_map:
            self._write_title()
            self._show_details(message.at)

    def on_map_selected(self, message: Map.Selected) -> None:
        """Show what the cursor is on."""
        self._show_details(message.at)

    def on_rows_sort_by(self, message: Rows.SortBy) -> None:
        """Sort by a column whose header was clicked; again, the other way round."""
        shown = self.rows.shown
        upward = not shown.upward if shown.by == message.name else False
        self._show(replace(shown, by=message.name, upward=upward))

    def _show(self, shown: Shown, columns: tuple[str, ...] | None = None) -> None:
        self.rows.show(shown, self.rows.columns if columns is None else columns)
        self._write_title()

    def _write_title(self) -> None:
        report, dot = self._explored.report, sign("dot", self._style)
        totals = report.totals
        rows, said = self.rows, [self.title]
        if report.error is not None:
            said.append("failed")
        if rows.shown.words:
            said.append(f"search: {' '.join(rows.shown.words)}")
        hidden = 0 if self.shows_map else rows.hidden_columns()
        if hidden:
            said.append(f"{hidden} more column{'s' * (hidden > 1)}")
        said.append(f"{units.si(totals.params)} parameters")
        if totals.macs is not None:
            said.append(f"{units.si(totals.macs)} MACs")
        if report.run is not None:
            said.append(run_line(report.run))
        width = self.size.width
        while len(said) > 1 and width_of(dot.join(said)) >= width:
            said.pop()
        self._title.update(cell(" " + dot.join(said), width, self._style))

    @property
    def selected(self) -> int:
        """The entry that the cursor is on."""
        return self.map.at if self.shows_map else self.rows.selected

    def _show_details(self, at: int) -> None:
        if at in self._facts:
            self._write_details(at)
        else:
            self.details.show(())
            self._find_facts(at)

    @work(thread=True, exclusive=True, group="facts")
    def _find_facts(self, at: int) -> None:
        """Find what is known about an entry: the first asks for analyses of the whole model."""
        worker = get_current_worker()
        facts = entry_facts(self._explored, at)
        self.call_from_thread(self._keep_facts, at, facts, shows=not worker.is_cancelled)

    def _keep_facts(self, at: int, facts: tuple[Facts, ...], *, shows: bool) -> None:
        self._facts[at] = facts
        if shows and at == self.selected:
            self._write_details(at)

    def _write_details(self, at: int) -> None:
        tensor = self._explored.outline.entries[at].tensor
        found = self._values.get(tensor.key) if tensor is not None else None
        facts = self._facts.get(at, ())
        if isinstance(found, Statistics):
            self.details.show((*facts, statistics_facts(found, self._style)))
        else:
            unread = "v reads its values and shows what they are like" if tensor is not None else ""
            self.details.show(facts, found or unread)

    def action_search(self) -> None:
        """Type what is sought."""
        if self.shows_map:
            self.action_map()
        self.search.remove_class("gone")
        self.search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what is found so far, with the cursor on the first."""
        rows = self.rows
        rows.show(replace(rows.shown, words=tuple(event.value.split())), rows.columns)
        if rows.shown.words:
            rows.cursor = -1
            rows.next_match(1)
        self._write_title()

    def on_input_submitted(self) -> None:
        """Go back to the rows, with what was found."""
        self.search.add_class("gone")
        self.rows.focus()

    def action_leave_search(self) -> None:
        """Show all rows again, with the cursor where it is."""
        at = self.rows.selected
        self.search.value = ""
        self.search.add_class("gone")
        self.rows.show(replace(self.rows.shown, words=()), self.rows.columns)
        self.rows.reveal(at)
        self.rows.focus()
        self._write_title()

    def action_next(self, step: int) -> None:
        """Go to the next row that was found."""
        if self.rows.shown.words and not self.shows_map:
            self.rows.next_match(step)

    def action_sort(self) -> None:
        """Sort by the next of the columns shown, after the last by none."""
        shown = self.rows.shown
        names = [None, *self.rows.columns]
        after = names.index(shown.by) + 1 if shown.by in names else 0
        self._show(replace(shown, by=names[after % len(names)], upward=False))

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._show(replace(self.rows.shown, upward=not self.rows.shown.upward))

    def action_flat(self) -> None:
        """Show the leaves in one list, or the tree."""
        self._show(replace(self.rows.shown, flat=not self.rows.shown.flat))

    def action_depth(self, depth: int) -> None:
        """Open the tree to a depth, all of it for 0."""
        folded = self._explored.outline.folded_below(depth) if depth else frozenset[int]()
        self._show(replace(self.rows.shown, folded=folded))

    def action_columns(self) -> None:
        """Choose the columns."""

        def chosen(names: tuple[str, ...] | None) -> None:
            self._show(self.rows.shown, names or self.rows.columns)

        self.push_screen(Columns(self._explored, self.rows.columns), chosen)

    def action_map(self) -> None:
        """Show the treemap in place of the rows, or the rows."""
        at = self.selected
        was_map = self.shows_map
        self.map.set_class(was_map, "gone")
        self.rows.set_class(not was_map, "gone")
        if was_map:
            self.rows.reveal(at)
            self.rows.focus()
        else:
            self.map.show(at)
            self.map.focus()
        self._write_title()

    def action_measure(self) -> None:
        """Show another measure in the treemap."""
        if self.shows_map:
            self.map.next_measure()
        else:
            self.action_map()

    def action_values(self) -> None:
        """Read the values of the tensor under the cursor."""
        tensor = self._explored.outline.entries[self.selected].tensor
        if tensor is None:
            self.details.show(self._facts.get(self.selected, ()), "only a tensor has values: open this row")
        elif tensor.key not in self._values:
            self.details.show(self._facts.get(self.selected, ()), "reading its values")
            self._read_values(tensor.key)

    @work(thread=True, group="values")
    def _read_values(self, key: str) -> None:
        found: Statistics | str
        try:
            found = self._exploration.statistics(key)
        except AlexnetError as error:
            found = f"{error.message}; {error.hint}" if error.hint else error.message
        self.call_from_thread(self._keep_values, key, found)

    def _keep_values(self, key: str, found: Statistics | str) -> None:
        self._values[key] = found
        self._write_details(self.selected)

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Help())

    def check_action(self, action: str, parameters: tuple[Any, ...]) -> bool | None:
        """Offer what can be done with what is shown."""
        del parameters
        if action == "values":
            return self._explored.is_checkpoint
        return True
