"""Writes the graph in Mermaid's language, which Markdown pages draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alexnet_cli.analyses.dataflow import Frame
from alexnet_cli.drawing.plan import Plan
from alexnet_cli.drawing.words import Words, frame_title, frames_of, lines_of, words_of
from alexnet_cli.graphics.palette import DARK, LIGHT, Page, hue, mixed

_PLAIN = frozenset(" ,./×→·–_()")


def write(plan: Plan, *, dark: bool = False) -> str:
    """Return a flowchart: a node for each box, a subgraph for what repeats, a class for each family."""
    page = DARK if dark else LIGHT
    words = words_of(plan)
    arrow = "-->" if plan.flow.recorded else "-.->"
    lines = [
        "flowchart TD",
        *_nodes(plan, words),
        *(f"  n{source} {arrow} n{target}" for source, target in plan.flow.edges),
        *(_class(family, page) for family in sorted({word.family for word in words})),
    ]
    return "\n".join(lines) + "\n"


def _nodes(plan: Plan, words: Sequence[Words]) -> Iterator[str]:
    frames = frames_of(plan.flow)
    open_frames: list[Frame] = []
    for number, word in enumerate(words):
        for frame in (frame for frame in frames if frame.first == number):
            open_frames.append(frame)
            title = _escaped(frame_title(frame, plan))
            yield f'{"  " * len(open_frames)}subgraph f{frames.index(frame)}["{title}"]'
        opened, closed = ("([", "])") if word.kind in ("end", "merge") else ("[", "]")
        text = "<br>".join(map(_escaped, lines_of(word)))
        yield f'{"  " * (len(open_frames) + 1)}n{number}{opened}"{text}"{closed}:::{word.family}_'
        while open_frames and open_frames[-1].last == number:
            yield f"{'  ' * len(open_frames)}end"
            open_frames.pop()


def _class(family: str, page: Page) -> str:
    """Define the look of a family; with a character after its name it is none of Mermaid's own words."""
    color = hue(family)
    return f"  classDef {family}_ fill:{mixed(color, page.background, 0.86)},stroke:{color},color:{page.ink}"


def _escaped(text: str) -> str:
    """Write all that could mean something to Mermaid, Markdown or HTML as its number.

    A backslash before an `n` would break the line even so: a space of no width stands between them.
    """
    numbered = (char if not char.isascii() or char.isalnum() or char in _PLAIN else f"#{ord(char)};" for char in text)
    return "".join(numbered).replace("#92;", "#92;#8203;")
