"""`*.gguf`: only the header is read, which has all names, shapes and quantisation types.

The format is that of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: a magic, a version, the numbers of
tensors and of key-value pairs, the pairs, and for each tensor its name, its dimensions from the innermost out, its type
and where its values begin. The `gguf` package maps the whole file and believes its counts; this stops where they end.
"""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

from alexnet_cli.targets.checkpoint.contents import LARGEST, LARGEST_HEADER, Contents, Stored, damaged, opened

TYPES = {
    0: ("float32", 1, 4),
    1: ("float16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("int8", 1, 1),
    25: ("int16", 1, 2),
    26: ("int32", 1, 4),
    27: ("int64", 1, 8),
    28: ("float64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("bfloat16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}
"""The types of ggml by number: torch's name or ggml's, the values of a block, and its bytes with its scales."""

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SWAPPED = 1 << 16  # a version this large was written in the other byte order
_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_DEEPEST = 4
_MOST_DIMENSIONS = 8
_ALIGNMENT = "general.alignment"
_SAYS = ("general.architecture", "general.name")


def read_gguf(path: Path) -> Contents:
    """Read which tensors a file holds.

    Raises:
        TargetError: it cannot be read, or its header does not fit the format or the size of the file.
    """
    with opened(path) as (file, size):
        reader = _Reader(file, path, min(size, LARGEST_HEADER))
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise damaged(path, "it does not begin with GGUF")
        version = reader.number("I")
        if version >= _SWAPPED:
            reader.order, version = ">", int.from_bytes(version.to_bytes(4, "little"), "big")
        if version not in _VERSIONS:
            raise damaged(path, f"it has version {version} of the format, and known are 2 and 3")
        tensors, pairs = reader.number("Q"), reader.number("Q")
        said = dict(reader.pair() for _ in range(reader.sized(pairs)))
        infos = [reader.info() for _ in range(reader.sized(tensors))]
        begin = _aligned(reader.at, said.get(_ALIGNMENT))
    held: dict[str, Stored] = {}
    for info in infos:
        if info.name in held:
            raise damaged(path, f"the tensor {info.name!r} is repeated")
        if begin + info.offset + info.stored.size_bytes > size:
            raise damaged(path, f"the tensor {info.name!r} ends after the file")
        held[info.name] = info.stored
    about = ", ".join(str(said[key]) for key in _SAYS if isinstance(said.get(key), str))
    return Contents(held, f"a GGUF file ({about})" if about else "a GGUF file")


class _Info(NamedTuple):
    name: str
    stored: Stored
    offset: int


class _Reader:
    """Takes numbers and texts from the beginning of a file, up to a `limit` in bytes."""

    def __init__(self, file: BinaryIO, path: Path, limit: int) -> None:
        self.file = file
        self.path = path
        self.limit = limit
        self.at = 0
        self.order = "<"

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        self._advance(count)
        return self.file.read(count)

    def number(self, code: str) -> int:
        """Return the next number, by its code in `struct`."""
        value: int = struct.unpack(self.order + code, self.take(struct.calcsize("<" + code)))[0]
        return value

    def text(self) -> str:
        """Return the next text: its length, and UTF-8."""
        return self.take(self.number("Q")).decode("utf-8", "replace")

    def sized(self, count: int) -> int:
        """Return a count of things that take a byte at least, if so many can follow."""
        if count > self.limit - self.at:
            raise damaged(self.path, f"its header should hold {count:,} entries, and the file ends before")
        return count

    def pair(self) -> tuple[str, str | int | None]:
        """Return the next key with its value, where that is a text or a 32-bit number."""
        return self.text(), self._value(self.number("I"), 0)

    def _value(self, kind: int, depth: int) -> str | int | None:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY and depth < _DEEPEST:
            item, count = self.number("I"), self.sized(self.number("Q"))
            if item in _SCALARS:
                self._skip(count * _SCALARS[item])
            else:
                for _ in range(count):
                    self._value(item, depth + 1)
            return None
        if kind == 4:  # noqa: PLR2004 - uint32, which the alignment is
            return self.number("I")
        if kind not in _SCALARS:
            raise damaged(self.path, f"its header has a value of the unknown type {kind}")
        self._skip(_SCALARS[kind])
        return None

    def info(self) -> _Info:
        """Return the next tensor's name, size and place."""
        name = self.text()
        dimensions = self.number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise damaged(self.path, f"the tensor {name!r} has {dimensions:,} dimensions")
        inner_first = [self.number("Q") for _ in range(dimensions)]
        kind, offset = self.number("I"), self.number("Q")
        if kind not in TYPES:
            raise damaged(self.path, f"the tensor {name!r} has the unknown type {kind}")
        dtype, block, size = TYPES[kind]
        elements = prod(inner_first)
        if elements > LARGEST or elements % block:
            raise damaged(self.path, f"the tensor {name!r} has an impossible shape for {dtype}")
        return _Info(name, Stored(tuple(reversed(inner_first)), dtype, elements // block * size), offset)

    def _skip(self, count: int) -> None:
        self._advance(count)
        self.file.seek(count, 1)

    def _advance(self, count: int) -> None:
        self.at += count
        if self.at > self.limit:
            raise damaged(self.path, "its header does not end in the file")


def _aligned(at: int, alignment: object) -> int:
    step = alignment if isinstance(alignment, int) and alignment else 32
    return -(-at // step) * step
