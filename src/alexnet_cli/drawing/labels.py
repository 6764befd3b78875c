"""What is written on a layer: what it does, its name, its sizes; and all that is told where a viewer points at it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from alexnet_cli import units
from alexnet_cli.analyses.dataflow import FlowNode, Frame
from alexnet_cli.graphics.text import visible
from alexnet_cli.report import Layer, Report
from alexnet_cli.tape import Shape

_SHORT = {
    "LocalResponseNorm": "LRN",
    "BatchNorm1d": "BN",
    "BatchNorm2d": "BN",
    "BatchNorm3d": "BN",
    "LogSoftmax": "log-softmax",
    "log_softmax": "log-softmax",
    "Softmax": "softmax",
    "Dropout": "dropout",
    "relu": "ReLU",
    "relu_": "ReLU",
    "gelu": "GELU",
    "silu": "SiLU",
}
MOST_PATHS = 500
_QUIET = frozenset({"reshape"})


def size_text(shape: Shape, report: Report) -> str:
    """Write a shape without the batch: `96×55×55`."""
    return units.shape(without_batch(shape, report))


def sizes_text(shapes: Sequence[Shape], report: Report) -> str:
    """Write the first of several shapes, and that there are more."""
    if not shapes:
        return ""
    more = f" +{len(shapes) - 1}" if len(shapes) > 1 else ""
    return size_text(shapes[0], report) + more


def without_batch(shape: Shape, report: Report) -> Shape:
    """Drop the dimension of the batch, where there is one."""
    batch = None if report.run is None else report.run.batch_size
    return shape[1:] if batch is not None and len(shape) > 1 and shape[0] == batch else shape


def what(layer: Layer) -> str:
    """Say what a layer does, with the settings that define it: `Conv2d 11×11, 96, /4`."""
    parts = [part for part in _details(layer) if part]
    return visible(f"{_type(layer)} {', '.join(parts)}" if parts else _type(layer))


def kernel_of(layer: Layer) -> tuple[int, ...] | None:
    """Return the size of a layer's window, None where it has none that is known."""
    sizes = _sizes(layer.settings.get("kernel_size"))
    if sizes is None:
        return None
    dimensions = next((int(char) for char in layer.type if char in "123"), len(sizes))
    return sizes * dimensions if len(sizes) == 1 else sizes


def kernel_text(layer: Layer) -> str:
    """Write window and stride: `11×11 /4`; nothing where a layer has no window."""
    kernel = kernel_of(layer)
    if kernel is None:
        return ""
    stride = _stride(layer)
    return units.shape(kernel) + (f" {stride}" if stride else "")


def short_name(layer: Layer) -> str:
    """Return the last part of a path, unless that is a number or what the layer does: `conv1`, but not `3`."""
    last = layer.path.rpartition(".")[2]
    generic = not last or last.isdecimal() or layer.kind == "function"
    return "" if generic else visible(last)


def with_it(node: FlowNode, layers: Sequence[Layer]) -> list[str]:
    """Name the small layers that are shown with a layer: `ReLU`, `LRN`."""
    rows = [layers[row] for row in node.rows[1:]]
    return [visible(_SHORT.get(row.type) or _type(row)) for row in rows if row.family not in _QUIET]


def paths_of(node: FlowNode, layers: Sequence[Layer]) -> tuple[str, ...]:
    """Return the paths of the rows that a node stands for, each once, up to `MOST_PATHS`."""
    rows = [*node.rows, *(row for copy in node.copies for row in copy)][:MOST_PATHS]
    return tuple(dict.fromkeys(layers[row].path for row in rows if layers[row].path))


