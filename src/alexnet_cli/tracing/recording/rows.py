"""Turns recorded calls into the rows and totals of a report."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from msgspec import UNSET, Struct, UnsetType
from torch import nn

from alexnet_cli.report import Family, Layer, Totals, UncountedOp, UnusedModule
from alexnet_cli.torch_insides import own_buffers, own_modules, own_parameters, packed_below
from alexnet_cli.tracing.recording.calls import Call, call_family, module_settings
from alexnet_cli.tracing.recording.owned import Owned, numel
from alexnet_cli.tracing.recording.purposes import Purposes

_STRUCTURAL = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


_NOTHING = Owned()
"""What functions own."""


class _Draft(Struct, eq=False):
    call: Call
    parent: _Draft | None
    path: str
    depth: int
    family: Family
    owned: Owned
    number: int = 1
    reuses: str | None = None
    params_total: int = 0
    macs_total: int = 0
    any_unknown: bool = False


class RowBuilder:
    """Turns the calls of one run of `model` into rows.

    `touched` are the ids of the parameters that operators read, `purposes` what they are used for.
    """

    def __init__(self, model: nn.Module, touched: set[int], purposes: Purposes) -> None:
        self.model = model
        self.touched = touched
        self.purposes = purposes
        self._modules = list(_named_modules(model))
        self.paths: dict[int, str] = {id(module): path for path, module in self._modules}
        self._drafts: list[_Draft] = []
        self._positions: dict[int, int] = {}
        self._calls: dict[int, int] = {}
        self._names: dict[str, int] = {}
        self._owner: dict[int, str] = {}
        self._rows: dict[str, _Draft] = {}
        self._unfinished: set[int] = set()
        self._without_row = Owned()

    def build(self, root: Call | None) -> tuple[tuple[Layer, ...], Totals]:
        """Return the rows in the order they ran, containers first, and the totals."""
        self.purposes.find_attention()
        if root is not None:
            self._visit(root, None)
        unused = self._settle_uncalled()
        self._add_up()
        layers = self._layers()
        return layers, self._totals(layers, unused)

    def row_of(self, call: Call) -> int | None:
        """Return the position of a call's row: its own, or the first of its module's."""
        own = self._positions.get(id(call))
        return own if own is not None or call.module is None else self._positions.get(id(call.module))

    def path_of(self, call: Call | None) -> str:
        """Return the path of a call's module, empty for the root and for modules outside the model."""
        return self.paths.get(id(call.module), "") if call is not None else ""

    def _visit(self, call: Call, parent: _Draft | None) -> None:
        module = call.module
        if not (call.finished or call.calls_modules):
            self._unfinished.add(id(module))
            return  # the failed layer has no row: the error names it
        position = self._positions[id(call)] = len(self._drafts)
        depth = 0 if parent is None else parent.depth + 1
        owned = Owned() if module is not None else _NOTHING
        draft = _Draft(call, parent, self._path(call, parent), depth, call_family(call), owned)
        self._drafts.append(draft)
        if module is not None:
            self._positions.setdefault(id(module), position)
            self._rows.setdefault(draft.path, draft)
            draft.number = self._calls[id(module)] = self._calls.get(id(module), 0) + 1
            if id(module) in self.paths:
                self._own(draft, module)
        for part in call.parts:
            self._visit(part, draft)

    def _path(self, call: Call, parent: _Draft | None) -> str:
        path = self.paths.get(id(call.module)) if call.module is not None else None
        if path is not None:
            return path
        path = f"{parent.path}.{call.name}" if parent is not None and parent.path else call.name
        before = self._names.get(path, 0)
        self._names[path] = before + 1
        return f"{path}_{before}" if before else path

    def _own(self, draft: _Draft, module: nn.Module) -> None:
        fresh = set()  # a module may hold a parameter by two names, which is not sharing
        for parameter in own_parameters(module).values():
            if parameter is None or id(parameter) in fresh:
                continue
            if id(parameter) in self._owner:
                draft.reuses = draft.reuses or self._owner[id(parameter)]
            else:
                fresh.add(id(parameter))
                self._owner[id(parameter)] = draft.path
                draft.owned.add(parameter, self.purposes.family(parameter, draft.family))
        self._own_packed(draft.owned, module, draft.path, draft.family)
        self._own_buffers(draft.owned, module, draft.path)

    def _own_packed(self, owned: Owned, module: nn.Module, path: str, family: Family) -> None:
        """Count the packed weights of a quantised layer, which lie in modules of its own that are never called."""
        for part, packed in packed_below(module):
            if id(packed) not in self._owner:
                self._owner[id(packed)] = path
                owned.add_packed(part, packed, family)

    def _own_buffers(self, owned: Owned, module: nn.Module, path: str) -> None:
        for buffer in own_buffers(module).values():
            if buffer is not None and id(buffer) not in self._owner:
                self._owner[id(buffer)] = path
                owned.buffers += numel(buffer)

    def _settle_uncalled(self) -> tuple[UnusedModule, ...]:
        """Give the row above the parameters of modules that were read but not called; list the other modules."""
        unused = []
        for path, module in self._modules:
            if id(module) in self._calls:
                continue
            self._own_buffers(self._without_row, module, path)
            packed = Owned()
            self._own_packed(packed, module, path, "other")
            if packed.params:
                self._without_row.params += packed.params
                self._without_row.bytes += packed.bytes
                unused.append(UnusedModule(path, packed.params))
            if packed_below(module):
                continue
            fresh = []
            for parameter in own_parameters(module).values():
                if parameter is not None and id(parameter) not in self._owner:
                    self._owner[id(parameter)] = path  # at once: a module may hold a parameter by two names
                    fresh.append(parameter)
            row = self._row_above(path)
            read = any(id(parameter) in self.touched for parameter in fresh)
            is_part = row is not None and read and id(module) not in self._unfinished
            owner = row if is_part else None
            for parameter in fresh:
                if owner is None:
                    self._without_row.add(parameter, "other")
                else:
                    owner.owned.add(parameter, self.purposes.family(parameter, owner.family))
            if not is_part and (fresh or not (isinstance(module, _STRUCTURAL) or own_modules(module))):
                unused.append(UnusedModule(path, sum(map(numel, fresh))))
        return tuple(unused)

    def _row_above(self, path: str) -> _Draft | None:
        while path:
            path = path.rpartition(".")[0]
            if path in self._rows:
                return self._rows[path]
        return None

    def _add_up(self) -> None:
        """Sum up each row with all below it, from last to first, as those below come after it."""
        for draft in reversed(self._drafts):
            draft.params_total += draft.owned.params
            draft.macs_total += draft.call.macs
            draft.any_unknown |= _macs(draft.call) is None
            if draft.parent is not None:
                draft.parent.params_total += draft.params_total
                draft.parent.macs_total += draft.macs_total
                draft.parent.any_unknown |= draft.any_unknown

    def _layers(self) -> tuple[Layer, ...]:
        numbers = count(1)
        return tuple(
            [
                _layer(draft, None if draft.call.calls_modules or draft.call.module is None else next(numbers))
                for draft in self._drafts
            ]
        )

    def _totals(self, layers: tuple[Layer, ...], unused: tuple[UnusedModule, ...]) -> Totals:
        held = [*(draft.owned for draft in self._drafts), self._without_row]
        params, trainable = sum(owned.params for owned in held), sum(owned.trainable for owned in held)
        macs = sum(layer.macs or 0 for layer in layers)
        return Totals(
            params=params,
            trainable_params=trainable,
            frozen_params=params - trainable,
            buffers=sum(owned.buffers for owned in held),
            param_bytes=sum(owned.bytes for owned in held),
            macs=macs,
            flops=2 * macs,
            layers=sum(layer.index is not None for layer in layers),
            uncounted_ops=self._uncounted(),
            unused_modules=unused,
        )

    def _uncounted(self) -> tuple[UncountedOp, ...]:
        calls: dict[str, list[str]] = {}
        for draft in self._drafts:
            for op in draft.call.uncounted:
                calls.setdefault(op, []).append(draft.path)
        ordered = sorted(calls.items(), key=lambda item: len(item[1]), reverse=True)
        return tuple(UncountedOp(op, len(paths), tuple(dict.fromkeys(paths))) for op, paths in ordered)


