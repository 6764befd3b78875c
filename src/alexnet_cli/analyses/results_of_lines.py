"""What the lines of a source made: how often each ran, and the shapes of its results.

A line's results are what its calls returned and no later call on the same line used. What a function of the user's own
returns is not seen: its results are what it made and is used after it has ended, else what its last call returned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import inf

from msgspec import Struct

from alexnet_cli.tape import Shape, Source, SourceCall, Tape

Place = tuple[int, int]
"""The number of a file and a line in it."""
Results = tuple[int, tuple[tuple[Shape, ...], ...]]
"""How often a line ran, and the shapes that it made: of each run in which they were others."""


class _Part(Struct):
    """What a spot asked for at one time: calls, the last of which ended before operation `stop`."""

    calls: list[SourceCall]
    direct: bool
    start: int
    stop: int


def results_of_lines(tape: Tape, source: Source) -> dict[Place, Results]:
    """Return the results of each line that made calls."""
    by_line = _by_line(source)
    flow = _Flow(tape)
    outermost: dict[Place, int] = {}
    for place, function, _ in by_line:
        outermost[place] = min(outermost.get(place, function), function)
    runs: dict[Place, int] = defaultdict(int)
    shapes: dict[Place, dict[tuple[Shape, ...], None]] = defaultdict(dict)
    for (place, function, _), spots in by_line.items():
        if function == outermost[place]:
            made = [flow.results(parts) for parts in _runs(list(spots.values()))]
            runs[place] += len(made)
            shapes[place].update(dict.fromkeys(each for each in made if each))
    return {place: (count, tuple(shapes[place])) for place, count in runs.items()}


def _by_line(source: Source) -> dict[tuple[Place, int, int], dict[int, list[_Part]]]:
    """Return the parts of each spot, for each line and each run of its function: the line where it begins, the run."""
    found: dict[tuple[Place, int, int], dict[int, list[_Part]]] = defaultdict(lambda: defaultdict(list))
    parts: dict[tuple[int, int, int], _Part] = {}
    for number, call in enumerate(source.calls):
        for step in call.trail:
            part = parts.get((step.spot, step.run, step.part))
            if part is None:
                spot = source.spots[step.spot]
                part = _Part([], step.part == -1 - number, call.start, call.stop)
                parts[step.spot, step.run, step.part] = part
                found[(spot.file, spot.line), spot.first, step.run][step.spot].append(part)
            part.calls.append(call)
            part.stop = max(part.stop, call.stop)
    return found


def _runs(spots: Sequence[Sequence[_Part]]) -> list[list[_Part]]:
    """Divide the parts of a line among its runs: what ran least often ran once in each of them."""
    count = min(map(len, spots))
    runs: list[list[_Part]] = [[] for _ in range(count)]
    for parts in spots:
        for at, part in enumerate(parts):
            runs[at * count // len(parts)].append(part)
    return [sorted(run, key=lambda part: (part.stop, part.start)) for run in runs]


class _Flow:
    """Which operations read and made the values of a tape."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.read: dict[int, list[float]] = defaultdict(list)
        for position, operation in enumerate(tape.operations):
            if operation.phase == "forward":
                for value in operation.reads:
                    self.read[value].append(position)
        for value in tape.outputs:
            self.read[value].append(inf)

    def results(self, parts: Sequence[_Part]) -> tuple[Shape, ...]:
        """Return the shapes that one run of a line made and did not use up."""
        shapes: list[Shape] = []
        for at, part in enumerate(parts):
            made = self._made(part)
            if not any(self._uses(later, made) for later in parts[at + 1 :]):
                shapes += (shape for shape, _ in made)
        return tuple(shapes)

    def _made(self, part: _Part) -> list[tuple[Shape, int]]:
        last = part.calls[0 if part.direct else -1]
        returned = list(zip(last.shapes, last.makes, strict=True))
        if part.direct:
            return returned
        done = self.tape.operations[part.start : part.stop]
        made = dict.fromkeys(value for operation in done for value in operation.makes)
        kept = [value for value in made if any(position >= part.stop for position in self.read.get(value, ()))]
        return [(self.tape.values[value].shape, value) for value in kept] or returned

    def _uses(self, part: _Part, made: Sequence[tuple[Shape, int]]) -> bool:
        """Tell whether a part read what was made, or returned it as it is."""
        values = {value for _, value in made}
        if part.direct and values.intersection(part.calls[0].makes) - {-1}:
            return True
        return any(part.start <= position < part.stop for value in values for position in self.read.get(value, ()))
