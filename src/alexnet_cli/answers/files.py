"""Files that answers are written to: whole before or after, never half."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alexnet_cli.errors import OutputError, UsageError
from alexnet_cli.renderers import FORMATS, format_for_suffix

JSON = "json"


def write_file(path: Path, data: bytes) -> None:
    """Replace a file at once, keeping its permissions; links are followed, devices and pipes written to.

    Raises:
        OutputError: it cannot be written.
    """
    import tempfile  # only where a file is written

    place = Path(os.path.realpath(path))
    try:
        if place.exists() and not place.is_file():
            place.write_bytes(data)
            return
        mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else 0o666 & ~_umask()
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(handle, "wb") as temporary:
                temporary.write(data)
            Path(name).chmod(mode)
            Path(name).replace(place)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a place in a folder of its own beside `path`, with its name; what was written there then replaces it.

    Other files in that folder go beside `path` too, before it.

    Raises:
        OutputError: it cannot be written.
    """
    import tempfile

    place = Path(os.path.realpath(path))
    try:
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as folder:
            made = Path(folder) / path.name
            yield made
            mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else 0o666 & ~_umask()
            for each in sorted(Path(folder).iterdir(), key=made.__eq__):  # the file itself last
                each.chmod(mode)
                each.replace(place if each == made else place.parent / each.name)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def check_place(file: Path) -> None:
    """See that a file can stand where the answer is to go.

    Raises:
        UsageError: it is a folder, or there is no folder for it.
    """
    if file.is_dir():
        raise UsageError(f"cannot write {file}: it is a folder", "name a file in it")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"cannot write {file}: the folder {file.parent} is not there", "make it first")


def format_of(file: Path) -> str:
    """Return the format that a file's suffix names; a table for what is no plain file, as `/dev/stdout`.

    Raises:
        UsageError: the suffix names no format.
    """
    if file.suffix.lower() == ".json":
        return JSON
    named = format_for_suffix(str(file))
    if (named is None and file.is_file()) or (not file.exists() and named is None):
        known = [suffix for suffixes in FORMATS.values() for suffix in suffixes]
        raise UsageError(
            f"{file} has no suffix that names a format", f"known: .json, {', '.join(known)}; or choose with --format"
        )
    return named or "table"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
