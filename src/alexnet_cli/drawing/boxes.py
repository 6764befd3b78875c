"""The boxes of a graph: a node with its words, sized by them."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.drawing.region import Part
from alexnet_cli.drawing.words import Words, lines_of
from alexnet_cli.graphics.scene import Box, Item, Label, Mark
from alexnet_cli.graphics.text import sans, shorten, text_width

PAD, PAD_TOP, LINE, RADIUS = 0.8, 0.65, 1.3, 0.5
ROOM = 24.0
BETWEEN = 1.2
CARD = 0.35
"""In em: room beside and above the text, from line to line, and of corners; the most text in a line; between a name
and a size; and how far the cards behind a box that stands for several are out of place."""


def node_box(words: Words, outer: str, paths: tuple[str, ...], told: str, em: float) -> Part:
    """Draw a node; its name is written without the path `outer` of the frame around it."""
    pill = words.kind in ("merge", "end")
    items, width, height = _pill(lines_of(words)[0], em) if pill else _box(words, outer, em)
    return Part((Mark(tuple(items), "layer", words.family, paths, told),), width, height)


def _pill(text: str, em: float) -> tuple[Sequence[Item], float, float]:
    shown = shorten(text, ROOM * em, measure=sans(em))
    width, height = text_width(shown, em) + 2.2 * em, 1.9 * em
    border = Box(0, 0, width, height, "node", height / 2)
    return [border, Label(width / 2, height / 2 + 0.35 * em, shown, em, "middle")], width, height


def _box(words: Words, outer: str, em: float) -> tuple[Sequence[Item], float, float]:
    """Write a box of up to three lines: what it does, its name and size, what is shown with it."""
    times = words.times
    what = shorten(words.what, ROOM * em - text_width(times, em, bold=True), measure=sans(em, bold=True)) + times
    size = shorten(words.size, ROOM / 2 * em, measure=sans(em))
    inner = words.name.removeprefix(f"{outer}.") if outer else words.name
    name = shorten(inner, ROOM * em - text_width(size, em) - BETWEEN * em, measure=sans(em))
    small = shorten(f"+ {', '.join(words.small)}", ROOM * em, measure=sans(em)) if words.small else ""
    second = text_width(name, em) + text_width(size, em) + (BETWEEN * em if name and size else 0)
    width = max(text_width(what, em, bold=True), second, text_width(small, em)) + 2 * PAD * em
    height = (2 * PAD_TOP + LINE * (1 + bool(small)) + 1) * em
    base = [(PAD_TOP + 0.85 + LINE * line) * em for line in range(3)]
    shifts = [CARD * em * i for i in (2, 1)] if times else []
    labels = [
        Label(PAD * em, base[0], what, em, bold=True),
        Label(PAD * em, base[1], name, em, dim=True),
        Label(width - PAD * em, base[1], size, em, "end"),
        Label(PAD * em, base[2], small, em, dim=True),
    ]
    items: list[Item] = [Box(shift, -shift, width, height, "node card", RADIUS * em) for shift in shifts]
    items.append(Box(0, 0, width, height, "node gap" if words.kind == "gap" else "node", RADIUS * em))
    items += [label for label in labels if label.text]
    return items, width, height
