"""`annotate`: the user's own source, with what each line made and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import asdict

from alexnet_cli.analyses.annotate import Annotated, AnnotatedFile, Work, source_of
from alexnet_cli.analyses.annotate import annotate as analyse
from alexnet_cli.analyses.hardware import Hardware
from alexnet_cli.analyses.source_lines import commented, uncommented
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.answers.cost import roof_of
from alexnet_cli.answers.files import write_file
from alexnet_cli.errors import AlexnetError, UsageError, nearest
from alexnet_cli.report import Report
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.how import training_step
from alexnet_cli.session.session import Session, Variation
from alexnet_cli.users_code import digest_of, is_users_file, read_source
from alexnet_cli.views.annotate import annotate_document, comment


class AnnotateResult(Envelope, frozen=True, kw_only=True):
    """`alexnet annotate --json`: files and their lines; what is own of all lines, and `outside`, add up to `totals`."""

    files: tuple[AnnotatedFile, ...]
    outside: Work
    totals: Work
    hardware: Hardware | None


def annotate(
    session: Session, *, gpu: str | None = None, tf32: bool = False, source: Sequence[str] | None = None
) -> Answer[AnnotateResult]:
    """Show the source of the functions that ran, with each line's shapes, MACs, bytes saved for backward and time.

    `source` names packages, modules, files and folders whose source is shown too, beside your own and the file of the
    model's class. With a GPU there is the least time that each line's forward takes there.

    Raises:
        UsageError: an option does not parse, or the target does not know its lines.
        AlexnetError: the model cannot be loaded or run.
    """
    roof = roof_of(gpu, None, None, tf32=tf32)
    report, step = _traced(session, source)
    found = analyse(report, step, roof)
    texts = texts_of(found)
    result = AnnotateResult(
        **Envelope.of(report, "annotate"), **asdict(found), hardware=None if roof is None else roof.hardware
    )
    return Answer(result, lambda: annotate_document(report, found, texts, roof), failures=failures_of(report))


def _traced(session: Session, source: Sequence[str] | None) -> tuple[Report, Report | None]:
    """Return the forward, and a training step if there is one, with the lines that ran."""
    if not session.can_run:
        if source:
            raise UsageError("--source needs a model to run", "a saved report has the lines that it was saved with")
        return session.report(), None
    noting = session.vary(Variation(source=tuple(source or ())))
    report = noting.report()
    step = None if report.error is not None else noting.training(training_step("none"))
    return report, step if step is not None and step.error is None else None


def texts_of(found: Annotated) -> dict[str, str | None]:
    """Return the text of each file by its path; None if it is not the one that ran."""
    return {file.path: _text(file) for file in found.files}


def _text(file: AnnotatedFile) -> str | None:
    """Return a file's text; None if it is not the one that ran."""
    text = read_source(file.path)
    return text if text is not None and digest_of(text) == file.digest else None


@dataclass(frozen=True)
class Written:
    """A source file with what it is to hold."""

    path: Path
    data: bytes


def copies(answer: Answer[AnnotateResult], name: str | None = None) -> tuple[Written, ...]:
    """Return the files with comments that say what each line did; the one that ran first comes first.

    `name` chooses one by its path or its last parts.

    Raises:
        UsageError: a file changed since it ran, is a notebook's cell, or none was annotated.
    """
    files = [file for file in answer.result.files if name is None or Path(file.path).match(name)]
    if not files:
        known = [file.path for file in answer.result.files]
        raise UsageError(f"no line of {name or 'your own source'} ran", nearest(name or "", known) if known else None)
    return tuple(_copy(file) for file in files)


def _copy(file: AnnotatedFile) -> Written:
    if _text(file) is None:
        raise UsageError(f"{file.path} is not as it was when it ran", "run the model again, in a new process")
    said = {line.line: comment(line) for line in file.lines}
    return _rewritten(Path(file.path), said)


def _rewritten(path: Path, said: Mapping[int, str] | None) -> Written:
    """Write a file anew in its own encoding and with its own line ends; without anything said without our comments."""
    import tokenize

    try:
        with path.open("rb") as opened:
            encoding, _ = tokenize.detect_encoding(opened.readline)
            text = (opened.seek(0), opened.read())[1].decode(encoding)
        changed = uncommented(text) if said is None else commented(text, said)
    except (OSError, SyntaxError, UnicodeDecodeError, tokenize.TokenError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    return Written(path, changed.encode(encoding))


def write_in_place(written: Sequence[Written]) -> None:
    """Replace source files by what they are to hold, each as a whole.

    Raises:
        UsageError: one is installed or the program's own: nothing is written then.
        OutputError: it cannot be written.
    """
    for each in written:
        if not is_users_file(str(each.path)):
            raise UsageError(f"{each.path} is not yours: it is installed", "--comments -o FILE writes a copy")
    for each in written:
        if each.path.read_bytes() != each.data:
            write_file(each.path, each.data)


def without_comments(session: Session, target: str, source: Sequence[str] | None) -> tuple[Written, ...]:
    """Return the files that have comments of ours, without them: the target's, and those that its model runs.

    A model that no longer runs has its own file.
    """
    name, colon, _ = target.rpartition(":")
    paths = [name] if colon and Path(name).is_file() else []
    try:
        paths += [file.path for file in source_of(_traced(session, source)[0]).files]
    except AlexnetError:
        if not paths:
            raise
    unique = {str(Path(path).resolve()): Path(path) for path in paths if is_users_file(path)}
    return tuple(_rewritten(path, None) for path in unique.values())