def _layer(draft: _Draft, index: int | None) -> Layer:
    call, owned = draft.call, draft.owned
    macs = _macs(call)
    return Layer(  # positional: six times as fast as by name
        index,
        draft.path,
        call.name if call.module is None else type(call.module).__name__,  # a lazy module has changed its class
        "function" if call.module is None else "module",
        draft.family,
        draft.depth,
        not call.calls_modules,
        draft.number,
        call.input_shapes,
        call.output_shapes,
        call.settings or {} if call.module is None else module_settings(call.module),
        owned.params,
        owned.trainable,
        owned.bytes,
        owned.buffers,
        draft.params_total,
        macs,
        None if macs is None else 2 * macs,
        None if draft.any_unknown and not draft.macs_total else draft.macs_total,
        call.output_bytes,
        call.in_place,
        draft.reuses,
        _families(draft),
    )


def _families(draft: _Draft) -> dict[Family, int] | UnsetType:
    """Return what a row's parameters are used for, where its own family does not say it."""
    found = draft.owned.families
    if not found or (len(found) == 1 and draft.family in found):  # mostly
        return UNSET
    families = {family: params for family, params in found.items() if params}
    return families if families.keys() - {draft.family} else UNSET


def _macs(call: Call) -> int | None:
    return None if call.uncounted and not call.counted else call.macs


def _named_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield each module once with its first path, in the order of `nn.Module.named_modules`, without recursion."""
    seen: set[int] = set()
    waiting = [("", model)]
    while waiting:
        path, module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        if children := own_modules(module).items():
            below = [(f"{path}.{name}" if path else name, child) for name, child in children if child is not None]
            waiting.extend(reversed(below))
