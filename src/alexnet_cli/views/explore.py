"""What is said about one row of what is explored, and about the values of a tensor."""

from __future__ import annotations

import json

from alexnet_cli.analyses.columns import COLUMNS
from alexnet_cli.analyses.exploring.explored import Explored
from alexnet_cli.document import Fact, Facts
from alexnet_cli.report import Layer
from alexnet_cli.stored import Statistics, StoredTensor
from alexnet_cli.views.annotate import near
from alexnet_cli.views.parts import facts_given, run_line

_COSTS = ("macs", "flops", "bytes_read", "bytes_written", "intensity")
_FIELDS = ("receptive_field", "jump")


def entry_facts(explored: Explored, at: int) -> tuple[Facts, ...]:
    """Say all that is known about an entry, without the values of a tensor."""
    tensor = explored.outline.entries[at].tensor
    if tensor is not None:
        return (_tensor(explored.layer(at), tensor),)
    layer = explored.layer(at)
    blocks = (
        _what(explored, at, layer),
        _settings(layer),
        _shapes(layer),
        _weights(explored, at, layer),
        _numbers(explored, at, "Cost", _COSTS),
        _memory(explored, at, layer),
        _numbers(explored, at, "Receptive field", _FIELDS),
    )
    return tuple(block for block in blocks if block is not None)


def values_facts(found: Statistics) -> Facts:
    """Say what the values of a tensor are like."""
    facts = [
        Fact("Values", found.elements, "count"),
        Fact("zeros", found.zeros, "count", level=1),
        Fact("not finite", found.not_finite, "count", level=1),
    ]
    numbers = {"least": found.least, "most": found.most, "mean": found.mean, "deviation": found.deviation}
    facts += [Fact(name, f"{number:.6g}") for name, number in numbers.items() if number is not None]
    return Facts(tuple(facts), "Values")


def _what(explored: Explored, at: int, layer: Layer) -> Facts:
    report, place, failed = explored.report, explored.place(at), explored.report.error
    here = failed is not None and failed.path in ({layer.path} if layer.path else {layer.path, None})
    return facts_given(
        Fact("Type", layer.type, note=layer.family if layer.family not in layer.type.lower() else ""),
        Fact("Path", layer.path) if layer.path else Fact("Target", report.model.target),
        Fact("Call", layer.call, "count") if layer.call > 1 else None,
        None if place is None else Fact("Called at", f"{near(place[0])}:{place[1]}"),
        None if layer.reuses is None else Fact("Shares with", layer.reuses),
        Fact("Run", run_line(report.run)) if at == 0 else None,
        Fact("Failed", failed.message) if failed and here else None,
        title="Layer",
    )


def _settings(layer: Layer) -> Facts | None:
    facts = tuple(Fact(name, _setting(value)) for name, value in layer.settings.items())
    return Facts(facts, "Settings") if facts else None


def _setting(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shapes(layer: Layer) -> Facts | None:
    shapes = {"Input": layer.input_shapes, "Output": layer.output_shapes}
    facts = tuple(Fact(label, several, "shapes") for label, several in shapes.items() if several)
    return Facts(facts, "Shapes") if facts else None


def _weights(explored: Explored, at: int, layer: Layer) -> Facts | None:
    """Say how many parameters there are, and of a layer with others below it, how many are its own."""
    rows = explored.joined.layers(explored.rows(at))
    params, buffers = sum(row.params for row in rows), sum(row.buffers for row in rows)
    if not params and not buffers:
        return None
    return facts_given(
        Fact("Parameters", params, "count"),
        Fact("of its own", layer.params, "count", level=1) if 0 < layer.params != params else None,
        Fact("trainable", sum(row.trainable_params for row in rows), "count", level=1),
        Fact("share", params / (explored.report.totals.params or 1), "share", level=1),
        Fact("Weights", sum(row.param_bytes for row in rows), "bytes"),
        Fact("Buffers", buffers, "count") if buffers else None,
        title="Parameters",
    )


def _memory(explored: Explored, at: int, layer: Layer) -> Facts | None:
    if explored.is_checkpoint or explored.report.run is None:
        return None
    saves = "saved_bytes" in explored.columns
    return facts_given(
        Fact("Output", layer.output_bytes, "bytes", "written in place" if layer.in_place else ""),
        Fact("Saved", explored.value(at, "saved_bytes"), "bytes", "for backward") if saves else None,
        title="Memory",
    )


def _numbers(explored: Explored, at: int, title: str, names: tuple[str, ...]) -> Facts | None:
    """Say what is known in these columns."""
    facts = [
        Fact(COLUMNS[name].title, value, COLUMNS[name].unit)
        for name in names
        if name in explored.columns and (value := explored.value(at, name)) not in (None, "")
    ]
    return Facts(tuple(facts), title) if facts else None


def _tensor(layer: Layer, tensor: StoredTensor) -> Facts:
    return facts_given(
        Fact("Key", tensor.key),
        Fact("Shape", tensor.shape, "shape"),
        Fact("Dtype", tensor.dtype),
        Fact("Elements", tensor.elements, "count", "a buffer" if tensor.buffer else ""),
        Fact("Bytes", tensor.bytes, "bytes"),
        Fact("Packed", tensor.packed) if tensor.packed else None,
        Fact("Shares with", tensor.same_as) if tensor.same_as else None,
        Fact("Layer", " ".join(filter(None, (layer.path, layer.type)))),
        title="Tensor",
    )
