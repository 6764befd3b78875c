"""The key of a question: a hash of everything that could change the answer."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from alexnet_cli import __version__
from alexnet_cli.report_json import torch_version

try:
    from _blake2 import blake2b  # hashlib would load OpenSSL too, which takes as long as reading the answer
except ImportError:
    from hashlib import blake2b

ROOT = Path(__file__).parents[1]
_DIGEST_BYTES = 20
_INSTALLED = (".dist-info", ".egg-info", ".egg-link", ".pth")


def digest(data: bytes) -> str:
    """Return a hash of bytes in hexadecimal."""
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def key_of(target: str, arguments: Sequence[str], how: object, *, users_code: bool) -> str | None:
    """Return the key of a question; None if the program's own code cannot be read.

    `how` is how the model is run: its `repr` must say all of it. `users_code` is for a target that is not built in:
    then the current folder, `sys.path` and the installed packages are part of the key.
    """
    sources = sources_digest()
    if sources is None:
        return None
    python = (sys.implementation.name, sys.version)
    surroundings = _surroundings() if users_code else None
    parts = (__version__, sources, torch_version(), python, target, tuple(arguments), how, surroundings)
    return digest("\n".join(map(repr, parts)).encode())


def sources_digest(root: Path = ROOT) -> str | None:
    """Return a hash of the names, sizes and times of all Python files in a folder; None if there are none.

    Python trusts the same two, size and time, to tell whether its compiled files are current; reading the files
    would take a fifth of the time of an answer.
    """
    try:
        files = sorted(_python_files(str(root), ""))
    except OSError:
        return None
    return digest(repr(files).encode()) if files else None


def _python_files(folder: str, prefix: str) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.name.endswith(".py"):
                status = entry.stat()
                yield name, status.st_size, status.st_mtime_ns
            elif entry.is_dir(follow_symlinks=False) and entry.name != "__pycache__":
                yield from _python_files(entry.path, f"{name}/")


def _surroundings() -> tuple[object, ...]:
    """Return the current folder, `sys.path`, and the installed packages with their versions, as their folders say."""
    here: str | None = None
    names: list[str] = []
    with contextlib.suppress(OSError):
        here = str(Path.cwd())
    for folder in sys.path:
        with contextlib.suppress(OSError):
            names += [name for name in os.listdir(folder or ".") if name.endswith(_INSTALLED)]  # noqa: PTH208 - names
    return here, tuple(sys.path), tuple(sorted(names))
