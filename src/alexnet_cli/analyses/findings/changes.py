"""What half the outputs of one layer save, by two reports: of the model as it is, and of the model with that change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from alexnet_cli.analyses.findings.finding import Evidence, fact
from alexnet_cli.analyses.findings.rows import width_of
from alexnet_cli.analyses.memory import training
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.report import Report


class Refused(Struct, frozen=True):
    """Why a change was not traced: `key` is that of its evidence, `values` are its numbers and layers."""

    key: str
    values: dict[str, Any]


class Changes(Struct, frozen=True):
    """Models with half the outputs of one layer, by that layer's path: their reports, or why there is none.

    `before` is the model as it is, run in the same way. `steps` are training steps, of the model as it is and as it is
    changed, where both were traced.
    """

    before: Report
    after: Mapping[str, Report | Refused]
    steps: Mapping[str, tuple[Report, Report]] = {}


def saved_by(path: str, changes: Changes, amount: Callable[[Report], int]) -> Evidence:
    """Return how much less of something there is with half the outputs of a layer, or why that is not known."""
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
    """Return how much less a training step keeps for backward with half the outputs of a layer."""
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
