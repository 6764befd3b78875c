"""The layouts that a number of GPUs allows, and the numbers of GPUs that a search tries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod

from msgspec import structs

from alexnet_cli.rank import DIMENSIONS, Dimension, Layout

MOST_GPUS = 2**14
"""The largest number of GPUs that a search for the fewest tries."""


def layouts_of(
    gpus: int, given: Mapping[Dimension, int | None], per_node: int, *, sp: bool = False, reshard: bool = True
) -> list[Layout]:
    """Return the layouts of a number of GPUs, those without replicas first.

    A dimension that is given keeps its size. Tensor parallel ranks stay in one node; they and pipeline stages go with
    FSDP where there are replicas, as DDP with either is not built. Pipeline stages and parts of sequences are there
    only if they are given. With `sp` tensor parallel ranks share sequences too.
    """
    sizes = [_sizes(name, gpus, given.get(name), per_node) for name in DIMENSIONS]
    every = (dict(zip(DIMENSIONS, each, strict=True)) for each in product(*sizes) if prod(each) == gpus)
    found = [structs.replace(Layout(), **each, sp=sp and each["tp"] > 1, reshard=reshard) for each in every]
    built = [each for each in found if each.fsdp > 1 or each.ddp == 1 or (each.tp == 1 and each.pp == 1)]
    return sorted(built, key=lambda layout: (layout.ddp > 1, layout.pp, layout.tp, -layout.fsdp))


def _sizes(name: Dimension, gpus: int, given: int | None, per_node: int) -> list[int]:
    if given is not None or name in ("pp", "cp"):
        return [given or 1]
    most = min(gpus, per_node) if name == "tp" else gpus
    return [size for size in range(1, most + 1) if gpus % size == 0]


def numbers_of_gpus(per_node: int, multiple: int = 1) -> Iterator[int]:
    """Yield the powers of two below a node and then the powers of two of whole nodes, if they are a multiple."""
    numbers = [2**power for power in range(MOST_GPUS.bit_length()) if 2**power < per_node]
    numbers += [per_node * 2**power for power in range(MOST_GPUS.bit_length()) if per_node * 2**power <= MOST_GPUS]
    return (number for number in numbers if number % multiple == 0)
