"""The pane with what is known about the row under the cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from alexnet_cli import units
from alexnet_cli.document import Fact, Facts
from alexnet_cli.explorer.look import rich_style, sign
from alexnet_cli.graphics.text import Style, clean, in_rows, left, width_of, wrap
from alexnet_cli.stored import Statistics
from alexnet_cli.views.explore import values_facts

_FLOWS_FROM = 70
"""Cells from which on several facts stand in one line."""
_LABEL = 14
_GAP = "   "


class Details(VerticalScroll, can_focus=True):
    """Facts in sections, and a text below them."""

    def __init__(self, style: Style) -> None:
        super().__init__(Static(id="facts"), id="details")
        self._style = style
        self._facts: Sequence[Facts] = ()
        self._below = ""

    def show(self, facts: Sequence[Facts], below: str = "") -> None:
        """Show these facts, from their beginning."""
        self._facts, self._below = facts, below
        self.scroll_home(animate=False)
        self._write()

    def on_resize(self) -> None:
        """Wrap the facts anew."""
        self._write()

    def _write(self) -> None:
        width = max(self.size.width - 1, 10)
        lines = [*facts_lines(self._facts, width, self._style)]
        lines += [Text(line) for line in wrap(clean(self._below, self._style), width)] if self._below else []
        self.query_one("#facts", Static).update(Text("\n").join(lines))


def histogram(found: Statistics, style: Style) -> str:
    """Draw a histogram in one line: the height of each bar by its share of the highest."""
    bars = sign("bars", style)
    most = max(found.histogram, default=0)
    heights = (-(-count * len(bars) // most) if most else 0 for count in found.histogram)
    return "".join(bars[height - 1] if height else " " for height in heights)


def statistics_facts(found: Statistics, style: Style) -> Facts:
    """Return the facts about values, with their histogram."""
    facts = values_facts(found)
    drawn = histogram(found, style)
    more = (Fact("Histogram", f"[{drawn}]"),) if drawn else ()
    return Facts((*facts.facts, *more), facts.title)


def facts_lines(blocks: Sequence[Facts], width: int, style: Style) -> Iterator[Text]:
    """Write facts in lines: side by side where there is room, else one below the other."""
    for block in blocks:
        if width >= _FLOWS_FROM:
            yield from _flowing(block, width, style)
        else:
            yield Text(clean(block.title, style), style=rich_style(bold=True))
            for fact in block.facts:
                yield from _listed(fact, width, style)


def _flowing(block: Facts, width: int, style: Style) -> Iterator[Text]:
    title = clean(block.title, style)
    words = [(clean(fact.label, style), _value(fact, style)) for fact in block.facts]
    indent = _LABEL + 2
    rows = in_rows(words, lambda word: width_of(f"{word[0]} {word[1]}"), width - indent, len(_GAP))
    for number, row in enumerate(rows):
        line = Text().append(left("" if number else title, indent), rich_style(bold=True))
        for place, (label, value) in enumerate(row):
            line.append(_GAP if place else "")
            line.append(f"{label} ", rich_style(dim=True)).append(value, rich_style())
        if width_of(line.plain) > width:
            whole = line.plain[indent:]
            for part in wrap(whole, width - indent):
                yield Text(left("" if number else title, indent) + part)
                title = ""
        else:
            yield line


def _listed(fact: Fact, width: int, style: Style) -> Iterator[Text]:
    label = " " * (1 + fact.level) + clean(fact.label, style)
    indent = max(_LABEL, width_of(label) + 1)
    for number, part in enumerate(wrap(_value(fact, style), width - indent)):
        yield Text(left("" if number else label, indent), style=rich_style(dim=True)).append(part, rich_style())


def _value(fact: Fact, style: Style) -> str:
    text = clean(units.text(fact.value, fact.unit, whole=True), style)
    return f"{text}, {clean(fact.note, style)}" if fact.note else text
