"""Notes, errors and hints on stderr."""

from __future__ import annotations

import sys

from alexnet_cli.cli.progress import progress
from alexnet_cli.report import ErrorInfo
from alexnet_cli.session.kept import Listener


def note(text: str) -> None:
    """Print a note."""
    _say("note", text)


def complain(error: ErrorInfo) -> None:
    """Print an error with its hints."""
    _say("error", error.message)
    for line in (error.hint or "").splitlines():
        _say("hint", line)


LISTENER = Listener(note, progress)
"""Prints notes, and shows progress."""


def _say(label: str, text: str) -> None:
    encoding = sys.stderr.encoding or "ascii"
    printable = "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)
    print(f"{label}: {printable}".encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
