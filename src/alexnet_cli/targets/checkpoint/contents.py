"""What a checkpoint holds, as plain values, and how to open and read files whose content may be anything."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

from msgspec import Struct

from alexnet_cli.errors import AlexnetError, TargetError, first_line
from alexnet_cli.tape import Shape

LARGEST = 2**63 - 1
"""The largest size that is accepted: no file is larger, and JSON readers take no larger integers."""

LARGEST_HEADER = 100_000_000
"""Bytes of names and shapes, without the values; the limit of the safetensors library."""

_LFS_POINTER = b"version https://git-lfs"


class Stored(Struct, frozen=True):
    """One tensor: its size in bytes, and the key of an earlier tensor if both share one memory.

    `packed` names the format of a quantised weight: then the shape is the weight's, and the bytes are those of all
    tensors that it is stored in. A `buffer` is one for sure.
    """

    shape: Shape
    dtype: str
    size_bytes: int
    same_as: str | None = None
    packed: str | None = None
    buffer: bool = False

    @property
    def elements(self) -> int:
        """The number of values."""
        return prod(self.shape)

    def shape_beside(self, shape: Shape | None) -> Shape:
        """Return the shape; of a weight that is packed without one, the model's, if it has as many values."""
        unknown = self.packed and shape is not None and len(self.shape) == 1
        return shape if unknown and shape is not None and prod(shape) == self.elements else self.shape


class Contents(Struct, frozen=True):
    """The tensors of a checkpoint by key, in the order of the file, a phrase that describes it, and what is unknown.

    `values` are the bytes of tensors that hold no weights but a shape, and `metadata` the texts in the file's header.
    """

    tensors: dict[str, Stored]
    description: str
    note: str | None = None
    values: dict[str, bytes] = {}
    metadata: dict[str, str] = {}


def damaged(path: Path, what: str, kind: str = "checkpoint") -> TargetError:
    """Return the error for a file that is not what its name says."""
    return TargetError(f"{path} is not a readable {kind}: {what}", "download or save it again")


@contextmanager
def damage(path: Path, what: str, kind: str = "checkpoint") -> Iterator[None]:
    """Say `what` is damaged, whatever fails inside: on a file that is damaged libraries raise dozens of kinds.

    Raises:
        TargetError: something failed.
    """
    try:
        yield
    except AlexnetError:
        raise
    except Exception as error:
        raise damaged(path, f"{what} ({first_line(error)})", kind) from error


def python_objects(path: Path, names: object, hint: str) -> TargetError:
    """Return the error for a file with more than plain values in its pickle."""
    what = f"{path} contains Python objects ({names}); loading them would run code, so they are never loaded"
    return TargetError(what, hint)


class Limited:
    """A file of which only so much can be read: the lengths that a file states may be lies."""

    def __init__(self, file: BinaryIO, path: Path, limit: int = LARGEST_HEADER) -> None:
        self._file = file
        self._path = path
        self._left = limit
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Read `size` bytes, or to the end if that is negative.

        Raises:
            TargetError: that is more than the limit.
        """
        if size > self._left:
            raise damaged(self._path, "its directory or pickle is too large")
        data = self._file.read(self._left + 1 if size < 0 else size)
        if len(data) > self._left:
            raise damaged(self._path, "its directory or pickle is too large")
        self._left -= len(data)
        return data

    def readline(self) -> bytes:
        """Read a line; the names of Python objects are lines of a pickle."""
        line = self._file.readline(self._left)
        self._left -= len(line)
        return line


@contextmanager
def opened(path: Path, kind: str = "checkpoint") -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file for reading; yield it with its size in bytes; `kind` is what it should be.

    Raises:
        TargetError: the file does not exist, is a folder or a pipe, is empty, or may not be read.
    """
    try:
        status = path.stat()  # first, because opening a pipe waits for a writer
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            article = "an" if kind.startswith("O") else "a"
            raise TargetError(f"{path} is {what}, not {article} {kind}", "name the file itself")
        with path.open("rb") as file:
            if not status.st_size:
                raise damaged(path, "it is empty", kind)
            if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
                raise TargetError(f"{path} is a pointer to a file in Git LFS", "fetch the file with `git lfs pull`")
            file.seek(0)
            yield file, status.st_size
    except FileNotFoundError as error:
        raise TargetError(f"file not found: {path}") from error
    except (OSError, ValueError) as error:
        raise TargetError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def read_json(data: bytes, path: Path, what: str, kind: str = "checkpoint") -> dict[str, Any]:
    """Read a JSON object without duplicate keys; `what` names the data in errors, `kind` the file.

    Raises:
        TargetError: it is not JSON, not an object, nested too deeply, or a key is repeated.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except ValueError as error:  # not JSON, not UTF-8, a repeated key, or an integer of thousands of digits
        raise damaged(path, f"its {what} is not valid JSON ({error})", kind) from error
    except RecursionError as error:
        raise damaged(path, f"its {what} is nested too deeply", kind) from error
    if not isinstance(value, dict):
        raise damaged(path, f"its {what} is not a JSON object", kind)
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is repeated")
        found[key] = value
    return found


def is_size(number: object) -> bool:
    """Tell whether a number can be a size; by type, as True is an int too."""
    return type(number) is int and 0 <= number <= LARGEST


def is_plain_name(name: str) -> bool:
    """Tell whether a name stays in the folder, on any system."""
    return name == PurePosixPath(name).name == PureWindowsPath(name).name and "\0" not in name
