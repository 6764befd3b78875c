"""Laws of totals as they are, where runs at different sizes do different operators, as loops over time do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, product

from alexnet_cli.analyses.scale.axes import Axis
from alexnet_cli.analyses.scale.envelope import without_smaller
from alexnet_cli.analyses.scale.fit import Sizes, on_grid, through
from alexnet_cli.analyses.scale.held_out import others
from alexnet_cli.analyses.scale.law import Law
from alexnet_cli.analyses.scale.polynomial import Polynomial
from alexnet_cli.analyses.scale.runs import Runs
from alexnet_cli.analyses.scale.samples import Moment, Quantity, Sample, Total

_MOST_POINTS = 7

Key = Total | Moment
Lines = Sequence[tuple[tuple[int, ...], set[Key]]]


def by_totals(runs: Runs, axes: Sequence[Axis], peak: Quantity | None) -> tuple[Law, ...]:
    """Return the laws of totals, from runs at all combinations of as many sizes as their degrees take.

    A peak is the largest of the laws of the moments at which it may be. Totals that have no law come without pieces.
    """
    totals = list(runs.first().totals)
    lines = [_line(runs, axis, [total for total in totals if total[0] != peak]) for axis in axes]
    grid = {sizes: runs.at(sizes) for sizes in product(*(sizes for sizes, _ in lines))}
    samples = {sizes: sample for sizes, sample in grid.items() if sample is not None}
    if len(samples) < len(grid):
        return tuple(Law(total, runs.names, ()) for total in totals)
    return tuple(
        _peak(runs, total, lines, samples) if total[0] == peak else _of(runs, total, lines, samples) for total in totals
    )


def _values(sample: Sample) -> Mapping[Key, int]:
    return dict(chain[tuple[Key, int]](sample.totals.items(), sample.moments.items()))


def _of(runs: Runs, total: Total, lines: Lines, samples: Mapping[Sizes, Sample]) -> Law:
    if not all(total in found for _, found in lines):
        return Law(total, runs.names, ())
    points = {sizes: sample.totals.get(total, 0) for sizes, sample in samples.items()}
    return Law(total, runs.names, (on_grid(runs.names, points),))


def _peak(runs: Runs, total: Total, lines: Lines, samples: Mapping[Sizes, Sample]) -> Law:
    """Return the largest of the laws of moments, if it is the peak at all sizes that ran; else none.

    A moment that some runs do not have, such as one in the fifth turn of a loop, is left out.
    """
    where: dict[Polynomial, Moment] = {}
    for key in runs.first().moments:
        if all(key in found for _, found in lines) and all(key in sample.moments for sample in runs.samples.values()):
            live = on_grid(runs.names, {sizes: sample.moments[key] for sizes, sample in samples.items()})
            if all(live.at(runs.named(sizes)) == sample.moments[key] for sizes, sample in runs.samples.items()):
                where.setdefault(live, key)
    pieces = without_smaller(list(where))
    law = Law(total, runs.names, tuple(pieces), tuple(where[piece][2:] for piece in pieces))
    holds = all(law.at(sizes) == sample.totals[total] for sizes, sample in runs.samples.items()) if pieces else False
    return law if holds else Law(total, runs.names, ())


def _line(runs: Runs, axis: Axis, needed: Sequence[Total]) -> tuple[tuple[int, ...], set[Key]]:
    """Return as many sizes of a dimension as the degrees of totals along it take, and what has a law along it."""
    sizes, more = list(runs.running(axis.dimension, axis.sizes)), others(runs, axis)
    while True:
        lines = [_values(runs.samples[runs.moved(axis.dimension, size)]) for size in sizes]
        degrees = {key: len(through(sizes, [line.get(key, 0) for line in lines])) - 1 for key in lines[0]}
        sure = {key: degree for key, degree in degrees.items() if degree + 1 < len(sizes)}
        known = all(total in sure for total in needed)
        another = None if known or len(sizes) >= _MOST_POINTS else next(more, None)
        if another is None:
            degree = max((sure[total] for total in needed if total in sure), default=1)
            return tuple(sizes[: max(degree, 1) + 1]), {key for key in sure if sure[key] <= max(degree, 1)}
        sizes += list(runs.running(axis.dimension, [another]))
