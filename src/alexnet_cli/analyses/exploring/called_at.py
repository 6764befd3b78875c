"""At which line of the user's source each row of a report was called."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from alexnet_cli.report import Report, siblings, subtree_ends
from alexnet_cli.tape import Tape

Place = tuple[str, int]
"""A file's path and a line in it, from 1."""


def called_at(report: Report) -> dict[int, Place]:
    """Return, for the rows that ran operators, the line of the innermost recorded call that ran all of them.

    Empty where the source was not recorded. A layer in a torch container is called where that container is.
    """
    tape = report.tape
    if tape is None or tape.source is UNSET:
        return {}
    source, spans = tape.source, _spans(report, tape)
    found = {}
    for row, (first, last) in spans.items():
        call = next((each for each in _around(tape, first) if source.calls[each].stop > last), None)
        if call is not None and source.calls[call].start <= first:
            spot = source.spots[source.calls[call].trail[-1].spot]
            found[row] = (source.files[spot.file].path, spot.line)
    return found


def _spans(report: Report, tape: Tape) -> dict[int, tuple[int, int]]:
    """Return the first and last forward operation of each row and of those below it."""
    own: dict[int, tuple[int, int]] = {}
    for at, done in enumerate(tape.operations):
        if done.row is not None and done.phase == "forward":
            own[done.row] = (own.get(done.row, (at, at))[0], at)
    ends = subtree_ends(report.layers)
    for row in reversed(range(len(ends))):  # rows below come first: each is added to the one that holds it
        spans = [own[each] for each in (row, *siblings(ends, row + 1, ends[row])) if each in own]
        if spans:
            own[row] = (min(first for first, _ in spans), max(last for _, last in spans))
    return own


def _around(tape: Tape, at: int) -> Iterator[int]:
    """Yield the calls that an operation ran in, innermost first."""
    call = tape.operations[at].call
    while call is not None and tape.source is not UNSET:
        yield call
        call = tape.source.calls[call].within
