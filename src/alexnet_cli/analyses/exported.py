"""What an export changed: layers that have other parameters or MACs in the file than in the model, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from alexnet_cli.report import Report

Cause = Literal["folded", "has_folded", "unused", "equal", "zero", "copied", "computed", "two_products"]
"""Why a layer has other parameters or MACs in the file.

- `folded`: it is a batch norm, and the exporter worked it into the layer before it;
- `has_folded`: it is that layer, and got a bias for it;
- `unused`: no call reaches it, so the file does not have it;
- `equal`: the file stores tensors of equal values once, and it has one of another layer's;
- `zero`: its bias is zeros, and the file leaves it out;
- `copied`: it shares a tensor with another layer in the model, and the file has that tensor twice;
- `computed`: the file has a constant there that was computed from the parameters;
- `two_products`: it is bilinear, and the file computes x·A, then the product of that and y.
"""


class ExportedLayer(Struct, frozen=True):
    """A layer that is not the same in the file: the model's number and the file's; `cause` is None if it is unknown."""

    path: str
    params: tuple[int, int]
    macs: tuple[int | None, int | None]
    cause: Cause | None


class _Layers:
    """What a report says about each path, over all calls."""

    def __init__(self, report: Report) -> None:
        self.params: Counter[str] = Counter()
        self.buffers: Counter[str] = Counter()
        self.macs: dict[str, int | None] = {}
        self.reuses: set[str] = set()
        self.folded: dict[str, str] = {}
        self.bilinear: dict[str, object] = {}
        for row in report.layers:
            path = row.path.rpartition(".")[0] if row.kind == "function" else row.path
            self.params[path] += row.params
            self.buffers[path] += row.buffers
            known = self.macs.get(path, 0)
            self.macs[path] = None if known is None or row.macs is None else known + row.macs
            if row.reuses is not None:
                self.reuses.add(path)
            if isinstance(norm := row.settings.get("folded"), str):
                self.folded[path] = norm
            if row.type == "Bilinear":
                self.bilinear[path] = row.settings.get("in1_features")


def exported_layers(model: Report, file: Report, zeros: Mapping[str, int]) -> tuple[ExportedLayer, ...]:
    """Return the layers whose own parameters or MACs differ, in the order of the model.

    Functions count with the module that calls them, as a file may call others for the same. `zeros` says how many
    elements of a module's own vectors are in one that is all zeros.
    """
    one, other = _Layers(model), _Layers(file)
    return (*_changed(one, other, zeros), *_unused(model, file))


def explained(model: Report, file: Report, layers: tuple[ExportedLayer, ...]) -> bool:
    """Tell whether the changes of layers, each of a known cause, are all that is different in parameters and MACs."""
    if any(layer.cause is None for layer in layers):
        return False
    params = sum(layer.params[1] - layer.params[0] for layer in layers)
    macs = sum((layer.macs[1] or 0) - (layer.macs[0] or 0) for layer in layers)
    before, after = model.totals.macs, file.totals.macs
    same_macs = after is None if before is None else after == before + macs
    return same_macs and model.totals.params + params == file.totals.params


def _changed(one: _Layers, other: _Layers, zeros: Mapping[str, int]) -> Iterator[ExportedLayer]:
    for path in dict.fromkeys((*one.params, *other.params)):
        params = one.params[path], other.params[path]
        macs = one.macs.get(path, 0), other.macs.get(path, 0)
        if macs[0] != macs[1]:
            two = params[0] == params[1] and _is_two_products(one.bilinear.get(path), *macs)
            yield ExportedLayer(path, params, macs, "two_products" if two else None)
        elif params[0] != params[1]:
            yield ExportedLayer(path, params, macs, _cause(path, one, other, zeros))


def _is_two_products(width: object, before: int | None, after: int | None) -> bool:
    """Tell whether MACs are those of two products.

    Of N rows, x of a features, y of b and A of (o, a, b), one sum over all takes N*o*a*b; x·A takes as many, and its
    product with y N*o*b more.
    """
    if not isinstance(width, int) or width < 1 or before is None or after is None:
        return False
    return before % width == 0 and after == before + before // width


def _cause(path: str, one: _Layers, other: _Layers, zeros: Mapping[str, int]) -> Cause | None:
    lost = one.params[path] - other.params[path]
    if lost < 0:
        if path in other.folded:
            return "has_folded"
        return "copied" if path in one.reuses - other.reuses else None
    if path in other.folded.values():
        return "folded"
    if path in other.reuses - one.reuses:
        return "equal"
    if lost <= zeros.get(path, 0):
        return "zero"
    return "computed" if other.buffers[path] - one.buffers[path] >= lost else None


def _unused(model: Report, file: Report) -> Iterator[ExportedLayer]:
    kept = {each.path for each in file.totals.unused_modules}
    for each in model.totals.unused_modules:
        if each.params and each.path not in kept:
            yield ExportedLayer(each.path, (each.params, 0), (0, 0), "unused")
