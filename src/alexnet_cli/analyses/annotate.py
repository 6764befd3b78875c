"""What each line of the user's source did in a run: shapes, MACs, bytes saved for backward, least time.

The work of a call is its innermost line's own, so that what is own of all lines, and what ran outside of them, adds up
to the model's totals. Each line on the way to that one, in the functions that led there, has it `below`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from alexnet_cli.analyses.cost import Roof, work_seconds
from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.results_of_lines import results_of_lines
from alexnet_cli.analyses.traffic import units
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report
from alexnet_cli.tape import Shape, Source, Tape

Failed = Literal["here", "below"]
Place = tuple[str, int]
"""A file's path and a line in it, from 1."""


class Work(Struct, frozen=True):
    """What a line did: the MACs and the least time of a forward, and what a training step saves for backward there.

    `macs` is None if they are not known, `saved_bytes` without a training step, `seconds` without hardware.
    """

    macs: int | None
    saved_bytes: int | None
    seconds: float | None

    def __add__(self, other: Work) -> Work:
        """Sum up; what is known on one side only is that."""
        return Work(
            _plus(self.macs, other.macs),
            _plus(self.saved_bytes, other.saved_bytes),
            None if self.seconds is None or other.seconds is None else self.seconds + other.seconds,
        )


def _plus(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


class AnnotatedLine(Struct, frozen=True, kw_only=True):
    """A line that made calls.

    `function` is what it is in, `first` the line where that begins. `runs` is how often the line ran, `shapes` what it
    made and did not use up itself: once if all runs made the same. `below` is the work of the lines that it led to,
    null if it led to none. `failed` is there on the way to what raised: `here`, or `below`.
    """

    line: int
    function: str
    first: int
    runs: int
    shapes: tuple[tuple[Shape, ...], ...]
    own: Work
    below: Work | None
    failed: Failed | UnsetType = UNSET


class AnnotatedFile(Struct, frozen=True):
    """A file with the lines of it that made calls; `digest` is that of the text that ran, null if it changed since."""

    path: str
    digest: str | None
    lines: tuple[AnnotatedLine, ...]


class Annotated(Struct, frozen=True):
    """The files in the order they ran. What is own of all lines, and `outside`, add up to `totals`."""

    files: tuple[AnnotatedFile, ...]
    outside: Work
    totals: Work


def annotate(report: Report, step: Report | None = None, roof: Roof | None = None) -> Annotated:
    """Return what each line did in a forward, with what a training `step` saves for backward, on hardware if given.

    Raises:
        UsageError: the report does not know the lines.
    """
    tape, source = tape_of(report), source_of(report)
    work = _Works(roof, trained=step is not None)
    work.count(tape, source)
    if step is not None:
        work.save(tape_of(step), source_of(step))
    failed: dict[Place, Failed] = {}
    for at, spot in enumerate(source.failed, 1):
        failed[_place(source, spot)] = "here" if at == len(source.failed) else "below"
    results = {(source.files[file].path, line): found for (file, line), found in results_of_lines(tape, source).items()}
    named = _named([source] if step is None else [source, source_of(step)])
    files: dict[str, list[AnnotatedLine]] = defaultdict(list)
    for path, line in sorted({*results, *failed, *work.places()}, key=lambda place: place[1]):
        place = path, line
        runs, shapes = results.get(place, (0, ()))
        function, first = named[place]
        said: Failed | UnsetType = failed.get(place, UNSET)
        own, below = work.own(place), work.below(place)
        files[path].append(
            AnnotatedLine(
                line=line, function=function, first=first, runs=runs, shapes=shapes, own=own, below=below, failed=said
            )
        )
    known = {each.path: each.digest for each in source.files}
    found = tuple(AnnotatedFile(path, known.get(path), tuple(lines)) for path, lines in files.items())
    ran = {path: at for at, path in enumerate(_in_order(source))}
    ordered = tuple(sorted(found, key=lambda file: ran.get(file.path, len(ran))))
    return Annotated(ordered, work.own(None), work.total())


def _in_order(source: Source) -> Iterable[str]:
    """Return the files in the order in which they ran: what led to a call before what made it."""
    spots = [*(step.spot for call in source.calls for step in call.trail), *source.failed]
    return dict.fromkeys(source.files[source.spots[spot].file].path for spot in spots)


def source_of(report: Report) -> Source:
    """Return where in the user's source a run was.

    Raises:
        UsageError: that was not recorded.
    """
    tape = tape_of(report)
    if tape.source is UNSET:
        raise UsageError(
            f"{report.model.target} does not say which lines ran",
            "give a model, or a report that `alexnet summary --json --lines` saved",
        )
    return tape.source


def _place(source: Source, spot: int) -> Place:
    found = source.spots[spot]
    return source.files[found.file].path, found.line


def _named(sources: Iterable[Source]) -> dict[Place, tuple[str, int]]:
    """Return for each line the function that it is in and where that begins: the outermost of several."""
    named: dict[Place, tuple[str, int]] = {}
    for source in sources:
        for spot in source.spots:
            place = source.files[spot.file].path, spot.line
            before = named.get(place)
            if before is None or (spot.first, len(spot.function)) < (before[1], len(before[0])):
                named[place] = spot.function, spot.first
    return named


@dataclass
class _Sum:
    """The work at one place; `unknown` counts operators without a formula."""

    macs: int = 0
    unknown: int = 0
    saved: int = 0
    seconds: float = 0.0


class _Works:
    """The work at each line, by its place; None stands for what ran outside of all lines."""

    def __init__(self, roof: Roof | None, *, trained: bool) -> None:
        self.roof = roof
        self.trained = trained
        self._own: dict[Place | None, _Sum] = defaultdict(_Sum)
        self._below: dict[Place, _Sum] = {}

    def count(self, tape: Tape, source: Source) -> None:
        """Count a forward's MACs and time."""
        ways = _ways(source)
        for operation in tape.operations:
            if operation.phase == "forward":
                for place in self._at(ways, operation.call):
                    place.macs += operation.macs or 0
                    place.unknown += operation.macs is None
        if self.roof is None:
            return
        for unit in units(tape):
            if unit.phase == "forward":
                seconds = work_seconds([unit], self.roof).kernels
                for place in self._at(ways, unit.call):
                    place.seconds += seconds

    def save(self, tape: Tape, source: Source) -> None:
        """Count what a training step saves."""
        ways = _ways(source)
        for storage in tape.storages:
            if storage.saved_by is not None:
                for place in self._at(ways, storage.saved_in):
                    place.saved += storage.bytes

    def places(self) -> set[Place]:
        """Return the lines that do something, or led there."""
        return {place for place in self._own if place is not None} | set(self._below)

    def own(self, place: Place | None) -> Work:
        """Return the work that is a line's own."""
        return self._told(self._own.get(place) or _Sum())

    def below(self, place: Place) -> Work | None:
        """Return the work of the lines that a line led to, None if it led to none."""
        below = self._below.get(place)
        return None if below is None else self._told(below)

    def total(self) -> Work:
        """Return the work of all lines, and of what ran outside of them; what is not known is left out."""
        whole = _Sum()
        for each in self._own.values():
            whole.macs += each.macs
            whole.saved += each.saved
            whole.seconds += each.seconds
        return self._told(whole)

    def _told(self, work: _Sum) -> Work:
        """Return the work at a place; MACs are unknown if there are none but operators without a formula."""
        macs = None if work.unknown and not work.macs else work.macs
        return Work(macs, work.saved if self.trained else None, None if self.roof is None else work.seconds)

    def _at(self, ways: Mapping[int, tuple[Place, ...]], call: int | None) -> list[_Sum]:
        """Return where a call's work counts: at its line, and below each other line that led there, once."""
        if call is None:
            return [self._own[None]]
        last, *others = ways[call]
        return [self._own[last], *(self._below.setdefault(place, _Sum()) for place in others)]


def _ways(source: Source) -> dict[int, tuple[Place, ...]]:
    """Return for each call its own line, and the other lines that led to it."""
    places: Sequence[Place] = [_place(source, spot) for spot in range(len(source.spots))]
    ways: dict[int, tuple[Place, ...]] = {}
    for number, call in enumerate(source.calls):
        way = [places[step.spot] for step in reversed(call.trail)]
        above = () if call.within is None else ways[call.within]
        ways[number] = tuple(dict.fromkeys((*way, *above)))
    return ways
