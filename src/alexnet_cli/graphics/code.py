"""Python source in colours, by pygments' lexer: the colours are the palette's, and none carries a meaning alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from alexnet_cli.graphics.palette import HUES, OTHER
from alexnet_cli.graphics.text import width_of

if TYPE_CHECKING:
    from pygments.lexer import Lexer  # type: ignore[import-untyped] # it has none

Span = tuple[str, str | None]
"""A piece of source and its colour, None for the page's own."""
LEFT_OUT = "⋮"
"""What stands for lines that are left out: the source after it begins anew."""
_COLOURS = (
    ("Keyword", HUES["recurrent"]),
    ("Operator.Word", HUES["recurrent"]),
    ("Literal.String", HUES["norm"]),
    ("Literal.Number", HUES["embedding"]),
    ("Name.Function", HUES["conv"]),
    ("Name.Class", HUES["conv"]),
    ("Name.Decorator", HUES["attention"]),
    ("Name.Builtin", HUES["pool"]),
    ("Comment", OTHER),
)
_INDENT = 4
_BREAKS = " ,(.["
"""After these a line may be broken."""


def coloured(lines: Sequence[str]) -> list[list[Span]]:
    """Return the spans of each line; the pieces of a line join to it unchanged."""
    found: list[list[Span]] = []
    for _, part in groupby(lines, key=LEFT_OUT.__eq__):  # what lines are left out between is read for itself
        spans: list[list[Span]] = [[]]
        for _, kind, text in _lexer().get_tokens_unprocessed("\n".join(part)):
            pieces = text.split("\n")
            for at, piece in enumerate(pieces):
                spans += [[]] if at else []
                if piece:
                    spans[-1].append((piece, _colour(kind)))
        found += spans
    return found


def folded(spans: Sequence[Span], width: int) -> list[list[Span]]:
    """Break a line where it is full, after a space or a bracket if there is one; what follows is indented further."""
    text = "".join(piece for piece, _ in spans)
    if width_of(text) <= width:
        return [list(spans)]
    indent = min(len(text) - len(text.lstrip(" ")) + _INDENT, width // 2)
    lines: list[list[Span]] = []
    start = 0
    while start < len(text):
        before = indent if lines else 0
        stop = start
        while stop < len(text) and width_of(text[start : stop + 1]) <= width - before:
            stop += 1
        stop = max(stop, start + 1)
        space = max(text.rfind(char, start, stop) for char in _BREAKS)
        if stop < len(text) and space > start and text[start:space].strip():
            stop = space + 1
        lines.append([(" " * before, None)] * bool(before) + list(_cut(spans, start, stop)))
        start = stop
    return lines


def _cut(spans: Sequence[Span], start: int, stop: int) -> Iterator[Span]:
    at = 0
    for text, colour in spans:
        piece = text[max(start - at, 0) : max(stop - at, 0)]
        if piece:
            yield piece, colour
        at += len(text)


@cache
def _lexer() -> Lexer:
    from pygments.lexers.python import PythonLexer  # type: ignore[import-untyped] # only source has colours

    return PythonLexer(stripnl=False, ensurenl=False)


@cache
def _colour(kind: Any) -> str | None:
    name = str(kind).removeprefix("Token.")
    return next((colour for prefix, colour in _COLOURS if name.startswith(prefix)), None)
