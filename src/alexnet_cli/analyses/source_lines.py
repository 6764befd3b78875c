"""Which lines of a source to show, and its lines with what they did as comments."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Collection, Iterator, Mapping

MARKER = "# alexnet: "
"""What our comments begin with: a comment of the user's own that begins so would be taken for one of them."""
_GAP = "  "
_CONTEXT = 2
_FOLDED = 4
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def shown_lines(text: str, annotated: Collection[int], firsts: Collection[int]) -> Iterator[int | None]:
    """Yield the numbers of the lines to show: the functions that ran, without what is long and did nothing.

    `annotated` are the lines with something to say, `firsts` those where their functions begin. None stands for lines
    that are left out: docstrings of several lines, and what is far from any annotated line.
    """
    spans, hidden = _functions(text, firsts)
    wanted = {line for span in spans for line in span} | set(annotated)
    near = {line + off for line in annotated for off in range(-_CONTEXT, _CONTEXT + 1)}
    near |= {span.start + off for span in spans for off in range(_CONTEXT)}
    before, idle = 0, list[int]()
    for line in [*sorted(wanted), None]:
        if line is not None and (line not in near or line in hidden) and line not in annotated:
            idle.append(line)
            continue
        few = len(idle) <= _FOLDED and not hidden.intersection(idle)
        yield from idle if few else [None] if idle else []
        gap = line is not None and before and line > max([before, *idle]) + 1
        if gap and (few or not idle):
            yield None
        idle, before = [], line or 0
        if line is not None:
            yield line


def _functions(text: str, firsts: Collection[int]) -> tuple[list[range], set[int]]:
    """Return the lines of the functions that begin at these lines, and those of docstrings of several lines."""
    spans, hidden = [], set[int]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _FUNCTIONS):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first in firsts:
                spans.append(range(first, (node.end_lineno or first) + 1))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            hidden |= set(lines) if len(lines) > 1 else set()
    return spans, hidden


def commented(text: str, said: Mapping[int, str]) -> str:
    """Return a source with a comment after each of these lines, in place of the comments of an earlier time.

    A line that takes no comment, as its end is in a string or before a backslash, has it after the next that does.
    """
    lines = _lines(uncommented(text))
    free = {token.end[0] for token in _tokens("".join(lines)) if token.type in (tokenize.NEWLINE, tokenize.NL)}
    comments: dict[int, list[str]] = {}
    for line, what in sorted(said.items()):
        place = next((at for at in range(line, len(lines) + 1) if at in free), None)
        if place is not None:
            comments.setdefault(place, []).append(what if place == line else f"line {line}: {what}")
    for line, whats in comments.items():
        body = lines[line - 1].rstrip("\r\n")
        lines[line - 1] = f"{body}{_GAP}{MARKER}{'; '.join(whats)}{lines[line - 1][len(body) :]}"
    return "".join(lines)


def uncommented(text: str) -> str:
    """Return a source without our comments, as it was before they were written."""
    lines = _lines(text)
    for token in _tokens(text):
        at = token.string.find(MARKER) if token.type == tokenize.COMMENT else -1
        if at >= 0:
            line = lines[token.start[0] - 1]
            end = line[len(line.rstrip("\r\n")) :]
            lines[token.start[0] - 1] = line[: token.start[1] + at].removesuffix(_GAP) + end
    return "".join(lines)


def _lines(text: str) -> list[str]:
    """Divide a source as Python does: at line feeds alone."""
    return io.StringIO(text, newline="\n").readlines()


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(iter(_lines(text)).__next__)
