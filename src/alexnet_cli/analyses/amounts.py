"""Amounts with a unit, as people type them: `65M`, `24GiB`, `312T`, `2.0TB`."""

from __future__ import annotations

import re
from decimal import Decimal

from alexnet_cli.units import si

_AMOUNT = re.compile(r"(?P<digits>(?:\d[\d_]*(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,2})?)\s*(?P<unit>[A-Za-z/]*)")
_SI = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15, "e": 10**18}
_BYTES = {f"{prefix}b": scale for prefix, scale in _SI.items()} | {
    f"{prefix}ib": 2 ** (10 * (power + 1)) for power, prefix in enumerate("kmgtpe")
}
_BITS = re.compile(r"[kKMGTPE]i?b")
_RATE = re.compile(r"(?:flops?)?(?:/s)?", re.IGNORECASE)
_PER_SECOND = re.compile(r"(?:/s|ps)?$", re.IGNORECASE)

LEAST_FLOPS_PER_S, MOST_FLOPS_PER_S = 10**6, 10**19
LEAST_BYTES_PER_S, MOST_BYTES_PER_S = 10**6, 10**16
MOST_BYTES = 10**18
_LARGEST = 2**63 - 1  # what JSON readers can be trusted with


def parse_count(text: str) -> int:
    """Read a count as in `65M`, `1.2G`, `62378344`: K, M, G and T are powers of a thousand.

    Raises:
        ValueError: it is none.
    """
    return _limit(text, _SI, "write a count as 65M or 1.2G (K, M, G, T) or in full")


def parse_size(text: str) -> int:
    """Read bytes as in `240MiB` (1024 to the power), `250MB` (1000 to the power), or a plain number of them.

    Raises:
        ValueError: it is none.
    """
    expected = "write a size as 240MiB (kB, MB, GB are decimal; KiB, MiB, GiB binary) or in bytes"
    return _limit(text, _BYTES | {"": 1}, expected)


def parse_bytes_with_unit(text: str) -> int:
    """Read bytes as in `24GiB` (1024 to the power) or `24GB` (1000 to the power); a number without a unit is refused.

    Raises:
        ValueError: it is none, or less than a byte, or more than an exabyte.
    """
    expected = "write bytes with their unit: 24GiB (KiB, MiB, GiB, TiB are binary) or 24GB (kB, MB, GB, TB decimal)"
    number, unit = _split(text, expected)
    return _within(number * _scale(unit, _BYTES, expected), (1, MOST_BYTES), "bytes")


def parse_bandwidth(text: str) -> int:
    """Read bytes per second as in `2.0TB`, `900GB/s` or `300 GBps`.

    Raises:
        ValueError: it is none, or no bandwidth that a memory can have.
    """
    expected = "write bytes per second with their unit: 2.0TB or 900GB/s"
    number, unit = _split(text, expected)
    unit = _PER_SECOND.sub("", unit)
    if _BITS.fullmatch(unit):
        raise ValueError(f"{unit} would be bits: {expected}, with a large B")
    return _within(number * _scale(unit, _BYTES, expected), (LEAST_BYTES_PER_S, MOST_BYTES_PER_S), "bytes per second")


def parse_flops(text: str) -> int:
    """Read FLOP per second as in `312T`, `312TFLOPS` or `3.12e14`: k, M, G, T, P and E are powers of a thousand.

    Raises:
        ValueError: it is none, or no speed that a device can have.
    """
    expected = "write FLOP per second as 312T, 82.6TFLOPS or 3.12e14 (k, M, G, T, P, E)"
    number, unit = _split(text, expected)
    prefix = "" if _RATE.fullmatch(unit) else unit[:1]
    if prefix == "e" or not _RATE.fullmatch(unit.removeprefix(prefix)):
        raise ValueError(expected)
    return _within(number * _scale(prefix, _SI, expected), (LEAST_FLOPS_PER_S, MOST_FLOPS_PER_S), "FLOP per second")


def _limit(text: str, units: dict[str, int], expected: str) -> int:
    number, unit = _split(text, expected)
    number *= _scale(unit, units, expected)
    if number > _LARGEST:
        raise ValueError(f"at most {_LARGEST:,}")
    return int(number)


def _split(text: str, expected: str) -> tuple[Decimal, str]:
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise ValueError(expected)
    return Decimal(found["digits"].replace("_", "")), found["unit"]


def _scale(unit: str, units: dict[str, int], expected: str) -> int:
    scale = units.get(unit.lower())
    if scale is None:
        raise ValueError(expected)
    return scale


def _within(number: Decimal, bounds: tuple[int, int], what: str) -> int:
    least, most = bounds
    if not least <= number <= most:
        raise ValueError(f"{float(number):.3g} {what} is not between {si(least)} and {si(most)}")
    return int(number)
