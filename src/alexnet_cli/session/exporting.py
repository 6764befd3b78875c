"""A session's model in a file that other programs run."""

from __future__ import annotations

from pathlib import Path

from alexnet_cli.errors import UsageError
from alexnet_cli.session.how import as_found
from alexnet_cli.session.session import Session
from alexnet_cli.targets.exported import is_exported


def exported(session: Session, path: Path) -> dict[str, int]:
    """Write the model to a file, exported with the inputs that were found or given.

    Returns how many elements of each module's own vectors are in one that is all zeros: a file may leave them out.

    Raises:
        UsageError: the target is not a model.
        AlexnetError: torch cannot export it, or there is no memory for its weights.
    """
    subject = session.model("export")
    if is_exported(subject.target):
        raise UsageError(f"{subject.target} is an exported program already, and its weights are not read")
    if subject.weights is not None:
        session.listener.note("the checkpoint beside the config is not loaded: the exported weights are random")
    from alexnet_cli.tracing.exporting import export  # imports torch

    with session.listener.progress("exporting", str):
        return export(subject, as_found(session.how, session.report()), path, session.listener.note)
