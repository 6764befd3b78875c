"""What was exported, and whether the file holds the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alexnet_cli.analyses.exported import Cause, ExportedLayer
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


_CAUSES: dict[Cause, str] = {
    "folded": "batch norms worked into the layers before them",
    "has_folded": "a bias for the batch norm that was worked in",
    "unused": "never called, so not in the file",
    "equal": "stored once with a tensor of equal values",
    "zero": "a bias of zeros left out",
    "copied": "a tensor that the model shares, stored again",
    "computed": "replaced by a constant that was computed from it",
    "two_products": "a bilinear layer computed as two products",
}
_SHOWN = 3


def export_document(
    report: Report,
    files: Sequence[str],
    size_bytes: int,
    differences: Mapping[str, tuple[int | None, int | None]],
    layers: Sequence[ExportedLayer],
    *,
    held: bool,
) -> Document:
    """Show the files and their size, each total in which they are not the model, and why."""
    facts = (
        *(Fact("Weights" if place else "File", path) for place, path in enumerate(files)),
        Fact("Size", size_bytes, "bytes"),
        Fact("Parameters", report.totals.params, "count"),
        Fact("MACs", report.totals.macs, "macs"),
    )
    notes = (*_notes(differences, held=held), *_reasons(layers))
    return Document(f"Export of {titled(report)}", (Facts(facts), *notes), run_line(report.run))


def _notes(differences: Mapping[str, tuple[int | None, int | None]], *, held: bool) -> tuple[Note, ...]:
    if not differences:
        return (Note("Read again, the file has the same parameters and MACs."),)
    return tuple(
        Note(f"the model has {_told(model)} {_NAMES[name]}, the file {_told(file)}", "info" if held else "warning")
        for name, (model, file) in differences.items()
    )


def _reasons(layers: Sequence[ExportedLayer]) -> tuple[Note, ...]:
    """Say why, one note for each cause, and one for each layer whose cause is not known."""
    known = []
    for cause, said in _CAUSES.items():
        of_it = [layer for layer in layers if layer.cause == cause]
        if of_it:
            more = f" and {len(of_it) - _SHOWN} more" if len(of_it) > _SHOWN else ""
            names = ", ".join(layer.path or "the model itself" for layer in of_it[:_SHOWN])
            known.append(Note(f"{_change(cause, of_it)}: {said} ({names}{more})"))
    unknown = [layer for layer in layers if layer.cause is None]
    return (*known, *(Note(_unknown(layer), "warning") for layer in unknown))


def _change(cause: Cause, layers: Sequence[ExportedLayer]) -> str:
    """Say how much more or less of what these layers have in the file."""
    if cause == "two_products":
        name, change = "MACs", sum((layer.macs[1] or 0) - (layer.macs[0] or 0) for layer in layers)
    else:
        name, change = "parameters", sum(layer.params[1] - layer.params[0] for layer in layers)
    return f"{count(abs(change))} {name} {'more' if change > 0 else 'fewer'}"


def _unknown(layer: ExportedLayer) -> str:
    named = (("parameters", layer.params), ("MACs", layer.macs))
    told = [f"{_told(model)} {name}, in the file {_told(file)}" for name, (model, file) in named if model != file]
    return f"{layer.path or 'the model itself'} has {' and '.join(told)}, for a reason that is not known"


def _told(number: int | None) -> str:
    return "unknown" if number is None else count(number)
