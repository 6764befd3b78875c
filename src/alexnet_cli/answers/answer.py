"""What every answer has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from alexnet_cli.document import Document
from alexnet_cli.errors import ExitCode
from alexnet_cli.report import ErrorInfo, Report
from alexnet_cli.report_json import Envelope

R = TypeVar("R", bound=Envelope)
NOT_HELD = "check_failed"


class Outcome(Struct, frozen=True, kw_only=True):
    """How a command ended: why models failed, and whether every check held that was asked for."""

    failures: tuple[ErrorInfo, ...] = ()
    held: bool = True

    @property
    def exit_code(self) -> ExitCode:
        """What the process returns: the code of a model that failed, else of a check that did not hold."""
        if any(failure.code != NOT_HELD for failure in self.failures):
            return ExitCode.FORWARD
        return ExitCode.OK if self.held and not self.failures else ExitCode.CHECK_FAILED


class Answer(Outcome, Generic[R], frozen=True):
    """A command's result as JSON has it, and the document that shows it."""

    result: R
    document: Callable[[], Document]


def failures_of(*reports: Report | None) -> tuple[ErrorInfo, ...]:
    """Return why models failed while they ran."""
    return tuple(report.error for report in reports if report is not None and report.error is not None)
