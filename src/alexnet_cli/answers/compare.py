"""`compare`: models side by side, and what changed."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from alexnet_cli.analyses.compare import AlignedLayer, ComparedModel
from alexnet_cli.analyses.compare import compare as compared
from alexnet_cli.analyses.compare import only_changes as changes_of
from alexnet_cli.answers.answer import Answer
from alexnet_cli.report import ErrorInfo, Report
from alexnet_cli.report_json import Envelope, generator
from alexnet_cli.session.session import Session
from alexnet_cli.views.compare import compare_document


class CompareResult(Envelope, frozen=True, kw_only=True):
    """`alexnet compare --json`; each model has its own `model`, `run` and `error`."""

    subjects: tuple[ComparedModel, ...]
    layers: tuple[AlignedLayer, ...]


def compare(sessions: Sequence[Session], *, only_changes: bool = False) -> Answer[CompareResult]:
    """Compare two models or more; the first is what the others are compared with.

    Raises:
        AlexnetError: a model cannot be loaded or run.
    """
    reports = [session.report() for session in sessions]
    comparison = compared(reports)
    shown = changes_of(comparison) if only_changes else comparison
    hidden = len(comparison.layers) - len(shown.layers)
    result = CompareResult(
        generator=generator(),
        command="compare",
        error=next((report.error for report in reports if report.error), None),
        subjects=shown.subjects,
        layers=shown.layers,
    )
    return Answer(result, lambda: compare_document(shown, hidden=hidden), failures=named_failures(reports))


def named_failures(reports: Sequence[Report]) -> tuple[ErrorInfo, ...]:
    """Return why models failed while they ran, each with the model's name."""
    failed = [(report.model.target, report.error) for report in reports if report.error is not None]
    return tuple(structs.replace(error, message=f"{target}: {error.message}") for target, error in failed)
