"""Follows what the units of every value see of one input, operator by operator through the forward."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from alexnet_cli.analyses.receptive_field.rules.joins import CONVOLUTIONS, JOINS, PRODUCTS, pointwise, summed_axes
from alexnet_cli.analyses.receptive_field.rules.sums import SUMS
from alexnet_cli.analyses.receptive_field.rules.views import VIEWS
from alexnet_cli.analyses.receptive_field.rules.windows import WINDOWS
from alexnet_cli.analyses.receptive_field.seen import Seen, everything, start, stepping
from alexnet_cli.analyses.receptive_field.step import NotFollowedError, Step
from alexnet_cli.tape import Operation, Shape, Tape

_TABLES = {**VIEWS, **JOINS, **WINDOWS, **SUMS, **PRODUCTS}
RULES = {name: rule for names, rule in _TABLES.items() for name in names.split()}
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
    values = _Values(tape)
    values.record(source, start(tape.values[source].shape, traced))
    with_weights: FirstSum | None = None
    without: FirstSum | None = None
    for operation in tape.operations:
        if operation.phase != "forward":
            break
        step = values.step(operation)
        if not step.known or all(0 in shape for shape in step.made):
            continue
        if with_weights is None and (found := _first_sum(step)) is not None:
            if any(tape.storages[tape.values[value].storage].role in _HELD for value in operation.reads):
                with_weights = found
            without = without or found
        for value, result in zip(operation.makes, _results(step), strict=True):
            values.record(value, result)
    return Followed(tuple(values.seen), with_weights or without)


class _Values:
    """What is known about the values so far."""

    def __init__(self, tape: Tape) -> None:
        self.seen: list[Seen | None] = [None] * len(tape.values)
        self._tape = tape
        self._made = {*tape.inputs, *(value for operation in tape.operations for value in operation.makes)}
        self._latest: dict[int, int] = {}

    def record(self, value: int, seen: Seen | None) -> None:
        """Record what a value sees, unless it has no elements."""
        made = self._tape.values[value]
        if seen is not None and 0 not in made.shape:
            self.seen[value] = seen
            self._latest[made.storage] = value

    def step(self, operation: Operation) -> Step:
        """Return an operator with what is known about its arguments."""
        reads = [self._read(value, operation) for value in operation.reads]
        made = tuple(self._tape.values[value].shape for value in operation.makes)
        return Step(operation, tuple(seen for seen, _ in reads), tuple(shape for _, shape in reads), made)

    def _read(self, value: int, operation: Operation) -> tuple[Seen | None, Shape]:
        """Return what an argument sees, and the shape of the value that stands for it.

        One that no operator made is another view of its storage. Operators such as `transpose_` change the view that
        they are given, and are seen to read what they make of it; they read the latest that was made.
        """
        known = self._tape.values[value]
        latest = self._latest.get(known.storage)
        if value in self._made or latest is None:
            return self.seen[value], known.shape
        before = self.seen[latest]
        if operation.op.endswith("_") and operation.nature == "view":
            return before, self._tape.values[latest].shape
        return before and everything(known.shape, before.sizes), known.shape


def _results(step: Step) -> list[Seen | None]:
    """Return what each result sees, by the operator's rule; everything where its shape does not follow from that.

    Without a rule, a pointwise operator sees what is at its place, any other everything. In a damaged file, shapes and
    arguments need not fit the operators that read them: then a rule looks for axes that are not there.
    """
    every = tuple(everything(shape, step.known[0].sizes) for shape in step.made)
    default = pointwise if step.operation.nature == "pointwise" else None
    rule = RULES.get(step.operation.op.rstrip("_"), default)
    try:
        found = rule(step) if rule else every
    except (NotFollowedError, IndexError, TypeError, ValueError, ArithmeticError):
        found = every
    each = (*found, *every[len(found) :]) if isinstance(found, tuple) else (found,) * len(step.made)
    return [
        seen if seen is None or seen.shape == whole.shape else whole for seen, whole in zip(each, every, strict=True)
    ]


def _first_sum(step: Step) -> FirstSum | None:
    """Return what a convolution or product of values that see the input sums over; None for other operators."""
    op = step.operation.op
    found = [(step.seen[read], axis) for read, axis in summed_axes(op, tuple(map(len, step.read))).items()]
    known = [(seen, axis) for seen, axis in found if seen is not None and axis < len(seen.axes)]
    if not known:
        return None
    channels = frozenset[int]().union(*(stepping(seen.axes[axis]) for seen, axis in known))
    batch = frozenset[int]().union(*(stepping(seen.axes[0]) for seen, _ in known if op in CONVOLUTIONS))
    if not channels and any(reach is None for seen, _ in known for reach in seen.reaches):
        return None  # where the channels are is no more known
    return FirstSum(channels, batch)
