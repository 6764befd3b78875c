"""Reads numbers with a unit as people type them: `65M`, `24GiB`, `312T`, `2.0TB`, `1%`. `units` writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from alexnet_cli.errors import UsageError
from alexnet_cli.units import si

_NUMBER = re.compile(
    r"(?P<digits>(?:\d[\d_]*(?:\.\d+)?|\.\d+)(?:e[+-]?\d{1,2})?)\s*(?P<unit>[a-z/]*)", re.ASCII | re.IGNORECASE
)
_FRACTION = re.compile(r"(?P<digits>\d{1,9}(?:\.\d{1,18})?)\s*(?P<percent>%?)", re.ASCII)
_SI = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15, "e": 10**18}
_BYTES = {f"{prefix}b": scale for prefix, scale in _SI.items()} | {
    f"{prefix}ib": 2 ** (10 * (power + 1)) for power, prefix in enumerate("kmgtpe")
}
_BITS = re.compile(r"[kKMGTPE]i?b")
_LARGEST = 2**63 - 1  # what JSON readers can be trusted with


class Quantity(Struct, frozen=True):
    """A kind of number that options take: its name, its units in lower case with their sizes, and its bounds.

    `expected` tells how to write one, `unit` is that of the bounds. What matches `suffix` may follow the unit without
    changing it. `in_bytes` refuses a small b, which means bits.
    """

    name: str
    expected: str
    unit: str
    units: Mapping[str, int]
    least: int = 0
    most: int = _LARGEST
    suffix: str = ""
    in_bytes: bool = False

    def read(self, text: str, option: str) -> int:
        """Read what was given for an option.

        Raises:
            UsageError: it is not such a quantity, or out of bounds.
        """
        found = _NUMBER.fullmatch(text.strip())
        unit = "" if found is None else re.sub(f"(?:{self.suffix})$", "", found["unit"], flags=re.IGNORECASE)
        if self.in_bytes and _BITS.fullmatch(unit):
            raise UsageError(f"{option}: {text!r} counts bits", f"{self.expected}, with a capital B")
        scale = self.units.get(unit.lower())
        if found is None or scale is None or unit == "e":  # an exponent without its digits
            raise UsageError(f"{option}: invalid {self.name} {text!r}", self.expected)
        number = Decimal(found["digits"].replace("_", "")) * scale
        if not self.least <= number <= self.most:
            bounds = f"between {si(self.least)} and {si(self.most)}" if self.least else f"at most {self.most:,}"
            hint = f"it must be {bounds} {self.unit}".rstrip()
            raise UsageError(f"{option}: {self.name} {text!r} out of range", hint)
        return int(number)


COUNT = Quantity("number", "write it as 65M or 1.2G (K, M, G, T), or in full", "", _SI)
SIZE = Quantity(
    "size", "write it as 240MiB (kB, MB, GB are decimal; KiB, MiB, GiB binary), or in bytes", "bytes", _BYTES | {"": 1}
)
MEMORY = Quantity(
    "memory size",
    "write it with its unit: 24GiB (KiB, MiB, GiB, TiB are binary) or 24GB (kB, MB, GB, TB decimal)",
    "bytes",
    _BYTES,
    least=1,
    most=10**18,
)
BANDWIDTH = Quantity(
    "bandwidth",
    "write bytes per second with their unit: 2.0TB or 900GB/s",
    "bytes per second",
    _BYTES,
    least=10**6,
    most=10**16,
    suffix="/s|ps",
    in_bytes=True,
)
SPEED = Quantity(
    "speed",
    "write FLOP per second as 312T, 82.6TFLOPS or 3.12e14 (k, M, G, T, P, E)",
    "FLOP per second",
    _SI,
    least=10**6,
    most=10**19,
    suffix="(?:flops?)?(?:/s)?",
)


def read_fraction(text: str, option: str) -> Decimal:
    """Read `0.01` or `1%`.

    Raises:
        UsageError: it is not a fraction.
    """
    found = _FRACTION.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{option}: invalid fraction {text!r}", "write it as 0.01 or 1%")
    return Decimal(found["digits"]) / (100 if found["percent"] else 1)


def check_seconds(seconds: float, usual: int) -> None:
    """Raise `UsageError` for `--seconds` in which nothing can be measured; `usual` is an example of what can."""
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--seconds {seconds:g} is no time", f"write a number above 0, as in --seconds {usual}")
