"""The line of the user's code that is running, found by walking the frames."""

from __future__ import annotations

import linecache
import sysconfig
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

import torch

from alexnet_cli.users_code import is_ours, is_users_file

_NOBODYS, _LIBRARYS, _USERS = range(3)
_TORCH = Path(torch.__file__).parent
_STANDARD = Path(sysconfig.get_path("stdlib"))
NO_LINE = -1


@cache  # asked of each frame of each operator
def _whose(filename: str) -> int:
    """Tell whether a file is the user's, a library's, or of those that are never the answer: torch, Python, ours."""
    path = Path(filename)
    if is_users_file(filename):
        return _USERS
    if not path.is_file() or is_ours(filename) or path.is_relative_to(_TORCH):
        return _NOBODYS
    in_standard = path.is_relative_to(_STANDARD) and "site-packages" not in path.parts
    return _NOBODYS if in_standard else _LIBRARYS


def line_at(filename: str, number: int) -> str:
    """Return a line as it is told: `net.py:14: self.fc = nn.Linear(400, 120)`."""
    return f"{filename}:{number}: {linecache.getline(filename, number).strip()}"


class Lines:
    """Numbers the lines that run; `below` is the code below which the frames are no longer the model's."""

    def __init__(self, below: CodeType) -> None:
        self._below = below
        self._numbers: dict[tuple[str, int], int] = {}

    def here(self, frame: FrameType | None) -> int:
        """Return the number of the innermost line of the user's code, else of a library's, else `NO_LINE`."""
        librarys: tuple[str, int] | None = None
        while frame is not None and frame.f_code is not self._below:
            whose = _whose(frame.f_code.co_filename)
            if whose == _USERS:
                return self._number((frame.f_code.co_filename, frame.f_lineno))
            if whose == _LIBRARYS and librarys is None:
                librarys = frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back
        return NO_LINE if librarys is None else self._number(librarys)

    def texts(self) -> tuple[str, ...]:
        """Return the lines, by number."""
        return tuple(line_at(*place) for place in self._numbers)

    def _number(self, place: tuple[str, int]) -> int:
        return self._numbers.setdefault(place, len(self._numbers))
