"""The receptive field of every layer of a report: of which value, along which axes, and what that value sees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import prod
from typing import Literal, get_args

from msgspec import Struct

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.receptive_field.follow import FirstSum, Followed, follow
from alexnet_cli.analyses.receptive_field.moves import merged
from alexnet_cli.analyses.receptive_field.seen import Seen
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Layer, Report, Run, cut_at
from alexnet_cli.tape import Shape, Tape, Value


class RowValues:
    """Finds the output values of rows."""

    def __init__(self, tape: Tape, layers: Sequence[Layer]) -> None:
        self._tape = tape
        self._layers = layers
        self._forward = [operation for operation in tape.operations if operation.phase == "forward"]
        self._of_row: defaultdict[int, list[int]] = defaultdict(list)
        for at, done in enumerate(self._forward):
            if done.row is not None:
                self._of_row[done.row].append(at)
        self._last_read = {value: at for at, done in enumerate(self._forward) for value in done.reads}
        self._made = {value: at for at, done in enumerate(self._forward) for value in reversed(done.makes)}

    def of(self, rows: range) -> tuple[int, ...]:
        """Return the first output of some rows, which is that of the first row.

        A row that ran no operator returned its input. The tape does not say which value that is, so all are
        returned that it may be.
        """
        shapes = self._layers[rows.start].output_shapes
        if not shapes:
            return ()
        done = sorted(at for row in rows for at in self._of_row.get(row, ()))
        if not done:
            return tuple(self._given(rows.start, shapes[0]))
        for at in reversed(done):
            for value in self._forward[at].makes:
                if self._tape.values[value].shape == shapes[0]:
                    return (value,)
        return ()

    def _given(self, row: int, shape: Shape) -> Iterator[int]:
        """Yield the values of a shape that were live when a row ran and are read after it."""
        now = 1 + max((at for other, places in self._of_row.items() if other < row for at in places), default=-1)
        replaced = {
            value
            for done in self._forward[:now]
            if done.op.endswith("_")
            for value in done.reads[:1]
            if self._tape.values[value].shape == self._tape.values[done.makes[0]].shape
        }
        for value in dict.fromkeys((*self._tape.inputs, *self._made, *self._last_read)):
            died = self._tape.storages[self._tape.values[value].storage].died
            is_there = self._made.get(value, -1) < now and (died is None or died >= now) and value not in replaced
            is_used = self._last_read.get(value, -1) >= now or value in self._tape.outputs
            if is_there and is_used and self._tape.values[value].shape == shape:
                yield value


def spatial_axes(value: Value, traced: Sequence[int], run: Run, first_sum: FirstSum | None) -> tuple[int, ...]:
    """Return those of the traced axes that are spatial, or those of a sequence: the ones that have a receptive field.

    The batch has none, and the channels have none: they are the axis over which the first convolution or matrix product
    sums. So `(N, C, H, W)` has rows and columns, `(N, L, C)` of a transformer and `(N, C, L)` of a convolution both
    have L, and `(N, L)` of tokens or of a waveform has L. An input that is flattened before the first sum, or never
    summed over, has its channels first after the batch, unless it holds whole numbers. With whole shapes (`--no-batch`)
    the batch is what the first convolution takes for it.
    """
    axes = list(traced)
    summed = [] if first_sum is None else [traced[number] for number in sorted(first_sum.channels)]
    if run.batch_size is None and first_sum is not None:
        axes = [axis for axis in axes if traced.index(axis) not in first_sum.batch]
    if first_sum is not None and not summed:
        return tuple(axes)
    if len(summed) == 1:
        left = [axis for axis in axes if axis not in summed]
        # The one channel of an image whose rows are read as a sequence is no axis to look along.
        return tuple(left[1:] if len(left) > 1 and left[0] == axes[0] and value.shape[left[0]] == 1 else left)
    has_channels = len(axes) > 1 and value.dtype.startswith(("float", "bfloat", "complex"))
    return tuple(axes[1:] if has_channels else axes)


Status = Literal["exact", "upper_bound", "global", "undefined"]
Number = int | float
Numbers = tuple[Number | None, ...] | None
"""A number for each spatial axis of the input, None for an axis that is seen entirely; None without a number."""


class LayerField(Struct, frozen=True):
    """What a unit of a row's output sees; `row` is the position in the report's layers.

    A unit is one place of a map, all channels together. Along each spatial axis of the input it sees pixels from a
    first to a last one: `size` counts them and those between, `jump` is how many pixels further the next unit's are,
    and `start` is the middle of what the first unit sees. The middle of the first pixel is 0, as in Araujo, Norris,
    Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019. Units are taken to be in the
    middle of the map, where no padding is seen: a field may so be larger than the input, and start before it.

    `status` says what is known:

    - `exact`: unit i sees the pixels from start + i * jump - (size - 1) / 2 to start + i * jump + (size - 1) / 2, no
      more and no less, though with dilation not each one between.
    - `upper_bound`: no unit sees more than `size`. Some may see less, or a little beside, as after upsampling, where
      `jump` is an average. So it is for a row that passed on what it was given, as dropout
      does in evaluation, where it cannot be told which of several values that was.
    - `global`: all of an axis may be seen. Everything along it was summed up, or an operator is not known.
    - `undefined`: nothing of the input is seen, or the row's output is unknown.
    """

    row: int
    path: str
    type: str
    output_shape: Shape | None
    size: tuple[int | None, ...] | None
    jump: Numbers
    start: Numbers
    status: Status


class ReceptiveFields(Struct, frozen=True):
    """The fields of all rows with respect to one input; `axes` are its spatial axes, counting the batch.

    `input` counts the arguments of `forward` from 0; None where none has a spatial axis.
    """

    input: int | None
    input_shape: Shape | None
    axes: tuple[int, ...]
    layers: tuple[LayerField, ...]

    @property
    def input_sizes(self) -> Shape:
        """The sizes of the spatial axes."""
        return tuple(self.input_shape[axis] for axis in self.axes) if self.input_shape is not None else ()


def receptive_fields(report: Report, *, argument: int | None = None, depth: int | None = None) -> ReceptiveFields:
    """Return the field of every row without children, in the order they ran.

    `argument` is which argument of `forward` is looked at, from 0: None for the first that has a spatial axis. With
    `depth` the rows of that depth stand for those below them.

    Raises:
        UsageError: the report has no tape, or the model not so many arguments.
    """
    if report.run is None:
        raise UsageError(
            "a checkpoint cannot be run, so its layers have no receptive fields",
            "give the model's code, as file.py:NAME",
        )
    tape = tape_of(report)
    chosen = _chosen(tape, report.run, argument)
    values = RowValues(tape, report.layers)
    found = []
    for rows in cut_at(report.layers, depth):
        layer = report.layers[rows.start]
        shape = layer.output_shapes[0] if layer.output_shapes else None
        found.append(LayerField(rows.start, layer.path, layer.type, shape, *_field(chosen, values.of(rows))))
    if chosen is None:
        return ReceptiveFields(None, None, (), tuple(found))
    return ReceptiveFields(chosen.argument, chosen.shape, chosen.axes, tuple(found))


def share_seen(field: LayerField, sizes: Shape) -> float | None:
    """Return the share of the input that a unit in the middle sees; None if unknown."""
    if field.status == "undefined":
        return None
    seen = field.size or (None,) * len(sizes)
    return prod(1.0 if one is None else min(one, size) / size for one, size in zip(seen, sizes, strict=True))


class _Chosen(Struct, frozen=True):
    """The input in question and what is seen of it; `numbers` index its spatial axes among the traced ones."""

    argument: int
    shape: Shape
    axes: tuple[int, ...]
    numbers: tuple[int, ...]
    followed: Followed


_Field = tuple[tuple[int | None, ...] | None, Numbers, Numbers, Status]
_UNDEFINED: _Field = (None, None, None, "undefined")
_AxisField = tuple[int | None, Number | None, Number | None, Status]
_ALL: _AxisField = (None, None, None, "global")
"""The field along an axis of which all may be seen."""


def _chosen(tape: Tape, run: Run, argument: int | None) -> _Chosen | None:
    """Return the requested input, or the first with a spatial axis."""
    if argument is not None and not 0 <= argument < len(tape.inputs):
        raise UsageError(f"the model has no input {argument + 1}", f"it was given {len(tape.inputs)}")
    for number, value in enumerate(tape.inputs):
        if argument not in (None, number):
            continue
        traced = range(0 if run.batch_size is None else 1, len(tape.values[value].shape))  # all but the batch
        followed = follow(tape, value, traced)
        axes = spatial_axes(tape.values[value], traced, run, followed.first_sum)
        if axes:
            numbers = tuple(traced.index(axis) for axis in axes)
            return _Chosen(number, tape.values[value].shape, axes, numbers, followed)
    return None


def _field(chosen: _Chosen | None, values: Sequence[int]) -> _Field:
    """Return the field of a value, or a bound if it may be one of several values."""
    if chosen is None:
        return _UNDEFINED
    may_be = {chosen.followed.seen[value] for value in values}
    known = [seen for seen in may_be if seen is not None]
    if not known:
        return _UNDEFINED
    seen = known[0] if len(may_be) == 1 else merged(known, known[0].shape).loosened()
    axes = [_along(seen, number) for number in chosen.numbers]
    if axes == [_ALL] * len(axes):
        return None, None, None, "global"
    sizes, jumps, starts, statuses = zip(*axes, strict=True)
    status: Status = max(statuses, key=get_args(Status).index)
    return sizes, jumps, starts, status


def _along(seen: Seen, along: int) -> _AxisField:
    """Return the field along an axis of the input."""
    reach, steps = seen.reaches[along], seen.stepping(along)
    if reach is None:
        return _ALL
    span = reach.at(0)
    if steps:
        jump = Fraction(reach.advance, reach.period) * min(abs(factor.step) for factor in steps)
        exact = reach.tight and reach.period == 1 and span is not None
        size = reach.widest()
    elif span is None:
        return 0, 0, None, "upper_bound"
    else:  # the field of units that all see the same is without the padding
        jump = Fraction(0)
        whole = (0, seen.sizes[along] - 1)
        inside = max(span[0], 0), min(span[1], whole[1])
        if inside == whole:
            return _ALL
        exact, size, span = reach.tight and span == inside, inside[1] - inside[0] + 1, inside
    start = span and _number(Fraction(sum(span), 2))
    return size, _number(jump), start, "exact" if exact else "upper_bound"


def _number(value: Fraction) -> Number:
    return value.numerator if value.denominator == 1 else float(value)
