"""The one place that writes answers: to stdout, or to a file that is whole before or after, never half."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import typer

from alexnet_cli import units
from alexnet_cli.answers.answer import Answer, Outcome
from alexnet_cli.answers.files import JSON, check_place, format_of, write_file
from alexnet_cli.cli.progress import progress
from alexnet_cli.cli.stderr import complain
from alexnet_cli.document import Document, Table
from alexnet_cli.errors import OutputError, UsageError
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers import FORMATS, render
from alexnet_cli.report_json import to_json

TORCHSUMMARY = "torchsummary"
_NEEDED_GLYPHS = "×│├─└█▏░…"
_FOR_PEOPLE = ("table", "csv", "markdown", "text", TORCHSUMMARY)


@dataclass(frozen=True)
class Output:
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
        self.write_text(to_json(answer.result) if self.format == JSON else self._rendered(answer.document))
        finish(answer)

    def write_text(self, text: str) -> None:
        """Write text as it is.

        Raises:
            OutputError: it cannot be written.
        """
        if self.file is not None:
            write_file(self.file, text.encode())
        else:
            encoding = sys.stdout.encoding if self.format in _FOR_PEOPLE else "utf-8"
            write_stdout(text.encode(encoding or "utf-8", errors="backslashreplace"))

    def _rendered(self, document: Callable[[], Document]) -> str:
        rows = 0
        with progress("writing", lambda: f"{units.count(rows)} rows"):
            page = document()
            rows = sum(len(block.rows) for block in page.blocks if isinstance(block, Table))
            return render(page, self.format, self.style())

    def write_bytes(self, data: bytes) -> None:
        """Write a picture as it is.

        Raises:
            OutputError: it cannot be written.
        """
        if self.file is not None:
            write_file(self.file, data)
        else:
            write_stdout(data)

    def style(self) -> Style:
        """Return the style for the place that the page goes to."""
        if self.file is not None:
            return Style(width=self.width)
        terminal = sys.stdout.isatty()
        plain = self.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return Style(self.width or _terminal_width(terminal=terminal), terminal and not plain, _can_draw())


def finish(outcome: Outcome) -> NoReturn:
    """Report failures on stderr, and exit.

    Raises:
        typer.Exit: always, with the exit code.
    """
    for failure in outcome.failures:
        complain(failure)
    raise typer.Exit(outcome.exit_code)


def choose_output(
    format_name: str | None,
    file: Path | None,
    width: int | None,
    *,
    json: bool,
    no_color: bool,
    extra: tuple[str, ...] = (),
) -> Output:
    """Choose the format and the place by the options.

    Raises:
        UsageError: the format is unknown, or two options name different ones.
    """
    known = (*FORMATS, JSON, *extra)
    if format_name is not None and format_name not in known:
        raise UsageError(f"unknown format {format_name!r}", f"known: {', '.join(known)}")
    if json and format_name not in (None, JSON):
        raise UsageError(f"--json and --format {format_name} exclude each other")
    chosen = JSON if json else format_name
    if file is not None:
        check_place(file)
        chosen = chosen or format_of(file)
    return Output(chosen or "table", file, width, no_color)


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
