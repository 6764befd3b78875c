"""A drawing in characters: a chain as bars as long as its maps, a graph with rails beside its nodes, or bars.

A rail leads from one node to one or more others. A line that joins another rail meets it with an arm; a line that only
passes crosses it without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import sqrt

from msgspec import Struct

from alexnet_cli.drawing.content import Block, Node, Plan
from alexnet_cli.graphics.lines import (
    BOLD,
    DIM,
    PLAIN,
    Line,
    Look,
    Piece,
    line,
    of_bar,
    of_name,
    share_bar,
    wrapped,
    written,
)
from alexnet_cli.graphics.text import Style, clean, fit, left, shorten, width_of
from alexnet_cli.units import text

MAP, LEAST_MAP = 31, 7
STRIP, LEAST_NAME = 12, 12
"""In characters: the widest map or longest bar of features, and the same on a narrow page; the longest bar of a share,
and the names beside bars on a narrow page."""
_FILLS = {True: ("█", "▒"), False: ("#", "=")}
_BRACKETS = {True: ("┌", "│", "└"), False: ("+", "|", "+")}
Tracks = list[frozenset[int]]
"""For each column, the nodes that its rail still leads to."""


class Signs(Struct, frozen=True):
    """The characters of rails. Where a line meets a rail, the rail goes `on`, `begins` below it or `ends` above it.

    Each of these three has a character for the left end of the line, its right end, and in between.
    """

    node: str
    down: str
    across: str
    on: str
    begins: str
    ends: str


UNICODE = Signs("●", "│", "─", "├┤┼", "╭╮┬", "╰╯┴")
ASCII = Signs("*", "|", "-", "||+", "/\\+", "\\/+")


class Rails(Struct, frozen=True):
    """The rails of a node: `before` pass above it, `above` lead into it, `at` has the node on it, `below` lead away."""

    before: str
    above: tuple[str, ...]
    at: str
    below: tuple[str, ...]


def write(plan: Plan, style: Style) -> str:
    """Return lines of text, cut off at the width of the page."""
    lines = [line((clean(plan.model, style), BOLD), (f"  {plan.summary}", DIM)), []]
    lines += {"blocks": _blocks, "graph": _graph, "bars": _bars}[plan.style](plan, style)
    return written((_cut(pieces, style) for pieces in lines), style)


def _blocks(plan: Plan, style: Style) -> Iterator[Line]:
    """Draw a line per block: its name, the size of its output, and a bar as long as the square root of its side."""
    blocks = plan.blocks
    names = [clean(block.lines[0], style) for _, block in blocks]
    sizes = [clean("×".join(part for part in (block.size, block.channels) if part), style) for _, block in blocks]
    details = [clean(", ".join(block.lines[1:]), style) for _, block in blocks]
    widths = [max(map(width_of, texts)) for texts in (names, sizes, details)]
    room = MAP if style.width is None else min(max(style.width - sum(widths) - 6, LEAST_MAP), MAP)
    draw = _drawing([block for _, block in blocks], room, style)
    for (node, block), name, size, detail in zip(blocks, names, sizes, details, strict=True):
        yield line(
            (left(name, widths[0]), of_name(node.family)),
            (f"  {left(detail, widths[2])}", DIM),
            (f"  {left(size, widths[1])}  ", PLAIN),
            (draw(block).center(room).rstrip(), of_bar(node.family)),
        )
    yield []
    maps, features = _FILLS[style.unicode]
    note = f"{maps} height of the map, {features} features, as square roots; sizes are height × width × channels"
    yield from wrapped(clean(note, style), style.width, DIM)


def _drawing(blocks: Sequence[Block], room: int, style: Style) -> Callable[[Block], str]:
    """Return a function that draws the bar of a block; the longest of its kind fills the room."""
    sides = max([1, *(max(block.volume[1:]) for block in blocks if block.volume)])
    features = max([1, *(block.features for block in blocks if block.features)])

    def draw(block: Block) -> str:
        if block.volume:
            return _FILLS[style.unicode][0] * max(round(room * sqrt(max(block.volume[1:]) / sides)), 1)
        if block.features:
            return _FILLS[style.unicode][1] * max(round(room * sqrt(block.features / features)), 1)
        return clean("…", style)

    return draw


def _graph(plan: Plan, style: Style) -> Iterator[Line]:
    """Draw the nodes one below the other, rails on their left, and brackets around repetitions."""
    rails = rails_of(len(plan.nodes), plan.edges, UNICODE if style.unicode else ASCII)
    width = max(width_of(row) for rail in rails for row in (rail.before, *rail.above, rail.at, *rail.below))
    frames = [[it for it in plan.frames if it.first <= number <= it.last] for number in range(len(plan.nodes))]
    deepest = max(map(len, frames), default=0)
    for number, (node, rail, around) in enumerate(zip(plan.nodes, rails, frames, strict=True)):
        for place, frame in enumerate(around):
            if frame.first == number:
                bracket = _bracket(place, deepest, style, opens=True)
                title = clean(frame.title, style)
                yield line((bracket, DIM), (left(rail.before, width) + "  ", DIM), (title, BOLD))
        beside = _bracket(len(around), deepest, style)
        yield from (line((beside, DIM), (row, DIM)) for row in rail.above)
        yield line((beside, DIM), (left(rail.at, width) + "  ", DIM), *_said(node, style))
        yield from (line((beside, DIM), (row, DIM)) for row in rail.below)
        after = rails[number + 1].before if number + 1 < len(rails) else ""
        for place in reversed(range(len(around))):
            if around[place].last == number:
                yield line((_bracket(place, deepest, style, closes=True), DIM), (after, DIM))


def _bracket(inside: int, deepest: int, style: Style, *, opens: bool = False, closes: bool = False) -> str:
    """Draw the brackets of the frames that a line is inside of, and of the one that opens or closes there."""
    top, side, bottom = _BRACKETS[style.unicode]
    own = top if opens else bottom if closes else ""
    return (side * inside + own).ljust(deepest) + (" " if deepest else "")


def _said(node: Node, style: Style) -> list[tuple[str, Look]]:
    beside = f" + {', '.join(node.beside)}" if node.beside else ""
    rest = ((f"  {text}", look) for text, look in ((node.name, DIM), (node.size, PLAIN)) if text)
    parts = [(node.what + node.times + beside, of_name(node.family)), *rest]
    return [(clean(text, style), look) for text, look in parts]


def _bars(plan: Plan, style: Style) -> Iterator[Line]:
    bars = plan.bars
    values = {"parameters": [bar.params for _, bar in bars], "MACs": [bar.macs for _, bar in bars]}
    widths = {key: max(width_of(text(value, "count")) for value in column) for key, column in values.items()}
    heads = [left(key, widths[key] + STRIP + 1) for key in values]
    room = None if style.width is None else max(style.width - sum(2 + width_of(head) for head in heads), LEAST_NAME)
    names = [fit(bar.name, room, style) for _, bar in bars]
    first = max(map(width_of, names))
    yield line((f"{' ' * first}  {'  '.join(heads)}", BOLD))
    for number, (node, _) in enumerate(bars):
        pieces = [(left(names[number], first), of_name(node.family))]
        for key, column in values.items():
            value, most = column[number], max([1, *(value or 0 for value in column)])
            drawn = share_bar((value or 0) / most, STRIP, unicode=style.unicode)
            pieces.append((f"  {text(value, 'count').rjust(widths[key])} ", PLAIN))
            pieces.append((left(drawn, STRIP), of_bar(node.family)))
        yield line(*pieces)


def _cut(pieces: Line, style: Style) -> Line:
    if style.width is None:
        return pieces
    room, kept = style.width, []
    for piece in pieces:
        if width_of(piece.text) > room:
            kept.append(Piece(shorten(piece.text, max(room, 1), unicode=style.unicode)[: max(room, 0)], piece.look))
            break
        kept.append(piece)
        room -= width_of(piece.text)
    return kept


def rails_of(nodes: int, edges: Sequence[tuple[int, int]], draw: Signs) -> list[Rails]:
    """Draw the rails of each node; edges lead from a lower to a higher position."""
    tracks: Tracks = []
    rails = []
    for node in range(nodes):
        targets = [target for source, target in edges if source == node]
        before = _rail_line(tracks, {}, draw)
        own, above = _arrive(tracks, node, draw)
        at = _rail_line(tracks, {own: draw.node}, draw)
        below = _leave(tracks, own, targets, draw)
        while tracks and not tracks[-1]:
            tracks.pop()
        rails.append(Rails(before, above, at, below))
    return rails


def _arrive(tracks: Tracks, node: int, draw: Signs) -> tuple[int, tuple[str, ...]]:
    """Lead rails into a node; return its column: that of a rail that ends there, if one does."""
    arriving = [column for column, targets in enumerate(tracks) if node in targets]
    ending = [column for column in arriving if tracks[column] == {node}]
    passing = list(tracks)
    for column in arriving:
        tracks[column] -= {node}
    own = ending[0] if ending else _free(tracks, 0)
    if arriving in ([], [own]):
        return own, ()
    kinds = {column: draw.ends if column in ending else draw.on for column in arriving}
    kinds[own] = draw.on if ending else draw.begins
    return own, (_rail_line(passing, _marks(kinds), draw),)


def _leave(tracks: Tracks, own: int, targets: Sequence[int], draw: Signs) -> tuple[str, ...]:
    """Lead from a node to its first target in its own column, and to the others in a free column on its right."""
    if targets:
        tracks[own] = frozenset(targets[:1])
    if len(targets) <= 1:
        return ()
    passing = list(tracks)
    column = _free(tracks, own + 1)
    tracks[column] = frozenset(targets[1:])
    return (_rail_line(passing, _marks({own: draw.on, column: draw.begins}), draw),)


def _marks(kinds: dict[int, str]) -> dict[int, str]:
    """Return the characters where a line from the first column to the last meets rails."""
    ends = {min(kinds): 0, max(kinds): 1}
    return {column: kind[ends.get(column, 2)] for column, kind in kinds.items()}


def _free(tracks: Tracks, start: int) -> int:
    """Return the first free column from `start` on, a new one if none is free."""
    column = start
    while column < len(tracks) and tracks[column]:
        column += 1
    tracks += [frozenset()] * (column + 1 - len(tracks))
    return column


def _rail_line(tracks: Sequence[frozenset[int]], marks: dict[int, str], draw: Signs) -> str:
    """Write a line of two characters per column, joined between the marks."""
    text = ""
    for column in range(max([len(tracks), *(column + 1 for column in marks)])):
        joined = len(marks) > 1 and min(marks) <= column < max(marks)
        empty = draw.across if joined and column > min(marks) else " "
        rail = draw.down if column < len(tracks) and tracks[column] else empty
        text += marks.get(column, rail) + (draw.across if joined else " ")
    return text.rstrip()
