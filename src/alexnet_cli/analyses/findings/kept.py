"""What a training step keeps for backward without need: copies, results computed twice, wider dtypes, all logits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from alexnet_cli.analyses.findings.finding import Evidence, Judged, fact
from alexnet_cli.analyses.findings.wiring import OfStep
from alexnet_cli.analyses.memory import most_at_once, peak_of, tape_of, timeline, training
from alexnet_cli.analyses.serving.cached import paths_of
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.report import Report
from alexnet_cli.tape import Operation, Tape, Value
from alexnet_cli.wiring import Wiring

_COPIES = frozenset({"clone", "_to_copy", "copy", "contiguous"})
_RANDOM = re.compile("bernoulli|rand|dropout|normal|uniform|exponential|rrelu|multinomial|poisson|binomial|geometric")
TENTH = 0.1


class _Kept(NamedTuple):
    """An operator whose result is kept beside what it came from, and the bytes that this takes."""

    at: int
    bytes: int
    key: str
    from_dtype: str
    to_dtype: str


def _evidence(step: Report, wiring: Wiring, kept: list[_Kept]) -> tuple[Evidence, ...]:
    """Return the findings by their line, or by the layer where there is no line; the largest first."""
    tape, paths = tape_of(step), paths_of(step)
    groups: dict[tuple[str, str, str, str], list[_Kept]] = defaultdict(list)
    for it in kept:
        where = wiring.line(it.at) or paths[tape.operations[it.at].row]
        groups[it.key, where, it.from_dtype, it.to_dtype].append(it)
    told = []
    for (key, _, given, made), group in sorted(groups.items(), key=lambda pair: -sum(it.bytes for it in pair[1])):
        named = list(dict.fromkeys(paths[tape.operations[it.at].row] for it in group))
        values = {"paths": named, "count": len(group), "bytes": sum(it.bytes for it in group)}
        told.append(fact(key, **values, given=given, made=made, line=wiring.line(group[0].at)))
    return tuple(told)


def _judged(step: Report, wiring: Wiring, kept: list[_Kept]) -> Judged:
    held, more = training(step).saved_activation_bytes, sum(it.bytes for it in kept)
    if not kept:
        return Judged("holds", (fact("none", saved=held),))
    total = fact("total", bytes=more, saved=held, share=fraction(more, held))
    return Judged("fails", (total, *_evidence(step, wiring, kept)))


class _Saved:
    """Which values a step keeps for backward, by their storages."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.written: dict[int, int] = {}
        for at, operation in enumerate(tape.operations):
            if operation.nature != "view" and operation.phase == "forward":
                self.written.update((tape.values[value].storage, at) for value in operation.makes)

    def __call__(self, value: Value) -> bool:
        return self.tape.storages[value.storage].saved_by is not None

    def stay(self, at: int, *values: Value) -> bool:
        """Tell whether values are those of their storages from an operator on: none writes to them later in place."""
        return all(self.written.get(value.storage, -1) <= at for value in values)


@OfStep
def twice(step: Report, wiring: Wiring) -> Judged:
    """No values are kept for backward twice."""
    tape = tape_of(step)
    saved = _Saved(tape)
    kept: list[_Kept] = []
    first: dict[tuple[object, ...], int] = {}
    for at, operation, given, made in _single(tape):
        result = tape.values[made]
        asked = operation.op, operation.reads, repr(sorted(operation.arguments.items())), result.dtype
        again = first.setdefault(asked, made)
        if operation.op in _COPIES and given is not None and tape.values[given].dtype == result.dtype:
            source = tape.values[given]
            apart = source.storage != result.storage and saved.stay(at, source, result)
            weight = tape.storages[source.storage].role == "parameter"
            if apart and saved(result) and (weight or saved(source)):
                kept.append(_Kept(at, result.bytes, "copy", source.dtype, result.dtype))
        elif again != made and _is_certain(operation):
            before = tape.values[again]
            apart = before.storage != result.storage and saved.stay(at, before, result)
            if apart and saved(before) and saved(result):
                kept.append(_Kept(at, result.bytes, "again", before.dtype, result.dtype))
    return _judged(step, wiring, kept)


