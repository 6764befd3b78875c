"""Axes of plots: the range they span, the position of a number on them, and their ticks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import count, pairwise

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.document import Axis, Unit

LARGEST, SMALLEST = 1e100, 1e-100
"""Numbers beyond these are not drawn: their sums and logarithms would leave the range of floats."""

_WRITTEN = {"flops_per_s": "FLOP/s", "intensity": "FLOP/byte", "macs": "MACs", "flops": "FLOPs"}
_WHOLE = frozenset({"count", "bytes", "macs", "flops"})
_SAME = 1e-9
_NEAR = 1e-6
_MOST_TICKS = 12
_DECADES = (1, 2, 3, 5, 10, 20, 50, 100)
_OCTAVES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_ZEROS = re.compile(r"(\.\d*?)0+(?= |$)")


class Scale(Struct, frozen=True):
    """An axis from `low` to `high`, which differ; linear, or logarithmic with `log`."""

    low: float
    high: float
    unit: Unit = "count"
    log: bool = False

    def place(self, value: float) -> float:
        """Return the position of a number, as a share of the axis from its low end."""
        low = self.along(self.low)
        return (self.along(value) - low) / (self.along(self.high) - low)

    def within(self, value: float) -> float:
        """Return the position of a number, or of the end that it is beyond."""
        return min(max(self.place(value), 0.0), 1.0)

    def along(self, value: float) -> float:
        """Return the number, or its logarithm on a log axis."""
        return math.log10(value) if self.log else value

    def back(self, along: float) -> float:
        """Invert `along`."""
        return 10.0**along if self.log else along


class Tick(Struct, frozen=True):
    """A labelled number on an axis."""

    value: float
    label: str


def title_of(axis: Axis) -> str:
    """Return an axis' label with its unit, unless its tick labels have the unit."""
    unit = _WRITTEN.get(axis.unit, "")
    if not unit or unit in axis.label:
        return axis.label
    return f"{axis.label} ({unit})" if axis.label else unit


def spanning(axis: Axis, values: Sequence[float], *, below: float = 0.0, above: float = 0.0) -> Scale:
    """Return the scale that spans all values, which must be drawable, with room `below` and `above`.

    The room is a share of the span. An axis of non-negative numbers starts at zero or above; equal numbers stand in
    the middle.
    """
    bare = Scale(0.0, 0.0, axis.unit, axis.log)
    low, high = bare.along(min(values)), bare.along(max(values))
    if high - low <= max(_SAME * max(abs(low), abs(high)), SMALLEST):
        half = 0.5 if axis.log else abs(low) / 2 if abs(low) >= SMALLEST else 1.0
        start, end = low - half, high + half
    else:
        start, end = low - below * (high - low), high + above * (high - low)
    if not axis.log and low >= 0:
        start = max(start, 0.0)
    return Scale(bare.back(start), bare.back(end), axis.unit, axis.log)


def ticks(scale: Scale, most: int) -> list[Tick]:
    """Return at most `most` ticks at round numbers: decades on a log axis, powers of two for bytes."""
    values = _log_values(scale, most) if scale.log else []
    if len(values) > 1:
        return [Tick(value, _log_label(value, scale.unit)) for value in values]
    step, values = _linear_values(scale, most)
    return [Tick(value, label) for value, label in zip(values, _linear_labels(values, step, scale.unit), strict=True)]


def fitting_ticks(scale: Scale, length: float, width: Callable[[str], float], gap: float) -> list[Tick]:
    """Return as many ticks as fit along `length` with a `gap` between their labels."""
    found: list[Tick] = []
    for most in range(_MOST_TICKS, 1, -1):
        found = ticks(scale, most)
        centres = [scale.place(tick.value) * length for tick in found]
        halves = [width(tick.label) / 2 for tick in found]
        needed = [sum(pair) + gap for pair in pairwise(halves)]
        if all(right - left >= need for (left, right), need in zip(pairwise(centres), needed, strict=True)):
            return found
    return found[:1]


def _log_values(scale: Scale, most: int) -> list[float]:
    """Return the densest round numbers that are at most `most`; a short axis may have one or none."""
    found: list[float] = []
    for values in _round_values(scale):
        found = values
        if len(values) <= most:
            break
    if len(found) > 1:
        return found
    whole = _powers(scale, 1)
    return whole[:: math.ceil(len(whole) / most) or 1]


