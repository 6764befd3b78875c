"""Watches a model being made: the line that makes each module, and the line that puts one into eval mode."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any, NamedTuple

from torch import nn

from alexnet_cli.torch_insides import replaced
from alexnet_cli.tracing.wiring.lines import line_at
from alexnet_cli.users_code import is_ours, is_users_file


class PutToEval(NamedTuple):
    """A module that was put into eval mode, and the line of the user's code that did it."""

    module: nn.Module
    line: str | None


class Making:
    """Notes what happens inside `watched`; `to_eval` are the modules put into eval mode there, in order."""

    def __init__(self) -> None:
        self.to_eval: list[PutToEval] = []
        self._lines: dict[int, str] = {}
        self._inside_train = False

    def line(self, module: nn.Module) -> str | None:
        """Return the line of the user's code that made a module: `net.py:14: self.fc1 = nn.Linear(400, 120)`."""
        return self._lines.get(id(module)) or None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch every module that is made or changes its mode inside."""
        made, trained = nn.Module.__init__, nn.Module.train

        def init(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            self._lines[id(module)] = _users_line(inspect.currentframe(), module) or ""
            made(module, *args, **kwargs)

        def train(module: nn.Module, mode: bool = True) -> nn.Module:  # noqa: FBT001, FBT002 - as torch's
            if self._inside_train:
                return trained(module, mode)
            if not mode:
                self.to_eval.append(PutToEval(module, _users_line(inspect.currentframe(), module)))
            self._inside_train = True
            try:
                return trained(module, mode)
            finally:
                self._inside_train = False

        with replaced(nn.Module, __init__=init, train=train):
            yield


_is_users_file = cache(is_users_file)  # asked of each frame of each module that is made


def _users_line(frame: FrameType | None, module: nn.Module) -> str | None:
    """Return the innermost line of the user's code that is not a constructor of the module itself."""
    frame = frame and frame.f_back  # past the wrapper
    while frame is not None and not is_ours(frame.f_code.co_filename):
        own = frame.f_code.co_name == "__init__" and frame.f_locals.get("self") is module
        if not own and _is_users_file(frame.f_code.co_filename):
            return line_at(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None
