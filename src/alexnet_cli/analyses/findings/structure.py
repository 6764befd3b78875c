"""The kinds of layers and their order."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from alexnet_cli.analyses.findings.finding import (
    Convolution,
    Evidence,
    Judged,
    Verdict,
    by_exceptions,
    convolutions,
    fact,
    not_applicable,
    of_family,
    steps,
)
from alexnet_cli.report import Layer, Report
from alexnet_cli.tape import Shape

_JOINS = frozenset({"add", "add_", "iadd", "cat", "concat", "concatenate", "stack", "mul", "sub"})
_PASSES_ON = frozenset({"norm", "dropout", "reshape", "pool"})
_BRANCHES = 2


def stack(report: Report) -> Judged:
    """Convolutions and poolings are stacked; a flatten and linear layers follow."""
    rows = steps(report)
    convs, pools, linears = (of_family(rows, family) for family in ("conv", "pool", "linear"))
    if not convs and not pools and not linears:
        return not_applicable("nothing_of_these")
    counts = fact("counts", convolutions=len(convs), poolings=len(pools), linears=len(linears))
    others = of_family(rows, "attention", "recurrent")
    if not convs or others:
        named = (fact("other_kinds", paths=_paths(others)),) if others else ()
        return Judged("fails", (counts, *named))
    exceptions = tuple(_not_a_stack(rows, convs, pools, linears))
    return Judged("partly" if exceptions else "holds", (counts, *exceptions))


def _not_a_stack(
    rows: tuple[Layer, ...], convs: tuple[Layer, ...], pools: tuple[Layer, ...], linears: tuple[Layer, ...]
) -> list[Evidence]:
    found = [fact(key) for key, there in (("no_pooling", pools), ("no_linear", linears)) if not there]
    last = max(place for place, row in enumerate(rows) if row.family in ("conv", "pool"))
    early = [row for row in rows[:last] if row.family == "linear"]
    if early:
        found.append(fact("linear_before", paths=_paths(early), last=(convs + pools)[-1].path))
    elif linears and not any(_flattens(row) for row in rows[last : rows.index(linears[0])]):
        found.append(fact("no_flatten", path=linears[0].path))
    joins = [row for row in rows if _joins(row)]
    if joins:
        found.append(fact("branches", count=len(joins), paths=_paths(joins)))
    return found


def _flattens(row: Layer) -> bool:
    ranks = [len(shapes[0]) for shapes in (row.output_shapes, row.input_shapes) if shapes]
    return row.family == "reshape" and len(ranks) > 1 and ranks[0] < ranks[1]


def _joins(row: Layer) -> bool:
    maps = [shape for shape in row.input_shapes if len(shape) >= _BRANCHES]
    return row.kind == "function" and row.type in _JOINS and len(maps) >= _BRANCHES


def relu_outputs(report: Report) -> Judged:
    """Every layer except max-pooling and the final softmax is followed by a ReLU."""
    rows = steps(report)
    judged = [place for place in range(len(rows)) if _puts_out(rows, place)]
    if not judged:
        return not_applicable("nothing_of_these")
    exceptions = [found for place in judged if (found := _without_relu(rows, place))]
    kept = len(judged) - len(exceptions)
    through = fact("through_relu", kept=kept, layers=len(judged))
    return Judged(by_exceptions(kept=kept, exceptions=len(exceptions)), (through, *exceptions))


def _puts_out(rows: tuple[Layer, ...], place: int) -> bool:
    """Tell whether a row is judged: a norm directly after a convolution or linear layer is part of that layer."""
    if rows[place].family == "norm":
        return place == 0 or rows[place - 1].family not in ("conv", "linear")
    return rows[place].family in ("conv", "linear", "attention", "recurrent", "embedding")


def _without_relu(rows: tuple[Layer, ...], place: int) -> Evidence | None:
    row = rows[place]
    then = next((other for other in rows[place + 1 :] if other.family not in _PASSES_ON), None)
    if then is None:
        return fact("comes_out", path=row.path, type=row.type)
    if then.family != "activation":
        return fact("goes_to", path=row.path, type=row.type, next=then.path)
    if then.type.lower().rstrip("_") != "relu":
        return fact("other_activation", path=row.path, type=row.type, activation=then.type)
    return None


def narrow_and_deep(report: Report) -> Judged:
    """Feature maps get narrower and deeper, and deeper layers have more parameters."""
    convs = convolutions(report)
    if len(convs) < _BRANCHES:
        return not_applicable("too_few_convolutions", convolutions=len(convs))
    last, final = _last_map(report, convs[-1])
    shapes = fact("shapes", first=convs[0].map_in, last=final, path=last.path)
    exceptions = tuple(found for before, after in pairwise(convs) for found in _exceptions(before, after))
    return Judged(_trend(convs[0].map_in, final, exceptions), (shapes, *exceptions))


def _last_map(report: Report, conv: Convolution) -> tuple[Layer, Shape]:
    """Return the last convolution, or the last pooling after it, with the shape of its output map."""
    rows = steps(report)
    pools = [other for other in of_family(rows[rows.index(conv.row) :], "pool") if other.output_shapes]
    return (pools[-1], pools[-1].output_shapes[0][-len(conv.map_out) :]) if pools else (conv.row, conv.map_out)


def _trend(first: Shape, last: Shape, exceptions: tuple[Evidence, ...]) -> Verdict:
    narrower, deeper = _area(last) < _area(first), last[0] > first[0]
    if not narrower and not deeper:
        return "fails"
    return "holds" if narrower and deeper and not exceptions else "partly"


def _exceptions(before: Convolution, after: Convolution) -> list[Evidence]:
    """Compare a convolution with the one before it."""
    was, now, one, two = before.map_out, after.map_out, before.row.path, after.row.path
    fewer, more = before.weights.params, after.weights.params
    found = []
    if _area(now) > _area(was):
        found.append(fact("wider", path=two, shape=now, before=was))
    if now[0] < was[0]:
        found.append(fact("shallower", path=two, channels=now[0], before=was[0]))
    if more < fewer:
        found.append(fact("fewer_parameters", path=two, params=more, other=one, most=fewer))
    elif now == was and more > fewer:
        found.append(fact("same_shape", path=one, params=fewer, other=two, most=more, shape=now))
    return found


def _area(shape: Shape) -> int:
    return prod(shape[1:])


def _paths(rows: tuple[Layer, ...] | list[Layer]) -> list[str]:
    return [row.path for row in rows]
