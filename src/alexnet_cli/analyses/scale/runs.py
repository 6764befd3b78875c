"""The runs from which laws are found: each at the sizes of some dimensions, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.samples import Sample
from alexnet_cli.errors import AlexnetError

LARGEST = 2**31
"""Larger sizes no tensor has."""


class Runs:
    """Samples at the sizes of dimensions; `base` is where the search begins, and `refused` says what did not run.

    `run` makes a sample, or raises `AlexnetError` at sizes that the model does not take. What `other` runs were
    refused, these are not asked again.
    """

    def __init__(
        self, names: Sequence[str], base: Sizes, run: Callable[[Sizes], Sample], other: Runs | None = None
    ) -> None:
        self.names = tuple(names)
        self.base = base
        self.samples: dict[Sizes, Sample] = {}
        self.refused: dict[Sizes, AlexnetError] = {} if other is None else dict(other.refused)
        self._run = run

    def at(self, sizes: Sizes) -> Sample | None:
        """Return the sample at these sizes, None where the model does not run."""
        if sizes not in self.samples and sizes not in self.refused:
            try:
                self.samples[sizes] = self._run(sizes)
            except AlexnetError as error:
                self.refused[sizes] = error
        return self.samples.get(sizes)

    def first(self) -> Sample:
        """Return the sample at the base.

        Raises:
            AlexnetError: the model does not run there.
        """
        found = self.at(self.base)
        if found is None:
            raise self.refused[self.base]
        return found

    def alike(self, sizes: Sizes) -> Sample | None:
        """Return the sample at these sizes if it has the structure of that at the base."""
        found = self.at(sizes)
        return found if found is not None and found.structure == self.first().structure else None

    def moved(self, dimension: int, size: int) -> Sizes:
        """Return the base with another size of one dimension."""
        return (*self.base[:dimension], size, *self.base[dimension + 1 :])

    def running(self, dimension: int, sizes: Iterable[int]) -> Iterator[int]:
        """Yield those sizes of a dimension, the others as in the base, at which the model runs."""
        for size in sizes:
            if self.may_run(self.moved(dimension, size)) and self.at(self.moved(dimension, size)) is not None:
                yield size

    def may_run(self, sizes: Sizes) -> bool:
        """Tell whether sizes may run: none is beyond one that was refused, unless a size that ran is too."""
        return all(self._is_inside(dimension, size) for dimension, size in enumerate(sizes))

    def _is_inside(self, dimension: int, size: int) -> bool:
        ran = [sizes[dimension] for sizes in self.samples] or [self.base[dimension]]
        refused = [sizes[dimension] for sizes in self.refused if self.moved(dimension, sizes[dimension]) == sizes]
        least = max((each for each in refused if each < min(ran)), default=0)
        most = min((each for each in refused if each > max(ran)), default=LARGEST)
        return least < size < most

    def named(self, sizes: Sizes) -> Mapping[str, int]:
        """Return sizes by the names of their dimensions."""
        return dict(zip(self.names, sizes, strict=True))
