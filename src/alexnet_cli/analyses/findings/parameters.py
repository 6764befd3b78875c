"""Where parameters and memory sit, in embeddings too, how often a weight is used, and what groups save."""

from __future__ import annotations

from math import prod

from msgspec import Struct

from alexnet_cli.analyses.findings.finding import (
    Convolution,
    Evidence,
    Judged,
    by_exceptions,
    by_share,
    convolutions,
    fact,
    not_applicable,
    of_family,
    steps,
)
from alexnet_cli.analyses.findings.products import fixed_values
from alexnet_cli.analyses.serving.cached import paths_of
from alexnet_cli.analyses.shares import FamilyShare, by_family, by_type, fraction
from alexnet_cli.analyses.traffic import is_lookup
from alexnet_cli.report import Family, Layer, Report
from alexnet_cli.tape import Shape, Tape

OVERWHELMING = 5
"""From this ratio on, linear layers have far more parameters."""
MOST_OF_ALL = 0.8
HALF, QUARTER, TENTH = 0.5, 0.25, 0.1
GROUPS = 2
_MATRIX = 2


def in_conv_and_linear(report: Report) -> Judged:
    """Only convolutions and linear layers have parameters."""
    types = by_type(report)
    holders = [item for item in types if item.params]
    if not holders:
        return not_applicable("no_parameters")
    convs, linears = ([item for item in holders if item.family == family] for family in ("conv", "linear"))
    others = [item for item in holders if item.family not in ("conv", "linear")]
    params = sum(item.params for item in convs + linears)
    counts = {"convolutions": _working(report, "conv"), "linears": _working(report, "linear")}
    evidence = [fact("holders", **counts, share=fraction(params, report.totals.params))]
    for item in others:
        paths = [row.path for row in report.layers if row.type == item.type and row.held.get(item.family)]
        evidence.append(fact("other_holder", type=item.type, params=item.params, share=item.params_share, paths=paths))
    without = [item.type for item in types if not item.params and item.layers]
    if without:
        evidence.append(fact("none_to_learn", types=without))
    unused = [module.path for module in report.totals.unused_modules if module.params]
    if unused:
        evidence.append(fact("unused", paths=unused))
    return Judged(by_exceptions(kept=int(params > report.totals.params / 2), exceptions=len(others)), tuple(evidence))


def _working(report: Report, family: Family) -> int:
    """Count the layers of a family, and the functions that do its work with parameters held elsewhere."""
    rows = of_family(report.layers, family)
    return sum((row.leaf and row.kind == "module") or (row.kind == "function" and bool(row.macs)) for row in rows)


def linear_dominates(report: Report) -> Judged:
    """Linear layers have far more parameters than convolutions."""
    both = _conv_and_linear(report)
    if both is None:
        return not_applicable("not_both")
    conv, linear = both
    ratio = linear.params / conv.params
    times = fact("ratio", ratio=ratio) if ratio >= 1 else fact("other_way", ratio=1 / ratio)
    parameters = fact("parameters", linear=linear.params, conv=conv.params)
    return Judged(by_share(ratio, holds=OVERWHELMING, partly=1), (parameters, times))


def mirror_images(report: Report) -> Judged:
    """The linear layers hold the parameters, the convolutions do the work."""
    both = _conv_and_linear(report)
    if both is None or not both[0].macs or not both[1].macs:
        return not_applicable("not_both")
    conv, linear = both
    lesser = min(linear.params_share, conv.macs_share or 0.0)
    evidence = (
        fact("params", linear=linear.params_share, conv=conv.params_share),
        fact("macs", linear=linear.macs_share, conv=conv.macs_share),
        fact("why", conv=both[0].macs / conv.params, linear=both[1].macs / linear.params),
    )
    return Judged(by_share(lesser, holds=MOST_OF_ALL, partly=HALF), evidence)


def _conv_and_linear(report: Report) -> tuple[FamilyShare, FamilyShare] | None:
    """Return the shares of convolutions and of linear layers; None unless both have parameters."""
    families = {item.family: item for item in by_family(report) if item.params}
    conv, linear = families.get("conv"), families.get("linear")
    return None if conv is None or linear is None else (conv, linear)


