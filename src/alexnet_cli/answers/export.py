"""`export`: a model as a file that other programs run, checked by reading it again."""

from __future__ import annotations

from functools import partial
from os import PathLike
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.exported import ExportedLayer, explained, exported_layers
from alexnet_cli.answers.answer import Answer
from alexnet_cli.answers.files import check_place, written_beside
from alexnet_cli.errors import ForwardError, UsageError
from alexnet_cli.report import GRAPH, Report, Totals
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.exporting import exported
from alexnet_cli.session.session import EXPORTED, Named, Session, weights_beside
from alexnet_cli.views.export import export_document

_COMPARED = ("params", "trainable_params", "param_bytes", "macs")


class Written(Struct, frozen=True):
    """The file: its size, and what it holds when it is read again.

    `beside` are files with weights that the format keeps out of the file; `size_bytes` is the size of all.
    `differences` has the totals that are not the model's, with the model's number and the file's; empty if all are.
    `layers` says in which layers they differ, and why.
    """

    path: str
    beside: tuple[str, ...]
    size_bytes: int
    totals: Totals
    differences: dict[str, tuple[int | None, int | None]]
    layers: tuple[ExportedLayer, ...]


class ExportResult(Envelope, frozen=True, kw_only=True):
    """`alexnet export --json`; `totals` are the model's."""

    totals: Totals
    file: Written


def export(session: Session, output: str | PathLike[str]) -> Answer[ExportResult]:
    """Write the model to a file that other programs run, with the inputs that were found or given, and read it again.

    The weights are those that the model is built with. The suffix says in which format: `.pt2` is that of
    `torch.export`, `.onnx` what `torch.onnx` makes of it. The file is replaced as a whole, with the weights that an
    earlier export wrote beside it. The answer holds if the file has the model's MACs and parameters, but for those of
    which it is known why the exporter changed them.

    Raises:
        UsageError: the suffix names no format, or the target is not a model.
        OutputError: the file cannot be written.
        ForwardError: the model fails while it runs, or torch cannot export it.
        AlexnetError: the model cannot be loaded.
    """
    file = Path(output)
    check_file(file)
    report = session.report()
    if report.error is not None:
        raise ForwardError(report.error.message, report.error.hint, report.error.path)
    earlier = weights_beside(file)
    with written_beside(file) as made:
        zeros = exported(session, made)
        read = _read_again(made, session, report)
        sizes = {each.name: each.stat().st_size for each in made.parent.iterdir()}
    differences = _differences(report, read)
    layers = exported_layers(report, read, zeros) if differences else ()
    beside = tuple(str(file.parent / name) for name in sorted(sizes) if name != file.name)
    if earlier is not None and earlier.name not in sizes:
        earlier.unlink(missing_ok=True)
    written = Written(str(file), beside, sum(sizes.values()), read.totals, differences, layers)
    result = ExportResult(**Envelope.of(report, "export"), totals=report.totals, file=written)
    held = _held(report, read, written)
    files, size = (written.path, *beside), written.size_bytes
    return Answer(result, partial(export_document, report, files, size, differences, layers, held=held), held=held)


def _differences(report: Report, read: Report) -> dict[str, tuple[int | None, int | None]]:
    """Return the totals that differ; a graph does not say what was trained."""
    graph = read.run is not None and read.run.device == GRAPH
    names = [name for name in _COMPARED if not (graph and name == "trainable_params")]
    pairs = {name: (getattr(report.totals, name), getattr(read.totals, name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _held(report: Report, read: Report, written: Written) -> bool:
    """Tell whether the file is the model, but for changes that have a known cause."""
    if not written.differences:
        return True
    return bool({"params", "macs"} & set(written.differences)) and explained(report, read, written.layers)


def check_file(file: Path) -> None:
    """See that a file can be written, in a format that its suffix names.

    Raises:
        UsageError: it cannot.
    """
    if file.suffix not in EXPORTED:
        raise UsageError(f"{file} has no suffix that names a format", f"known: {', '.join(EXPORTED)}")
    check_place(file)


def _read_again(file: Path, session: Session, report: Report) -> Report:
    """Trace what was written, with the batch that the model was run with, on `meta`."""
    batch = None if report.run is None else report.run.batch_size
    how = replace(session.how, inputs=None, inputs_from=None, batch_size=batch, device="meta", dtype=None, mode="eval")
    return Session(Named(str(file)), how, cache=False, listener=session.listener.silenced()).report()
