"""Which rows of two models are the same layer, judged by what they are and in which order they run.

A pair's score says how alike two rows are; the alignment is the one with the largest sum of scores that keeps both
orders. Rows of different families are never paired.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from alexnet_cli.analyses.repeats import POSITION_SETTINGS
from alexnet_cli.report import Layer
from alexnet_cli.tape import Shape

MOST_CELLS = 10_000_000
"""Longer stretches, by the product of their lengths, are cut in two before they are aligned."""
POSITIONS = frozenset(POSITION_SETTINGS)
_NO_KIN = frozenset({"other", "container"})
_TYPE, _SETTINGS, _FAMILY, _SHAPES, _PARAMS, _PATH = 40, 40, 20, 8, 8, 4
_REMOVE, _ADD, _PAIR = 0, 1, 2

Pair = tuple[int, int]


class _Look(NamedTuple):
    """What rows are compared by; shapes are without the batch."""

    type: str
    family: str
    settings: tuple[str, ...]
    shapes: tuple[Shape, ...]
    params: int


def align(first: Sequence[Layer], second: Sequence[Layer], *, by_family: bool = False) -> list[Pair]:
    """Return the places of the rows that are the same layer, in order.

    `by_family` is for types that were inferred: a family is then as good as a type. Exchanging the models exchanges
    the places in each pair.
    """
    looks = [_look(row, by_family=by_family) for row in first], [_look(row, by_family=by_family) for row in second]
    paths = [row.path for row in first], [row.path for row in second]
    # Equal scores leave a choice; it must not depend on which model is named first.
    if [*zip(looks[1], paths[1], strict=True)] < [*zip(looks[0], paths[0], strict=True)]:
        swapped = _Alignment(looks[::-1], paths[::-1])
        return [(j, i) for i, j in swapped.pairs(range(len(second)), range(len(first)))]
    return _Alignment(looks, paths).pairs(range(len(first)), range(len(second)))


def _look(row: Layer, *, by_family: bool) -> _Look:
    settings = (
        f"{name}={msgspec.json.encode(v).decode()}" for name, v in row.settings.items() if name not in POSITIONS
    )
    shapes = tuple(shape[1:] for shape in row.output_shapes)
    return _Look(row.family if by_family else row.type, row.family, tuple(sorted(settings)), shapes, row.params)


def _score(a: _Look, b: _Look) -> int:
    if a.type == b.type:
        ours, theirs = set(a.settings), set(b.settings)
        score = _TYPE + (_SETTINGS * len(ours & theirs) // len(ours | theirs) if ours or theirs else _SETTINGS)
    elif a.family == b.family and a.family not in _NO_KIN:
        score = _FAMILY
    else:
        return 0
    return score + _SHAPES * (a.shapes == b.shapes) + _PARAMS * (a.params == b.params)


class _Alignment:
    """The best pairs of two sequences of rows. Scores are cached by look, because deep models repeat few."""

    def __init__(self, looks: Sequence[Sequence[_Look]], paths: Sequence[Sequence[str]]) -> None:
        self._looks = looks
        self._paths = paths
        self._distinct = {look: number for number, look in enumerate(dict.fromkeys(looks[1]))}
        self._numbers = [self._distinct[look] for look in looks[1]]
        self._scores: dict[_Look, list[int]] = {}
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for place, path in enumerate(paths[1]):
            self._places[path].append(place)

    def pairs(self, rows: range, columns: range) -> list[Pair]:
        """Align the stretches `rows` and `columns`, pairing their common start and end at once."""
        start = 0
        while start < min(len(rows), len(columns)) and self._key(0, rows[start]) == self._key(1, columns[start]):
            start += 1
        head = list(zip(rows[:start], columns[:start], strict=True))
        rows, columns = rows[start:], columns[start:]
        end = 0
        while end < min(len(rows), len(columns)) and self._key(0, rows[-1 - end]) == self._key(1, columns[-1 - end]):
            end += 1
        left, right = len(rows) - end, len(columns) - end
        tail = list(zip(rows[left:], columns[right:], strict=True))
        return [*head, *self._middle(rows[:left], columns[:right]), *tail]

    def _middle(self, rows: range, columns: range) -> list[Pair]:
        if len(rows) * len(columns) <= MOST_CELLS or min(len(rows), len(columns)) == 1:
            return self._best(rows, columns)
        i, j = self._cut(rows, columns)
        return self.pairs(rows[:i], columns[:j]) + self.pairs(rows[i:], columns[j:])

    def _cut(self, rows: range, columns: range) -> tuple[int, int]:
        """Choose where to cut both: at a row that occurs once in each, as near to the middle as possible."""
        keys = [[self._key(side, place) for place in places] for side, places in enumerate((rows, columns))]
        counts = [Counter(side) for side in keys]
        at = {key: j for j, key in enumerate(keys[1]) if counts[1][key] == 1}
        middle = len(rows) // 2, len(columns) // 2
        shared = (
            (i, at[key])
            for i, key in enumerate(keys[0])
            if key in at and counts[0][key] == 1 and abs(i - middle[0]) <= middle[0] // 2
        )
        central = [(i, j) for i, j in shared if abs(j - middle[1]) <= middle[1] // 2]
        return min(central, key=lambda cut: abs(cut[0] - middle[0]), default=middle)

    def _key(self, side: int, place: int) -> tuple[object, ...]:
        look = self._looks[side][place]
        return (self._paths[side][place], look.type, look.settings)

    def _best(self, rows: range, columns: range) -> list[Pair]:
        """Fill the table of best sums row by row, keep only how each was reached, and trace it back."""
        above = [0] * (len(columns) + 1)
        moves = []
        for i in rows:
            left = 0
            sums, move = [0], bytearray(len(columns))
            for j, score in enumerate(self._row(i, columns)):
                best, how = above[j + 1], _REMOVE
                if left > best:
                    best, how = left, _ADD
                if above[j] + score > best:
                    best, how = above[j] + score, _PAIR
                sums.append(best)
                move[j] = how
                left = best
            moves.append(move)
            above = sums
        return _followed(moves, rows, columns)

    def _row(self, i: int, columns: range) -> list[int]:
        """Return the scores of a row with each of `columns`; among equal rows the one with the same path wins."""
        look = self._looks[0][i]
        if look not in self._scores:
            self._scores[look] = [_score(look, other) for other in self._distinct]
        scores = self._scores[look]
        found = [scores[number] for number in self._numbers[columns.start : columns.stop]]
        for j in self._places.get(self._paths[0][i], ()):
            if j in columns and found[j - columns.start]:
                found[j - columns.start] += _PATH
        return found


def _followed(moves: Sequence[bytearray], rows: range, columns: range) -> list[Pair]:
    pairs = []
    i, j = len(rows), len(columns)
    while i and j:
        how = moves[i - 1][j - 1]
        if how == _PAIR:
            pairs.append((rows[i - 1], columns[j - 1]))
        i -= how != _ADD
        j -= how != _REMOVE
    return pairs[::-1]
