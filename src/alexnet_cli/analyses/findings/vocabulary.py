"""How much of a model its embedding is."""

from __future__ import annotations

from math import prod

from msgspec import Struct

from alexnet_cli.analyses.findings.finding import Evidence, Judged, by_share, fact, not_applicable
from alexnet_cli.analyses.findings.products import fixed_values, path_of
from alexnet_cli.analyses.serving.cached import modules_of
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.analyses.traffic import is_lookup
from alexnet_cli.report import Report
from alexnet_cli.tape import Shape, Tape

QUARTER, TENTH = 0.25, 0.1
_MATRIX = 2


class _Table(Struct, frozen=True):
    """A table of rows that are looked up, and the path of its module; of `words` if the inputs say which rows."""

    storage: int
    path: str
    shape: Shape
    params: int
    words: bool


def embedding(report: Report) -> Judged:
    """The embedding holds a large part of the parameters."""
    tables = {} if report.tape is None else _tables(report, report.tape)
    if not tables or report.tape is None:
        return not_applicable("no_embedding")
    everything = report.totals.params
    held = sum(table.params for table in tables.values())
    evidence = [_told(table, everything) for table in sorted(tables.values(), key=lambda each: -each.params)]
    evidence += _heads(report, report.tape, tables, held)
    return Judged(by_share(fraction(held, everything), holds=QUARTER, partly=TENTH), tuple(evidence))


def _told(table: _Table, params: int) -> Evidence:
    (rows, width), share = table.shape, fraction(table.params, params)
    return fact("table", path=table.path, rows=rows, width=width, params=table.params, share=share)


def _tables(report: Report, tape: Tape) -> dict[int, _Table]:
    """Return the tables of parameters that are looked up by row, by storage."""
    modules, fixed, found = modules_of(report.layers), fixed_values(tape), dict[int, _Table]()
    for operation in tape.operations:
        if not is_lookup(operation) or operation.row is None or report.layers[operation.row].family != "embedding":
            continue
        value = tape.values[operation.reads[0]]
        if tape.storages[value.storage].role != "parameter" or len(value.shape) != _MATRIX:
            continue
        path = path_of(operation, report, modules)
        words = operation.reads[1] not in fixed
        found.setdefault(value.storage, _Table(value.storage, path, value.shape, prod(value.shape), words))
    return found


def _heads(report: Report, tape: Tape, tables: dict[int, _Table], held: int) -> list[Evidence]:
    """Return the layers that multiply with a table, and those with a weight of its shape."""
    modules, found = modules_of(report.layers), dict[int, Evidence]()
    for operation in tape.operations:
        for value in operation.reads if operation.macs else ():
            it, path = tape.values[value], path_of(operation, report, modules)
            if tape.storages[it.storage].role != "parameter" or it.storage in found:
                continue
            if it.storage in tables:
                found[it.storage] = fact("tied", path=path, table=tables[it.storage].path)
                continue
            alike = [table for table in tables.values() if table.words and sorted(table.shape) == sorted(it.shape)]
            if alike and it.shape[0] != it.shape[1]:
                share = fraction(held + alike[0].params, report.totals.params)
                found[it.storage] = fact("as_many", path=path, params=alike[0].params, share=share)
    return list(found.values())