def weight_sharing(report: Report) -> Judged:
    """A convolution uses each of its weights at many positions."""
    convs = convolutions(report)
    if not convs:
        return not_applicable("no_convolutions")
    shared = sum(conv.places > 1 for conv in convs)
    return Judged(by_exceptions(kept=shared, exceptions=len(convs) - shared), tuple(map(_used, convs)))


def _used(conv: Convolution) -> Evidence:
    """Compare a convolution with a linear layer between the same maps."""
    into, out, weights = prod(conv.map_in), prod(conv.map_out), conv.weights
    dense = into * out + (out if weights.bias else 0)
    numbers = {"weights": weights.number, "places": conv.places, "params": weights.params}
    return fact("used", path=conv.row.path, **numbers, inputs=into, outputs=out, dense_params=dense)


def weights_outweigh(report: Report) -> Judged:
    """The weights take more memory than the outputs of the layers."""
    rows = steps(report)
    weights, outputs = report.totals.param_bytes, sum(row.output_bytes for row in rows)
    if not weights or not outputs:
        return not_applicable("no_parameters")
    heaviest = max(report.layers, key=lambda row: row.param_bytes)
    largest = max(rows, key=lambda row: row.output_bytes)
    evidence = [
        fact("bytes", weights=weights, outputs=outputs, ratio=weights / outputs),
        _part("heaviest", heaviest, heaviest.param_bytes, weights),
        _part("largest_output", largest, largest.output_bytes, outputs),
    ]
    batch = report.run.batch_size if report.run else None
    if batch:
        evidence.append(fact("batch", batch=weights * batch // outputs + 1))
    return Judged("holds" if weights > outputs else "fails", tuple(evidence))


def _part(key: str, row: Layer, amount: int, whole: int) -> Evidence:
    return fact(key, path=row.path, amount=amount, share=fraction(amount, whole))


def grouping(report: Report) -> Judged:
    """Convolutions are split into groups, which divides their parameters and their work."""
    convs = convolutions(report)
    grouped = [conv for conv in convs if conv.weights.groups > 1]
    whole = [conv for conv in convs if conv.weights.can_be_split(GROUPS)]
    if not grouped and not whole:
        return not_applicable("nothing_to_split")
    evidence = [*map(_is_grouped, grouped), *map(_could_be_grouped, whole)]
    if whole:
        params = sum(conv.weights.number // GROUPS for conv in whole)
        macs = sum((conv.row.macs or 0) // GROUPS for conv in whole)
        evidence.append(fact("together", params=params, macs=macs, groups=GROUPS))
    return Judged(by_exceptions(kept=len(grouped), exceptions=len(whole)), tuple(evidence))


def _is_grouped(conv: Convolution) -> Evidence:
    groups, macs, params = conv.weights.groups, conv.row.macs or 0, conv.weights.params
    before = {"params": params, "whole_params": params + conv.weights.number * (groups - 1)}
    return fact("grouped", path=conv.row.path, groups=groups, **before, macs=macs, whole_macs=macs * groups)


def _could_be_grouped(conv: Convolution) -> Evidence:
    macs, params = conv.row.macs or 0, conv.weights.params
    after = {"params": params, "split_params": params - conv.weights.number // GROUPS}
    return fact("could_be_grouped", path=conv.row.path, groups=GROUPS, **after, macs=macs, split_macs=macs // GROUPS)


class _Table(Struct, frozen=True):
    """A table of rows that are looked up, and the path of its module; of `words` if the inputs say which rows."""

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
    paths, fixed, found = paths_of(report), fixed_values(tape), dict[int, _Table]()
    for operation in tape.operations:
        if not is_lookup(operation) or operation.row is None or report.layers[operation.row].family != "embedding":
            continue
        value = tape.values[operation.reads[0]]
        if tape.storages[value.storage].role != "parameter" or len(value.shape) != _MATRIX:
            continue
        path, words = paths[operation.row], operation.reads[1] not in fixed
        found.setdefault(value.storage, _Table(path, value.shape, prod(value.shape), words))
    return found


def _heads(report: Report, tape: Tape, tables: dict[int, _Table], held: int) -> list[Evidence]:
    """Return the layers that multiply with a table, and those with a weight of its shape."""
    paths, found = paths_of(report), dict[int, Evidence]()
    for operation in tape.operations:
        for value in operation.reads if operation.macs else ():
            it, path = tape.values[value], paths[operation.row]
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
