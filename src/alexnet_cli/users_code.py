"""The user's own code: the files that are neither installed nor part of this program, and the text of a source file."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_DIGEST_BYTES = 20


def users_frames(error: BaseException) -> str | None:
    """Return where in the user's own code an exception was raised: one line `file:line in function: code` per frame.

    Frames inside installed packages, the standard library and this program are left out.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_users_file(frame.filename)]
    lines = [f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    return "\n".join(lines) or None


def is_users_file(filename: str) -> bool:
    """Tell whether a file is neither installed nor part of this program."""
    return not is_installed(filename) and not is_ours(filename) and Path(filename).is_file()


def is_installed(filename: str) -> bool:
    """Tell whether a file is part of Python's library or of an installed package."""
    return os.path.normcase(filename).startswith(_installed_folders())


@cache
def _installed_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(os.path.normcase(f"{paths[name]}{os.sep}") for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def is_ours(filename: str) -> bool:
    """Tell whether a file is part of this program."""
    return Path(filename).is_relative_to(Path(__file__).parent)


def read_source(path: str) -> str | None:
    """Return the text of a source file, or of a notebook's cell by its name; None if there is none."""
    if not Path(path).is_file():
        return "".join(linecache.getlines(path)) or None
    import tokenize  # reads the encoding that a file declares

    try:
        with tokenize.open(path) as file:
            return file.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None


def digest_of(text: str) -> str:
    """Return a hash of a source's text in hexadecimal."""
    from hashlib import blake2b  # only where lines are noted

    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()


def loaded_files() -> set[str]:
    """Return the user's files that modules were imported from."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return {file for file in files if isinstance(file, str) and is_users_file(file)}


def forget(modules: Iterable[str]) -> None:
    """Take modules out of `sys.modules`, so that another target may have modules of the same names."""
    for name in modules:
        _forgotten.add(str(getattr(sys.modules.pop(name), "__file__", None)))


def files_ever_loaded() -> set[str]:
    """Return the user's files that modules were imported from, also those forgotten since."""
    return loaded_files() | {file for file in _forgotten if is_users_file(file)}


_forgotten: set[str] = set()
