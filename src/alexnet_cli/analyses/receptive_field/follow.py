"""Follows what the units of every value see of one input, operator by operator through the forward."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from alexnet_cli.analyses.receptive_field.rules import RULES
from alexnet_cli.analyses.receptive_field.rules.joins import CONVOLUTIONS, pointwise, summed_axes
from alexnet_cli.analyses.receptive_field.seen import Seen, everything, start, stepping
from alexnet_cli.analyses.receptive_field.step import NotFollowedError, Outcome, Step
from alexnet_cli.tape import Operation, Tape

_HELD = ("parameter", "buffer")


class FirstSum(Struct, frozen=True):
    """The axes of the input that the first convolution or matrix product sums over; `batch` are its batch axes.

    They number the axes that are traced. A convolution says which axis is its batch, a product does not.
    """

    channels: frozenset[int]
    batch: frozenset[int]


class Followed(Struct, frozen=True):
    """What the units of each value see, by the value's number; None if nothing of the input."""

    seen: tuple[Seen | None, ...]
    first_sum: FirstSum | None


def follow(tape: Tape, source: int, traced: Sequence[int]) -> Followed:
    """Follow what is seen of some axes of the input whose value is `source`.

    The first sum is the first one with weights of the model, as against a mask; without one, the first of any.
    """
    walk = _Walk(tape, source, traced)
    with_weights: FirstSum | None = None
    without: FirstSum | None = None
    for operation in tape.operations:
        if operation.phase != "forward":
            break
        step = walk.step(operation)
        if not step.known or all(0 in shape for shape in step.made):
            continue
        if with_weights is None and (found := _first_sum(step)) is not None:
            if any(tape.storages[tape.values[value].storage].role in _HELD for value in operation.reads):
                with_weights = found
            without = without or found
        walk.make(operation, _results(step))
    return Followed(tuple(walk.seen), with_weights or without)


class _Walk:
    """What is known about the values so far."""

    def __init__(self, tape: Tape, source: int, traced: Sequence[int]) -> None:
        self.seen: list[Seen | None] = [None] * len(tape.values)
        self._tape = tape
        self._made = {*tape.inputs, *(value for operation in tape.operations for value in operation.makes)}
        self._latest: dict[int, int] = {}
        self._set(source, start(tape.values[source].shape, traced))

    def make(self, operation: Operation, results: Sequence[Seen | None]) -> None:
        """Record what the results of an operator see."""
        for value, result in zip(operation.makes, results, strict=True):
            self._set(value, result)

    def step(self, operation: Operation) -> Step:
        """Return an operator with what is known about its arguments."""
        values = self._tape.values
        reads = [self._read(value, operation) for value in operation.reads]
        return Step(
            operation,
            tuple(seen for seen, _ in reads),
            tuple(values[value].shape for _, value in reads),
            tuple(values[value].shape for value in operation.makes),
        )

    def _set(self, value: int, seen: Seen | None) -> None:
        """Record what a value sees, unless it has no elements."""
        made = self._tape.values[value]
        if seen is not None and 0 not in made.shape:
            self.seen[value] = seen
            self._latest[made.storage] = value

    def _read(self, value: int, operation: Operation) -> tuple[Seen | None, int]:
        """Return what an argument sees, and the value that stands for it.

        One that no operator made is another view of its storage. Operators such as `transpose_` change the view that
        they are given, and are seen to read what they make of it; they read the latest that was made.
        """
        latest = self._latest.get(self._tape.values[value].storage)
        if value in self._made or latest is None:
            return self.seen[value], value
        before = self.seen[latest]
        if operation.op.endswith("_") and operation.nature == "view":
            return before, latest
        return before and everything(self._tape.values[value].shape, before.sizes), value


def _results(step: Step) -> list[Seen | None]:
    """Return what each result sees; if a rule gives another shape than the result's, everything."""
    sizes = step.known[0].sizes
    found = _outcome(step)
    each = found if isinstance(found, tuple) else (found,) * len(step.made)
    return [
        seen if seen is None or seen.shape == shape else everything(shape, sizes)
        for seen, shape in zip(each, step.made, strict=True)
    ]


def _outcome(step: Step) -> Outcome:
    all_of_it = tuple(everything(shape, step.known[0].sizes) for shape in step.made)
    """Apply the operator's rule. Without one, a pointwise operator sees what is at its place, any other everything."""
    default = pointwise if step.operation.nature == "pointwise" else None
    rule = RULES.get(step.operation.op.rstrip("_"), default)
    if rule is None:
        return all_of_it
    try:
        return rule(step)
    except NotFollowedError:
        return all_of_it


def _first_sum(step: Step) -> FirstSum | None:
    """Return what a convolution or product of values that see the input sums over; None for other operators."""
    op = step.operation.op
    found = [(step.seen[read], axis) for read, axis in summed_axes(op, tuple(map(len, step.read))).items()]
    known = [(seen, axis) for seen, axis in found if seen is not None]
    if not known:
        return None
    channels = frozenset[int]().union(*(stepping(seen.axes[axis]) for seen, axis in known))
    batch = frozenset[int]().union(*(stepping(seen.axes[0]) for seen, _ in known if op in CONVOLUTIONS))
    if not channels and any(reach is None for seen, _ in known for reach in seen.reaches):
        return None  # where the channels are is no more known
    return FirstSum(channels, batch)
