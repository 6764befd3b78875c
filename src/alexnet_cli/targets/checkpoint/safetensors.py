"""`*.safetensors`: only the header is read, which has all names, shapes and dtypes, and the shapes of packed weights.

The file is 8 bytes with the length of the header (little-endian), the header as JSON, and the values. The checks are
those of the format's description: https://github.com/huggingface/safetensors#format. CONTRIBUTING.md says why this is
not the `safetensors` package.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from msgspec.structs import replace

from alexnet_cli.targets.checkpoint.contents import (
    LARGEST_HEADER,
    Contents,
    Stored,
    damaged,
    is_size,
    opened,
    read_json,
)
from alexnet_cli.targets.checkpoint.packed import SAY_A_SHAPE

DTYPES = {
    "BOOL": ("bool", 8),
    "U8": ("uint8", 8),
    "I8": ("int8", 8),
    "U16": ("uint16", 16),
    "I16": ("int16", 16),
    "U32": ("uint32", 32),
    "I32": ("int32", 32),
    "U64": ("uint64", 64),
    "I64": ("int64", 64),
    "F4": ("float4_e2m1fn", 4),
    "F6_E2M3": ("float6_e2m3fn", 6),
    "F6_E3M2": ("float6_e3m2fn", 6),
    "F8_E4M3": ("float8_e4m3fn", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8),
    "F8_E5M2": ("float8_e5m2", 8),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "F8_E8M0": ("float8_e8m0fnu", 8),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "F32": ("float32", 32),
    "F64": ("float64", 64),
    "C64": ("complex64", 64),
}
"""The format's dtypes: torch's name, and bits per element."""
BITS = {
    **dict(DTYPES.values()),
    **dict.fromkeys(("qint8", "quint8", "float4_e2m1fn_x2"), 8),
    **dict.fromkeys(("complex32", "qint32"), 32),
    "complex128": 128,
}
"""Bits per element of torch's dtypes, also those that the format lacks."""

LENGTH_BYTES = 8
_METADATA = "__metadata__"
_ENTRY_KEYS = 3
_LARGEST_VALUE = 1_000
MOST_DIMENSIONS = 64  # as many as torch can index


def read_safetensors(path: Path) -> Contents:
    """Read which tensors a file holds.

    Raises:
        TargetError: it cannot be read, or its header does not fit the format or the size of the file.
    """
    with opened(path) as (file, size):
        length = header_length(path, file.read(LENGTH_BYTES), size)
        header = file.read(length)
        spans, contents = _read_header(path, header, size - LENGTH_BYTES - length)
        values = {key: _value(file, LENGTH_BYTES + length, span) for key, span in spans.items() if _is_said(key, span)}
    return replace(contents, values=values)


def read_span(path: Path, key: str) -> _Span | None:
    """Read where in a file the values of a tensor are; None if it has no such tensor.

    Raises:
        TargetError: as for `read_safetensors`.
    """
    with opened(path) as (file, size):
        length = header_length(path, file.read(LENGTH_BYTES), size)
        spans, _ = _read_header(path, file.read(length), size - LENGTH_BYTES - length)
    begin = LENGTH_BYTES + length
    span = spans.get(key)
    return None if span is None else span._replace(begin=begin + span.begin, end=begin + span.end)


def header_length(path: Path, data: bytes, size: int) -> int:
    """Return how many bytes of header follow the first `data` of a file of `size` bytes.

    Raises:
        TargetError: the file is shorter, or they are too many.
    """
    length = int.from_bytes(data, "little")
    if size < LENGTH_BYTES or length > size - LENGTH_BYTES:
        raise damaged(path, f"its header should have {length:,} bytes, but the file has {size:,}")
    if length > LARGEST_HEADER:
        raise damaged(path, f"its header should have {length:,} bytes; at most {LARGEST_HEADER:,} are allowed")
    return length


def contents_of(path: Path, header: bytes, size: int) -> Contents:
    """Return which tensors a header lists, whose values take `size` bytes in the file.

    Raises:
        TargetError: the header does not fit the format or the size.
    """
    return _read_header(path, header, size)[1]


def _read_header(path: Path, header: bytes, size: int) -> tuple[dict[str, _Span], Contents]:
    if not header.startswith(b"{"):
        raise damaged(path, "its header is not a JSON object")
    entries = read_json(header, path, "header")
    said = entries.pop(_METADATA, None)
    metadata = {key: value for key, value in said.items() if isinstance(value, str)} if isinstance(said, dict) else {}
    spans = {key: _span(path, key, entry) for key, entry in entries.items()}
    _check_layout(path, spans, size)
    tensors = {key: span.stored for key, span in spans.items()}
    return spans, Contents(tensors, "a safetensors file", metadata=metadata)


def _is_said(key: str, span: _Span) -> bool:
    """Tell whether a tensor holds a shape: quantised weights lie in tensors that do not tell theirs."""
    return key.endswith(SAY_A_SHAPE) and span.stored.size_bytes <= _LARGEST_VALUE


def _value(file: BinaryIO, begin: int, span: _Span) -> bytes:
    file.seek(begin + span.begin)
    return file.read(span.end - span.begin)


class _Span(NamedTuple):
    begin: int
    end: int
    stored: Stored


def _span(path: Path, key: str, entry: Any) -> _Span:
    try:  # a pattern would say the same, in twice the time: there may be a hundred thousand tensors
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        fits = isinstance(dtype, str) and isinstance(shape, list) and len(entry) == _ENTRY_KEYS
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise damaged(path, f"the tensor {key!r} needs a dtype, a shape and two data_offsets, and nothing else")
    if dtype not in DTYPES:
        raise damaged(path, f"the tensor {key!r} has the unknown dtype {dtype!r}")
    if len(shape) > MOST_DIMENSIONS or not (is_size(begin) and is_size(end) and all(map(is_size, shape))):
        raise damaged(path, f"the tensor {key!r} has an impossible shape or data_offsets")
    name, bits = DTYPES[dtype]
    taken, odd_bits = divmod(prod(shape) * bits, 8)
    if odd_bits or end - begin != taken:
        raise damaged(path, f"the tensor {key!r} needs {taken:,} bytes, but its data_offsets say {end - begin:,}")
    return _Span(begin, end, Stored(tuple(shape), name, taken))


def _check_layout(path: Path, spans: dict[str, _Span], size: int) -> None:
    """Check that the tensors lie side by side and fill the file, as the format demands."""
    reached = 0
    for key, span in sorted(spans.items(), key=lambda item: item[1][:2]):
        if span.begin != reached:
            what = "overlaps another" if span.begin < reached else "has a gap before it"
            raise damaged(path, f"the tensor {key!r} {what}")
        reached = span.end
    if reached != size:
        raise damaged(path, f"its tensors should take {reached:,} bytes, but the file has {size:,} for them")