def _single(tape: Tape) -> Iterator[tuple[int, Operation, int | None, int]]:
    """Yield the operators of the forward that made one tensor and no view, with the first that they read."""
    for at, operation in enumerate(tape.operations):
        if operation.phase == "forward" and operation.nature != "view" and len(operation.makes) == 1:
            yield at, operation, next(iter(operation.reads), None), operation.makes[0]


def _is_certain(operation: Operation) -> bool:
    """Tell whether an operator gives the same result for the same values: elements one by one, and none by chance."""
    elementwise = operation.nature == "pointwise" or operation.op in _COPIES
    return elementwise and bool(operation.reads) and not operation.op.endswith("_") and not _RANDOM.search(operation.op)


@OfStep
def wider(step: Report, wiring: Wiring) -> Judged:
    """No cast makes what is kept for backward larger."""
    tape = tape_of(step)
    saved = _Saved(tape)
    kept: list[_Kept] = []
    for at, operation, given, made in _single(tape):
        if operation.op not in _COPIES or given is None:
            continue
        source, result = tape.values[given], tape.values[made]
        if source.dtype == result.dtype or not saved(result) or not source.bytes:
            continue
        if result.bytes > source.bytes:
            kept.append(_Kept(at, result.bytes - source.bytes, "wider", source.dtype, result.dtype))
        elif saved(source) and saved.stay(at, source, result):
            kept.append(_Kept(at, result.bytes, "both", source.dtype, result.dtype))
    return _judged(step, wiring, kept)


@OfStep
def logits(step: Report, wiring: Wiring) -> Judged:
    """The loss does not need the logits of all positions at once."""
    tape, batch = tape_of(step), (step.run and step.run.batch_size) or 1
    losses = [at for at, it in enumerate(tape.operations) if it.op in _LOSSES and _positions(it, tape)[0] > batch]
    if not losses:
        return Judged("not_applicable", (fact("no_such_loss"),))
    storages = {storage for at in losses for storage in _logits_of(at, tape)}
    held = most_at_once(tape.storages[storage] for storage in storages)
    peak = peak_of(timeline(step)).bytes
    largest = max(losses, key=lambda at: tape.values[tape.operations[at].reads[0]].bytes)
    positions = sum(_positions(tape.operations[at], tape)[0] for at in losses)
    classes = _positions(tape.operations[largest], tape)[1]
    values = {"positions": positions, "classes": classes, "bytes": held, "share": fraction(held, peak)}
    path = paths_of(step)[tape.operations[largest].row]
    told = fact("logits", path=path, **values, count=len(losses), line=wiring.line(largest))
    return Judged("fails" if fraction(held, peak) >= TENTH else "holds", (told,))


_LOSSES = frozenset({"nll_loss_forward", "nll_loss2d_forward"})
_ROWS = 2


def _positions(operation: Operation, tape: Tape) -> tuple[int, int]:
    """Return for how many positions a loss takes scores, and of how many classes."""
    shape = tape.values[operation.reads[0]].shape
    return (prod((shape[0], *shape[2:])), shape[1]) if len(shape) >= _ROWS else (1, shape[0])


def _logits_of(loss: int, tape: Tape) -> set[int]:
    """Return the storages between the product that makes logits and the loss, and of their gradients."""
    scores = tape.operations[loss].reads[0]
    found = {tape.values[scores].storage}
    for operation in reversed(tape.operations[:loss]):
        made = {tape.values[value].storage for value in operation.makes}
        if not made.isdisjoint(found) and not operation.macs and operation.phase == "forward" and operation.reads:
            found.add(tape.values[operation.reads[0]].storage)
    size = tape.values[scores].bytes
    gradients: set[int] = set()
    for operation in tape.operations[loss:]:
        if operation.phase != "backward" or operation.macs:
            continue
        from_loss = operation.op.endswith("backward") and scores in operation.reads and "nll_loss" in operation.op
        if from_loss or any(tape.values[value].storage in gradients for value in operation.reads[:1]):
            values = (tape.values[value] for value in operation.makes)
            gradients |= {value.storage for value in values if 2 * value.bytes >= size}
    activations = {number for number in found if tape.storages[number].role == "activation"}
    return activations | gradients
