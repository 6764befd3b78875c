"""Repeated stretches of a data flow, each folded into one with a repetition count."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from alexnet_cli.analyses.flow import Flow, Frame, Links, joined
from alexnet_cli.analyses.repeats import likenesses
from alexnet_cli.report import Layer, siblings, subtree_ends

LONGEST_PERIOD = 24
"""The most rows of a container that one repetition may consist of."""
FEWEST_PARALLEL = 4
"""How many parallel copies are folded: the query, key and value of an attention stay three nodes."""


def fold_flow(flow: Flow, layers: Sequence[Layer]) -> Flow:
    """Fold repetitions: equal rows with equal rows below them and the same edges within, between and around them.

    The first copy remains, without the edges from one copy to the next, which the repetition count implies. The
    `copies` of its nodes list the rows that were folded into them.
    """
    folder = _Folder(flow, layers)
    folder.visit(0)
    return folder.result()


@dataclass(frozen=True)
class _Copies:
    """The copies of a stretch: the nodes of each, and the row where each begins; a copy has `period` rows."""

    nodes: tuple[tuple[int, ...], ...]
    rows: tuple[int, ...]
    period: int

    def part(self, start: int, stop: int) -> _Copies:
        return _Copies(self.nodes[start:stop], self.rows[start:stop], self.period)

    @property
    def worthwhile(self) -> bool:
        """Whether there are several copies with equally many nodes, so that folding saves space."""
        sizes = {len(copy) for copy in self.nodes}
        return len(self.nodes) > 1 and len(sizes) == 1 and sizes != {0}


Edges = set[tuple[int, int]]


@dataclass(frozen=True)
class _Ties:
    """The edges of one copy: within it, to the next, from outside, to outside; its own nodes by their place in it."""

    inside: Edges
    onward: Edges
    into: Edges
    out: Edges


class _Folder:
    def __init__(self, flow: Flow, layers: Sequence[Layer]) -> None:
        self.flow = flow
        self.layers = layers
        self.links = Links(range(len(flow.nodes)), flow.edges)
        self.copies: dict[int, tuple[tuple[int, ...], ...]] = {}
        self.found: list[tuple[_Copies, bool]] = []
        self.numbers = [number for number, node in enumerate(flow.nodes) if node.kind == "row"]
        self.heads = [flow.nodes[number].rows[0] for number in self.numbers]
        self.ends = subtree_ends(layers)
        self.keys = likenesses(layers, self.ends)

    def visit(self, row: int) -> None:
        """Fold repetitions among the children of a row, then among theirs."""
        if row >= len(self.layers):
            return
        pending = [row]
        while pending:
            above = pending.pop()
            parts = list(siblings(self.ends, above + 1, self.ends[above]))
            keys = [self.keys[part] for part in parts]
            position = 0
            while position < len(parts):
                stays, done = self._fold_at(parts, keys, position)
                pending += stays
                position += done

    def _fold_at(self, parts: Sequence[int], keys: Sequence[int], start: int) -> tuple[Sequence[int], int]:
        """Fold the repetition that begins here; return the parts that remain, and how many were handled."""
        period, count = _tandem(keys, start)
        if count == 1:
            return parts[start : start + 1], 1
        firsts = [parts[start + period * copy] for copy in range(count)]
        lasts = [parts[start + period * (copy + 1) - 1] for copy in range(count)]
        nodes = tuple(self._between(first, self.ends[last]) for first, last in zip(firsts, lasts, strict=True))
        copies = _Copies(nodes, tuple(firsts), period)
        for begin, end in ((0, count), (1, count), (0, count - 1), (1, count - 1)):
            part = copies.part(begin, end)
            if part.worthwhile and self._fold(part):
                before, after = start + period * (begin + 1), start + period * end
                return [*parts[start:before], *parts[after : start + period * count]], period * count
        return parts[start : start + 1], 1

    def _between(self, start: int, end: int) -> tuple[int, ...]:
        found = self.numbers[bisect_left(self.heads, start) : bisect_left(self.heads, end)]
        return tuple(number for number in found if number in self.links.nodes)

    def _fold(self, copies: _Copies) -> bool:
        ties = self._ties(copies)
        if ties is None or not _alike(ties):
            return False
        parallel = not ties[0].onward
        if parallel and len(copies.nodes) < FEWEST_PARALLEL:
            return False
        first, *others = copies.nodes
        for place, target in ties[-1].out:
            self.links.connect(first[place], target)
        for place, node in enumerate(first):
            rows = [(self.flow.nodes[copy[place]].rows, *self.copies.get(copy[place], ())) for copy in others]
            self.copies[node] = (*self.copies.get(node, ()), *(item for group in rows for item in group))
        for node in (node for copy in others for node in copy):
            self.links.remove(node)
        self.found.append((copies, parallel))
        return True

    def _ties(self, copies: _Copies) -> list[_Ties] | None:
        """Return the edges of each copy; None if a copy feeds any other than the next."""
        place = {node: (number, i) for number, copy in enumerate(copies.nodes) for i, node in enumerate(copy)}
        ties = []
        for number, copy in enumerate(copies.nodes):
            tie = _Ties(set(), set(), set(), set())
            for i, node in enumerate(copy):
                tie.into.update((source, i) for source in self.links.before[node] if source not in place)
                for target in self.links.after[node]:
                    other, j = place.get(target, (None, target))
                    if other is None:
                        tie.out.add((i, target))
                    elif other == number:
                        tie.inside.add((i, j))
                    elif other == number + 1:
                        tie.onward.add((i, j))
                    else:
                        return None
            ties.append(tie)
        return ties

    def result(self) -> Flow:
        """Return the remaining nodes, renumbered."""
        number, edges = self.links.settled()
        known = {node: self.flow.nodes[node] for node in number}
        nodes = (replace(known[node], copies=self.copies.get(node, known[node].copies)) for node in number)
        frames = joined(self._frame(copies, number, parallel=parallel) for copies, parallel in self.found)
        return replace(self.flow, nodes=tuple(nodes), edges=edges, frames=frames)

    def _frame(self, copies: _Copies, number: dict[int, int], *, parallel: bool) -> Frame:
        kept = [number[node] for node in copies.nodes[0] if node in number]
        whole = copies.period == 1
        return Frame(min(kept), max(kept), len(copies.nodes), copies.rows[0], copies.rows[-1], whole, parallel)


def _alike(ties: Sequence[_Ties]) -> bool:
    """Whether all copies have the same edges, and each reads from the one before as the first does from outside."""
    first, last = ties[0], ties[-1]
    shared_in, shared_out = ties[1].into, first.out
    return (
        all(tie.inside == first.inside for tie in ties)
        and all(tie.onward == first.onward for tie in ties[:-1])
        and all(tie.into == shared_in for tie in ties[1:])
        and all(tie.out == shared_out for tie in ties[:-1])
        and shared_in <= first.into
        and shared_out <= last.out
        and {i for _, i in first.into - shared_in} <= {j for _, j in first.onward}
        and {i for i, _ in last.out - shared_out} <= {i for i, _ in first.onward}
    )


def _tandem(keys: Sequence[int], start: int) -> tuple[int, int]:
    """Return period and count of the repetition from here on that covers most rows; a count of 1 means none."""
    best = (1, 1)
    for period in range(1, min(LONGEST_PERIOD, (len(keys) - start) // 2) + 1):
        end = start + period
        while end < len(keys) and keys[end] == keys[end - period]:
            end += 1
        count = (end - start) // period
        if count > 1 and count * period > best[0] * best[1]:
            best = period, count
    return best
