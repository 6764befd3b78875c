"""Whether a saved report holds together: what analyses rely on, as no program but this one promises it.

The types of the values are checked as they are read; here stands what they must be beside each other: positions
that are there, sizes that are not below zero, rows below the rows that they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

from msgspec import UNSET

from alexnet_cli.report import Layer, Report, Totals
from alexnet_cli.tape import Shape, Source, Storage, Tape

LARGEST = 2**80
"""No size or count is as large: more bytes than all machines have, and still exact sums and quick arithmetic."""
_LARGEST_SIZE = 2**63
"""As torch counts elements."""


def flaw(report: Report) -> str | None:
    """Say what does not hold together in a report; None if everything does. Takes time linear in its size."""
    return next(_flaws(report), None)


def _flaws(report: Report) -> Iterator[str]:
    if not _are_sizes(_counts(report.totals)):
        yield "totals that are no sizes"
    run = report.run
    if run is not None and not (_are_shapes(each.shape for each in run.inputs) and _are_sizes([run.batch_size or 0])):
        yield "inputs without shapes"
    if run is not None and run.measured is not None and not run.measured.seconds >= 0:
        yield "a time below zero"
    yield from _of_layers(report.layers)
    if report.tape is not None:
        yield from _of_tape(report.tape, len(report.layers))


def _counts(totals: Totals) -> list[int]:
    own = [totals.params, totals.trainable_params, totals.frozen_params, totals.buffers, totals.param_bytes]
    some = [totals.layers, *(each.calls for each in totals.uncounted_ops)]
    some += [each.params for each in totals.unused_modules]
    return [*own, *some, totals.macs or 0, totals.flops or 0]


def _of_layers(layers: Sequence[Layer]) -> Iterator[str]:
    depths = [-1, *(layer.depth for layer in layers)]
    if any(not 0 <= after <= before + 1 for before, after in pairwise(depths)):
        yield "rows at depths that no tree has"
    for layer in layers:
        counts = (layer.params, layer.trainable_params, layer.param_bytes, layer.buffers, layer.params_total)
        work = (layer.macs or 0, layer.flops or 0, layer.macs_total or 0, layer.output_bytes, layer.call)
        held = () if layer.params_by_family is UNSET else layer.params_by_family.values()
        if not _are_sizes((*counts, *work, *held)):
            yield f"a row of {layer.path!r} with numbers that are no sizes"
        if not _are_shapes((*layer.input_shapes, *layer.output_shapes)):
            yield f"a row of {layer.path!r} with shapes that are none"


def _of_tape(tape: Tape, rows: int) -> Iterator[str]:
    operations, values = len(tape.operations), len(tape.values)
    if not _are_places((each.storage for each in tape.values), len(tape.storages)):
        yield "values without a storage"
    if not _are_shapes(each.shape for each in tape.values) or not _are_sizes(each.bytes for each in tape.values):
        yield "values without a size"
    used = chain.from_iterable((*each.reads, *each.makes) for each in tape.operations)
    if not _are_places(chain(tape.inputs, tape.outputs, used), values):
        yield "operators of values that are not there"
    if not _are_places((each.row for each in tape.operations if each.row is not None), rows):
        yield "operators of rows that are not there"
    if not _are_sizes(each.macs or 0 for each in tape.operations):
        yield "operators whose MACs are no sizes"
    yield from _of_storages(tape.storages, operations, rows)
    if tape.state is not UNSET and not _are_places((*tape.state.before, *tape.state.after), values):
        yield "a state of values that are not there"
    if tape.source is not UNSET:
        yield from _of_source(tape.source, operations, values)


def _of_storages(storages: Iterable[Storage], operations: int, rows: int) -> Iterator[str]:
    for storage in storages:
        until = operations if storage.died is None else storage.died
        if not -1 <= storage.born < max(operations, 1) or not storage.born <= until <= operations:
            yield "storages that live at no time of the run"
        if not _are_sizes([storage.bytes]) or not 0 <= (storage.saved_by or 0) < max(rows, 1):
            yield "storages without a size"


def _of_source(source: Source, operations: int, values: int) -> Iterator[str]:
    steps = chain.from_iterable(call.trail for call in source.calls)
    spots = chain(source.failed, (step.spot for step in steps))
    if not _are_places((spot.file for spot in source.spots), len(source.files)):
        yield "lines of files that are not there"
    if not _are_places(spots, len(source.spots)):
        yield "calls in lines that are not there"
    for position, call in enumerate(source.calls):
        if not 0 <= (call.within or 0) < max(position, 1) or not 0 <= call.start <= call.stop <= operations:
            yield "calls of operators that are not there"
        if not _are_places((made + 1 for made in call.makes), values + 1) or not _are_shapes(call.shapes):
            yield "calls that return values that are not there"


def _are_places(given: Iterable[int], many: int) -> bool:
    return all(0 <= place < many for place in given)


def _are_sizes(given: Iterable[int]) -> bool:
    return all(0 <= size < LARGEST for size in given)


def _are_shapes(given: Iterable[Shape]) -> bool:
    return all(0 <= size < _LARGEST_SIZE for shape in given for size in shape)
