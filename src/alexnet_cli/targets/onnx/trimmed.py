"""The graph of an ONNX file without the values of its weights, so that a large file takes little memory.

A file is one Protocol Buffers message, whose wire format (https://protobuf.dev/programming-guides/encoding) is a row of
fields: a number with a type, and for most a length and as many bytes. Only fields on the way to tensors are looked
into; what holds a tensor's values is left out if it is long. The field numbers are those of `onnx.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

LONGEST_VALUES = 4_096
"""Bytes of values that are kept: shapes and axes are shorter, and shape inference needs them."""
LARGEST_GRAPH = 100_000_000
"""Bytes of a graph without its weights."""
_MOST_FIELDS = 10_000_000
_DEEPEST = 100  # the depth at which the protobuf library stops too
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10


class MalformedError(ValueError):
    """It is not a Protocol Buffers message, or is too large."""


class _Message(NamedTuple):
    """A kind of message: the kinds of those in its fields, and which fields hold a tensor's values."""

    fields: Mapping[int, _Message]
    values: frozenset[int] = frozenset()


def _kinds() -> _Message:
    tensor = _Message({}, frozenset({4, 5, 6, 7, 9, 10, 11}))
    sparse = _Message({1: tensor, 2: tensor})
    node_fields: dict[int, _Message] = {}
    node = _Message(node_fields)
    graph = _Message({1: node, 5: tensor, 15: sparse})
    node_fields[5] = _Message({5: tensor, 6: graph, 10: tensor, 11: graph, 22: sparse, 23: sparse})
    return _Message({7: graph, 25: _Message({7: node, 11: node_fields[5]})})


_MODEL = _kinds()


def trimmed(data: memoryview) -> bytes:
    """Return an ONNX model's message without the values of its larger tensors.

    Raises:
        MalformedError: it is no such message, or its graph is too large.
    """
    kept = _Kept()
    kept.message(data, _MODEL, 0)
    return b"".join(kept.parts)


class _Kept:
    """The bytes that are kept."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.fields = 0

    def message(self, data: memoryview, kind: _Message, depth: int) -> None:
        """Keep a message's fields."""
        if depth > _DEEPEST:
            raise MalformedError(f"it is nested more than {_DEEPEST} levels deep")
        for number, start, begin, end in _fields(data):
            self.fields += 1
            if self.fields > _MOST_FIELDS:
                raise MalformedError(f"its graph has more than {_MOST_FIELDS:,} fields")
            if number in kind.values and end - begin > LONGEST_VALUES:
                continue
            below = kind.fields.get(number)
            if below is None or begin == start:
                self._append(data[start:end])
            else:
                self._nested(number, data[begin:end], below, depth + 1)

    def _nested(self, number: int, data: memoryview, kind: _Message, depth: int) -> None:
        """Keep a message in a field, with its length as it is then."""
        place, before = len(self.parts), self.size
        self.parts.append(b"")
        self.message(data, kind, depth)
        self.parts[place] = _varint(number << 3 | _BYTES) + _varint(self.size - before)
        self.size += len(self.parts[place])

    def _append(self, field: memoryview) -> None:
        self.size += len(field)
        if self.size > LARGEST_GRAPH:
            raise MalformedError(f"its graph has more than {LARGEST_GRAPH:,} bytes without its weights")
        self.parts.append(bytes(field))


def _fields(data: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Yield each field's number, where it starts, and where its bytes begin and end; others begin where they start."""
    at = 0
    while at < len(data):
        start = at
        tag, at = _read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        begin = start
        if wire == _VARINT:
            at = _read_varint(data, at)[1]
        elif wire == _BYTES:
            length, at = _read_varint(data, at)
            begin, at = at, at + length
        elif wire in _FIXED:
            at += _FIXED[wire]
        else:
            raise MalformedError("it is not a Protocol Buffers message")
        if not number or at > len(data):
            raise MalformedError("it ends in the middle of a field")
        yield number, start, begin, at


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    for place in range(at, min(at + _LONGEST_VARINT, len(data))):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the high bit says that another byte follows
            return value, place + 1
        shift += 7
    raise MalformedError("it ends in the middle of a number")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits to a byte
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
