"""Leaves out blocks of a model that are like others: what they do is known from those that stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from msgspec.structs import replace
from torch import nn

from alexnet_cli.rank import Rank, Repeated
from alexnet_cli.report import Layer
from alexnet_cli.torch_insides import hooks_of, own_buffers, own_modules, own_parameters

_LISTS = (nn.ModuleList, nn.Sequential)
_PLAIN = (bool, int, float, str, tuple, type(None))
_POSITIONS = ("layer_idx", "layer_id", "layer_index", "block_idx", "idx", "index")
"""Attributes that give the position of a block."""
_OF_TORCH = frozenset(vars(nn.Module()))
"""What every module has; hooks are counted apart, and so is whether it trains, which is one mode for the model."""


def shorten(model: nn.Module, blocks: Sequence[nn.Module], kept: int) -> Repeated | None:
    """Leave `kept` of the longest run of blocks that are alike, and return which; None where that is not possible.

    Blocks are alike if they hold modules of the same classes with equal parameters, buffers and settings.
    """
    found = next(((path, each) for path, each in model.named_modules() if _holds(each, blocks)), None)
    if found is None:
        return None
    path, holder = found
    runs: list[list[int]] = []
    for _, alike in groupby(enumerate(holder), key=lambda each: _look(each[1], each[0])):
        runs.append([at for at, _ in alike])
    longest = max(runs, key=len)
    left_out = len(longest) - kept
    if left_out <= 0:
        return None
    first = longest[0]
    del holder[first + kept : first + len(longest)]
    return Repeated(path, first, kept, left_out)


def of_blocks(rank: Rank, old: Sequence[str], new: Sequence[str]) -> Rank:
    """Return what a rank does with other blocks, by path, that are like those it was traced with."""
    if old == new:
        return rank
    paths = dict(zip(old, new, strict=True))
    return replace(rank, report=replace(rank.report, layers=tuple(_moved(each, paths) for each in rank.report.layers)))


def _moved(layer: Layer, paths: Mapping[str, str]) -> Layer:
    block = next((old for old in paths if f"{layer.path}.".startswith(f"{old}.")), None)
    if block is None:
        return layer
    place, other = (path.rpartition(".")[2] for path in (block, paths[block]))
    settings = {
        name: int(other) if name in _POSITIONS and str(value) == place else value
        for name, value in layer.settings.items()
    }
    path, reuses = (
        each and (paths[block] + each[len(block) :] if f"{each}.".startswith(f"{block}.") else each)
        for each in (layer.path, layer.reuses)
    )
    return replace(layer, path=path or "", reuses=reuses, settings=settings)


def _holds(module: nn.Module, blocks: Sequence[nn.Module]) -> bool:
    """Tell whether a list consists of all the blocks."""
    children = list(own_modules(module).values())
    return isinstance(module, _LISTS) and len(children) == len(blocks) and {*map(id, children)} == {*map(id, blocks)}


def _look(block: nn.Module, place: int) -> Any:
    """Return what a block is, but for its place."""
    return [
        (
            path,
            type(module),
            [(name, _tensor(each)) for name, each in own_parameters(module).items()],
            [(name, _tensor(each)) for name, each in own_buffers(module).items()],
            [*map(len, hooks_of(module))],
            [
                (name, _setting(value))
                for name, value in _settings(module)
                if not (name in _POSITIONS and value == place)
            ],
        )
        for path, module in block.named_modules()
    ]


def _settings(module: nn.Module) -> list[tuple[str, Any]]:
    """Return what a module holds beside its parameters, buffers and parts, by name."""
    return [(name, value) for name, value in sorted(vars(module).items()) if name not in _OF_TORCH]


def _setting(value: Any) -> object:
    """Return what tells a setting from another: a plain value, or which object it is, as a config that blocks share."""
    several = list(value.items()) if isinstance(value, dict) else value
    is_plain = isinstance(several, (*_PLAIN, list)) and all(
        isinstance(each, _PLAIN) for each in (several if isinstance(several, (list, tuple)) else ())
    )
    return several if is_plain else id(value)


def _tensor(tensor: Any) -> object:
    return tensor if tensor is None else (tuple(tensor.shape), tensor.dtype, tensor.requires_grad)
