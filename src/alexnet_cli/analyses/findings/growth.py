"""How a model's matrix products grow with the length of its input: laws from a few runs, held against others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.findings.products import Products, places_of, products_of
from alexnet_cli.analyses.scale.dimensions import SEQUENCE, Dimension, dimensions_of
from alexnet_cli.analyses.scale.envelope import FARTHEST, largest_size
from alexnet_cli.analyses.scale.find import find_number
from alexnet_cli.analyses.scale.law import Law
from alexnet_cli.errors import AlexnetError
from alexnet_cli.report import Report

_SQUARE = 2
_LENGTH = ("n",)


class Compared(Struct, frozen=True):
    """The MACs at a length: those of activations with activations, and those with weights."""

    length: int
    attention: int
    weights: int


class Growth(Struct, frozen=True, kw_only=True):
    """How the products of a model grow with the length n of its input.

    `layers` are the modules that multiply activations with activations, `linear` those of them whose products grow no
    faster than n. `attention` and `weights` are the coefficients of both laws, the constant first; None where a law is
    no polynomial with whole coefficients. `overtakes` is the first length at which the products of activations are
    more. There `traced` are the runs before and at it, as the laws say; `other` is what was found instead. `places` is
    how many positions the model has, `refused` why it does not run. `by_token` says that operators run token by token,
    so that no run at a great length was made.
    """

    layers: tuple[str, ...]
    linear: tuple[str, ...]
    attention: tuple[int, ...] | None
    weights: tuple[int, ...] | None
    overtakes: int | None = None
    traced: tuple[Compared, ...] = ()
    other: Compared | None = None
    places: int | None = None
    refused: str = ""
    by_token: bool = False


def length_of(report: Report) -> Dimension | None:
    """Return the length of the text or of the vectors that a model takes, None if it takes none."""
    return dimensions_of(report).get(SEQUENCE)


def growth(report: Report, run: Callable[[int], Report]) -> Growth | None:
    """Find the laws, and run where one product overtakes the other; None where no law fits.

    `run` returns the report of the same model at another length.

    Raises:
        AlexnetError: the model cannot be run.
    """
    length = length_of(report)
    return None if length is None else _Lengths(report, length.size, run).growth()


def runs_by_token(operators: Mapping[int, int]) -> bool:
    """Tell from the number of operators at each length whether each further token takes one or more of its own."""
    least, most = min(operators), max(operators)
    return operators[most] - operators[least] >= most - least > 0


class _Lengths:
    """The products at each length, each run once."""

    def __init__(self, report: Report, length: int, run: Callable[[int], Report]) -> None:
        self.report, self.length, self._run = report, length, run
        self.known = {length: products_of(report)}

    def at(self, length: int) -> Products:
        if length not in self.known:
            self.known[length] = products_of(self._run(length))
        return self.known[length]

    def law(self, measure: Callable[[Products], int]) -> Law:
        return find_number(_LENGTH, (self.length,), lambda sizes: measure(self.at(sizes[0])))

    def growth(self) -> Growth | None:
        weights = self.law(lambda products: products.of_weights)
        laws = self._laws_of_layers()
        if not weights.pieces or not _degree(weights) or not all(law.pieces for law in laws.values()):
            return None  # inputs that are padded to one size show no law either
        linear = tuple(path for path, law in laws.items() if _degree(law) < _SQUARE)

        def more(length: int) -> Fraction:
            return sum((law.at((length,)) for law in laws.values()), Fraction(0)) - weights.at((length,))

        found = Growth(
            layers=tuple(laws),
            linear=linear,
            attention=_coefficients(list(laws.values())),
            weights=_coefficients([weights]),
            by_token=runs_by_token({length: products.operators for length, products in self.known.items()}),
            places=places_of(self.report, self.length),
        )
        last = FARTHEST if len(linear) == len(laws) else largest_size(more, 0)
        return found if last == FARTHEST else self._proved(found, last + 1, laws, weights)

    def _laws_of_layers(self) -> dict[str, Law]:
        """Return the law of each layer; layers that are alike at all lengths so far have one."""
        paths = dict.fromkeys(path for products in self.known.values() for path in products.of_activations)
        alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for path in paths:
            alike[tuple(products.of_activations.get(path, 0) for products in self.known.values())].append(path)
        found: dict[str, Law] = {}
        for first, *others in alike.values():
            law = self.law(lambda products, path=first: products.of_activations.get(path, 0))  # type: ignore[misc]
            found |= dict.fromkeys((first, *others), law)
        return {path: found[path] for path in paths}

    def _proved(self, found: Growth, length: int, laws: dict[str, Law], weights: Law) -> Growth:
        """Run at the length at which one overtakes the other, and one before, where the model runs there."""
        found = replace(found, overtakes=length)
        if found.by_token or (found.places is not None and found.places < length):
            return found
        compared = []
        for at in (length - 1, length):
            try:
                products = self.at(at)
            except AlexnetError as error:
                return replace(found, refused=error.message)
            compared.append(Compared(at, products.attention, products.of_weights))
            said = sum((law.at((at,)) for law in laws.values()), Fraction(0)), weights.at((at,))
            if said != (Fraction(products.attention), Fraction(products.of_weights)):
                return replace(found, other=compared[-1])
        return replace(found, traced=tuple(compared))


def _degree(law: Law) -> int:
    return max((sum(power for _, power in term) for term in law.pieces[0].terms), default=0)


def _coefficients(laws: list[Law]) -> tuple[int, ...] | None:
    """Return the whole coefficients of a sum of laws in the length itself, the constant first; None if it has none."""
    found = [Fraction(0)] * (1 + max(map(_degree, laws), default=0))
    for law in laws:
        [piece] = law.pieces
        if not all(step.is_size for step in piece.steps) or len(law.pieces) > 1:
            return None
        for power, each in enumerate(piece.coefficients()):
            found[power] += each
    whole = all(each.denominator == 1 for each in found)
    return tuple(each.numerator for each in found) if whole else None
