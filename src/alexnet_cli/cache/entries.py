"""A cache entry: a line with its key and checksum, then the JSON of the report.

With it go the user's files that the target's code was loaded from: editing one of them invalidates the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from alexnet_cli.cache.question import digest
from alexnet_cli.report import Report


class LocalFile(Struct, frozen=True):
    """A file of code and the hash of its content."""

    path: str
    digest: str


class Answer(Struct, frozen=True):
    """A report, its notes, and the user's files that it depends on."""

    report: Report
    notes: tuple[str, ...] = ()
    files: tuple[LocalFile, ...] = ()


class _Header(Struct, frozen=True):
    alexnet_cache: Literal[1]
    key: str
    checksum: str


def encode(key: str, answer: Answer) -> bytes | None:
    """Return an entry as bytes; None if JSON cannot represent it."""
    try:
        body = msgspec.json.encode(answer)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
    return msgspec.json.encode(_Header(1, key, digest(body))) + b"\n" + body


def decode(key: str, data: bytes) -> Answer | None:
    """Read an entry; None if it is damaged, or answers another question."""
    header, _, body = data.partition(b"\n")
    try:
        told = msgspec.json.decode(header, type=_Header)
        if told.key != key or told.checksum != digest(body):
            return None
        return msgspec.json.decode(body, type=Answer)
    except (ValueError, RecursionError):  # the errors of msgspec and of decoding text are ValueErrors
        return None


def record(files: Iterable[str], since_ns: int) -> tuple[LocalFile, ...] | None:
    """Hash files as they are; None if one is unreadable, or was written after `since_ns`, so perhaps after its import.

    `since_ns` is in nanoseconds, as `time.time_ns` counts them.
    """
    try:
        if any(Path(file).stat().st_mtime_ns >= since_ns for file in files):
            return None
        return tuple(LocalFile(file, digest(Path(file).read_bytes())) for file in sorted(files))
    except OSError:
        return None


def unchanged(files: Iterable[LocalFile]) -> bool:
    """Tell whether all files still have the recorded content."""
    try:
        return all(digest(Path(file.path).read_bytes()) == file.digest for file in files)
    except OSError:
        return False
