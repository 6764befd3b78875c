"""Which layer to change first: the one that has most of something, and what half its outputs would save."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from alexnet_cli.analyses.findings.changes import Changes, kept_by, saved_by
from alexnet_cli.analyses.findings.finding import Evidence, Judged, by_share, fact, not_applicable
from alexnet_cli.analyses.findings.rows import steps, width_of
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.report import Layer, Report

HALF, QUARTER = 0.5, 0.25
MOST_TRIED = 3
"""So many layers are tried, the largest first, until one can be changed alone."""


@dataclass(frozen=True)
class OneLayer:
    """A claim that one layer has most of something: of which rows, how much each has, and how much there is in all.

    `trained` says that what a training step keeps belongs to it.
    """

    rows: Callable[[Report], tuple[Layer, ...]]
    amount: Callable[[Layer], int]
    total: Callable[[Report], int]
    trained: bool = False

    def __call__(self, report: Report) -> Judged:
        """Judge whether one row has most of it."""
        total = self.total(report)
        if not total:
            return not_applicable("nothing_to_share")
        largest = self.largest(report)
        share = fraction(self.amount(largest), total)
        evidence = fact("largest", path=largest.path, amount=self.amount(largest), share=share)
        return Judged(by_share(share, holds=HALF, partly=QUARTER), (evidence,))

    def largest(self, report: Report) -> Layer:
        """Return the row that has most, the first of several."""
        return max(self.rows(report), key=self.amount)

    def candidates(self, report: Report) -> tuple[str, ...]:
        """Return the paths of the layers to try, the largest first."""
        rows = [row for row in self.rows(report) if self.amount(row) and width_of(row) is not None]
        ranked = sorted(rows, key=self.amount, reverse=True)
        return tuple(dict.fromkeys(row.path for row in ranked))[:MOST_TRIED]

    def changed(self, report: Report, changes: Changes | None) -> tuple[Evidence, ...]:
        """Return what a change of the first layer that can be changed alone would save, and why others cannot be."""
        largest = self.largest(report)
        if changes is None:
            return (fact("not_traced", path=largest.path),)
        found = []
        if width_of(largest) is None:
            found.append(fact("other_kind", path=largest.path, type=largest.type))
        for path in self.candidates(report):
            if path not in changes.after:
                break
            found.append(saved_by(path, changes, self.total))
            if isinstance(changes.after[path], Report):
                return (*found, kept_by(path, changes)) if self.trained else tuple(found)
        return tuple(found)


size_in_one_layer = OneLayer(
    rows=lambda report: report.layers,
    amount=lambda row: row.params,
    total=lambda report: report.totals.params,
)
"""One layer holds most of the parameters: to change first for a smaller model."""

work_in_one_layer = OneLayer(
    rows=lambda report: report.layers,
    amount=lambda row: row.macs or 0,
    total=lambda report: report.totals.macs or 0,
)
"""One layer does most of the work: to change first for a faster model."""

outputs_in_one_layer = OneLayer(
    rows=steps,
    amount=lambda row: row.output_bytes,
    total=lambda report: sum(row.output_bytes for row in steps(report)),
    trained=True,
)
"""One layer's output takes most of the memory of outputs: to change first for leaner training."""
