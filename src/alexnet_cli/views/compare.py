"""Models side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import Any

from msgspec import UNSET, UnsetType

from alexnet_cli import units
from alexnet_cli.analyses.compare import AlignedLayer, ComparedModel, Comparison
from alexnet_cli.analyses.turns import TimedAgainst
from alexnet_cli.document import Block, Column, Document, Note, Row, Table
from alexnet_cli.views.parts import Columns, run_line, table

ARROW = " → "
ABSENT = "–"
_IN_TURNS = (
    "Times are medians of forwards on the CPU, or on the device that was asked for. The models run in turns, so that "
    "what slows the machine down slows both; the ratio is the geometric mean over the rounds, its interval by "
    "Student's t."
)
_SHOWN_AS_NUMBERS = frozenset({"params", "macs"})
_FOLLOW_FROM_PARAMS = frozenset({"trainable_params", "param_bytes"})
_WORDS = {
    "output_shapes": "output",
    "trainable_params": "trainable",
    "param_bytes": "weights",
    "buffers": "buffers",
    "reuses": "shares with",
}


def compare_document(
    comparison: Comparison, *, hidden: int = 0, timed: Sequence[TimedAgainst] | UnsetType = UNSET
) -> Document:
    """Show the totals of each model and the layers of all; `hidden` layers that are the same were left out."""
    subjects = comparison.subjects
    names = ", ".join(subject.model.class_name for subject in subjects[1:])
    runs = {run_line(subject.run) for subject in subjects}
    same_run = runs.pop() if len(runs) == 1 else ""
    blocks: list[Block] = [_layers(comparison), _totals(subjects, runs_differ=not same_run)]
    if timed is not UNSET:
        blocks += [_timed(subjects, timed), Note(_IN_TURNS)]
    found = Counter(layer.change for layer in comparison.layers)
    same = found["same"] + hidden
    counted = f"{found['changed']} changed, {found['added']} added, {found['removed']} removed, {same} the same."
    if same == found.total() + hidden:
        counted = f"Nothing changed in {same} layer{'s' * (same != 1)}."
    notes = (Note(counted), *_notes(subjects))
    return Document(f"{subjects[0].model.class_name} against {names}", (*blocks, *notes), same_run)


def _timed(subjects: Sequence[ComparedModel], timed: Sequence[TimedAgainst]) -> Table:
    columns: Columns[int] = {
        Column("model", "Model"): lambda i: f"{label(i)} {subjects[i].model.class_name}",
        Column("seconds", "Time", "seconds"): lambda i: timed[i].seconds,
        Column("ratio", "Of A"): lambda i: _ratio(timed[i].ratio),
        Column("interval", "95 % interval", priority=5): lambda i: (
            f"{_ratio(timed[i].low)} to {_ratio(timed[i].high)}" if timed[i].low else ""
        ),
        Column("verdict", "So it is", priority=6): lambda i: _verdict(timed[i]),
    }
    return table("timed", columns, range(len(subjects)), "Measured in turns")


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.3f} ×"


def _verdict(timed: TimedAgainst) -> str:
    if timed.ratio is None:
        return ""
    if not timed.differs:
        return "no different as far as this tells"
    return "slower" if timed.ratio > 1 else "faster"


def label(number: int) -> str:
    """Name a model by its place: A, B, …, Z, A2 and on."""
    turn, letter = divmod(number, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(turn + 1) if turn else "")


def _totals(subjects: Sequence[ComparedModel], *, runs_differ: bool) -> Table:
    first = subjects[0].totals.params
    columns: Columns[int] = {
        Column("model", "Model"): lambda i: f"{label(i)} {subjects[i].model.class_name}",
        Column("target", "Target", priority=3): lambda i: subjects[i].model.target,
    }
    if runs_differ:
        columns[Column("run", "Run", priority=2)] = lambda i: run_line(subjects[i].run)
    columns |= {
        Column("inputs", "Input", "shapes", priority=1): lambda i: (
            tuple(item.shape for item in run.inputs) if (run := subjects[i].run) else None
        ),
        Column("layers", "Layers", "count", priority=4): lambda i: subjects[i].totals.layers,
        Column("params", "Parameters", "count", priority=9): lambda i: subjects[i].totals.params,
        Column("params_difference", "Difference", "count", priority=8): lambda i: subjects[i].totals.params - first,
        Column("params_ratio", "% of A", "share", priority=6): lambda i: subjects[i].ratios.params,
        Column("param_bytes", "Weights", "bytes", priority=5): lambda i: subjects[i].totals.param_bytes,
        Column("macs", "MACs", "macs", priority=8): lambda i: subjects[i].totals.macs,
        Column("macs_ratio", "% of A", "share", priority=7): lambda i: subjects[i].ratios.macs,
    }
    return table("totals", columns, range(len(subjects)), "Totals")


def _layers(comparison: Comparison) -> Table:
    count = len(comparison.subjects)
    same = all(len({*layer.paths} - {None}) == 1 for layer in comparison.layers)
    places = ["path"] if same else [f"path_{label(i).lower()}" for i in range(count)]
    others = range(1, count)
    ran = all(subject.run for subject in comparison.subjects)
    columns = (
        Column("layer", "Layer"),
        Column("change", "", priority=8),
        *(Column(key, "Path" if key == "path" else f"Path in {label(i)}", priority=2) for i, key in enumerate(places)),
        Column("differences", "Differences", priority=7),
        *(Column(f"params_{label(i).lower()}_less_a", f"Parameters {label(i)}-A", "count", priority=6) for i in others),
        *(Column(f"macs_{label(i).lower()}_less_a", f"MACs {label(i)}-A", "macs", priority=5) for i in others if ran),
    )
    rows = []
    for layer in comparison.layers:
        paths = [ABSENT if path is None else path for path in layer.paths]
        paths = paths if len(places) > 1 else [next(path for path in layer.paths if path is not None)]
        cells = [layer.type, layer.change, *paths, _differences(layer)]
        differences = [_less(layer.params, layer.paths, i) for i in others]
        differences += [_less(layer.macs, layer.paths, i) for i in others if ran]
        rows.append(Row((*cells, *differences), family=layer.family))
    named = ", ".join(f"{label(i)} {subject.model.class_name}" for i, subject in enumerate(comparison.subjects))
    return Table("layers", columns, tuple(rows), f"Layers of {named}")


def _less(values: Sequence[int | None], paths: Sequence[str | None], place: int) -> int | None:
    """Return how much more the layer has in this model than in the first; an absent layer has 0."""
    first, other = (0 if paths[i] is None else values[i] for i in (0, place))
    return None if first is None or other is None else other - first


def _differences(layer: AlignedLayer) -> str:
    hidden = _SHOWN_AS_NUMBERS | (_FOLLOW_FROM_PARAMS if "params" in layer.differences else frozenset())
    return ", ".join(
        f"{_WORDS.get(name, name)} {_written(name, values, layer.paths)}"
        for name, values in layer.differences.items()
        if name not in hidden
    )


def _written(name: str, values: Sequence[Any], paths: Sequence[str | None]) -> str:
    """Write two values as `1 → 2`; of more values, those that differ from the first: `1 (B, D 2; C 3)`."""
    texts = {label(i): _value(name, values[i]) for i, path in enumerate(paths) if path is not None}
    first, *others = texts.values()
    if len(values) == len("AB"):
        return ARROW.join((first, *others))
    places = {text: [place for place in texts if texts[place] == text] for text in others if text != first}
    told = "; ".join(f"{', '.join(found)} {text}" for text, found in places.items())
    return f"{first} ({told})"


def _value(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if name == "param_bytes":
        return units.size(value)
    if name == "output_shapes":
        return units.text(tuple(map(tuple, value)), "shapes")
    if isinstance(value, (list, tuple)) and all(type(item) is int for item in value):
        return units.shape(tuple(value))
    return units.count(value) if type(value) is int else str(value)


def _notes(subjects: Sequence[ComparedModel]) -> Iterator[Note]:
    """Explain what makes the numbers hard to compare."""
    weights = [label(i) for i, subject in enumerate(subjects) if subject.run is None]
    if weights:
        has = "have" if len(weights) > 1 else "has"
        text = f"{' and '.join(weights)} {has} weights only, so only layers with weights are compared"
        yield Note(text, "warning")
    for number, subject in enumerate(subjects):
        name, totals = label(number), subject.totals
        if subject.error is not None:
            where = subject.error.path or "its start"
            text = f"{name} failed at {where}: its MACs stop there, and later layers are missing"
            yield Note(text, "warning")
            continue
        if totals.uncounted_ops:
            yield Note(f"{name}: not counted: {', '.join(op.op for op in totals.uncounted_ops)}", "warning")
        unused = sum(module.params for module in totals.unused_modules)
        if unused:
            yield Note(f"{name}: {units.count(unused)} parameters in modules that are never called", "warning")
