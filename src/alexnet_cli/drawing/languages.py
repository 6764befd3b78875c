"""Writes the graph for other tools: in the language of Graphviz, and in Mermaid's, which Markdown pages draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from alexnet_cli.drawing.content import Frame, Node, Plan
from alexnet_cli.graphics.palette import DARK, LIGHT, Page, hue, mixed
from alexnet_cli.graphics.text import visible

_FILL = 0.86
_MERMAID_PLAIN = frozenset(" ,./×→·–_()")


def dot(plan: Plan, *, dark: bool = False) -> str:
    """Return a digraph: a node for each box, a cluster for what repeats."""
    page = DARK if dark else LIGHT
    dashed = "" if plan.recorded else ', style="dashed"'

    def opened(number: int, frame: Frame) -> list[str]:
        label = f'label={_dot_text(frame.title)}; color="{page.faint}"; style="rounded";'
        return [f"subgraph cluster_{number} {{", f"  {label}"]

    lines = [
        f"digraph {_dot_text(visible(plan.model))} {{",
        f'  graph [bgcolor="{page.background}", fontname="Helvetica", fontcolor="{page.ink}", labeljust="l"];',
        f'  node [shape="box", style="rounded,filled", fontname="Helvetica", fontsize="11", fontcolor="{page.ink}"];',
        f'  edge [color="{page.line}"{dashed}];',
        *_nested(plan, opened, lambda number, node: f"n{number} [{_dot_look(node, page)}];", "}"),
        *(f"  n{source} -> n{target};" for source, target in plan.edges),
        "}",
    ]
    return "\n".join(lines) + "\n"


def mermaid(plan: Plan, *, dark: bool = False) -> str:
    """Return a flowchart: a node for each box, a subgraph for what repeats, a class for each family."""
    page = DARK if dark else LIGHT
    arrow = "-->" if plan.recorded else "-.->"
    lines = [
        "flowchart TD",
        *_nested(plan, lambda at, frame: [f'subgraph f{at}["{_mermaid_text(frame.title)}"]'], _mermaid_node, "end"),
        *(f"  n{source} {arrow} n{target}" for source, target in plan.edges),
        *(_mermaid_class(family, page) for family in sorted({node.family for node in plan.nodes})),
    ]
    return "\n".join(lines) + "\n"


def _nested(
    plan: Plan, opened: Callable[[int, Frame], list[str]], written: Callable[[int, Node], str], close: str
) -> Iterator[str]:
    """Write the nodes in order, those of a frame between the lines that open and close it."""
    open_frames: list[Frame] = []
    indent = "  "
    for number, node in enumerate(plan.nodes):
        for place, frame in enumerate(plan.frames):
            if frame.first == number:
                yield from (indent + line for line in opened(place, frame))
                open_frames.append(frame)
                indent += "  "
        yield f"{indent}{written(number, node)}"
        while open_frames and open_frames[-1].last == number:
            open_frames.pop()
            indent = indent[2:]
            yield f"{indent}{close}"


def _dot_look(node: Node, page: Page) -> str:
    color = hue(node.family)
    wide = ', penwidth="2"' if node.is_end else ""
    label = _dot_text("\n".join(node.lines))
    return f'label={label}, color="{color}", fillcolor="{mixed(color, page.background, _FILL)}"{wide}'


def _dot_text(text: str) -> str:
    """Quote a text: Graphviz interprets backslashes and entities in labels."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;").replace("\n", "\\n")
    return f'"{escaped}"'


def _mermaid_node(number: int, node: Node) -> str:
    opened, closed = ("([", "])") if node.kind == "merge" or node.is_end else ("[", "]")
    return f'n{number}{opened}"{"<br>".join(map(_mermaid_text, node.lines))}"{closed}:::{node.family}_'


def _mermaid_class(family: str, page: Page) -> str:
    """Define the look of a family; the underscore keeps its name apart from Mermaid's own words."""
    color = hue(family)
    return f"  classDef {family}_ fill:{mixed(color, page.background, _FILL)},stroke:{color},color:{page.ink}"


def _mermaid_text(text: str) -> str:
    """Write every character that could mean something to Mermaid, Markdown or HTML as its number.

    A backslash before an `n` would still break the line: a zero-width space separates them.
    """
    numbered = (
        char if not char.isascii() or char.isalnum() or char in _MERMAID_PLAIN else f"#{ord(char)};" for char in text
    )
    return "".join(numbered).replace("#92;", "#92;#8203;")
