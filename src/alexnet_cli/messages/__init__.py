"""What the program says in more than one language: a catalogue a language, from keys to templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any

from alexnet_cli import units
from alexnet_cli.messages import en, en_wiring, ko, ko_wiring

CATALOGUES: dict[str, Mapping[str, str]] = {
    "en": {**en.MESSAGES, **en_wiring.MESSAGES},
    "ko": {**ko.MESSAGES, **ko_wiring.MESSAGES},
}
MOST_NAMES = 4
_POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def say(language: str, key: str, values: Mapping[str, Any] | None = None) -> str:
    """Return the message of a key in a language, with numbers as people read them.

    After the colon in a placeholder stands how a value is written: `count`, `bytes`, `share`, `shape`, `ratio`,
    `layer` for a path, `layers` for several, `names`, `polynomial` for coefficients in n, the constant first, or
    `n layer|layers` for a count with its noun, one or many; `at` for a line of code in brackets, nothing for None.
    """
    catalogue = CATALOGUES[language]
    return _Writer(catalogue).vformat(catalogue[key], (), values or {})


class _Writer(Formatter):
    def __init__(self, catalogue: Mapping[str, str]) -> None:
        self._catalogue = catalogue
        self._written: dict[str, Callable[[Any], str]] = {
            "": str,
            "count": units.count,
            "bytes": units.size,
            "share": units.share,
            "shape": units.shape,
            "ratio": lambda value: f"{value:,.1f}",
            "layer": self._layer,
            "layers": lambda paths: self._listed([self._layer(path) for path in paths]),
            "names": self._listed,
            "polynomial": _polynomial,
            "at": lambda line: f" ({line})" if line else "",
        }

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec.startswith("n "):
            one, many = format_spec.removeprefix("n ").split("|")
            return f"{value:,} {one if value == 1 else many}"
        return self._written[format_spec](value)

    def _layer(self, path: str) -> str:
        return path or self._catalogue["root"]

    def _listed(self, names: Sequence[str]) -> str:
        listed = ", ".join(names[:MOST_NAMES])
        rest = len(names) - MOST_NAMES
        return listed if rest <= 0 else self._catalogue["more"].format(names=listed, rest=f"{rest:,}")


def _polynomial(coefficients: Sequence[int]) -> str:
    """Write whole coefficients in n, the constant first: `128⋅n² + 32⋅n − 4`."""
    written = ""
    for power, number in reversed(list(enumerate(coefficients))):
        if number:
            times = "" if not power else "⋅n" if power == 1 else f"⋅n{str(power).translate(_POWERS)}"
            sign = "−" if number < 0 else "+"
            term = f"{abs(number):,}{times}"
            written += f" {sign} {term}" if written else f"{sign if number < 0 else ''}{term}"
    return written or "0"
