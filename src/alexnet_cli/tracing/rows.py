"""From recorded calls to the rows and totals of a report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from alexnet_cli.report import Family, Layer, Totals, UncountedOp, UnusedModule
from alexnet_cli.tracing.families import module_family
from alexnet_cli.tracing.operators import row_family
from alexnet_cli.tracing.recorder import Call
from alexnet_cli.tracing.settings import module_settings

_ATTENTION_FUNCTIONS = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward", "flex_attention"})
_STRUCTURAL = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


@dataclass
class Owned:
    """The parameters that a row is the first to hold."""

    params: int = 0
    trainable: int = 0
    bytes: int = 0

    def add(self, parameter: Tensor) -> None:
        """Count one parameter."""
        size = _numel(parameter)
        self.params += size
        self.trainable += size if parameter.requires_grad else 0
        self.bytes += size * parameter.dtype.itemsize


@dataclass
class _Draft:
    call: Call
    path: str
    depth: int
    number: int
    family: Family
    leaf: bool
    owned: Owned = field(default_factory=Owned)
    buffers: int = 0
    reuses: str | None = None
    end: int = 0


class RowBuilder:
    """Turns the calls of one forward of `model` into rows; `touched` are the ids of tensors that operators read."""

    def __init__(self, model: nn.Module, touched: set[int]) -> None:
        self.model = model
        self.touched = touched
        self.paths: dict[int, str] = {id(module): path for path, module in reversed(list(_named_modules(model)))}
        self._drafts: list[_Draft] = []
        self._positions: dict[int, int] = {}
        self._calls: Counter[int] = Counter()
        self._names: Counter[str] = Counter()
        self._owner: dict[int, str] = {}
        self._rows: dict[str, _Draft] = {}
        self._unfinished: set[int] = set()

    def build(self, root: Call | None) -> tuple[tuple[Layer, ...], Totals]:
        """Return the rows in the order they ran, containers first, and the totals."""
        if root is not None:
            self._visit(root, None, 0)
        unused = self._settle_uncalled()
        indices = iter(range(1, len(self._drafts) + 1))
        sums = _RunningSums(self._drafts)
        layers = tuple(
            self._layer(
                draft, sums.between(position, draft.end), next(indices) if draft.leaf and draft.call.module is not None else None
            )
            for position, draft in enumerate(self._drafts)
        )
        return layers, self._totals(layers, unused)

    def row_of(self, call: Call) -> int | None:
        """Return the position of a call's row: its own, or the first of its module's."""
        return self._positions.get(id(call), self._positions.get(id(call.module)) if call.module else None)

    def path_of(self, call: Call | None) -> str:
        """Return the path of a call's module, empty for the root and for modules that are not part of the model."""
        return self.paths.get(id(call.module), "") if call is not None else ""

    def _visit(self, call: Call, parent: _Draft | None, depth: int) -> None:
        container = call.calls_modules
        if not call.finished and not container:
            self._unfinished.add(id(call.module))
            return  # the layer that failed has no row: the error names it
        path = self._path(call, parent.path if parent else "")
        draft = _Draft(call, path, depth, 1, _family(call, container=bool(call.parts)), leaf=not container)
        self._positions[id(call)] = len(self._drafts)
        self._drafts.append(draft)
        if call.module is not None:
            self._positions.setdefault(id(call.module), len(self._drafts) - 1)
            self._calls[id(call.module)] += 1
            draft.number = self._calls[id(call.module)]
            self._rows.setdefault(path, draft)
            self._own(draft, call.module)
        for part in call.parts:
            self._visit(part, draft, depth + 1)
        draft.end = len(self._drafts)

    def _path(self, call: Call, parent: str) -> str:
        if call.module is not None and id(call.module) in self.paths:
            return self.paths[id(call.module)]
        path = f"{parent}.{call.name}" if parent else call.name
        self._names[path] += 1
        return path if self._names[path] == 1 else f"{path}_{self._names[path] - 1}"

    def _own(self, draft: _Draft, module: nn.Module) -> None:
        if id(module) not in self.paths:
            return
        for parameter in _own_parameters(module):
            if id(parameter) in self._owner:
                draft.reuses = draft.reuses or self._owner[id(parameter)]
            else:
                self._owner[id(parameter)] = draft.path
                draft.owned.add(parameter)
        for buffer in _own_buffers(module):
            if id(buffer) not in self._owner:
                self._owner[id(buffer)] = draft.path
                draft.buffers += _numel(buffer)

    def _settle_uncalled(self) -> tuple[UnusedModule, ...]:
        """Give the parameters of modules that were read but not called to the row above; list the others."""
        unused = []
        for path, module in self.model.named_modules():
            if self._calls[id(module)]:
                continue
            fresh = [parameter for parameter in _own_parameters(module) if id(parameter) not in self._owner]
            self._owner |= {id(parameter): path for parameter in fresh}
            row = self._row_above(path)
            read = any(id(parameter) in self.touched for parameter in fresh)
            if row is not None and read and id(module) not in self._unfinished:
                for parameter in fresh:
                    row.owned.add(parameter)
            elif fresh or not (isinstance(module, _STRUCTURAL) or any(True for _ in module.children())):
                unused.append(UnusedModule(path, sum(map(_numel, fresh))))
        return tuple(unused)

    def _row_above(self, path: str) -> _Draft | None:
        while path:
            path = path.rpartition(".")[0]
            if path in self._rows:
                return self._rows[path]
        return None

    @staticmethod
    def _layer(draft: _Draft, totals: tuple[int, int | None], index: int | None) -> Layer:
        call = draft.call
        macs = _macs(call)
        params_total, macs_total = totals
        return Layer(
            index=index,
            path=draft.path,
            type=type(call.module).__name__ if call.module is not None else call.name,  # lazy ones have changed
            kind="module" if call.module is not None else "function",
            family=draft.family,
            depth=draft.depth,
            leaf=draft.leaf,
            call=draft.number,
            input_shapes=call.input_shapes,
            output_shapes=call.output_shapes,
            settings=module_settings(call.module) if call.module is not None else call.settings or {},
            params=draft.owned.params,
            trainable_params=draft.owned.trainable,
            param_bytes=draft.owned.bytes,
            buffers=draft.buffers,
            params_total=params_total,
            macs=macs,
            flops=None if macs is None else 2 * macs,
            macs_total=macs_total,
            output_bytes=call.output_bytes,
            in_place=call.in_place,
            reuses=draft.reuses,
        )

    def _totals(self, layers: tuple[Layer, ...], unused: tuple[UnusedModule, ...]) -> Totals:
        whole = Owned()
        for parameter in self.model.parameters():
            whole.add(parameter)
        macs = sum(layer.macs or 0 for layer in layers)
        return Totals(
            params=whole.params,
            trainable_params=whole.trainable,
            frozen_params=whole.params - whole.trainable,
            buffers=sum(_numel(buffer) for buffer in self.model.buffers()),
            param_bytes=whole.bytes,
            macs=macs,
            flops=2 * macs,
            layers=sum(layer.leaf and layer.kind == "module" for layer in layers),
            uncounted_ops=self._uncounted(),
            unused_modules=unused,
        )

    def _uncounted(self) -> tuple[UncountedOp, ...]:
        calls = [(op, draft.path) for draft in self._drafts for op in draft.call.uncounted]
        counts = Counter(op for op, _ in calls)
        return tuple(
            UncountedOp(op, count, tuple(dict.fromkeys(path for name, path in calls if name == op)))
            for op, count in counts.most_common()
        )


