"""Which layer to change first: the one with most of something, and what halving its outputs would save."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from alexnet_cli.analyses.findings.finding import Evidence, Judged, by_share, fact, not_applicable, steps, width_of
from alexnet_cli.analyses.findings.language import Runs
from alexnet_cli.analyses.memory import training
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.report import Layer, Report


class Refused(Struct, frozen=True):
    """Why a change was not traced: `key` is that of its evidence, `values` are its numbers and layers."""

    key: str
    values: dict[str, Any]


class Changes(Struct, frozen=True):
    """Models with half the outputs of one layer, by that layer's path: their reports, or why they have none.

    `before` is the model as it is, run in the same way. `steps` are training steps, of the model as it is and as it is
    changed, where both were traced. `runs` are those of a language model that claims ask for, None if none were made.
    `step` is a training step for claims about wiring, or why it failed; None if there is nothing to train.
    """

    before: Report
    after: Mapping[str, Report | Refused]
    steps: Mapping[str, tuple[Report, Report]] = {}
    runs: Runs | None = None
    step: Report | str | None = None


def saved_by(path: str, changes: Changes, amount: Callable[[Report], int]) -> Evidence:
    """Return what halving a layer's outputs saves of some amount, or why that is unknown."""
    before, after = changes.before, changes.after[path]
    if isinstance(after, Refused):
        return fact(after.key, **{**after.values, "path": path})
    return fact(
        "halved",
        path=path,
        width=_width(path, before),
        half=_width(path, after),
        followers=_followers(path, before, after),
        **_difference(amount(before), amount(after)),
    )


def kept_by(path: str, changes: Changes) -> Evidence:
    """Return how much less a training step saves for backward after halving a layer's outputs."""
    if path not in changes.steps:
        return fact("no_step", path=path)
    before, after = (training(step).saved_activation_bytes for step in changes.steps[path])
    return fact("kept", path=path, **_difference(before, after))


def _difference(before: int, after: int) -> dict[str, Any]:
    return {"before": before, "after": after, "share": fraction(before - after, before)}


def _width(path: str, report: Report) -> int | None:
    return next((width_of(row) for row in report.layers if row.path == path and row.kind == "module"), None)


def _followers(path: str, before: Report, after: Report) -> list[str]:
    """Return the other layers whose settings have changed, in the order they ran."""
    were = {(row.path, row.call): row.settings for row in before.layers if row.kind == "module"}
    changed = (
        row.path
        for row in after.layers
        if row.kind == "module" and row.path != path and were.get((row.path, row.call), row.settings) != row.settings
    )
    return list(dict.fromkeys(changed))


HALF, QUARTER = 0.5, 0.25
MOST_TRIED = 3
"""How many layers are tried, the largest first, until one can be changed alone."""


@dataclass(frozen=True)
class OneLayer:
    """A claim that one layer has most of some amount: the rows, each row's amount, and the total.

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
        """Return the row with the largest amount, the first of several."""
        return max(self.rows(report), key=self.amount)

    def candidates(self, report: Report) -> tuple[str, ...]:
        """Return the paths of the layers to try, the largest first."""
        rows = [row for row in self.rows(report) if self.amount(row) and width_of(row) is not None]
        ranked = sorted(rows, key=self.amount, reverse=True)
        return tuple(dict.fromkeys(row.path for row in ranked))[:MOST_TRIED]

    def changed(self, report: Report, changes: Changes | None) -> tuple[Evidence, ...]:
        """Return what halving the first layer that can be changed alone saves, and why others cannot be changed."""
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
    rows=lambda report: report.layers, amount=lambda row: row.params, total=lambda report: report.totals.params
)
"""One layer holds most of the parameters: to shrink the model, change it first."""

work_in_one_layer = OneLayer(
    rows=lambda report: report.layers, amount=lambda row: row.macs or 0, total=lambda report: report.totals.macs or 0
)
"""One layer does most of the work: to speed the model up, change it first."""

outputs_in_one_layer = OneLayer(
    rows=steps,
    amount=lambda row: row.output_bytes,
    total=lambda report: sum(row.output_bytes for row in steps(report)),
    trained=True,
)
"""One layer's output takes most of the memory of outputs: to save memory in training, change it first."""
