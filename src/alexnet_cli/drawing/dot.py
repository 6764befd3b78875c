"""Writes the graph in Graphviz's language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alexnet_cli.analyses.dataflow import Frame
from alexnet_cli.drawing.plan import Plan
from alexnet_cli.drawing.words import Words, frame_title, frames_of, lines_of, words_of
from alexnet_cli.graphics.palette import DARK, LIGHT, Page, hue, mixed
from alexnet_cli.graphics.text import visible


def write(plan: Plan, *, dark: bool = False) -> str:
    """Return a digraph: a node for each box, a cluster for what repeats."""
    page = DARK if dark else LIGHT
    words = words_of(plan)
    lines = [
        f"digraph {_quoted(visible(plan.report.model.class_name))} {{",
        f'  graph [bgcolor="{page.background}", fontname="Helvetica", fontcolor="{page.ink}", labeljust="l"];',
        f'  node [shape="box", style="rounded,filled", fontname="Helvetica", fontsize="11", fontcolor="{page.ink}"];',
        f'  edge [color="{page.line}"{"" if plan.flow.recorded else _DASHED}];',
        *_nodes(plan, words, page),
        *(f"  n{source} -> n{target};" for source, target in plan.flow.edges),
        "}",
    ]
    return "\n".join(lines) + "\n"


_DASHED = ', style="dashed"'


def _nodes(plan: Plan, words: Sequence[Words], page: Page) -> Iterator[str]:
    """Write the nodes in their order, those of a frame inside its cluster."""
    frames = frames_of(plan.flow)
    open_frames: list[Frame] = []
    for number, word in enumerate(words):
        for frame in (frame for frame in frames if frame.first == number):
            yield f"{'  ' * (len(open_frames) + 1)}subgraph cluster_{frames.index(frame)} {{"
            open_frames.append(frame)
            title = _quoted(frame_title(frame, plan))
            yield f'{"  " * (len(open_frames) + 1)}label={title}; color="{page.faint}"; style="rounded";'
        yield f"{'  ' * (len(open_frames) + 1)}n{number} [{_attributes(word, page)}];"
        while open_frames and open_frames[-1].last == number:
            open_frames.pop()
            yield f"{'  ' * (len(open_frames) + 1)}}}"


def _attributes(words: Words, page: Page) -> str:
    color = hue(words.family)
    wide = ', penwidth="2"' if words.kind == "end" else ""
    label = _quoted("\n".join(lines_of(words)))
    return f'label={label}, color="{color}", fillcolor="{mixed(color, page.background, 0.86)}"{wide}'


def _quoted(text: str) -> str:
    """Quote a text: Graphviz reads backslashes and entities in labels."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;").replace("\n", "\\n")
    return f'"{escaped}"'
