"""What every answer has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from alexnet_cli.document import Document
from alexnet_cli.errors import ExitCode
from alexnet_cli.report import ErrorInfo, Report
from alexnet_cli.report_json import Envelope

R = TypeVar("R", bound=Envelope)


@dataclass(frozen=True)
class Answer(Generic[R]):
    """A command's result as JSON has it, the document that shows it, and what went wrong on the way.

    `failures` are told on stderr; `exit_code` is what the process returns.
    """

    result: R
    document: Callable[[], Document]
    failures: tuple[ErrorInfo, ...] = ()
    exit_code: ExitCode = ExitCode.OK


def answer(
    result: R, document: Callable[[], Document], failures: tuple[ErrorInfo, ...] = (), *, held: bool = True
) -> Answer[R]:
    """Return an answer with its exit code: that of a failed model, else of a check that did not hold."""
    code = ExitCode.FORWARD if failures else ExitCode.OK if held else ExitCode.CHECK_FAILED
    return Answer(result, document, failures, code)


def failures_of(*reports: Report | None) -> tuple[ErrorInfo, ...]:
    """Return why models failed while they ran."""
    return tuple(report.error for report in reports if report is not None and report.error is not None)
