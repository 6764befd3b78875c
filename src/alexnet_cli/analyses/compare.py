"""Two or more models side by side: their totals, and their layers aligned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.alignment import POSITIONS, align
from alexnet_cli.report import GRAPH, ErrorInfo, Family, Layer, Model, Report, Run, Totals

Change = Literal["same", "changed", "added", "removed"]
_Entry = list[Layer | None]

_COUNTED = ("params", "trainable_params", "param_bytes", "buffers")
_OF_A_RUN = ("output_shapes", "macs", "trainable_params")
_OWN = ("type", "reuses", *_COUNTED, *_OF_A_RUN)
_OF_A_CHECKPOINT = frozenset({"inferred", "dtype", "tensors"})


class Ratios(Struct, frozen=True):
    """Totals as fractions of the first model's; None if either is unknown or the first is 0."""

    params: float | None
    param_bytes: float | None
    macs: float | None
    flops: float | None
    layers: float | None


class ComparedModel(Struct, frozen=True):
    """One of the models."""

    model: Model
    run: Run | None
    error: ErrorInfo | None
    totals: Totals
    ratios: Ratios


class AlignedLayer(Struct, frozen=True):
    """A layer across the models, in their order; None for a model without it.

    `added`: the first model does not have it; `removed`: another one does not. `differences` holds what is not the
    same in the models that have the layer: settings by their names, and `type`, `output_shapes`, `params` and so on.
    """

    paths: tuple[str | None, ...]
    type: str
    family: Family
    change: Change
    differences: dict[str, tuple[Any, ...]]
    params: tuple[int | None, ...]
    param_bytes: tuple[int | None, ...]
    macs: tuple[int | None, ...]


class Comparison(Struct, frozen=True):
    """What a comparison finds."""

    subjects: tuple[ComparedModel, ...]
    layers: tuple[AlignedLayer, ...]


def compare(reports: Sequence[Report]) -> Comparison:
    """Compare models with the first of them.

    Where one was not run, as a checkpoint, only the layers that hold tensors are compared, and only by what both
    sides can know.
    """
    ran = [report.run is not None for report in reports]
    kinds = [report.run is not None and report.run.device == GRAPH for report in reports]
    rows = [_rows(report, with_tensors=not all(ran)) for report in reports]
    if not all(ran):
        rows = [rows[0], *(_in_order_of(rows[0], other) for other in rows[1:])]
    entries: list[_Entry] = [[row] for row in rows[0]]
    for number, other in enumerate(rows[1:], 1):
        entries = _woven(entries, other, number, by_family=any(ran) and not all(ran))
    layers = tuple(_aligned(entry, ran, told_alike=len(set(kinds)) == 1) for entry in entries)
    first = reports[0].totals
    subjects = tuple(
        ComparedModel(report.model, report.run, report.error, report.totals, _ratios(report.totals, first))
        for report in reports
    )
    return Comparison(subjects, layers)


def only_changes(comparison: Comparison) -> Comparison:
    """Leave out the layers that are the same."""
    return replace(comparison, layers=tuple(row for row in comparison.layers if row.change != "same"))


def _rows(report: Report, *, with_tensors: bool) -> list[Layer]:
    """Return the rows that do or hold something themselves, without containers that only call others."""
    if with_tensors:
        return [row for row in report.layers if row.params or row.buffers or row.reuses]
    return [row for row in report.layers if row.leaf or row.params or row.macs]


def _in_order_of(first: Sequence[Layer], rows: Iterable[Layer]) -> list[Layer]:
    """Sort rows by path into the first model's order: a checkpoint's order need not be that of the calls."""
    places = {row.path: place for place, row in enumerate(first)}
    keyed: list[tuple[int, Layer]] = []
    place = -1
    for row in rows:
        place = places.get(row.path, place)
        keyed.append((place, row))
    return [row for _, row in sorted(keyed, key=lambda item: item[0])]


