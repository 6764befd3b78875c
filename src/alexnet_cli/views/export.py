"""What was exported, and whether the file holds the model."""

from __future__ import annotations

from collections.abc import Mapping

from alexnet_cli.document import Document, Fact, Facts, Note
from alexnet_cli.report import Report
from alexnet_cli.units import count
from alexnet_cli.views.parts import run_line, titled

_NAMES = {
    "params": "parameters",
    "trainable_params": "trainable parameters",
    "param_bytes": "bytes of weights",
    "macs": "MACs",
}


def export_document(
    report: Report, path: str, size_bytes: int, differences: Mapping[str, tuple[int | None, int | None]]
) -> Document:
    """Show the file and its size, and each total in which it is not the model."""
    facts = (
        Fact("File", path),
        Fact("Size", size_bytes, "bytes"),
        Fact("Parameters", report.totals.params, "count"),
        Fact("MACs", report.totals.macs, "macs"),
    )
    return Document(f"Export of {titled(report)}", (Facts(facts), *_notes(differences)), run_line(report.run))


def _notes(differences: Mapping[str, tuple[int | None, int | None]]) -> tuple[Note, ...]:
    if not differences:
        return (Note("Read again, the file has the same parameters and MACs."),)
    return tuple(
        Note(f"the model has {_told(model)} {_NAMES[name]}, the file {_told(file)}", "warning")
        for name, (model, file) in differences.items()
    )


def _told(number: int | None) -> str:
    return "unknown" if number is None else count(number)
