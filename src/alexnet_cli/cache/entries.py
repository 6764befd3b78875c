"""The format of a cache entry: a line with its key and checksum, then the JSON of the report."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from alexnet_cli.cache.local_files import LocalFile
from alexnet_cli.cache.question import digest
from alexnet_cli.report import Report


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
