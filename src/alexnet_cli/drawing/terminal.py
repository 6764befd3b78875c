"""A drawing in characters, for terminals: a chain as bars as long as its maps, a graph with rails beside its nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import sqrt

from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style as Look

from alexnet_cli.analyses.dataflow import Frame
from alexnet_cli.drawing import labels
from alexnet_cli.drawing.bars import bars_of
from alexnet_cli.drawing.chain import Block, blocks_of
from alexnet_cli.drawing.families import family_of
from alexnet_cli.drawing.plan import Plan
from alexnet_cli.drawing.railway import Rails, rails_of, signs
from alexnet_cli.drawing.words import Words, frame_title, frames_of, words_of
from alexnet_cli.graphics.lines import BOLD, DIM, PLAIN, Line, line, of_bar, of_name, share_bar
from alexnet_cli.graphics.text import Style, clean, left, shorten, width_of, wrap
from alexnet_cli.units import text

MAP, LEAST_MAP = 31, 7
STRIP, LEAST_NAME = 12, 12
"""Characters: of the widest map or longest bar of features, also on a narrow page; of the longest bar of a share, and
of the names beside bars on a narrow page."""
_FILLS = {True: ("█", "▒"), False: ("#", "=")}
_BRACKETS = {True: ("┌", "│", "└"), False: ("+", "|", "+")}


def write(plan: Plan, style: Style) -> str:
    """Return lines of text; what is wider than the page is cut off."""
    lines = [_head(plan, style), []]
    match plan.style:
        case "blocks":
            lines += _blocks(plan, style)
        case "graph":
            lines += _graph(plan, style)
        case "bars":
            lines += _bars(plan, style)
    colors = ColorSystem.TRUECOLOR if style.color else None
    return "".join(f"{_written(_cut(pieces, style), colors)}\n" for pieces in lines)


def _head(plan: Plan, style: Style) -> Line:
    name = clean(plan.report.model.class_name, style)
    return line((name, BOLD), (f"  {labels.summary(plan.report)}", DIM))


def _blocks(plan: Plan, style: Style) -> Iterator[Line]:
    """Draw a line for each block: what it is, the size of what it makes, and a bar as long as the root of its side."""
    blocks = blocks_of(plan)
    names = [clean(block.below[0], style) for block in blocks]
    sizes = [clean(_size(block), style) for block in blocks]
    details = [clean(", ".join(block.below[1:]), style) for block in blocks]
    widths = [max(map(width_of, texts)) for texts in (names, sizes, details)]
    room = MAP if style.width is None else min(max(style.width - sum(widths) - 6, LEAST_MAP), MAP)
    draw = _drawing(blocks, room, style)
    for block, name, size, detail in zip(blocks, names, sizes, details, strict=True):
        yield line(
            (left(name, widths[0]), of_name(block.family)),
            (f"  {left(detail, widths[2])}", DIM),
            (f"  {left(size, widths[1])}  ", PLAIN),
            (draw(block).center(room).rstrip(), of_bar(block.family)),
        )
    yield []
    maps, features = _FILLS[style.unicode]
    note = f"{maps} height of the map, {features} features: as square roots; sizes are height × width × channels"
    yield from (line((text, DIM)) for text in wrap(clean(note, style), style.width))


def _drawing(blocks: Sequence[Block], room: int, style: Style) -> Callable[[Block], str]:
    """Return what draws a block's bar, the longest of its kind as long as the room."""
    sides = max([1, *(max(block.volume[1:]) for block in blocks if block.volume)])
    features = max([1, *(block.features for block in blocks if block.features)])

    def draw(block: Block) -> str:
        if block.volume:
            return _FILLS[style.unicode][0] * max(round(room * sqrt(max(block.volume[1:]) / sides)), 1)
        if block.features:
            return _FILLS[style.unicode][1] * max(round(room * sqrt(block.features / features)), 1)
        return clean("…", style)

    return draw


def _size(block: Block) -> str:
    return "×".join(part for part in (block.above, block.channels) if part)


