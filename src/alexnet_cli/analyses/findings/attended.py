"""What one token's attention reads of a cache, layer by layer, from the tape of a decode step.

A cached number that takes part in one product for the token belongs to one query head; one that takes part in n is
shared by n of them. That holds for any layout of the cache, as products and numbers are counted, not axes.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from math import prod

from msgspec import Struct

from alexnet_cli.analyses.findings.products import factors_of, fixed_values, of_activations, with_softmax
from alexnet_cli.analyses.serving.cached import paths_of
from alexnet_cli.analyses.serving.causal import is_fused
from alexnet_cli.analyses.serving.weights import bits_of
from alexnet_cli.report import Report
from alexnet_cli.tape import Operation, Tape

_BITS = 8
_Source = tuple[int, bool]
"""A value of the cache, and whether a weight was multiplied with it on the way."""


class Attended(Struct, frozen=True):
    """The attention of one layer for one token: it multiplies with `keys` keys, of `heads` query heads each.

    `macs` are those of scores and weighted sums, `elements` how many cached numbers they come from, of so many
    `bytes`, in the `storages` of the cache. With a `latent` keys and values are made of what is cached by weights.
    It `grows` where the token adds to what is read, as it does not to what an encoder said.
    """

    path: str
    macs: int
    elements: int
    bytes: int
    keys: int
    heads: int
    latent: bool
    grows: bool
    storages: frozenset[int]

    @property
    def shared(self) -> Fraction:
        """How many products each cached number takes part in."""
        return Fraction(self.macs, self.elements)


def attended(report: Report, tape: Tape) -> tuple[Attended, ...]:
    """Return the layers whose attention reads a cache, in the order they ran.

    States that are no keys and values, which no softmax weighs, are left out.
    """
    paths, fixed, softmax = paths_of(report), fixed_values(tape), with_softmax(report, tape)
    sources: dict[int, frozenset[_Source]] = {}
    products: dict[str, list[tuple[Operation, frozenset[_Source]]]] = defaultdict(list)
    written = set[int]()
    for operation in tape.operations:
        if operation.nature != "view":
            written.update(tape.values[value].storage for value in operation.makes)
        multiplies = of_activations(operation, fixed)
        values = _keys_or_values(operation, tape) if multiplies else operation.reads
        read = frozenset(source for value in values for source in _read(value, tape, sources))
        if multiplies:
            path = paths[operation.row]
            if read and path in softmax:
                products[path].append((operation, read))
            continue
        if operation.macs:
            read = frozenset((value, True) for value, _ in read)
        for value in operation.makes:
            sources[value] = read
    batch = (report.run and report.run.batch_size) or 1
    return tuple(_layer(path, done, tape, batch, written) for path, done in products.items())


def _keys_or_values(operation: Operation, tape: Tape) -> tuple[int, ...]:
    """Return the factor that has all tokens in it: the larger one, as query and weights are those of one token."""
    factors = factors_of(operation)
    return factors[1:] if is_fused(operation) else (max(factors, key=lambda value: prod(tape.values[value].shape)),)


def _read(value: int, tape: Tape, sources: dict[int, frozenset[_Source]]) -> frozenset[_Source]:
    if tape.storages[tape.values[value].storage].role == "cache":
        return frozenset({(value, False)})
    return sources.get(value, frozenset())


def _layer(
    path: str, done: list[tuple[Operation, frozenset[_Source]]], tape: Tape, batch: int, written: set[int]
) -> Attended:
    first = done[0][0]
    fused = is_fused(first)
    queries = tape.values[first.reads[0] if fused else first.makes[0]].shape
    keys = tape.values[first.reads[1]].shape[-2] if fused else queries[-1]
    found = frozenset(source for _, read in done for source in read)
    storages = frozenset(tape.values[value].storage for value, _ in found)
    elements, size = _sizes({value for value, _ in found}, tape)
    return Attended(
        path=path,
        macs=sum(operation.macs or 0 for operation, _ in done),
        elements=elements,
        bytes=size,
        keys=keys,
        heads=prod(queries[:-1]) // batch,
        latent=any(latent for _, latent in found),
        grows=not written.isdisjoint(storages),
        storages=storages,
    )


def _sizes(values: set[int], tape: Tape) -> tuple[int, int]:
    """Return the elements and bytes of values; those of one storage may overlap, and are no more than it holds."""
    sizes: dict[int, int] = defaultdict(int)
    bits: dict[int, int] = {}
    for value in values:
        it = tape.values[value]
        sizes[it.storage] += it.bytes
        bits[it.storage] = bits_of(it.dtype)
    held = {at: min(size, tape.storages[at].bytes) for at, size in sizes.items()}
    return sum(size * _BITS // bits[at] for at, size in held.items()), sum(held.values())
