"""Laws as the JSON has them: terms, pieces with the sizes from which to which they hold, and where they were proved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from alexnet_cli.analyses.scale.envelope import largest_of, leading
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.law import Law, parts_of
from alexnet_cli.analyses.scale.polynomial import Polynomial, Step
from alexnet_cli.analyses.scale.runs import LARGEST

_SCANNED = 2**12
"""Where sizes go by steps, pieces are told up to the next multiple of so many."""


class Term(Struct, frozen=True):
    """A product of powers, of dimensions and of `steps` by their names, times a fraction such as `3/2`."""

    powers: dict[str, int]
    coefficient: str


class Piece(Struct, frozen=True):
    """A polynomial that holds from `least` to `most`, both included, where there is one dimension; None: no bound.

    `op` is the operator that runs at a peak, and `path` its layer.
    """

    terms: tuple[Term, ...]
    least: int | None = None
    most: int | None = None
    op: str | None = None
    path: str | None = None


class StepOf(Struct, frozen=True):
    """⌊(size + offset) / divisor⌋ of the size of a dimension."""

    name: str
    dimension: str
    divisor: int
    offset: int


class Exception_(Struct, frozen=True):  # noqa: N801 - not one that is raised
    """The value at sizes where a law does not hold."""

    sizes: dict[str, int]
    value: int


class ScalingLaw(Struct, frozen=True):
    """How a quantity depends on sizes: `terms` if it is one polynomial, else `pieces`, and neither where none fits.

    With one dimension the pieces hold one after the other; with several the law is the `largest` or the `smallest` of
    them, as `piecewise` says. `type` is the layer type whose part it is. It is exact at all sizes of `proved_at`, none
    of which it was found from; `except_at` are sizes that ran, at which it is not.
    """

    quantity: str
    dimensions: tuple[str, ...]
    terms: tuple[Term, ...]
    pieces: tuple[Piece, ...]
    piecewise: Literal["largest", "smallest"] | None
    proved_at: tuple[dict[str, int], ...]
    except_at: tuple[Exception_, ...] = ()
    type: str | UnsetType = UNSET


def name_of(step: Step) -> str:
    """Return the name of a step: that of its dimension, with the divisor, and the offset, if it is not the size."""
    return step.dimension if step.is_size else f"{step.dimension}/{step.divisor}{step.offset:+d}"


def steps_in(laws: Sequence[Law]) -> tuple[StepOf, ...]:
    """Return the steps that laws go by, beside the sizes themselves."""
    every = [part for law in laws for _, part in parts_of(law, range(1, LARGEST))]
    found = sorted({step for law in every for piece in law.pieces for step in piece.steps if not step.is_size})
    return tuple(StepOf(name_of(step), step.dimension, step.divisor, step.offset) for step in found)


def told(law: Law, limits: Sequence[range]) -> ScalingLaw:
    """Return a law as the JSON has it, of sizes within the limits of each dimension."""
    quantity, name = law.total
    parts = parts_of(law, limits[0])
    pieces = _merged(piece for within, part in parts for piece in _pieces(part, within, alone=len(parts) == 1))
    several = len(pieces) > 1
    return ScalingLaw(
        quantity=quantity,
        dimensions=law.names,
        terms=() if several or not pieces else pieces[0].terms,
        pieces=pieces if several else (),
        piecewise=("smallest" if law.smallest else "largest") if several else None,
        proved_at=tuple(_named(law, sizes) for _, part in parts for sizes in part.proved_at),
        except_at=tuple(
            Exception_(_named(law, sizes), value) for _, part in parts for sizes, value in part.except_at.items()
        ),
        type=name or UNSET,
    )


def _merged(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Return pieces of which no two that follow each other are one polynomial at one place."""
    found = list[Piece]()
    for piece in pieces:
        last = found[-1] if found else None
        if last is not None and replace(last, least=piece.least, most=piece.most) == piece:
            found[-1] = replace(last, most=piece.most)
        else:
            found.append(piece)
    return tuple(found)


def _named(law: Law, sizes: Sizes) -> dict[str, int]:
    return dict(zip(law.names, sizes, strict=True))


def _pieces(law: Law, within: range, *, alone: bool) -> tuple[Piece, ...]:
    """Return the pieces of a law, with one dimension in the order of the sizes at which they hold."""
    if len(law.names) > 1 or (alone and len(law.pieces) <= 1):
        return tuple(_piece(law, at) for at in range(len(law.pieces)))
    if all(step.is_size for piece in law.pieces for step in piece.steps):
        sign = -1 if law.smallest else 1
        signed = [piece.times(sign).coefficients() for piece in law.pieces]
        starts = largest_of(signed, within.start, within.stop - 1)
    else:
        within = range(within.start, min(within.stop, (within.start // _SCANNED + 1) * _SCANNED + 1))
        starts = leading(law.pieces, within, smallest=law.smallest)
    last = None if within.stop >= LARGEST else within.stop - 1
    ends = [*(start - 1 for start, _ in starts[1:]), last]
    return tuple(
        _piece(law, which, start if start > 1 else None, end) for (start, which), end in zip(starts, ends, strict=True)
    )


def _piece(law: Law, at: int, least: int | None = None, most: int | None = None) -> Piece:
    op, path = law.where[at] if law.where else (None, None)
    return Piece(terms_of(law.pieces[at]), least, most, op, path)


def terms_of(polynomial: Polynomial) -> tuple[Term, ...]:
    """Return the terms of a polynomial, the highest powers first."""
    ordered = sorted(polynomial.terms.items(), key=lambda term: (-sum(power for _, power in term[0]), term[0]))
    return tuple(
        Term({name_of(step): power for step, power in monomial}, str(coefficient)) for monomial, coefficient in ordered
    )
