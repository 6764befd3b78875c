"""Rows of blocks that are alike, folded into one, so that a model of 126 blocks is shown on a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from msgspec.structs import replace

from alexnet_cli.analyses.repeats import span
from alexnet_cli.analyses.sharding.memory import LayerShare
from alexnet_cli.analyses.sharding.traffic import Collective

T = TypeVar("T", Collective, LayerShare)
_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")
_SHARES = ("weights_bytes", "gradient_bytes", "optimizer_bytes", "saved_bytes", "gathered_bytes", "communication_bytes")


def fold_collectives(sent: Iterable[Collective]) -> list[Collective]:
    """Fold equal collectives of layers whose paths differ in numbers only: counts, bytes sent and seconds add up."""
    groups: dict[tuple[object, ...], list[Collective]] = {}
    for each in sent:
        key = (each.kind, each.group, each.bytes, each.phase, each.type, _pattern(each.row))
        groups.setdefault(key, []).append(each)
    return [_together(alike) for alike in groups.values()]


def _together(alike: Sequence[Collective]) -> Collective:
    first = alike[0]
    seconds = None if first.seconds is None else sum(each.seconds or 0.0 for each in alike)
    return replace(
        first,
        row=_covering([each.row for each in alike if each.row is not None]),
        count=sum(each.count for each in alike),
        sent_bytes=sum(each.sent_bytes for each in alike),
        seconds=seconds,
    )


def fold_shares(layers: Iterable[LayerShare]) -> list[tuple[LayerShare, int]]:
    """Fold layers that hold the same and whose paths differ in numbers only; each with how many they are."""
    groups: dict[tuple[object, ...], list[LayerShare]] = {}
    for layer in layers:
        key = (layer.type, _pattern(layer.path), *(getattr(layer, name) for name in _SHARES))
        groups.setdefault(key, []).append(layer)
    return [
        (replace(alike[0], path=_covering([each.path for each in alike]) or ""), len(alike))
        for alike in groups.values()
    ]


def _pattern(path: str | None) -> str | None:
    return None if path is None else _NUMBER.sub("*", path)


def _covering(paths: Sequence[str]) -> str | None:
    """Write several paths as one, from the lowest number to the highest: `layers.0–11`."""
    if not paths:
        return None
    ordered = sorted(paths, key=lambda path: [int(number) for number in _NUMBER.findall(path)])
    return span(ordered[0], ordered[-1])
