"""The cache folder: files are written atomically, trusted only if nobody else can write them, and limited in number.

Nothing here raises: a folder that cannot be used keeps nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "ALEXNET_CACHE_DIR"
MOST_ENTRIES = 200
MOST_BYTES = 50 * 2**20
_ABANDONED_AFTER_S = 3600
_ENTRY = r"[0-9a-f]{40}\.report"
_TEMPORARY = r"[0-9a-f]{40}\..*\.tmp"
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def cache_folder() -> Path | None:
    """Return the folder that answers are kept in, which may not exist yet; None if the user has none."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    from platformdirs import user_cache_path

    try:
        folder = user_cache_path("alexnet-cli", appauthor=False) / "reports"
    except (OSError, RuntimeError):
        return None
    return folder if folder.is_absolute() else None  # without a home folder, `~` is not expanded


def read(folder: Path, key: str) -> bytes | None:
    """Return an entry's bytes; None if there is no entry, or somebody else could have written it."""
    path = _place(folder, key)
    try:
        with open(os.open(path, _OPEN), "rb") as file:  # noqa: PTH123 - opens a descriptor
            status = os.fstat(file.fileno())
            if not _is_ours(status) or status.st_size > MOST_BYTES:
                return None
            data = file.read()
        os.utime(path)
    except OSError:
        return None
    return data


def write(folder: Path, key: str, data: bytes) -> None:
    """Write an entry atomically, and drop the oldest entries if there are too many."""
    if len(data) > MOST_BYTES:
        return
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        import tempfile  # only if something is written

        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f"{key}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, _place(folder, key))  # noqa: PTH105 - a name, as mkstemp gave it
        except BaseException:
            _remove(Path(temporary))
            raise
        _prune(folder)


def size(folder: Path) -> tuple[int, int]:
    """Return how many entries there are and their bytes."""
    sizes = [status.st_size for _, status in _files(folder, _ENTRY)]
    return len(sizes), sum(sizes)


def clear(folder: Path) -> int:
    """Remove all entries and nothing else; return how many were removed."""
    for abandoned, _ in _files(folder, _TEMPORARY):
        _remove(abandoned)
    return sum(_remove(entry) for entry, _ in _files(folder, _ENTRY))


def _prune(folder: Path) -> None:
    found = sorted(_files(folder, _ENTRY), key=lambda entry: entry[1].st_mtime, reverse=True)
    total = 0
    for count, (entry, status) in enumerate(found, start=1):
        total += status.st_size
        if count > MOST_ENTRIES or total > MOST_BYTES:
            _remove(entry)
    for abandoned, status in _files(folder, _TEMPORARY):
        if time.time() - status.st_mtime > _ABANDONED_AFTER_S:
            _remove(abandoned)


def _files(folder: Path, pattern: str) -> Iterator[tuple[Path, os.stat_result]]:
    """Find the files of a kind; one that another process removes in the meantime is skipped."""
    try:
        names = [name for name in os.listdir(folder) if re.fullmatch(pattern, name)]  # noqa: PTH208 - names are matched
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            status = (folder / name).lstat()
            if stat.S_ISREG(status.st_mode):
                yield folder / name, status


def _is_ours(status: os.stat_result) -> bool:
    if not stat.S_ISREG(status.st_mode):
        return False
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _place(folder: Path, key: str) -> Path:
    return folder / f"{key}.report"


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
