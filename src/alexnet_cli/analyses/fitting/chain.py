"""The blocks of a model that run one after the other: what a checkpoint could run again, each on its own.

Blocks are siblings of one class that hold other layers, the outermost but for stages: a block that itself lists several
of one class is looked into. Where a model has none, its own parts are blocks, and of an `nn.Sequential` of plain
layers, each layer with weights together with those that follow it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec import Struct

from alexnet_cli.report import Layer, Report, siblings, subtree_ends

_LISTS = frozenset({"Sequential", "ModuleList"})
_WITH_WEIGHTS = frozenset({"conv", "linear", "embedding", "recurrent", "attention"})


class Block(Struct, frozen=True):
    """What a checkpoint runs again as one: the path of a module, or those of neighbours in a Sequential."""

    paths: tuple[str, ...]
    type: str


def chain_of(report: Report) -> tuple[Block, ...]:
    """Return the blocks of a model in the order they run; each is called once, and none holds another."""
    layers = report.layers
    if not layers:
        return ()
    ends = subtree_ends(layers)
    calls = Counter(layer.path for layer in layers if layer.kind == "module")
    found = _Finder(layers, ends).within(0)
    return tuple(block for block in found if all(calls[path] == 1 and path for path in block.paths))


def owners(report: Report, chain: Sequence[Block]) -> dict[int, int]:
    """Return the number of the block that each row belongs to."""
    ends = subtree_ends(report.layers)
    first: dict[str, int] = {}
    for row, layer in enumerate(report.layers):
        first.setdefault(layer.path, row)
    found = {}
    for at, block in enumerate(chain):
        for path in block.paths:
            if path in first:
                found.update(dict.fromkeys(range(first[path], ends[first[path]]), at))
    return found


@dataclass(frozen=True)
class _Finder:
    layers: Sequence[Layer]
    ends: Sequence[int]

    def within(self, row: int) -> Iterator[Block]:
        """Yield the blocks below a row that is none itself."""
        parts = self._parts(row)
        alike = self._repeated(parts)
        if self.layers[row].type == "Sequential" and not any(self._holds(part) for part in parts):
            yield from self._slices(row)
            return
        for part in parts:
            if not self._holds(part):
                continue
            if part in alike and not self._lists_blocks(part):
                yield self._block(part)
            elif part in alike or self.layers[part].type in _LISTS or self._has_repeats(part):
                yield from self.within(part)
            else:
                yield self._block(part)

    def _slices(self, row: int) -> Iterator[Block]:
        """Yield each layer with weights in a Sequential with those after it, up to the next."""
        groups: list[list[int]] = []
        for part in self._parts(row):
            if self.layers[part].family in _WITH_WEIGHTS or not groups:
                groups.append([])
            groups[-1].append(part)
        for group in groups:
            yield Block(tuple(self.layers[part].path for part in group), self.layers[group[0]].type)

    def _block(self, row: int) -> Block:
        return Block((self.layers[row].path,), self.layers[row].type)

    def _parts(self, row: int) -> list[int]:
        below = siblings(self.ends, row + 1, self.ends[row])
        return [part for part in below if self.layers[part].kind == "module"]

    def _holds(self, row: int) -> bool:
        """Tell whether a module calls others."""
        return any(True for _ in self._parts(row))

    def _repeated(self, parts: Sequence[int], *, listed: bool = False) -> set[int]:
        """Return those of the parts that hold others and whose class repeats; with `listed`, in a list."""
        holding = [part for part in parts if self._holds(part) and self.layers[part].type not in _LISTS]
        if listed:
            holding = [part for part in holding if self.layers[part].path.rpartition(".")[2].isdecimal()]
        often = Counter(self.layers[part].type for part in holding)
        return {part for part in holding if often[self.layers[part].type] > 1}

    def _lists_blocks(self, row: int) -> bool:
        """Tell whether blocks are listed in a block, which is then a stage."""
        return any(self._repeated(self._parts(each), listed=True) for each in self._holders(row))

    def _has_repeats(self, row: int) -> bool:
        return any(self._repeated(self._parts(each)) for each in self._holders(row))

    def _holders(self, row: int) -> Iterator[int]:
        yield row
        for part in self._parts(row):
            if self._holds(part):
                yield from self._holders(part)
