"""Input shapes as typed: `3,227,227`, `3x227x227`, `227`, `128:int64`, `:int64`, `mask=1,128:bool`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from alexnet_cli.errors import UsageError
from alexnet_cli.tape import Shape

DTYPES = (
    "float32",
    "float16",
    "bfloat16",
    "float64",
    "complex64",
    "complex128",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
)
LARGEST_DIMENSION = 2**31 - 1
_NAMED = re.compile(r"(?P<name>[^\W\d]\w*)=(?P<rest>.*)", re.DOTALL)
_EXAMPLE = "a shape without the batch looks like 3,227,227 or 3x227x227, and 128:int64 sets a dtype"


@dataclass(frozen=True)
class InputSpec:
    """One argument of `forward` without the batch dimension.

    Without a `dtype` it has the model's own. `side` replaces the shape if only the side of a square image is known;
    `name` makes it a keyword argument.
    """

    shape: Shape = ()
    dtype: str | None = None
    name: str | None = None
    side: int | None = None

    def as_image(self, channels: int) -> InputSpec:
        """Return the square image that `side` stands for, or any other spec unchanged."""
        if self.side is None:
            return self
        return replace(self, shape=(channels, self.side, self.side), side=None)


def parse_input(text: str) -> InputSpec:
    """Read one `--input-size`.

    Raises:
        UsageError: the text is not a shape, a dimension is not positive, or the dtype is unknown.
    """
    match = _NAMED.fullmatch(text.strip())
    name, rest = (match["name"], match["rest"]) if match else (None, text.strip())
    sizes, _, dtype = rest.partition(":")
    if dtype and dtype not in DTYPES:
        raise UsageError(f"unknown dtype {dtype!r} in the input size {text!r}", hint=f"known: {', '.join(DTYPES)}")
    parts = re.split(r"[,x×]", sizes) if sizes or not dtype else ()  # `:int64` is one number for each image
    shape = tuple(_dimension(part, text) for part in parts)
    if len(shape) == 1 and name is None and not dtype:
        return InputSpec(side=shape[0])
    return InputSpec(shape, dtype or None, name)


def _dimension(part: str, text: str) -> int:
    if not part.strip():
        raise UsageError(f"invalid input size {text!r}: a number is missing", hint=_EXAMPLE)
    try:
        size = int(part)
    except ValueError:
        raise UsageError(f"invalid input size {text!r}: {part!r} is not a whole number", hint=_EXAMPLE) from None
    if not 1 <= size <= LARGEST_DIMENSION:
        raise UsageError(f"invalid input size {text!r}: {size} is not from 1 to {LARGEST_DIMENSION:,}", hint=_EXAMPLE)
    return size