def _graph(plan: Plan, style: Style) -> Iterator[Line]:
    """Draw the nodes one below the other, rails on their left, and brackets around what repeats."""
    words = words_of(plan)
    rails = rails_of(plan.flow.successors(), signs(unicode=style.unicode))
    width = max(width_of(row) for rail in rails for row in (rail.before, *rail.above, rail.at, *rail.below))
    frames = frames_of(plan.flow)
    deepest = max((len(_around(frames, number)) for number in range(len(words))), default=0)
    for number, (word, rail) in enumerate(zip(words, rails, strict=True)):
        around = _around(frames, number)
        for frame in (frame for frame in around if frame.first == number):
            place = around.index(frame)
            bracket = _bracket(place, deepest, style, opens=True)
            yield line((bracket, DIM), (left(rail.before, width) + "  ", DIM), (_title(frame, plan, style), BOLD))
        beside = _bracket(len(around), deepest, style)
        for row in rail.above:
            yield line((beside, DIM), (row, DIM))
        yield line((beside, DIM), (left(rail.at, width) + "  ", DIM), *_said(word, style))
        for row in rail.below:
            yield line((beside, DIM), (row, DIM))
        for place in range(len(around) - 1, -1, -1):
            if around[place].last == number:
                yield line((_bracket(place, deepest, style, closes=True), DIM), (_after(rails, number), DIM))


def _after(rails: Sequence[Rails], number: int) -> str:
    return rails[number + 1].before if number + 1 < len(rails) else ""


def _around(frames: Sequence[Frame], number: int) -> list[Frame]:
    return [frame for frame in frames if frame.first <= number <= frame.last]


def _bracket(inside: int, deepest: int, style: Style, *, opens: bool = False, closes: bool = False) -> str:
    """Draw the brackets of the frames that a line is inside of, and of one that opens or closes there."""
    top, side, bottom = _BRACKETS[style.unicode]
    own = top if opens else bottom if closes else ""
    return (side * inside + own).ljust(deepest) + (" " if deepest else "")


def _title(frame: Frame, plan: Plan, style: Style) -> str:
    return clean(frame_title(frame, plan), style)


def _said(word: Words, style: Style) -> list[tuple[str, Look]]:
    small = f" + {', '.join(word.small)}" if word.small else ""
    return [
        (clean(word.what + word.times + small, style), of_name(word.family)),
        (clean(f"  {word.name}" if word.name else "", style), DIM),
        (clean(f"  {word.size}" if word.size else "", style), PLAIN),
    ]


def _bars(plan: Plan, style: Style) -> Iterator[Line]:
    """Draw a line for each layer: its name, and its parameters and MACs as bars."""
    bars = bars_of(plan)
    values = {"parameters": [bar.params for bar in bars], "MACs": [bar.macs for bar in bars]}
    widths = {key: max(width_of(text(value, "count")) for value in column) for key, column in values.items()}
    heads = [left(key, widths[key] + STRIP + 1) for key in values]
    room = None if style.width is None else max(style.width - sum(2 + width_of(head) for head in heads), LEAST_NAME)
    names = [shorten(clean(bar.name, style), room, unicode=style.unicode) for bar in bars]
    first = max(map(width_of, names))
    yield line((f"{' ' * first}  {'  '.join(heads)}", BOLD))
    for number, bar in enumerate(bars):
        pieces = [(left(names[number], first), of_name(family_of(bar.node, plan.report.layers)))]
        for key, column in values.items():
            value, most = column[number], max([1, *(value or 0 for value in column)])
            drawn = share_bar((value or 0) / most, STRIP, unicode=style.unicode)
            pieces.append((f"  {text(value, 'count').rjust(widths[key])} ", PLAIN))
            pieces.append((left(drawn, STRIP), of_bar(family_of(bar.node, plan.report.layers))))
        yield line(*pieces)


def _cut(pieces: Line, style: Style) -> Line:
    """Cut a line where the page ends."""
    if style.width is None:
        return pieces
    room, kept = style.width, []
    for piece in pieces:
        if width_of(piece.text) > room:
            kept.append(Segment(shorten(piece.text, max(room, 1), unicode=style.unicode)[: max(room, 0)], piece.style))
            break
        kept.append(piece)
        room -= width_of(piece.text)
    return kept


def _written(pieces: Line, colors: ColorSystem | None) -> str:
    text = "".join(
        piece.style.render(piece.text, color_system=colors) if piece.style else piece.text for piece in pieces
    )
    return text if colors else text.rstrip()
