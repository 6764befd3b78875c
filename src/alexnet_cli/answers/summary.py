"""`summary`: the layers of a model, its parameters and MACs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from alexnet_cli.analyses.columns import COLUMNS, ChosenRow, Joined, choose, largest
from alexnet_cli.analyses.shares import FamilyShare, TypeShare, by_family, by_type, fold
from alexnet_cli.analyses.weights import WeightsMatch
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.document import Block, Column, Role, Row, Table, Value
from alexnet_cli.errors import UsageError, nearest
from alexnet_cli.report import Layer, Report, Totals
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.checkpoints import compared
from alexnet_cli.session.how import TrainingStep
from alexnet_cli.session.session import Session, Variation
from alexnet_cli.tape import Tape
from alexnet_cli.views.parts import hidden_note, layer_name
from alexnet_cli.views.summary import layer_blocks, summary_document

_USUAL = ("path", "output_shapes", "params", "macs")
_WITHOUT_ORDER = ("text", "shape", "shapes")


class SummaryResult(Envelope, frozen=True, kw_only=True):
    """`alexnet summary --json`; also what a saved report is."""

    layers: tuple[Layer, ...]
    totals: Totals
    by_type: tuple[TypeShare, ...]
    by_family: tuple[FamilyShare, ...]
    tape: Tape | UnsetType = UNSET
    weights: WeightsMatch | UnsetType = UNSET
    columns: tuple[ChosenRow, ...] | UnsetType = UNSET


def summary(
    session: Session,
    *,
    depth: int | None = None,
    columns: Sequence[str] | None = None,
    sort: str | None = None,
    top: int | None = None,
    all_rows: bool = False,
    lines: bool = False,
    weights: str | PathLike[str] | None = None,
) -> Answer[SummaryResult]:
    """Show the layers: output shapes, parameters, MACs, and who holds what. `weights` is a checkpoint to compare with.

    Without one, a model folder is compared with the checkpoint in it.

    The table leaves out functions that only reshape or select, unless `all_rows`; the result always has them. With
    `lines` its tape says which lines of your own source ran, for `annotate`.

    Raises:
        UsageError: an option does not parse, or options do not go together.
        AlexnetError: the model cannot be loaded or run.
    """
    chosen = _chosen(columns, sort, top)
    if lines and session.can_run:
        session = session.vary(Variation(source=()))
    report = session.report()
    match = compared(session, Path(weights) if weights else None)
    result = summary_result(report, depth, match)
    shown = partial(layer_blocks, report, depth, all_rows=all_rows)
    if chosen is not None:
        names, by = chosen
        step = session.training(TrainingStep("none")) if any(COLUMNS[name].of_step for name in names) else None
        rows = choose(Joined(report, step), names, depth)
        rows = rows if by is None else largest(rows, by, top)
        result = replace(result, columns=rows)
        all_rows = all_rows or top is not None  # of the N largest none is hidden
        shown = partial(_columns_blocks, report, rows, names, tree=by is None, all_rows=all_rows)
    held = match is None or match.holds
    return Answer(
        result, lambda: summary_document(report, depth, match, shown()), failures=failures_of(report), held=held
    )


def summary_result(report: Report, depth: int | None = None, match: WeightsMatch | None = None) -> SummaryResult:
    """Return the JSON of a report."""
    return SummaryResult(
        **Envelope.of(report, "summary"),
        layers=fold(report, depth).layers,
        totals=report.totals,
        by_type=by_type(report),
        by_family=by_family(report),
        tape=UNSET if report.tape is None or depth is not None else report.tape,
        weights=UNSET if match is None else match,
    )


def _chosen(
    columns: Sequence[str] | None, sort: str | None, top: int | None
) -> tuple[tuple[str, ...], str | None] | None:
    """Read the columns, and the one by which the rows are sorted; None for the usual table."""
    if top is not None and sort is None:
        raise UsageError("--top goes with --sort", "as in --sort params --top 5")
    if columns is None and sort is None:
        return None
    names = _columns(columns) if columns is not None else _USUAL
    if sort is None:
        if not names:
            raise UsageError("--columns names no column", f"known: {', '.join(COLUMNS)}")
        return names, None
    by = _columns([sort])
    if len(by) != 1 or COLUMNS[by[0]].unit in _WITHOUT_ORDER:
        numbers = [name for name, column in COLUMNS.items() if column.unit not in _WITHOUT_ORDER]
        raise UsageError(f"--sort needs a column of numbers, not {sort!r}", f"one of: {', '.join(numbers)}")
    return (names if by[0] in names else (*names, by[0])), by[0]


def _columns(given: Sequence[str]) -> tuple[str, ...]:
    """Read the names of columns, in several arguments or separated by commas."""
    names = [name.strip().replace("-", "_") for item in given for name in item.split(",") if name.strip()]
    for name in names:
        if name not in COLUMNS:
            raise UsageError(f"unknown column {name!r}", nearest(name, COLUMNS))
    return tuple(dict.fromkeys(names))


def _columns_blocks(
    report: Report, rows: Sequence[ChosenRow], names: Sequence[str], *, tree: bool, all_rows: bool
) -> tuple[Block, ...]:
    """Show rows with these columns, and below them how many are hidden."""
    shown = rows
    if not all_rows and report.error is None:
        shown = [row for row in rows if not report.layers[row.row].only_rearranges]
    return (_columns_table(report, shown, names, tree=tree), *hidden_note(len(rows) - len(shown)))


def _columns_table(report: Report, rows: Sequence[ChosenRow], names: Sequence[str], *, tree: bool) -> Table:
    """Show rows with these columns, as a tree or in the order given; the last columns are the first to make room."""
    least = max(8 - len(names), 1)
    columns = [Column("layer", "Layer", tree=tree)]
    for place, name in enumerate(names):
        column = COLUMNS[name]
        columns.append(Column(name, column.title, column.unit, max(8 - place, least), bar=column.bar))
    return Table("layers", tuple(columns), tuple(_row(row, report, names, tree=tree) for row in rows))


def _row(row: ChosenRow, report: Report, names: Sequence[str], *, tree: bool) -> Row:
    layer = report.layers[row.row]
    cells = (layer_name(layer), *(_cell(row, name, layer) for name in names))
    role: Role = "group" if row.group else "function" if layer.kind == "function" else "leaf"
    return Row(cells, row.depth if tree else 0, role, layer.family)


def _cell(row: ChosenRow, name: str, layer: Layer) -> Value:
    value = row.values[name]
    if row.group and COLUMNS[name].bar:
        return None  # the rows below it show their shares already
    if name == "intensity" and value is None and layer.macs_total is not None:
        return ""  # it moves no bytes: there is no ratio
    return value  # type: ignore[no-any-return] # a Value, as `ChosenRow` says
