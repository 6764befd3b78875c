"""All laws of a model over some dimensions of its inputs, from runs of its forward and of a training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from alexnet_cli.analyses.scale.axes import explore
from alexnet_cli.analyses.scale.dimensions import BATCH, Dimension
from alexnet_cli.analyses.scale.find import find, find_by_forms
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.held_out import elsewhere
from alexnet_cli.analyses.scale.pieces import Scaling, at_each, base_in, cuts, followed
from alexnet_cli.analyses.scale.runs import EVERY, Expected, Runs
from alexnet_cli.analyses.scale.samples import of_forward, of_training
from alexnet_cli.report import Report

Run = Callable[[Sizes], Report]
"""Runs a model at the sizes of dimensions; raises `AlexnetError` where it does not run."""

_LEAST = 2
"""At a size of 1 torch leaves out copies that it makes at all others, so laws are looked for from here on."""
_SMALL = 5
"""Where operators run in a loop over a dimension, the search begins at this size."""
_DEEPEST = 4
"""Pieces of pieces are looked for so many times."""
_FEW = 4
"""Fewer sizes than these have no law of their own: the model is run at each."""


def scaling(
    dimensions: Sequence[Dimension],
    run: Run,
    train: Run | None,
    expected: Mapping[str, Expected] | None = None,
    unrolls: Callable[[int], bool] = lambda _: False,
) -> Scaling:
    """Return the laws of a model over dimensions; `train` runs a training step, None if there is none.

    What is `expected` along a dimension, by its name, makes for fewer runs. `unrolls` tells whether some layer runs one
    operator as often as a size: then runs at small sizes are much shorter.
    Over one dimension the model may do other things from a size on, as with windows: there other laws follow.

    Raises:
        AlexnetError: the model does not run near its own sizes.
    """
    base = tuple(_base(dimension, unrolls) for dimension in dimensions)
    search = Search(tuple(dimensions), run, train)
    found = search.at(base, expected=expected or {})
    return search.in_pieces(found) if len(dimensions) == 1 else found


def _base(dimension: Dimension, unrolls: Callable[[int], bool]) -> int:
    small = dimension.axes and dimension.name != BATCH and dimension.size > _SMALL and unrolls(dimension.size)
    return _SMALL if small else max(dimension.size, _LEAST)


@dataclass(frozen=True)
class Search:
    """Looks for the laws of a model over dimensions, at all their sizes or within some of them."""

    dimensions: tuple[Dimension, ...]
    run: Run
    train: Run | None

    def at(
        self,
        base: Sizes,
        *,
        within: range = EVERY,
        known: Scaling | None = None,
        expected: Mapping[str, Expected] = MappingProxyType({}),
    ) -> Scaling:
        """Return the laws from runs near a base; what is `known` is not run again."""
        names, other = [dimension.name for dimension in self.dimensions], None if known is None else known.forward
        forward = Runs(names, base, lambda sizes: of_forward(self.run(sizes)), other)
        forward.within, forward.seeks_limits = within, within == EVERY
        if known is not None:
            forward.take(known.forward)
        own = tuple(dimension.size for dimension in self.dimensions)
        if own != base and all(size in within and each.axes for size, each in zip(own, self.dimensions, strict=True)):
            forward.given = (own,)
        axes = tuple(
            explore(forward, at, expected.get(each.name), unrolled=known is None and base[at] == _SMALL < each.size)
            for at, each in enumerate(self.dimensions)
        )
        for axis in axes:
            forward.find_limits(axis.dimension, expected.get(axis.name))
        found = find(forward, axes, forward.first().shares)
        if self.train is None:
            return Scaling(self.dimensions, axes, forward, None, found.laws)
        training = self._training(self.train, forward, known)
        shares, forms, sizes = training.first().shares, set(found.of_part.values()), elsewhere(forward, axes)
        trained = find_by_forms(training, shares, forms, sizes) if forms and shares is not None else None
        trained = trained or find(training, axes, shares)
        return Scaling(self.dimensions, axes, forward, training, found.laws + trained.laws)

    def _training(self, train: Run, forward: Runs, known: Scaling | None) -> Runs:
        training = Runs(forward.names, forward.base, lambda sizes: of_training(train(sizes)), forward)
        training.within = forward.within
        if known is not None and known.training is not None:
            training.take(known.training)
        return training

    def in_pieces(self, found: Scaling, depth: int = _DEEPEST) -> Scaling:
        """Return laws over one dimension that follow one another, where a model does other things from a size on."""
        sizes, limits = cuts(found), found.forward.within
        if not sizes or not depth:
            return found
        edges = [limits.start, *sizes, limits.stop]
        ranges = [range(*edge) for edge in pairwise(edges) if edge[0] < edge[1]]
        return followed(found, [(within, self.piece(found, within, depth - 1)) for within in ranges])

    def piece(self, found: Scaling, within: range, depth: int) -> Scaling:
        """Return the laws within some of the sizes at which something was found."""
        if len(within) < _FEW:
            return at_each(found, within)
        return self.in_pieces(self.at((base_in(found.forward, within),), within=within, known=found), depth)
