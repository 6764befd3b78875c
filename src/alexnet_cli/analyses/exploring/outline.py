"""A tree of rows in depth-first order, and which of them are shown when some are folded, sought or sorted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property

from msgspec import Struct

from alexnet_cli.document import Value
from alexnet_cli.report import siblings, subtree_ends
from alexnet_cli.stored import StoredTensor


class Entry(Struct, frozen=True):
    """A row of the tree: the layer at `row` of the report, or a tensor that is stored for it.

    `name` is its own name below the row above it, `kind` what it is, `sought` what a search looks at, in lower case.
    """

    row: int
    depth: int
    name: str
    kind: str
    sought: str
    tensor: StoredTensor | None = None


class Shown(Struct, frozen=True):
    """What is asked of a tree. All of `words` must occur in an entry; `flat` leaves out the entries with others below.

    `folded` are positions of entries that hide those below them; a search opens them. `by` is the column that orders
    the entries below one another, `upward` from the least value on.
    """

    folded: frozenset[int] = frozenset()
    words: tuple[str, ...] = ()
    by: str | None = None
    upward: bool = False
    flat: bool = False


class Outline:
    """The entries of a tree. Positions are those in `entries`."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """For each entry the position just past those below it."""
        return subtree_ends(self.entries)

    @cached_property
    def parents(self) -> tuple[int | None, ...]:
        """For each entry the one above it, None at the top."""
        found: list[int | None] = [None] * len(self.entries)
        for at, end in enumerate(self.ends):
            for child in siblings(self.ends, at + 1, end):
                found[child] = at
        return tuple(found)

    def children(self, at: int) -> tuple[int, ...]:
        """Return the entries directly below one."""
        return tuple(siblings(self.ends, at + 1, self.ends[at]))

    def has_children(self, at: int) -> bool:
        """Tell whether there are entries below one."""
        return self.ends[at] > at + 1

    def above(self, at: int) -> tuple[int, ...]:
        """Return the entries that an entry is below, the nearest first."""
        found, parent = [], self.parents[at]
        while parent is not None:
            found.append(parent)
            parent = self.parents[parent]
        return tuple(found)

    def folded_below(self, depth: int) -> frozenset[int]:
        """Return the entries to fold so that those at a depth are the deepest to be seen; the first is at 0."""
        return frozenset(at for at, entry in enumerate(self.entries) if entry.depth >= depth and self.has_children(at))

    def depth_within(self, most: int) -> int:
        """Return the largest depth at which so many entries, or fewer, are seen; at least 1."""
        counts = Counter(entry.depth for entry in self.entries)
        seen, depth = counts[0] + counts[1], 1
        while counts[depth + 1] and seen + counts[depth + 1] <= most:
            depth += 1
            seen += counts[depth]
        return depth

    def visible(self, shown: Shown, value: Callable[[int, str], Value]) -> tuple[int, ...]:
        """Return the positions of the entries to show, in their order; `value` is that of an entry in a column."""
        words = [word.lower() for word in shown.words]
        matching = {at for at, entry in enumerate(self.entries) if all(word in entry.sought for word in words)}
        if shown.flat:
            leaves = [at for at, end in enumerate(self.ends) if end == at + 1]
            return tuple(self._ordered([at for at in leaves if at in matching], shown, value))
        wanted = {*matching, *(up for at in matching for up in self.above(at))} if words else None
        found: list[int] = []
        waiting = [*reversed(self._ordered([*siblings(self.ends, 0, len(self.entries))], shown, value))]
        while waiting:
            at = waiting.pop()
            if wanted is not None and at not in wanted:
                continue
            found.append(at)
            if self.has_children(at) and (wanted is not None or at not in shown.folded):
                waiting += reversed(self._ordered(self.children(at), shown, value))
        return tuple(found)

    @staticmethod
    def _ordered(places: Sequence[int], shown: Shown, value: Callable[[int, str], Value]) -> Sequence[int]:
        """Sort by the column: numbers from the largest on, text by the alphabet, what is unknown last."""
        by = shown.by
        if by is None:
            return list(places)
        known: list[tuple[int, Value]] = [(at, value(at, by)) for at in places]
        numbers = [(at, given) for at, given in known if isinstance(given, (int, float))]
        texts = [(at, given) for at, given in known if isinstance(given, str) and given]
        ordered = {at for at, _ in (*numbers, *texts)}
        numbers.sort(key=lambda item: item[1] if shown.upward else -item[1])
        texts.sort(key=lambda item: item[1], reverse=shown.upward)
        return [*(at for at, _ in numbers), *(at for at, _ in texts), *(at for at in places if at not in ordered)]
