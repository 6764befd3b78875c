"""A law: a total as the largest, or the smallest, of polynomials in sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product

from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.polynomial import Polynomial
from alexnet_cli.analyses.scale.samples import Total, Where

_TRIED = tuple(2**power for power in range(0, 15, 2))


@dataclass(frozen=True)
class Law:
    """A total as a function of the sizes of dimensions: the largest of the `pieces`, or the `smallest` if so.

    The smallest is what all have in `common` and the smaller of each pair in `limited`. With one dimension another law
    may hold `after`, from a size on.
    Without pieces no law was found.

    `where` names the operator, and its layer, at which each piece of a peak is reached. The law is `proved_at` sizes
    that it was not found from; `except_at` has the values at sizes where it does not hold.
    """

    total: Total
    names: tuple[str, ...]
    pieces: tuple[Polynomial, ...]
    where: tuple[Where, ...] = ()
    proved_at: tuple[Sizes, ...] = ()
    except_at: Mapping[Sizes, int] = field(default_factory=dict)
    smallest: bool = False
    common: Polynomial | None = None
    limited: tuple[tuple[Polynomial, Polynomial], ...] = ()
    after: tuple[int, Law] | None = None

    def at(self, sizes: Sizes) -> Fraction:
        """Return the value at a size for each dimension."""
        if self.after is not None and sizes[0] >= self.after[0]:
            return self.after[1].at(sizes)
        if sizes in self.except_at:
            return Fraction(self.except_at[sizes])
        named = dict(zip(self.names, sizes, strict=True))
        return (min if self.smallest else max)(piece.at(named) for piece in self.pieces)


def leaders(law: Law) -> list[int]:
    """Return the places of the pieces that are a law at sizes which are powers of two, most often so first."""
    often: Counter[int] = Counter()
    for sizes in product(_TRIED, repeat=len(law.names)):
        named = dict(zip(law.names, sizes, strict=True))
        values = [piece.at(named) for piece in law.pieces]
        often[values.index(min(values) if law.smallest else max(values))] += 1
    return [at for at, _ in often.most_common()]


def parts_of(law: Law, within: range) -> list[tuple[range, Law]]:
    """Return the laws that hold one after the other, each with its sizes."""
    if law.after is None:
        return [(within, law)]
    size, later = law.after
    return [(range(within.start, size), law), *parts_of(later, range(size, within.stop))]


def joined(law: Law, size: int, later: Law) -> Law:
    """Return a law after which, from a size on, another holds; each is proved among its own sizes."""
    if law.after is not None:
        return replace(law, after=(law.after[0], joined(law.after[1], size, later)))
    proved = tuple(sizes for sizes in law.proved_at if sizes[0] < size)
    others = {sizes: value for sizes, value in law.except_at.items() if sizes[0] < size}
    own = {sizes: value for sizes, value in later.except_at.items() if sizes[0] >= size}
    return replace(law, proved_at=proved, except_at=others, after=(size, replace(later, except_at=own)))
