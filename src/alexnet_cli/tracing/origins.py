"""Where in the user's source each layer of a model is made."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from torch import nn

from alexnet_cli.errors import is_ours, is_users_file


class Origins:
    """Notes, while modules are being built, the line of the user's code that makes each."""

    def __init__(self) -> None:
        self._lines: dict[int, str] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch every module that is built inside."""
        original = nn.Module.__init__

        def init(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            self._lines[id(module)] = _users_line(sys._getframe(1), module) or ""
            original(module, *args, **kwargs)

        nn.Module.__init__ = init  # type: ignore[method-assign, assignment] # put back below
        try:
            yield
        finally:
            nn.Module.__init__ = original  # type: ignore[method-assign]

    def of(self, module: nn.Module) -> str | None:
        """Return `net.py:14: self.fc1 = nn.Linear(400, 120)`, None where the user's code did not make it."""
        return self._lines.get(id(module)) or None


def _users_line(frame: FrameType | None, module: nn.Module) -> str | None:
    """Return the innermost line of the user's code that is not a constructor of the module itself."""
    while frame is not None and not is_ours(frame.f_code.co_filename):
        own = frame.f_code.co_name == "__init__" and frame.f_locals.get("self") is module
        if not own and is_users_file(frame.f_code.co_filename):
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            return f"{frame.f_code.co_filename}:{frame.f_lineno}: {line}"
        frame = frame.f_back
    return None
