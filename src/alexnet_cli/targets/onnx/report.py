"""An ONNX file as a report: its operators as rows with parameters and MACs, and as a tape. Nothing of it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet_cli.report import GRAPH, Model, Report, Run
from alexnet_cli.report_json import generator
from alexnet_cli.targets.onnx.graph import graph_of, printable
from alexnet_cli.targets.onnx.held import Held, held
from alexnet_cli.targets.onnx.read import broken, read_model
from alexnet_cli.targets.onnx.rows import rows
from alexnet_cli.targets.onnx.sizes import Sized, sized
from alexnet_cli.targets.onnx.taping import tape_of
from alexnet_cli.targets.onnx.walk import Walk
from alexnet_cli.targets.subject import Asked

if TYPE_CHECKING:
    from onnx import ModelProto

_LARGEST = 2**61
_SHOWN = 3


def onnx_report(asked: Asked) -> Report:
    """Return the report of an ONNX file.

    Raises:
        TargetError: the file cannot be read, its graph is not one that can run, or the `onnx` package is missing.
        UsageError: an input that was given does not fit.
    """
    path = Path(asked.target)
    model = read_model(path)
    settled = sized(model, asked)
    walk = Walk(_opset(model))
    walk.run(graph_of(settled.model.graph, path))
    sizes, macs = (slot.known.bytes for slot in walk.slots), (one.macs for one in walk.ran)
    if max(sum(filter(None, sizes)), sum(filter(None, macs))) > _LARGEST:
        raise broken(path, "its values are larger than any memory")
    owned = held(walk.slots, walk.ran, walk.tree)
    found = rows(walk, owned)
    tape = tape_of(walk, owned, found.positions)
    name = found.layers[0].type
    about = "; ".join(_about(model, settled, walk))
    run = Run(GRAPH, _dtype(walk, owned), "eval", settled.batch_size, settled.inputs, complete=True)
    return Report(generator(), Model(asked.target, name, about), run, None, found.layers, found.totals, tape)


def _opset(model: ModelProto) -> int:
    return next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)


def _about(model: ModelProto, settled: Sized, walk: Walk) -> Iterable[str]:
    """Say what wrote the file and what it leaves open."""
    producer = printable(f"{model.producer_name} {model.producer_version}".strip())
    yield f"an ONNX graph, opset {_opset(model)}" + (f", written by {producer}" if producer else "")
    others = [each for each in model.opset_import if each.domain not in ("", "ai.onnx")]
    if others:
        yield "with operators of " + _some(f"{printable(each.domain)} {each.version}" for each in others)
    if settled.open:
        yield f"sizes left open: {_some(map(printable, settled.open))}, which --input-size can give"
    unknown = sum(slot.known.shape is None and not slot.is_size for slot in walk.slots)
    if unknown:
        yield f"the shapes of {unknown:,} of {len(walk.slots):,} values are unknown"
    if any(one.node.op == "If" for one in walk.ran):
        yield "which branch of an If runs is not known, so what the branches compute is not counted"
    yield (
        "an ONNX file does not say which of its constants are trained: those that operators take for weights, or that "
        "kept a name, are counted as parameters"
    )


def _some(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _dtype(walk: Walk, owned: Mapping[int, Held]) -> str:
    """Return the dtype of most parameters' elements, or of the inputs."""
    sizes: Counter[str] = Counter()
    for each in owned.values():
        if each.is_parameter:
            sizes[each.constant.known.dtype] += each.elements
    inputs = [walk.slots[number].known.dtype for number in walk.inputs]
    return sizes.most_common(1)[0][0] if sizes else (inputs or ["float32"])[0]
