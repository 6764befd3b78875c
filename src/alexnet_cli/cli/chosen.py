"""The options of `alexnet summary` that choose its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from alexnet_cli.analyses.columns import COLUMNS, ChosenRow, Joined, choose, largest, parse_columns
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report

_USUAL = ("path", "output_shapes", "params", "macs")


class Chosen(NamedTuple):
    """The columns that were asked for, and the order of the rows."""

    names: tuple[str, ...]
    sort: str | None
    top: int | None

    def rows(self, report: Report, step: Callable[[], Report | None], depth: int | None) -> tuple[ChosenRow, ...]:
        """Return the rows with their columns; `step` traces a training step, called only if a column is of one.

        Raises:
            UsageError: a column needs what ran, operator by operator, and the report does not have it.
        """
        needed = any(COLUMNS[name].of_step for name in self.names)
        rows = choose(Joined(report, step() if needed else None), self.names, depth)
        return rows if self.sort is None else largest(rows, self.sort, self.top)


def chosen_columns(columns: Sequence[str] | None, sort: str | None, top: int | None) -> Chosen | None:
    """Read `--columns`, `--sort` and `--top`; None where the usual table is wanted.

    Raises:
        UsageError: a column is not known, has no order, or --top stands alone.
    """
    if top is not None and sort is None:
        raise UsageError("--top goes with --sort", "as in --sort params --top 5")
    if columns is None and sort is None:
        return None
    names = parse_columns(columns) if columns is not None else _USUAL
    if sort is None:
        if not names:
            raise UsageError("--columns names no column", f"known: {', '.join(COLUMNS)}")
        return Chosen(names, None, None)
    by = parse_columns([sort])
    if len(by) != 1 or COLUMNS[by[0]].unit in ("text", "shape", "shapes"):
        numbers = [name for name, column in COLUMNS.items() if column.unit not in ("text", "shape", "shapes")]
        raise UsageError(f"--sort {sort!r} is no column of numbers", f"one of: {', '.join(numbers)}")
    return Chosen(names if by[0] in names else (*names, by[0]), by[0], top)
