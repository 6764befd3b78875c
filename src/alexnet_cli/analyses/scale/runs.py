"""The runs from which laws are found: each at the sizes of some dimensions, made once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import gcd

from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.samples import Sample
from alexnet_cli.errors import AlexnetError, NeedsValuesError

LARGEST = 2**31
EVERY = range(1, LARGEST)
"""Larger sizes no tensor has."""
_DIGITS = len(str(LARGEST))

Expected = Callable[[int], Sequence[int]]
"""What sizes inside a model are expected to be at a size of a dimension. No law relies on it, but it spares runs."""


class Runs:
    """Samples at the sizes of dimensions; `base` is where the search begins, and `refused` says what did not run.

    `run` makes a sample, or raises `AlexnetError` at sizes that the model does not take. What `other` runs were
    refused, these are not asked again. What was run before costs nothing more at the sizes `given`. `untold` are sizes
    at which only a run with values could tell. All dimensions stay `within` these sizes. Only
    where it `seeks_limits` runs are made to find out which sizes are the last that run.
    """

    def __init__(
        self, names: Sequence[str], base: Sizes, run: Callable[[Sizes], Sample], other: Runs | None = None
    ) -> None:
        self.names = tuple(names)
        self.base = base
        self.samples: dict[Sizes, Sample] = {}
        self.refused: dict[Sizes, AlexnetError] = {} if other is None else dict(other.refused)
        self.untold: dict[Sizes, AlexnetError] = {} if other is None else dict(other.untold)
        self.given: tuple[Sizes, ...] = ()
        self.within = EVERY
        self.seeks_limits = False
        self._run = run

    def at(self, sizes: Sizes) -> Sample | None:
        """Return the sample at these sizes, None where the model does not run."""
        if sizes not in self.samples and sizes not in self.refused and sizes not in self.untold:
            try:
                self.samples[sizes] = self._run(sizes)
            except NeedsValuesError as error:
                self.untold[sizes] = error
            except AlexnetError as error:
                self.refused[sizes] = error
        return self.samples.get(sizes)

    def take(self, other: Runs) -> None:
        """Take over what others found at the sizes of one dimension that these may have, so as not to run again."""
        self.samples.update({sizes: sample for sizes, sample in other.samples.items() if sizes[0] in self.within})

    def first(self) -> Sample:
        """Return the sample at the base.

        Raises:
            AlexnetError: the model does not run there.
        """
        found = self.at(self.base)
        if found is None:
            raise self.why_not(self.base)
        return found

    def why_not(self, sizes: Sizes) -> AlexnetError:
        """Return why there is no sample at sizes that were asked for."""
        return self.refused.get(sizes) or self.untold[sizes]

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
        return all(size in self.limits(dimension) for dimension, size in enumerate(sizes))

    def limits(self, dimension: int) -> range:
        """Return the sizes of a dimension that may run: up to the next that was refused beyond all others.

        Where only multiples run, others that were refused are no limit.
        """
        known, apart = self._known(dimension), self.apart(dimension)
        refused = [sizes[dimension] for sizes in self.refused if self.moved(dimension, sizes[dimension]) == sizes]
        refused = [size for size in refused if (size - known[0]) % apart == 0]
        least = max((each for each in refused if each < known[0]), default=0)
        most = min((each for each in refused if each > known[-1]), default=LARGEST)
        return range(max(least + 1, self.within.start), min(most, self.within.stop))

    def apart(self, dimension: int) -> int:
        """Return the distance of which all differences between sizes that run are multiples."""
        known = self._known(dimension)
        return gcd(*(size - known[0] for size in known)) or 1

    def _known(self, dimension: int) -> list[int]:
        """Return the sizes that are known not to be refused, in rising order."""
        return sorted(sizes[dimension] for sizes in (*self.samples, *self.untold, self.base))

    def find_limits(self, dimension: int, expected: Expected | None = None) -> None:
        """Run between the last size that is not refused and the next that is, until they are neighbours.

        Tried first are the ends of the sizes where the last size inside is `expected` to be that at the base, and the
        numbers that the message of a refusal names.
        """
        apart, limits = self.apart(dimension), self.limits(dimension)
        if limits == EVERY or self.within != EVERY or not self.seeks_limits:
            return
        likely = None if expected is None else plateau(expected, self.base[dimension])
        if self.limits(dimension).stop < LARGEST:
            self._try_likely(dimension, likely)
            while (last := self._known(dimension)[-1]) + apart < (stop := self.limits(dimension).stop):
                self.at(self.moved(dimension, last + (stop - last) // (2 * apart) * apart))
        if likely is not None and self.limits(dimension).start <= likely.start - 1:
            self.at(self.moved(dimension, likely.start - 1))
        while 1 < (least := self.limits(dimension).start) <= (first := self._known(dimension)[0]) - apart:
            self.at(self.moved(dimension, first - (first - least + 1) // (2 * apart) * apart))

    def _try_likely(self, dimension: int, likely: range | None) -> None:
        """Run at each size that may be the last, and at the next one if it does run."""
        stop = self.limits(dimension).stop
        refusal = self.refused[self.moved(dimension, stop)]
        named = [
            int(number) for number in re.findall(r"\d+", refusal.message.replace(",", "")) if len(number) < _DIGITS
        ]
        for size in (likely.stop - 1, *named) if likely is not None else named:
            for each in (size, size + 1):
                known = self._known(dimension)[-1]
                if known < each < self.limits(dimension).stop and self.at(self.moved(dimension, each)) is None:
                    break

    def named(self, sizes: Sizes) -> Mapping[str, int]:
        """Return sizes by the names of their dimensions."""
        return dict(zip(self.names, sizes, strict=True))


def plateau(expected: Expected, base: int) -> range:
    """Return the sizes next to each other at which the last size inside is expected to be that at the base."""
    last = expected(base)[-1]
    least = next((size for size in range(base, 1, -1) if expected(size - 1)[-1] != last), 1)
    most = next((size for size in range(base, 2 * base) if expected(size + 1)[-1] != last), 2 * base)
    return range(least, most + 1)
