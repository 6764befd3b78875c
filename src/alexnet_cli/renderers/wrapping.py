"""Text measured in terminal cells: some characters take two, some none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.cells import cell_len, chop_cells


def width_of(text: str) -> int:
    """Return how many cells a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def left(text: str, width: int) -> str:
    """Pad a text on its right."""
    return text + " " * (width - width_of(text))


def right(text: str, width: int) -> str:
    """Pad a text on its left."""
    return " " * (width - width_of(text)) + text


def fold(text: str, width: int) -> list[str]:
    """Break a text wherever a line is full."""
    return [text] if width_of(text) <= width else chop_cells(text, width)


def wrap(text: str, width: int | None) -> list[str]:
    """Break a text between words, and a word only where it is longer than a line."""
    if width is None or width_of(text) <= width:
        return [text]
    lines: list[str] = []
    current = ""
    for word in _pieces(text.split(" "), width):
        joined = f"{current} {word}" if current else word
        if width_of(joined) <= width:
            current = joined
        else:
            lines.append(current)
            current = word
    return [*lines, current]


def shorten(text: str, most: int | None, *, unicode: bool) -> str:
    """Leave out the middle of a text that is longer than `most` cells; its beginning and end tell the most."""
    if most is None or width_of(text) <= most:
        return text
    mark = "…" if unicode else "..."
    room = max(most - len(mark), 2)
    tail = "".join(_take(reversed(text), room // 2))[::-1]
    return "".join(_take(text, room - room // 2)) + mark + tail


def _pieces(words: Iterable[str], width: int) -> Iterator[str]:
    for word in words:
        yield from fold(word, width)


def _take(chars: Iterable[str], room: int) -> Iterator[str]:
    for char in chars:
        room -= width_of(char)
        if room < 0:
            return
        yield char
