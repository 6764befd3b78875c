"""The rows of a report with one block's repeated for blocks that were left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from alexnet_cli.analyses.repeats import POSITION_SETTINGS
from alexnet_cli.analyses.sharding.anchors import Anchors, Ref
from alexnet_cli.rank import Repeated
from alexnet_cli.report import Layer


def more_rows(anchors: Anchors, cut: int, more: int) -> list[tuple[Ref, Layer]]:
    """Return the rows with their names; those of the block `cut` come again for each of `more` blocks."""
    old = list(zip(anchors.rows, anchors.rank.report.layers, strict=True))
    start = next(at for at, (key, _) in enumerate(old) if key[1] == cut)
    middle = [each for each in old if each[0][1] == cut]
    holders = set(_holders([layer for _, layer in old], start))

    def rows() -> Iterator[tuple[Ref, Layer]]:
        for at, (key, layer) in enumerate(old):
            if at == start:
                for shift in range(more + 1):
                    yield from (_shifted(*each, anchors.blocks, shift) for each in middle)
            elif key[1] != cut:
                held = _with_more(layer, middle[0][1], more) if at in holders else layer
                yield _shifted(key, held, anchors.blocks, more if key[1] is not None and key[1] > cut else 0)

    index = 0
    numbered = []
    for key, layer in rows():
        index += layer.index is not None
        numbered.append((key, layer if layer.index is None else replace(layer, index=index)))
    return numbered


def _shifted(key: Ref, layer: Layer, blocks: Repeated, shift: int) -> tuple[Ref, Layer]:
    """Return a row so many blocks further on."""
    name, block = key
    if block is None or not shift:
        return key, layer
    settings = {
        setting: value + shift if setting in POSITION_SETTINGS and value == block else value
        for setting, value in layer.settings.items()
    }
    path, reuses = (blocks.shifted(each, shift) for each in (layer.path, layer.reuses))
    return (name, block + shift), replace(layer, path=path or "", reuses=reuses, settings=settings)


def _holders(layers: Sequence[Layer], row: int) -> Iterator[int]:
    """Yield the rows that a row is in."""
    depth = layers[row].depth
    for at in range(row - 1, -1, -1):
        if layers[at].depth < depth:
            yield at
            depth = layers[at].depth


def _with_more(holder: Layer, block: Layer, more: int) -> Layer:
    """Return a row with the parameters and MACs of more blocks."""
    known = holder.macs_total is not None and block.macs_total is not None
    macs = (holder.macs_total or 0) + more * (block.macs_total or 0) if known else None
    return replace(holder, params_total=holder.params_total + more * block.params_total, macs_total=macs)