class _RunningSums:
    """Parameters and MACs of any stretch of rows in constant time: trees can be deep."""

    def __init__(self, drafts: list[_Draft]) -> None:
        macs = [_macs(draft.call) for draft in drafts]
        self.params = [0, *accumulate(draft.owned.params for draft in drafts)]
        self.macs = [0, *accumulate(value or 0 for value in macs)]
        self.unknown = [0, *accumulate(value is None for value in macs)]

    def between(self, start: int, end: int) -> tuple[int, int | None]:
        """Sum up the rows from `start` to before `end`; MACs are None where none of them is known."""
        macs = self.macs[end] - self.macs[start]
        unknown = self.unknown[end] - self.unknown[start]
        return self.params[end] - self.params[start], None if unknown and not macs else macs


def _family(call: Call, *, container: bool) -> Family:
    if call.module is not None:
        family = module_family(type(call.module))
        return family or ("container" if container else row_family(call.operators))
    return "attention" if call.name in _ATTENTION_FUNCTIONS else row_family(call.operators)


def _macs(call: Call) -> int | None:
    return None if call.uncounted and not call.counted else call.macs


def _named_modules(model: nn.Module) -> Any:
    return model.named_modules(remove_duplicate=False)


def _own_parameters(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module._parameters.values() if parameter is not None]


def _own_buffers(module: nn.Module) -> list[Tensor]:
    return [buffer for buffer in module._buffers.values() if buffer is not None]


def _numel(tensor: Tensor) -> int:
    return 0 if is_lazy(tensor) else tensor.numel()
