"""What the user is told beside the answer, on stderr."""

from __future__ import annotations

import sys

from alexnet_cli.cli.progress import progress
from alexnet_cli.report import ErrorInfo
from alexnet_cli.session.kept import Listener


def note(text: str) -> None:
    """Tell the user something beside the answer."""
    _say("note", text)


def complain(error: ErrorInfo) -> None:
    """Tell the user what went wrong and what to do."""
    _say("error", error.message)
    for line in (error.hint or "").splitlines():
        _say("hint", line)


LISTENER = Listener(note, progress)
"""Tells notes on stderr, and shows progress there."""


def _say(label: str, text: str) -> None:
    encoding = sys.stderr.encoding or "ascii"
    printable = "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)
    print(f"{label}: {printable}".encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
