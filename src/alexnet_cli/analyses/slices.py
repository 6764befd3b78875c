"""A run as nested slices on a time line, for programs that show them: the rows of a report, and operators inside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.profile import median_pass
from alexnet_cli.report import Layer, Report
from alexnet_cli.timing import Passes

_MICRO = 1e6
_NANO_IN_MICRO = 1000


class Slice(NamedTuple):
    """Something that ran from `start` to `end`, in seconds; `depth` 0 is a phase of the run.

    `row` is the position of a layer among the report's, None for a phase or an operator.
    """

    name: str
    start: float
    end: float
    depth: int
    about: dict[str, Any]
    row: int | None = None


def slices(report: Report) -> list[Slice]:
    """Return the slices of the run under the profiler that took the median time, parents before their parts.

    Raises:
        TypeError: the run was not repeated.
    """
    if not isinstance(report.passes, Passes):
        raise TypeError("the run was not repeated")
    run, tape = median_pass(report.passes), tape_of(report)
    above = _ancestors(report.layers)
    opened: list[tuple[tuple[str, int], int]] = []
    found: list[Slice] = []
    now = 0.0

    def close(depth: int) -> None:
        while len(opened) > depth:
            _, place = opened.pop()
            found[place] = found[place]._replace(end=now)

    for position, step, kernel in zip(run.positions, run.steps, run.kernels, strict=True):
        operation = tape.operations[position]
        rows = () if operation.row is None else above[operation.row]
        stack = [(operation.phase, -1), *((operation.phase, row) for row in rows)]
        same = 0
        while same < min(len(stack), len(opened)) and opened[same][0] == stack[same]:
            same += 1
        close(same)
        for key in stack[same:]:
            found.append(_opened(report.layers, key, now, len(opened)))
            opened.append((key, len(found) - 1))
        end = now + step
        shapes = [list(tape.values[value].shape) for value in operation.makes]
        found.append(Slice(operation.op, max(now, end - kernel), end, len(stack), {"shapes": shapes}))
        now = end
    close(0)
    return found


def _opened(layers: Sequence[Layer], key: tuple[str, int], now: float, depth: int) -> Slice:
    phase, row = key
    if row < 0:
        return Slice(phase, now, now, depth, {})
    layer = layers[row]
    about = {"type": layer.type, "output": [list(shape) for shape in layer.output_shapes], "macs": layer.macs}
    return Slice(layer.path or layer.type, now, now, depth, about, row)


def _ancestors(layers: Sequence[Layer]) -> list[tuple[int, ...]]:
    """Return for each row those above it and itself, from the outermost."""
    found: list[tuple[int, ...]] = []
    path: list[int] = []
    for row, layer in enumerate(layers):
        del path[layer.depth :]
        path.append(row)
        found.append(tuple(path))
    return found


def chrome_trace(report: Report) -> bytes:
    """Return the slices in the Trace Event Format, which Perfetto and Chrome read; times are in microseconds.

    They are whole nanoseconds, as Perfetto keeps them: rounded apart, a part would end after its whole. What took none
    is left out, as Perfetto would show it within what begins there.

    https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """
    named = [
        {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": f"alexnet profile {report.model.target}"}},
        {"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "args": {"name": "layers and operators"}},
    ]
    events = [
        {
            "ph": "X",
            "pid": 1,
            "tid": 1,
            "name": each.name,
            "cat": "layer" if each.row is not None else "operator" if each.about else "phase",
            "ts": _nanoseconds(each.start) / _NANO_IN_MICRO,
            "dur": (_nanoseconds(each.end) - _nanoseconds(each.start)) / _NANO_IN_MICRO,
            "args": each.about,
        }
        for each in slices(report)
        if _nanoseconds(each.end) > _nanoseconds(each.start)
    ]
    return json.dumps({"traceEvents": [*named, *events], "displayTimeUnit": "ms"}).encode()


def _nanoseconds(seconds: float) -> int:
    return round(seconds * _MICRO * _NANO_IN_MICRO)


def speedscope(report: Report) -> bytes:
    """Return the slices as an evented profile of speedscope, https://www.speedscope.app/file-format-schema.json."""
    found = slices(report)
    names = {name: at for at, name in enumerate(dict.fromkeys(each.name for each in found))}
    events = [
        {"type": kind, "frame": names[each.name], "at": at * _MICRO} for kind, at, each in _opened_and_closed(found)
    ]
    return json.dumps(
        {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "name": report.model.target,
            "exporter": "alexnet-cli",
            "shared": {"frames": [{"name": name} for name in names]},
            "profiles": [
                {
                    "type": "evented",
                    "name": report.model.target,
                    "unit": "microseconds",
                    "startValue": 0,
                    "endValue": max((each.end for each in found), default=0.0) * _MICRO,
                    "events": events,
                }
            ],
        }
    ).encode()


def _opened_and_closed(found: Sequence[Slice]) -> Iterator[tuple[str, float, Slice]]:
    """Yield when each slice begins (`O`) and ends (`C`), each within the one around it."""
    opened: list[Slice] = []
    for each in found:
        while opened and opened[-1].depth >= each.depth:
            done = opened.pop()
            yield "C", done.end, done
        opened.append(each)
        yield "O", each.start, each
    yield from (("C", done.end, done) for done in reversed(opened))
