"""The user's files that a target's code was loaded from: editing one of them invalidates the answer."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from alexnet_cli.cache.question import digest
from alexnet_cli.errors import is_users_file


class LocalFile(Struct, frozen=True):
    """A file of code and the hash of its content."""

    path: str
    digest: str


def loaded_files() -> set[str]:
    """Return the files of all imported modules that are neither installed nor the program's own."""
    paths = sysconfig.get_paths()
    installed = tuple({f"{paths[name]}{os.sep}" for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return {file for file in files if isinstance(file, str) and not file.startswith(installed) and is_users_file(file)}


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
