"""Inputs as typed: shapes such as `3,227,227`, `128:int64<1000`, `mask=1,128:bool=1`, and JSON that holds shapes.

    input  = [name "="] shape | [name "="] json | name ":=" json
    shape  = [size {("," | "x" | "×") size}] [":" dtype ["=" number | "<" number]]

JSON is an object, a list, a string in quotes, true, false, null or a number with a point or an exponent; a whole number
is a shape. A string inside an object or a list that is a shape stands for a tensor, except after `:=`.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.errors import UsageError
from alexnet_cli.tape import Shape

DTYPES = (
    *("float32", "float16", "bfloat16", "float64", "complex64", "complex128"),
    *("int64", "int32", "int16", "int8", "uint8", "bool"),
)
LARGEST_DIMENSION = 2**31 - 1
_NAMED = r"(?s)(?P<name>[^\W\d]\w*)(?P<sign>:?=)(?P<rest>.*)"
_DTYPE = r"(?s)(?P<dtype>[^=<]*)(?:(?P<sign>[=<])(?P<number>.*))?"
_LIKE_JSON = r'(?s)[\[{"].*|true|false|null|[+-]?\d+(\.\d+)?([eE][+-]?\d+)?'
_WHOLE = r"[+-]?\d+"
_LIKE_A_SHAPE = r"(?s)\s*\d[\d\s,x×]*(:\s*[a-z].*)?|:[a-z]+\d*([=<].*)?"
"""Patterns are compiled when an input is typed, which most command lines do not."""

_EXAMPLE = "a shape without the batch looks like 3,227,227 or 3x227x227, and 128:int64 sets a dtype"
_FILL = "integers are filled as in 16:int64=1, or with random ones below a bound as in 16:int64<1000"


class InputSpec(Struct, frozen=True):
    """A tensor without the batch dimension.

    Without a `dtype` it has the model's own. `side` replaces the shape if only the side of a square image is known;
    `name` makes it a keyword argument. `fill` is the value of all its elements, `below` the bound of random integers.
    `values` are those of one sample, row by row. A `whole` shape has no batch in front, whatever the batch; the samples
    of a `stacked` one follow one another along its first axis.
    """

    shape: Shape = ()
    dtype: str | None = None
    name: str | None = None
    side: int | None = None
    fill: float | None = None
    below: int | None = None
    values: tuple[int, ...] | None = None
    whole: bool = False
    stacked: bool = False

    @property
    def is_batched(self) -> bool:
        """Tell whether the batch is an axis of its own, in front."""
        return not (self.whole or self.stacked)

    def as_image(self, channels: int) -> InputSpec:
        """Return the square image that `side` stands for, or any other spec unchanged."""
        if self.side is None:
            return self
        return replace(self, shape=(channels, self.side, self.side), side=None)

    def as_vector(self) -> InputSpec:
        """Return the vector that `side` stands for, or any other spec unchanged."""
        return self if self.side is None else replace(self, shape=(self.side,), side=None)


class InputValue(Struct, frozen=True):
    """An argument that is not one tensor: what JSON holds, with an `InputSpec` for each shape in it."""

    value: Any
    name: str | None = None


def parse_input(text: str) -> InputSpec | InputValue:
    """Read one `--input-size`.

    Raises:
        UsageError: the text is neither a shape nor JSON, a dimension is not positive, or the dtype is unknown.
    """
    match = re.fullmatch(_NAMED, text.strip())
    name, sign, rest = (match["name"], match["sign"], match["rest"]) if match else (None, "=", text.strip())
    if sign == ":=":
        return InputValue(_json(rest, text), name)
    rest = rest.strip()
    if re.fullmatch(_LIKE_JSON, rest) and not re.fullmatch(_WHOLE, rest) and (name or rest[0] in '[{"tfn'):
        value = _json(rest, text)
        return InputValue(value if isinstance(value, str) else _with_shapes(value), name)
    return _parse_shape(rest, name, text)


def _json(text: str, whole: str) -> Any:
    import json  # only if it is typed

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        hint = 'quotes are part of JSON: -i \'batch={"ids": "16:int64"}\', -i \'kind="conv"\''
        raise UsageError(f"invalid input {whole!r}: {text!r} is not JSON: {error}", hint) from None


def _with_shapes(value: Any) -> Any:
    """Replace the strings inside a JSON object or list that are shapes."""
    if isinstance(value, dict):
        return {key: _with_shapes(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_shapes(part) for part in value]
    if isinstance(value, str) and re.fullmatch(_LIKE_A_SHAPE, value):
        return _parse_shape(value.strip(), None, value).as_vector()
    return value


def _parse_shape(rest: str, name: str | None, text: str) -> InputSpec:
    sizes, _, tail = rest.partition(":")
    dtype, fill, below = _parse_dtype(tail, text)
    parts = re.split(r"[,x×]", sizes) if sizes or not dtype else ()  # `:int64` is one number for each image
    shape = tuple(_dimension(part, text, name) for part in parts)
    if len(shape) == 1 and name is None and not dtype:
        return InputSpec(side=shape[0])
    return InputSpec(shape, dtype or None, name, fill=fill, below=below)


def _parse_dtype(tail: str, text: str) -> tuple[str, float | None, int | None]:
    """Read `int64`, `int64=1` or `int64<1000`; `tail` may be empty."""
    match = re.fullmatch(_DTYPE, tail)
    dtype = match["dtype"].strip() if match else tail
    if dtype not in ("", *DTYPES) or (tail and not dtype):
        raise UsageError(f"unknown dtype {dtype!r} in the input size {text!r}", hint=f"known: {', '.join(DTYPES)}")
    if match is None or match["sign"] is None:
        return dtype, None, None
    is_float = "float" in dtype or "complex" in dtype
    try:
        number = float(match["number"]) if is_float else int(match["number"])
    except ValueError:
        raise UsageError(f"invalid fill {match['number']!r} in the input size {text!r}", _FILL) from None
    if match["sign"] == "=":
        return dtype, number, None
    if is_float or number < 1:
        raise UsageError(f"invalid bound {match['number']!r} in the input size {text!r}", _FILL)
    return dtype, None, int(number)


def _dimension(part: str, text: str, name: str | None) -> int:
    if not part.strip():
        raise UsageError(f"invalid input size {text!r}: a number is missing", hint=_EXAMPLE)
    plain = f"{name}:=VALUE passes a value that is not a shape, as JSON" if name else _EXAMPLE
    try:
        size = int(part)
    except ValueError:
        raise UsageError(f"invalid input size {text!r}: {part!r} is not a whole number", hint=plain) from None
    if not 1 <= size <= LARGEST_DIMENSION:
        raise UsageError(f"invalid input size {text!r}: {size} is not from 1 to {LARGEST_DIMENSION:,}", hint=plain)
    return size
