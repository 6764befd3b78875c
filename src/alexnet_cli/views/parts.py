"""Blocks that several commands show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace

from alexnet_cli.analyses.shares import bits_per_weight, by_family, fraction
from alexnet_cli.document import Bar, Bars, Block, Column, Fact, Facts, Note, Part, Row, Table, Value
from alexnet_cli.report import GRAPH, Layer, Report, Run, Totals, UncountedOp
from alexnet_cli.units import bits

MOST_PARTS = 5
NEVER_CALLED = "never called"
_HALF_PRECISION = 16
_THREE_DIGITS = 100

T = TypeVar("T")
Columns = dict[Column, Callable[[T], Value]]
"""The columns of a table, each with how its cell follows from what a row shows."""


def table(
    name: str,
    columns: Mapping[Column, Callable[[T], Value]],
    items: Iterable[T],
    caption: str = "",
    look: Callable[[T], Row] = lambda item: Row((), family=getattr(item, "family", "other")),
) -> Table:
    """Return a table with a row for each item; `look` gives what a row has beside its cells."""
    rows = (replace(look(item), cells=tuple(value(item) for value in columns.values())) for item in items)
    return Table(name, tuple(columns), tuple(rows), caption)


def given(*blocks: Block | None) -> tuple[Block, ...]:
    """Leave out the blocks that there is nothing to show for."""
    return tuple(block for block in blocks if block is not None)


def facts_given(*facts: Fact | None, title: str = "") -> Facts:
    """Return a list without the facts that there is nothing to show for."""
    return Facts(tuple(fact for fact in facts if fact is not None), title)


def without(columns: Columns[T], keys: Collection[str]) -> Columns[T]:
    """Leave out the columns with these keys."""
    return {column: value for column, value in columns.items() if column.key not in keys}


def three_digits(rate: float | None) -> float | None:
    """Return what a device does in a second at most, rounded down to a whole number or with three digits."""
    return rate if rate is None else int(rate) if rate >= _THREE_DIGITS else float(f"{rate:.3g}")


def titled(report: Report) -> str:
    """Name a model by its class, and by its target if that says more."""
    name = report.model.class_name
    return name if report.model.target == name.lower() else f"{name} ({report.model.target})"


def run_line(run: Run | None) -> str:
    """Say how a model was run: `meta · float32 · eval · batch 1`."""
    if run is None:
        return "not run"
    batch = "no batch dimension" if run.batch_size is None else f"batch {run.batch_size}"
    return f"{run.device} · {run.dtype} · {run.mode} · {batch}"


def layer_name(layer: Layer) -> str:
    """Name a row as torchsummary does, `Conv2d-1`, and mark further calls and shared parameters."""
    name = layer.type if layer.index is None else f"{layer.type}-{layer.index}"
    if layer.call > 1:
        return f"{name} (call {layer.call})"
    return f"{name} (shared)" if layer.reuses else name


def look_of(layer: Layer) -> Row:
    """Return the row of a layer without its cells."""
    return Row((), role="leaf" if layer.kind == "module" else "function", family=layer.family)


def are_few(bits_per_weight: float | None) -> bool:
    """Tell whether weights are stored in less than half precision, so that it is worth saying in how many bits."""
    return bits_per_weight is not None and bits_per_weight < _HALF_PRECISION


def totals_facts(totals: Totals) -> tuple[Fact, ...]:
    """List the totals, each with its convention."""
    stored = bits_per_weight(totals.params, totals.param_bytes)
    few = f"{bits(stored)} bits per weight, scales included" if stored and are_few(stored) else ""
    return facts_given(
        Fact("Layers", totals.layers, "count"),
        Fact("Parameters", totals.params, "count"),
        Fact("trainable", totals.trainable_params, "count", level=1),
        Fact("frozen", totals.frozen_params, "count", level=1),
        Fact("Buffers", totals.buffers, "count") if totals.buffers else None,
        Fact("Weights", totals.param_bytes, "bytes", few),
    ).facts


def facts_of(report: Report) -> Facts:
    """List the totals, and if the model was run, the work of one forward and how it was run."""
    run, totals = report.run, report.totals
    if run is None:
        return Facts(totals_facts(totals))
    until = "bias additions not included" if report.error is None else "until the failure"
    facts = [*totals_facts(totals), Fact("MACs", totals.macs, "macs", until)]
    facts.append(Fact("FLOPs", totals.flops, "flops", "2 per MAC"))
    for item in run.inputs:
        note = f"{item.dtype}, found by trial" if item.found else item.dtype
        facts.append(Fact(f"Input {item.name}" if item.name else "Input", item.shape, "shape", note))
    if run.measured is not None:
        facts += [
            Fact("Ran on", run.measured.device_name),
            Fact("Peak memory", run.measured.peak_allocated_bytes, "bytes", "measured, weights included"),
            Fact("One forward", run.measured.seconds, "seconds", "measured once"),
        ]
    return Facts(tuple(facts))


def split(report: Report) -> Bars | None:
    """Show how families share parameters and work, and what is never called; None if no row has any."""
    families = [family for family in by_family(report) if family.params or family.macs]
    if not families:
        return None
    families.sort(key=lambda family: (-(family.macs_share or 0), -family.params_share))
    idle = never_called(report)
    most = MOST_PARTS - bool(idle)  # a bar has no more fills
    params = _parts([(f.family, f.params, f.params_share) for f in families], most)
    if idle:
        params = (*params, Part(NEVER_CALLED, idle, fraction(idle, report.totals.params), "other"))
    bars = [Bar("Parameters", "count", params)]
    if report.totals.macs:
        macs = [(f.family, f.macs or 0, f.macs_share or 0.0) for f in families]
        bars.append(Bar("MACs", "macs", _parts(macs, most)))
    return Bars(tuple(bars))


def never_called(report: Report) -> int:
    """Return the parameters of modules that no call reached; after a failure nobody knows."""
    return 0 if report.error is not None else sum(module.params for module in report.totals.unused_modules)


def notes(report: Report) -> tuple[Note, ...]:
    """Name what the numbers leave out: uncounted work, modules that are never called."""
    found = list(uncounted_notes(report.totals.uncounted_ops))
    unused = [module for module in report.totals.unused_modules if module.params]
    if report.run is None or report.run.device == GRAPH:
        found.append(Note(report.model.description))
    if unused and report.error is None:
        params = never_called(report)
        named = some([module.path for module in unused])
        found.append(Note(f"{NEVER_CALLED}: {named}, with {params:,} parameters", "warning"))
    return tuple(found)


def uncounted_notes(ops: Sequence[UncountedOp]) -> tuple[Note, ...]:
    """Name the operators whose work was not counted."""
    called = ((op, f"{op.calls} call{'s' * (op.calls > 1)} in {some(op.paths)}") for op in ops)
    return tuple(Note(f"not counted: {op.op}, {calls} (no MAC formula)", "warning") for op, calls in called)


def hidden_note(rows: int) -> tuple[Note, ...]:
    """Say how many rows a table leaves out; nothing if it has all."""
    return (Note(f"{hidden_rows(rows)}; --all-rows shows {'it' if rows == 1 else 'them'}"),) if rows else ()


def hidden_rows(rows: int) -> str:
    """Say that rows which only rearrange are hidden."""
    if rows == 1:
        return "1 row that only reshapes or selects is hidden"
    return f"{rows:,} rows that only reshape or select are hidden"


def _parts(families: Sequence[tuple[str, int, float]], most: int) -> tuple[Part, ...]:
    """Return a part for each of the first families, and one for all others."""
    shown, rest = families[:most], families[most:]
    parts = [Part(name, value, share, name) for name, value, share in shown]
    if rest:
        parts.append(Part("others", sum(value for _, value, _ in rest), sum(share for *_, share in rest), "other"))
    return tuple(parts)


def some(names: Sequence[str], most: int = 3) -> str:
    """List up to `most` names, and how many more there are."""
    listed = ", ".join(name or "the model itself" for name in names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most:,} more"
