"""The one place that writes answers: to stdout, or to a file that is whole before or after, never half."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import typer
from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.answers.answer import Answer, Outcome
from alexnet_cli.answers.files import JSON, write_file
from alexnet_cli.cli.stderr import complain, progress
from alexnet_cli.document import Document, Table
from alexnet_cli.errors import OutputError
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers import render
from alexnet_cli.report_json import to_json

TORCHSUMMARY = "torchsummary"
_NEEDED_GLYPHS = "×│├─└█▏░…"
_FOR_PEOPLE = ("table", "csv", "markdown", "text", TORCHSUMMARY)


listeners: list[Callable[[Answer[Any]], None]] = []
"""Who else gets each answer that was written: `watch` reads its numbers."""


class Output(Struct, frozen=True):
    """Where the answer goes and in which format."""

    format: str
    file: Path | None = None
    width: int | None = None
    no_color: bool = False

    def answer(self, answer: Answer[Any]) -> NoReturn:
        """Write the JSON or the rendered document, report failures, and exit.

        Raises:
            OutputError: the answer cannot be written.
            typer.Exit: always, with the answer's exit code.
        """
        self.write(to_json(answer.result) if self.format == JSON else self._rendered(answer.document))
        for listener in listeners:
            listener(answer)
        finish(answer)

    def write(self, answer: str | bytes) -> None:
        """Write a text or a picture as it is.

        Raises:
            OutputError: it cannot be written.
        """
        if isinstance(answer, str):
            for_people = self.file is None and self.format in _FOR_PEOPLE
            answer = answer.encode((for_people and sys.stdout.encoding) or "utf-8", errors="backslashreplace")
        if self.file is not None:
            write_file(self.file, answer)
        else:
            write_stdout(answer)

    def _rendered(self, document: Callable[[], Document]) -> str:
        rows = 0
        with progress("writing", lambda: f"{units.count(rows)} rows"):
            page = document()
            rows = sum(len(block.rows) for block in page.blocks if isinstance(block, Table))
            return render(page, self.format, self.style())

    def style(self, *, ascii_only: bool = False) -> Style:
        """Return the style for the place that the page goes to; on a terminal in ASCII if that is wanted."""
        if self.file is not None:
            return Style(width=self.width)
        terminal = sys.stdout.isatty()
        plain = self.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return Style(
            self.width or _terminal_width(terminal=terminal), terminal and not plain, not ascii_only and _can_draw()
        )


def finish(outcome: Outcome) -> NoReturn:
    """Report failures on stderr, and exit.

    Raises:
        typer.Exit: always, with the exit code.
    """
    for failure in outcome.failures:
        complain(failure)
    raise typer.Exit(outcome.exit_code)


def write_stdout(data: bytes) -> None:
    """Write to stdout; a closed pipe is not an error.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        abandon_stdout()
    except OSError as error:
        raise OutputError(f"cannot write the answer: {error.strerror}") from error


def abandon_stdout() -> None:
    """Point stdout to the null device, so that closing it cannot fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminal_width(*, terminal: bool) -> int | None:
    if terminal:
        return shutil.get_terminal_size().columns
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) > 0 else None


def _can_draw() -> bool:
    try:
        _NEEDED_GLYPHS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
