"""Walks through a model in the terminal, by Textual. What is shown comes from `analyses/exploring` and `views`."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from alexnet_cli.errors import InternalError, UsageError
from alexnet_cli.graphics.text import Style

if TYPE_CHECKING:
    from alexnet_cli.answers.explore import Exploration


def need_terminal() -> None:
    """Check before any work that there is a terminal to draw on, and the package that draws.

    Raises:
        UsageError: there is not.
    """
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError(
            "explore needs a terminal: its input, output and errors may not be a file or a pipe",
            "`alexnet summary` prints the same layers",
        )
    if find_spec("textual") is None:
        raise UsageError("explore needs the package textual", "install with: pip install 'alexnet-cli[explore]'")


def run(exploration: Exploration, style: Style | None = None) -> None:
    """Show what is explored until the user leaves; with no style as the environment and the encoding say.

    Raises:
        UsageError: there is no terminal, or textual is not installed.
        InternalError: the application failed.
    """
    need_terminal()
    from alexnet_cli.explorer.app import Explorer

    usual = Style(color=not os.environ.get("NO_COLOR"), unicode="utf" in (sys.stdout.encoding or "").lower())
    application = Explorer(exploration, style or usual)
    application.run()
    if application.return_code:
        raise InternalError("explore failed; the traceback above says where", "please report it with the command line")
