"""The user's source with what each line did."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath

from msgspec import UNSET

import alexnet_cli
from alexnet_cli.analyses.annotate import Annotated, AnnotatedFile, AnnotatedLine, Work
from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.source_lines import shown_lines
from alexnet_cli.document import Column, Document, Fact, Facts, Note, Row, Table, Value
from alexnet_cli.report import Report
from alexnet_cli.units import count, seconds, shapes, size
from alexnet_cli.users_code import is_ours
from alexnet_cli.views.parts import given, run_line, titled, uncounted_notes

_MOST = 2
_RULE = (
    "Work counts at the innermost line that asked for it. Σ: with the work of the lines that this one led to, which "
    "have it too."
)
_WAY = "→: this line led to the one that failed."
_NO_LINES = (
    "no line of your own source ran: the model is made of installed modules alone; --source NAME shows those of a "
    "package, a module or a folder"
)


def annotate_document(report: Report, found: Annotated, texts: Mapping[str, str | None], roof: Roof | None) -> Document:
    """Show each file's functions that ran; `texts` are the sources, None of one that is not as it was when it ran."""
    tables = [listing(file, texts.get(file.path)) for file in found.files]
    blocks = given(
        *tables,
        sums(found, roof),
        None if found.files else Note(_NO_LINES, "warning"),
        *changed_notes(found, texts),
        *uncounted_notes(report.totals.uncounted_ops),
        *rules(found),
    )
    hardware = "" if roof is None else f" · {roof.hardware.name}"
    return Document(f"Source of {titled(report)}", blocks, run_line(report.run) + hardware)


def changed_notes(found: Annotated, texts: Mapping[str, str | None]) -> Iterator[Note]:
    """Say of each source that is not there as it ran that its text is not shown."""
    for file in found.files:
        if texts.get(file.path) is None:
            told = f"{near(file.path)} is not as it was when it ran: its lines are shown without their text"
            yield Note(told, "warning")


def rules(found: Annotated) -> Iterator[Note]:
    """Say how to read the marks that are there."""
    lines = [line for file in found.files for line in file.lines]
    if any(line.below for line in lines):
        yield Note(_RULE)
    if any(line.failed == "below" for line in lines):
        yield Note(_WAY)


def near(path: str) -> str:
    """Name a file from the current folder if it is in there, an installed one from its package."""
    here = os.getcwd()  # noqa: PTH109 - compared as text
    if PurePath(path).is_relative_to(here):
        return str(PurePath(path).relative_to(here))
    if is_ours(path):
        return str(PurePath(path).relative_to(PurePath(alexnet_cli.__file__).parents[1]))
    return re.split(r"[\\/](?:site|dist)-packages[\\/]", path)[-1]


def comment(line: AnnotatedLine) -> str:
    """Say in ASCII what a line did: `1x64x55x55, 23,232 MACs, 1.2 MiB saved, 3.4 us, 12 runs`."""
    whole = _whole(line)
    said = (
        _made(line, "x", "..."),
        f"{count(whole.macs)} MACs" if whole.macs else "MACs unknown" if whole.macs is None else "",
        f"{size(whole.saved_bytes)} saved" if whole.saved_bytes else "",
        seconds(whole.seconds) if whole.seconds else "",
        f"{line.runs} runs" if line.runs > 1 else "",
        "with the lines below" if line.below else "",
        "failed here" if line.failed == "here" else "",
    )
    return ", ".join(filter(None, said)) or "ran"


def listing(file: AnnotatedFile, text: str | None) -> Table:
    """Show the functions of a file that ran, line by line; without its text those lines alone that made calls."""
    by_line = {line.line: line for line in file.lines}
    lines: Iterable[int | None] = by_line
    if text is not None:
        lines = shown_lines(text, set(by_line), {line.first for line in file.lines})
    source = [] if text is None else text.expandtabs(4).split("\n")
    columns = (
        Column("line", "Line", "line"),
        Column("source", "Source", "code"),
        Column("runs", "Runs", "count", priority=6),
        Column("shapes", "Makes", priority=8),
        Column("sum", "Σ", priority=7),
        Column("macs", "MACs", "macs", priority=7),
        Column("saved_bytes", "Saved", "bytes", priority=5),
        Column("seconds", "Min. time", "seconds", priority=5),
    )
    cells = [_cells(line, "") for line in file.lines]
    used = {column.key for at, column in enumerate(columns) if any(each[at] != "" for each in cells)}
    kept = [at for at, column in enumerate(columns) if column.key in used | {"line", "source"}]
    rows = [_row(by_line.get(line) if line else None, line, source) for line in lines]
    shown = tuple(Row(tuple(row.cells[at] for at in kept), role=row.role) for row in rows)
    return Table("source", tuple(columns[at] for at in kept), shown, near(file.path))


def _row(line: AnnotatedLine | None, number: int | None, source: list[str]) -> Row:
    if number is None:
        return Row(("", "⋮", *[""] * 6))
    text = source[number - 1].rstrip() if number <= len(source) else ""
    if line is None:
        return Row((number, text, *[""] * 6))
    return Row(_cells(line, text), role="failed" if line.failed == "here" else "leaf")


def _cells(line: AnnotatedLine, text: str) -> tuple[Value, ...]:
    whole = _whole(line)
    runs: Value = line.runs if line.runs > 1 else ""
    saved: Value = whole.saved_bytes or ""
    failed = "→" if line.failed is not UNSET and line.failed == "below" else ""
    did_nothing = line.failed is not UNSET and not whole.macs
    macs: Value = "" if did_nothing else whole.macs
    time: Value = "" if whole.seconds is None or (did_nothing and not whole.seconds) else whole.seconds
    return line.line, text, runs, _made(line, "×"), failed or ("Σ" if line.below else ""), macs, saved, time


def _whole(line: AnnotatedLine) -> Work:
    return line.own if line.below is None else line.own + line.below


def _made(line: AnnotatedLine, cross: str, more: str = "…") -> str:
    """Say what a line made; if its runs made many different shapes, the first and the last ones."""
    made = [shapes(each, cross) for each in line.shapes]
    return "; ".join(made) if len(made) <= _MOST else f"{made[0]} {more} {made[-1]}"


def sums(found: Annotated, roof: Roof | None) -> Facts:
    """List the totals, and what of them ran outside of all lines."""
    return Facts(tuple(_sums(found, roof)))


def _sums(found: Annotated, roof: Roof | None) -> Iterator[Fact]:
    totals, outside = found.totals, found.outside
    yield Fact("MACs", totals.macs, "macs", "of a forward")
    if outside.macs:
        yield Fact("outside these lines", outside.macs, "macs", level=1)
    if totals.saved_bytes is not None:
        yield Fact("Saved for backward", totals.saved_bytes, "bytes", "in a training step")
        if outside.saved_bytes:
            yield Fact("outside these lines", outside.saved_bytes, "bytes", level=1)
    if totals.seconds is not None and roof is not None:
        yield Fact("Min. time", totals.seconds, "seconds", "of a forward")
        if outside.seconds:
            yield Fact("outside these lines", outside.seconds, "seconds", level=1)
