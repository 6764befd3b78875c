"""Opening files that may be anything, and reading JSON from them that may be anything too."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from alexnet_cli.errors import TargetError

LARGEST_HEADER = 100_000_000
"""Bytes of names and shapes, without the values; the limit of the safetensors library."""

_LFS_POINTER = b"version https://git-lfs"


def damaged(path: Path, what: str) -> TargetError:
    """Return the error that a file is not what its name says."""
    return TargetError(f"{path} is not a checkpoint that can be read: {what}", "download or save it again")


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file for reading, and tell its size in bytes.

    Raises:
        TargetError: there is no such file, it is a folder or a pipe, it is empty, or it may not be read.
    """
    try:
        status = path.stat()  # first, because opening a pipe waits for a writer
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise TargetError(f"{path} is {what}, not a checkpoint", "name the file itself")
        with path.open("rb") as file:
            if not status.st_size:
                raise damaged(path, "it is empty")
            if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
                raise TargetError(f"{path} is a pointer to a file that Git LFS keeps", "fetch it with `git lfs pull`")
            file.seek(0)
            yield file, status.st_size
    except FileNotFoundError as error:
        raise TargetError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise TargetError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def read_json(data: bytes, path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object in which no key comes twice; `what` names it in the error.

    Raises:
        TargetError: it is no JSON, no object, nested too deeply, or a key comes twice.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except ValueError as error:  # not JSON, not UTF-8, a key twice, or an integer of thousands of digits
        raise damaged(path, f"its {what} is not JSON as it should be ({error})") from error
    except RecursionError as error:
        raise damaged(path, f"its {what} is nested too deeply") from error
    if not isinstance(value, dict):
        raise damaged(path, f"its {what} is not a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} comes twice")
        found[key] = value
    return found
