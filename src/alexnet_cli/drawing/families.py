"""The family that a node is coloured by, and the legend that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from alexnet_cli.analyses.dataflow import FlowNode
from alexnet_cli.graphics.palette import HUES
from alexnet_cli.report import Layer, subtree

WORDS = {
    "conv": "convolution",
    "pool": "pooling",
    "norm": "normalisation",
    "linear": "linear",
    "embedding": "embedding",
    "recurrent": "recurrent",
    "attention": "attention",
    "softmax": "softmax",
    "other": "other",
}


def family_of(node: FlowNode, layers: Sequence[Layer]) -> str:
    """Return the family of a node's colour; of a container the one that does most of its work, or weighs most."""
    if node.kind in ("input", "output"):
        return "input"
    if node.kind == "gap":
        return "gap"
    position = node.rows[0]
    family = layers[position].family
    if family in HUES:
        return family
    works: Counter[str] = Counter()
    for below in subtree(layers, position)[1:]:
        row = layers[below]
        works[row.family] += (row.macs or 0) * _MACS_FIRST + row.params
    main = max(works, key=lambda name: works[name], default="other")
    return main if main in HUES and works[main] else "other"


def legend_families(families: Iterable[str]) -> list[str]:
    """Return the families that a legend explains, in a fixed order; what comes in and goes out says so itself."""
    shown = set(families)
    return [family for family in WORDS if family in shown]


_MACS_FIRST = 10**6