def _woven(entries: Sequence[_Entry], rows: Sequence[Layer], number: int, *, by_family: bool) -> list[_Entry]:
    """Align one more model's rows with those of the `number` models before it, and insert the rows they lack."""
    known = [next(row for row in entry if row is not None) for entry in entries]
    absent: _Entry = [None] * number
    woven: list[_Entry] = []
    done = taken = 0
    for i, j in align(known, rows, by_family=by_family):
        woven += [[*entry, None] for entry in entries[done:i]]
        woven += [[*absent, row] for row in rows[taken:j]]
        woven.append([*entries[i], rows[j]])
        done, taken = i + 1, j + 1
    woven += [[*entry, None] for entry in entries[done:]]
    return woven + [[*absent, row] for row in rows[taken:]]


def _aligned(entry: _Entry, ran: Sequence[bool], *, told_alike: bool) -> AlignedLayer:
    known = next(row for row in entry if row is not None)
    differences = _differences(entry, ran, told_alike=told_alike)
    if entry[0] is None:
        change: Change = "added"
    elif None in entry:
        change = "removed"
    else:
        change = "changed" if differences else "same"
    return AlignedLayer(
        tuple(row.path if row else None for row in entry),
        known.type,
        known.family,
        change,
        differences,
        tuple(row.params if row else None for row in entry),
        tuple(row.param_bytes if row else None for row in entry),
        tuple(row.macs if row else None for row in entry),
    )


def _differences(entry: _Entry, ran: Sequence[bool], *, told_alike: bool) -> dict[str, tuple[Any, ...]]:
    """Return what differs; unless rows are `told_alike`, as those of a graph in a file, only settings that all tell."""
    present = [row for row in entry if row is not None]
    of_one_kind = len(set(ran)) == 1
    names = [name for name in _OWN if all(ran) or name not in _OF_A_RUN]
    names = [name for name in dict.fromkeys(names) if of_one_kind or name != "type"]
    found: dict[str, tuple[Any, ...]] = {}
    for name in names:
        if not _alike([_own(row, name) for row in present]):
            found[name] = tuple(getattr(row, name) if row else None for row in entry)
    written_alike = all(row.kind == "module" for row in present)  # a function's are those given by keyword
    for name in _settings(present, whole=of_one_kind and told_alike and written_alike and "type" not in found):
        values = [row.settings.get(name) for row in present]
        if not _alike(values):
            key = f"settings.{name}" if name in _OWN else name
            found[key] = tuple(row.settings.get(name) if row else None for row in entry)
    return found


def _own(row: Layer, name: str) -> object:
    """Return a row's value; for `reuses` only whether it is set, because modules may be renamed."""
    return row.reuses is not None if name == "reuses" else getattr(row, name)


def _settings(rows: Sequence[Layer], *, whole: bool) -> list[str]:
    """Name the settings to compare: all, or for rows of different kinds those that every row has."""
    names = [name for name in dict.fromkeys(name for row in rows for name in row.settings) if name not in POSITIONS]
    if whole:
        return names
    return [name for name in names if name not in _OF_A_CHECKPOINT and all(name in row.settings for row in rows)]


def _alike(values: Sequence[Any]) -> bool:
    return all(_same(values[0], value) for value in values[1:])


def _same(one: Any, other: Any) -> bool:
    """Tell whether two settings are the same; 3 is the same kernel as [3, 3]."""
    if isinstance(one, list) and isinstance(other, int):
        one, other = other, one
    if isinstance(one, int) and isinstance(other, list):
        return bool(other) and all(item == one for item in other)
    return bool(one == other)


def _ratios(totals: Totals, first: Totals) -> Ratios:
    pairs = {name: (getattr(totals, name), getattr(first, name)) for name in Ratios.__struct_fields__}
    return Ratios(**{name: None if this is None or not that else this / that for name, (this, that) in pairs.items()})
