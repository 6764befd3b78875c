"""What is said about one row of what is explored, and about the values of a tensor."""

from __future__ import annotations

import json

from alexnet_cli.analyses.columns import COLUMNS
from alexnet_cli.analyses.exploring.explored import Explored
from alexnet_cli.document import Fact, Facts
from alexnet_cli.report import Layer
from alexnet_cli.stored import Statistics, StoredTensor
from alexnet_cli.views.annotate import near
from alexnet_cli.views.parts import run_line

_LAYER, _TENSOR = "Layer", "Tensor"
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
    facts = [Fact("Type", layer.type, note=layer.family if layer.family not in layer.type.lower() else "")]
    facts.append(Fact("Path", layer.path) if layer.path else Fact("Target", explored.report.model.target))
    if layer.call > 1:
        facts.append(Fact("Call", layer.call, "count"))
    place = explored.place(at)
    if place is not None:
        facts.append(Fact("Called at", f"{near(place[0])}:{place[1]}"))
    if layer.reuses is not None:
        facts.append(Fact("Shares with", layer.reuses))
    if at == 0:
        facts.append(Fact("Run", run_line(explored.report.run)))
    failed = explored.report.error
    if failed is not None and failed.path in ({layer.path} if layer.path else {layer.path, None}):
        facts.append(Fact("Failed", failed.message))
    return Facts(tuple(facts), _LAYER)


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
    facts = [Fact("Parameters", params, "count")]
    if 0 < layer.params != params:
        facts.append(Fact("of its own", layer.params, "count", level=1))
    facts += [
        Fact("trainable", sum(row.trainable_params for row in rows), "count", level=1),
        Fact("share", params / (explored.report.totals.params or 1), "share", level=1),
        Fact("Weights", sum(row.param_bytes for row in rows), "bytes"),
        *([Fact("Buffers", buffers, "count")] if buffers else []),
    ]
    return Facts(tuple(facts), "Parameters")


def _memory(explored: Explored, at: int, layer: Layer) -> Facts | None:
    if explored.is_checkpoint or explored.report.run is None:
        return None
    facts = [Fact("Output", layer.output_bytes, "bytes", "written in place" if layer.in_place else "")]
    if "saved_bytes" in explored.columns:
        facts.append(Fact("Saved", explored.value(at, "saved_bytes"), "bytes", "for backward"))
    return Facts(tuple(facts), "Memory")


def _numbers(explored: Explored, at: int, title: str, names: tuple[str, ...]) -> Facts | None:
    """Say what is known in these columns."""
    facts = [
        Fact(COLUMNS[name].title, value, COLUMNS[name].unit)
        for name in names
        if name in explored.columns and (value := explored.value(at, name)) not in (None, "")
    ]
    return Facts(tuple(facts), title) if facts else None


def _tensor(layer: Layer, tensor: StoredTensor) -> Facts:
    facts = [
        Fact("Key", tensor.key),
        Fact("Shape", tensor.shape, "shape"),
        Fact("Dtype", tensor.dtype),
        Fact("Elements", tensor.elements, "count", "a buffer" if tensor.buffer else ""),
        Fact("Bytes", tensor.bytes, "bytes"),
        *([Fact("Packed", tensor.packed)] if tensor.packed else []),
        *([Fact("Shares with", tensor.same_as)] if tensor.same_as else []),
        Fact("Layer", " ".join(filter(None, (layer.path, layer.type)))),
    ]
    return Facts(tuple(facts), _TENSOR)
