"""Formats numbers for people, so that a unit looks the same everywhere. `quantities` reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from alexnet_cli.document import Unit, Value
from alexnet_cli.tape import Shape

UNKNOWN = "unknown"
MOST_SHAPES = 3
"""Of more shapes in one cell only the first is shown."""
SI = ((10**18, "E"), (10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))
BINARY = ((2**50, "PiB"), (2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_ROUNDS_UP = 1 - 0.005 / 1024  # from here on a size would be written as 1,024.00 of the prefix below
SECONDS = ((1.0, "s", 1.0), (1e-3, "ms", 1e3), (1e-6, "us", 1e6), (1e-9, "ns", 1e9), (1e-12, "ps", 1e12))


def count(number: int) -> str:
    """A whole number with thousands separators: `62,378,344`."""
    return f"{number:,}"


def si(number: float) -> str:
    """A number with an SI prefix and three significant digits: `62.4 M`, `1.14 G`, `999`."""
    for scale, prefix in SI:
        if abs(number) >= scale * 0.9995:
            return f"{_three_digits(number / scale)} {prefix}"
    return f"{number:g}"


def size(number: int) -> str:
    """Bytes with a binary prefix: `237.95 MiB`, `512 B`."""
    for scale, prefix in BINARY:
        if abs(number) >= scale * _ROUNDS_UP:
            return f"{number / scale:,.2f} {prefix}"
    return f"{number} B"


def share(fraction: float) -> str:
    """A fraction of 1 as a percentage with one decimal; only zero is shown as zero: `<0.1 %`."""
    percent = fraction * 100
    if 0 < percent < 0.05:
        return "<0.1 %"
    if 99.95 <= percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %"


def shape(sizes: tuple[int, ...], cross: str = "×") -> str:
    """A shape: `1×3×227×227`; a scalar is `()`."""
    return cross.join(str(size) for size in sizes) if sizes else "()"


def shapes(several: tuple[tuple[int, ...], ...], cross: str = "×", *, whole: bool = False) -> str:
    """Several shapes; of many only the first, unless `whole`: `1×256×16×16 … and 9 more`."""
    if len(several) > MOST_SHAPES and not whole:
        return f"{shape(several[0], cross)} … and {count(len(several) - 1)} more"
    return ", ".join(shape(item, cross) for item in several)


def seconds(number: float) -> str:
    """A duration: `12.3 ms`."""
    for least, unit, factor in SECONDS:
        if number >= least * 0.9995:
            return f"{_three_digits(number * factor)} {unit}"
    return f"{number:g} s"


def flops_per_s(number: float) -> str:
    """Floating-point operations per second with an SI prefix and at most three digits: `66.9 TFLOP/s`."""
    return _prefixed(number, "FLOP/s")


def intensity(number: float) -> str:
    """Floating-point operations per byte moved, with at most three digits: `12.3 FLOP/byte`, `0.25 FLOP/byte`."""
    return _prefixed(number, "FLOP/byte")


def bits(number: float) -> str:
    """Bits per weight, with at most three digits: `4.25`."""
    return f"{number:.3g}"


def text(value: Value, unit: Unit, *, cross: str = "×", whole: bool = False) -> str:
    """Any cell as text for people; None is `unknown`. A long list of shapes is cut, unless `whole`."""
    match value:
        case None:
            return UNKNOWN
        case str():
            return value
        case tuple():
            if unit == "shapes":
                return shapes(cast("tuple[Shape, ...]", value), cross, whole=whole)
            return shape(cast("Shape", value), cross)
        case _ if unit in _BY_UNIT:
            return _BY_UNIT[unit](value)
        case _:
            return count(value) if isinstance(value, int) else f"{value:g}"


_BY_UNIT: Mapping[Unit, Callable[[Any], str]] = {
    "line": str,
    "bytes": lambda value: size(int(value)),
    "share": share,
    "seconds": seconds,
    "flops_per_s": flops_per_s,
    "intensity": intensity,
    "bits": bits,
}


def _prefixed(number: float, unit: str) -> str:
    """Write a number with an SI prefix before its unit; a number without a prefix has no trailing zeros."""
    shown = si(number) if abs(number) >= 999.5 else f"{number:.3g} "
    return f"{shown}{unit}"


def _three_digits(number: float) -> str:
    magnitude = abs(number)
    if magnitude >= 99.95:
        return f"{number:.0f}"
    return f"{number:.1f}" if magnitude >= 9.995 else f"{number:.2f}"