def _round_values(scale: Scale) -> Iterator[list[float]]:
    if scale.unit == "bytes":
        yield from (_powers(scale, stride) for stride in _OCTAVES)
        return
    low, high = math.log10(scale.low), math.log10(scale.high)
    around = range(math.floor(low), math.ceil(high) + 1)
    if len(around) <= _MOST_TICKS:
        for digits in ((1, 2, 5), (1, 3)):
            both = [float(f"{digit}e{power}") for power in around for digit in digits]
            yield [value for value in both if low - _SAME <= math.log10(value) <= high + _SAME]
    yield from (_powers(scale, stride) for stride in _DECADES)


def _powers(scale: Scale, stride: int) -> list[float]:
    """Return every `stride`-th power of ten on an axis, or of two for bytes."""
    base, log = (Decimal(2), math.log2) if scale.unit == "bytes" else (Decimal(10), math.log10)
    return [float(base ** (number * stride)) for number in _multiples(log(scale.low), log(scale.high), stride)]


def _multiples(low: float, high: float, step: float) -> range:
    """Return the multiples of a step between `low` and `high`, tolerant of rounding, as their factors."""
    return range(math.ceil(low / step - _NEAR), math.floor(high / step + _NEAR) + 1)


def _linear_values(scale: Scale, most: int) -> tuple[float, list[float]]:
    span = scale.high - scale.low
    least = 1.0 if scale.unit in _WHOLE and span >= 1 else 0.0
    for exact in _round_steps(span / most, scale.unit):
        found = _multiples(scale.low, scale.high, float(exact))
        if exact >= least and len(found) <= most:
            return float(exact), [float(number * exact) for number in found]
    raise AssertionError  # pragma: no cover - the steps grow without end


def _round_steps(about: float, unit: Unit) -> Iterator[Decimal]:
    """Yield growing round steps, starting near `about`, as decimals so that their multiples are exact."""
    for power in count(math.floor(math.log2(about) if unit == "bytes" else math.log10(about))):
        yield from [Decimal(2) ** power] if unit == "bytes" else [Decimal(digit).scaleb(power) for digit in (1, 2, 5)]


def _linear_labels(values: Sequence[float], step: float, unit: Unit) -> list[str]:
    """Write all numbers with the same prefix, and as many decimals as their step needs."""
    largest = max(map(abs, values), default=0.0)
    scale, suffix = _common(largest, unit)
    if largest / scale >= 1e6:  # noqa: PLR2004 - no prefix is left for it
        scale, suffix = _common(0.0, unit)
        digits = math.ceil(math.log10(largest / step)) + 1
        return [f"{value / scale:.{digits}g}{suffix}" if value else "0" for value in values]
    shown = [value / scale for value in values]
    off = step / scale / 1000
    decimals = next((d for d in range(15) if all(abs(round(value, d) - value) < off for value in shown)), 15)
    return [f"{value / scale:,.{decimals}f}{suffix}" if value else "0" for value in values]


def _common(largest: float, unit: Unit) -> tuple[float, str]:
    """Return the divisor and the suffix for numbers up to the largest."""
    if unit == "share":
        return 0.01, " %"
    if unit == "count" and largest < 1e6:  # noqa: PLR2004 - a number of this many digits is still read at a glance
        return 1.0, ""
    seconds = [(scale, prefix) for scale, prefix, _ in units.SECONDS]
    prefixes, plain = {"bytes": (units.BINARY, " B"), "seconds": (seconds, " s")}.get(unit, (units.SI, ""))
    return next(((scale, f" {prefix}") for scale, prefix in prefixes if largest >= scale), (1.0, plain))


def _log_label(value: float, unit: Unit) -> str:
    """Write one number with a prefix of its own."""
    match unit:
        case "bytes":
            return _trimmed(units.size(int(value))) if 1 <= value < 2**60 else f"{value:.3g} B"
        case "share":
            return f"{value * 100:.12g} %"
        case "seconds" if value < 1e6:  # noqa: PLR2004 - longer than any prefix would shorten
            return _trimmed(units.seconds(value))
        case _:
            return _trimmed(units.si(value)) if value < 1e21 else f"{value:.0e}"  # noqa: PLR2004 - beyond exa


def _trimmed(text: str) -> str:
    """Drop the zeros that end a number's decimals."""
    return _ZEROS.sub(r"\1", text).replace(". ", " ").removesuffix(".")