def told(node: FlowNode, report: Report) -> str:
    """Tell all about a layer: a line each for path, type, shapes, parameters, MACs."""
    if node.kind == "gap":
        return f"{units.count(len(node.rows))} layers\n{_sums(node, report.layers)}"
    if node.kind != "row":
        return f"{node.kind} {visible(node.name)}".strip() + f": {units.text(node.shapes, 'shapes')}"
    layers = report.layers
    head = layers[node.rows[0]]
    lines = [visible(head.path or head.type), what(head)]
    if node.count > 1:
        lines[0] += f" and {node.count - 1} alike"
    lines += [f"in {units.text(head.input_shapes, 'shapes')}"] if head.input_shapes else []
    lines += [f"out {units.text(head.output_shapes, 'shapes')}"]
    others = [layers[row] for row in node.rows[1:]]
    lines += ["with " + ", ".join(visible(f"{row.path} ({row.type})") for row in others)] if others else []
    return "\n".join([*lines, _sums(node, layers)])


def frame_name(frame: Frame, layers: Sequence[Layer]) -> str:
    """Name the rows that a frame stands for: `layers.0–11 · EncoderLayer`; nothing for functions, as nodes do."""
    first, last = layers[frame.first_row], layers[frame.last_row]
    if first.kind == "function":
        return ""
    name = visible(span(first.path, last.path))
    return f"{name} · {visible(first.type)}" if frame.whole else name


def span(first: str, last: str) -> str:
    """Name a range of paths: `layers.0` and `layers.11` are `layers.0–11`."""
    left, right = first.split("."), last.split(".")
    same = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    return first if first == last else f"{first}–{'.'.join(right[same:]) or last}"


def summary(report: Report) -> str:
    """Say how large a model is: `62.4 M parameters, 1.14 G MACs`."""
    macs = report.totals.macs
    work = "MACs unknown" if macs is None else f"{units.si(macs)} MACs"
    return f"{units.si(report.totals.params)} parameters, {work}"


def total(rows: Iterable[Layer], key: str) -> int | None:
    """Sum up parameters or MACs with what lies below each row; None where one of them is not known."""
    values = [getattr(row, key) for row in rows]
    return None if any(value is None for value in values) else sum(values)


def rows_of(node: FlowNode, layers: Sequence[Layer]) -> list[Layer]:
    """Return all rows that a node stands for, copies included."""
    return [layers[row] for row in (*node.rows, *(row for copy in node.copies for row in copy))]


def _sums(node: FlowNode, layers: Sequence[Layer]) -> str:
    rows = rows_of(node, layers)
    params, macs = total(rows, "params_total"), total(rows, "macs_total")
    all_of_them = " in all" if node.count > 1 else ""
    return f"{units.text(params, 'count')} parameters, {units.text(macs, 'count')} MACs{all_of_them}"


def _type(layer: Layer) -> str:
    """Return what a layer is, a function that works in place by its plain name: `add` for `add_`."""
    return layer.type.rstrip("_") or layer.type if layer.kind == "function" else layer.type


_ENDS = {
    "linear": ("in_features", "out_features"),
    "embedding": ("num_embeddings", "embedding_dim"),
    "recurrent": ("input_size", "hidden_size"),
}
"""The settings that say what a layer maps to what."""


def _details(layer: Layer) -> list[str]:
    settings = layer.settings
    if layer.family in _ENDS:
        first, second = (settings.get(name) for name in _ENDS[layer.family])
        return [f"{first}→{second}"] if first is not None and second is not None else []
    if layer.family == "attention":
        heads = settings.get("num_heads")
        return [f"{heads} heads"] if isinstance(heads, int) else []
    kernel = kernel_of(layer) if layer.family in ("conv", "pool") else None
    if kernel is None:
        return []
    channels = str(settings.get("out_channels", "")) if layer.family == "conv" else ""
    return [units.shape(kernel), channels, _stride(layer), groups_text(layer)]


def groups_text(layer: Layer) -> str:
    """Say in how many groups a convolution works, nothing for one."""
    groups = layer.settings.get("groups", 1)
    return f"{groups} groups" if layer.family == "conv" and groups != 1 else ""


def _stride(layer: Layer) -> str:
    sizes = _sizes(layer.settings.get("stride")) or ()
    if not sizes or set(sizes) == {1}:
        return ""
    return f"/{sizes[0]}" if len(set(sizes)) == 1 else f"/{units.shape(sizes)}"


def _sizes(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    whole = isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, int) for item in value)
    return tuple(value) if whole else None
