"""From the tensors of a checkpoint to the rows of a report: the modules are the dotted prefixes of the keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from alexnet_cli.report import Layer
from alexnet_cli.targets.checkpoint.infer import UNKNOWN, Inferred, infer, is_buffer
from alexnet_cli.targets.checkpoint.stored import Stored

DEEPEST = 64
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass
class Module:
    """A prefix: the tensors directly in it by their own names, and the modules below it."""

    path: str = ""
    name: str = ""
    tensors: dict[str, Stored] = field(default_factory=dict)
    children: dict[str, Module] = field(default_factory=dict)

    def child(self, name: str) -> Module:
        """Return the module below of that name, made if it is not there yet."""
        if name not in self.children:
            self.children[name] = Module(f"{self.path}.{name}" if self.path else name, name)
        return self.children[name]


def module_tree(tensors: Mapping[str, Stored]) -> Module:
    """Sort the tensors into modules, in the order of their keys.

    Raises:
        ValueError: a key has more parts than any model nests.
    """
    root = Module()
    for key, tensor in tensors.items():
        if key.count(".") > DEEPEST:
            raise ValueError(f"the key {key[:60]!r}… is nested more than {DEEPEST} deep")
        *parents, name = key.split(".")
        module = root
        for parent in parents:
            module = module.child(parent)
        module.tensors[name] = tensor
    return root


def rows(root: Module) -> tuple[Layer, ...]:
    """Return a row for each module, containers before their children; leaves are numbered."""
    indices = iter(range(1, 2**63))
    drafts = [_row(module, depth, None if module.children else next(indices)) for module, depth in _preorder(root, 0)]
    return tuple(_summed_up(drafts))


def _preorder(module: Module, depth: int) -> Iterator[tuple[Module, int]]:
    yield module, depth
    for child in _in_order(module):
        yield from _preorder(child, depth + 1)


def _in_order(module: Module) -> list[Module]:
    """Return the modules below: those of a sequence by their numbers, as safetensors sorts 10 before 2."""
    below = list(module.children.values())
    numbered = all(_NUMBER.fullmatch(child.name) for child in below)
    return sorted(below, key=lambda child: int(child.name)) if numbered else below


def _row(module: Module, depth: int, index: int | None) -> Layer:
    own = [tensor for tensor in module.tensors.values() if tensor.same_as is None]
    params = [tensor for name, tensor in module.tensors.items() if _counts(name, tensor)]
    size = sum(tensor.elements for tensor in params)
    kind = _kind(module)
    return Layer(
        index=index,
        path=module.path,
        type=kind.type,
        kind="module",
        family=kind.family,
        depth=depth,
        leaf=index is not None,
        call=1,
        input_shapes=(),
        output_shapes=(),
        settings=_settings(module, kind),
        params=size,
        trainable_params=size,
        param_bytes=sum(tensor.size_bytes for tensor in params),
        buffers=sum(tensor.elements for tensor in own) - size,
        params_total=size,
        macs=None,
        flops=None,
        macs_total=None,
        output_bytes=0,
        in_place=False,
        reuses=_reuses(module),
    )


def _counts(name: str, tensor: Stored) -> bool:
    return tensor.same_as is None and not is_buffer(name, tensor)


def _kind(module: Module) -> Inferred:
    """Infer the type of a leaf, and of what holds tensors beside modules if that is a layer as well."""
    container = Inferred("Module", "container", {})
    if not module.tensors:
        return container
    kind = infer(module.name, module.tensors)
    return container if module.children and kind.family == UNKNOWN.family else kind


def _settings(module: Module, kind: Inferred) -> dict[str, object]:
    """Return what the shapes tell, marked as inferred; where that is nothing, the shapes themselves."""
    if not module.tensors:
        return {}
    told = {"inferred": True, **kind.settings}
    shapes = {} if kind.settings else {"tensors": {name: list(held.shape) for name, held in module.tensors.items()}}
    dtypes = list(dict.fromkeys(held.dtype for name, held in module.tensors.items() if not is_buffer(name, held)))
    dtypes = dtypes or list(dict.fromkeys(held.dtype for held in module.tensors.values()))
    return {**told, **shapes, "dtype": dtypes[0] if len(dtypes) == 1 else dtypes}


def _reuses(module: Module) -> str | None:
    """Return the module that a tensor is shared with; sharing within a module is not told."""
    owners = (tensor.same_as.rpartition(".")[0] for tensor in module.tensors.values() if tensor.same_as is not None)
    return next((owner for owner in owners if owner != module.path), None)


def _summed_up(drafts: list[Layer]) -> list[Layer]:
    """Set `params_total`: from the last row to the first, each is added to the nearest row above it."""
    below = [0] * (DEEPEST + 2)
    summed = []
    for row in reversed(drafts):
        total = row.params + below[row.depth + 1]
        below[row.depth + 1] = 0
        below[row.depth] += total
        summed.append(replace(row, params_total=total))
    return summed[::-1]
