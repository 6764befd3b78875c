"""Facts as lines: labels, values, notes; two columns where there is room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.document import Fact, Facts
from alexnet_cli.graphics.lines import BOLD, DIM, PLAIN, Line, length, line, padded
from alexnet_cli.graphics.text import Style, clean, cross, fold, left, shorten, width_of, wrap

_GAP = 2
_GUTTER = 4
_ROOMY = 100


class _Said(Struct, frozen=True):
    label: str
    value: str
    note: str


def facts_lines(facts: Facts, style: Style) -> Iterator[Line]:
    """Draw facts side by side in two columns if they fit whole, else one below the other."""
    said = [_said(fact, style) for fact in facts.facts]
    if facts.title:
        yield from (line((text, BOLD)) for text in wrap(clean(facts.title, style), style.width))
    half = (len(said) + 1) // 2
    while half < len(said) and facts.facts[half].level:
        half += 1  # a part stays below what it is a part of
    first, second = _column(said[:half]), _column(said[half:])
    broad = max(map(length, first), default=0) + _GUTTER
    both = [padded(pieces, broad) + (second[i] if i < len(second) else []) for i, pieces in enumerate(first)]
    if style.width is None or (style.width >= _ROOMY and max(map(length, both), default=0) <= style.width):
        yield from both
    else:
        yield from _narrow(said, style.width)


def _said(fact: Fact, style: Style) -> _Said:
    value = clean(units.text(fact.value, fact.unit, cross=cross(style)), style)
    note = f"({clean(fact.note, style)})" if fact.note else ""
    label = shorten("  " * fact.level + clean(fact.label, style), style.width, unicode=style.unicode)
    return _Said(label, shorten(value, style.width, unicode=style.unicode), note)


def _column(said: Sequence[_Said]) -> list[Line]:
    label = max((width_of(fact.label) for fact in said), default=0) + _GAP
    return [
        line((left(fact.label, label), DIM), (fact.value, PLAIN), (f" {fact.note}" if fact.note else "", DIM))
        for fact in said
    ]


def _narrow(said: Sequence[_Said], width: int) -> Iterator[Line]:
    """Draw facts in one column; a note that does not fit beside its value goes below it."""
    label = min(max((width_of(fact.label) for fact in said), default=0), width // 3) + _GAP
    room = width - label
    for fact in said:
        labels = fold(fact.label, label - _GAP)
        pieces = [line((text, PLAIN)) for text in fold(fact.value, room)]
        if fact.note and length(pieces[-1]) + 1 + width_of(fact.note) <= room:
            pieces[-1] = [*pieces[-1], *line((f" {fact.note}", DIM))]
        elif fact.note:
            pieces += [line((text, DIM)) for text in wrap(fact.note, room)]
        for tier in range(max(len(labels), len(pieces))):
            before = line((left(labels[tier] if tier < len(labels) else "", label), DIM))
            yield before + (pieces[tier] if tier < len(pieces) else [])
