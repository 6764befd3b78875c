"""Finds laws: from few runs, part by part where runs can be compared, and proves them at sizes held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from alexnet_cli.analyses.scale.axes import Axis, explore, product_of
from alexnet_cli.analyses.scale.envelope import covers, without_smaller
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.held_out import held_out
from alexnet_cli.analyses.scale.law import Law
from alexnet_cli.analyses.scale.parts import law_of_part
from alexnet_cli.analyses.scale.polynomial import Monomial, Polynomial
from alexnet_cli.analyses.scale.runs import Runs
from alexnet_cli.analyses.scale.samples import Part, Sample, Shares, Total, Where, by_values, limit_of
from alexnet_cli.analyses.scale.totals import by_totals

_ROUNDS = 4
_HELD_OUT, _WITHOUT_PARTS = 2, 3
"""At so many sizes laws are proved, where the model runs there: at more if they have no parts that are proved too."""


def find_number(names: Sequence[str], base: Sizes, measure: Callable[[Sizes], int]) -> Law:
    """Return the law of any number as a function of sizes, from `measure` alone; without pieces if none fits.

    `measure` raises `AlexnetError` at sizes for which there is no number.

    Raises:
        AlexnetError: there is none at the base.
    """
    runs = Runs(names, base, lambda sizes: Sample(0, {}, (), {("number", ""): measure(sizes)}))
    [law] = find(runs, [explore(runs, at) for at in range(len(names))]).laws
    return law


@dataclass(frozen=True)
class Found:
    """Laws of totals, and the sizes that they were found from.

    `of_part` has those of the parts that they are sums of, none where runs could not be compared.
    """

    laws: tuple[Law, ...]
    sizes: Collection[Sizes]
    of_part: Mapping[Part, Polynomial] = field(default_factory=dict)


def find(runs: Runs, axes: Sequence[Axis], shares: Shares | None = None) -> Found:
    """Find the laws of all totals, proved at sizes held out; `shares` tell which parts make which totals.

    Two sizes along each axis are enough for most parts; where one has another value at a size held out, that size is
    added to the axes.

    Raises:
        AlexnetError: the model does not run at the base.
    """
    held: list[Sizes] = []
    for _ in range(_ROUNDS):
        by_parts = None if shares is None else _by_parts(runs, axes, shares)
        found = by_parts or Found(*by_totals(runs, axes, None if shares is None else shares.peak))
        held = held_out(runs, axes, found.sizes, _WITHOUT_PARTS if shares is None else _HELD_OUT)
        alike = (sizes for sizes in held if runs.alike(sizes) is not None)
        failed = next((sizes for sizes in alike if not _all_hold(found, runs, sizes)), None)
        if failed is None:
            break
        axes = [_with(runs, axis, failed[axis.dimension]) for axis in axes]
    compared = all(axis.alike for axis in axes)
    return replace(found, laws=tuple(_proved(law, runs, held, compared=compared) for law in found.laws))


def find_by_forms(runs: Runs, shares: Shares, forms: Iterable[Polynomial], sizes: Iterable[Sizes]) -> Found | None:
    """Find laws of which each part has a known form, times a number: one run beside that at the base tells which.

    It is at the first of `sizes` that tells all forms apart, and the next of them proves each part. None where there
    are no two such, or some part has none of the forms, or another value where it is to be proved.

    Raises:
        AlexnetError: the model does not run at the base.
    """
    telling = _Telling(runs, forms)
    running = (each for each in sizes if telling.at(each) is not None and runs.alike(each) is not None)
    second, third = next(running, None), next(running, None)
    if second is None or third is None:
        return None
    known, of_part = telling.at(second) or {}, dict[Part, Polynomial]()
    for (first, other), parts in by_values([runs.first(), runs.samples[second]]).items():
        form = known.get(Fraction(other, first)) if first else Polynomial.constant(0) if not other else None
        if form is None:
            return None
        of_part |= dict.fromkeys(parts, form.times(first))
    found = _summed(runs, shares, of_part, [runs.base, second])
    if not _all_hold(found, runs, third):
        return None
    return replace(found, laws=tuple(_proved(law, runs, [third], compared=True) for law in found.laws))


class _Telling:
    """Forms, as polynomials that are 1 at the base, by what they are at other sizes."""

    def __init__(self, runs: Runs, forms: Iterable[Polynomial]) -> None:
        self.runs = runs
        base = runs.named(runs.base)
        at_base = ((form, form.at(base)) for form in (Polynomial.constant(1), *forms))
        self.forms = list(dict.fromkeys(form.times(1 / value) for form, value in at_base if value))

    def at(self, sizes: Sizes) -> Mapping[Fraction, Polynomial] | None:
        """Return the forms by their values, None where two have one."""
        named = self.runs.named(sizes)
        found = {form.at(named): form for form in self.forms}
        return found if len(found) == len(self.forms) else None


def _all_hold(found: Found, runs: Runs, sizes: Sizes) -> bool:
    """Tell whether all totals, and all parts that they are sums of, are at these sizes what their laws say."""
    parts, named = runs.samples[sizes].parts, runs.named(sizes)
    pairs = {(law, parts.get(part, 0)) for part, law in found.of_part.items()}
    return all(law.at(named) == value for law, value in pairs) and all(_holds(law, runs, sizes) for law in found.laws)


def _holds(law: Law, runs: Runs, sizes: Sizes) -> bool:
    return not law.pieces or law.at(sizes) == runs.samples[sizes].totals.get(law.total, 0)


def _proved(law: Law, runs: Runs, held: Sequence[Sizes], *, compared: bool) -> Law:
    """Note where a law was proved and where not.

    Where runs were compared part by part, a law that fails where the model does the same operators is none; else one
    that fails as often as it holds.
    """
    if not law.pieces:
        return law
    good = tuple(sizes for sizes in held if _holds(law, runs, sizes))
    bad = {sizes: runs.samples[sizes].totals.get(law.total, 0) for sizes in held if sizes not in good}
    refuted = any(runs.alike(sizes) for sizes in bad) or not good if compared else len(good) <= len(bad)
    return replace(law, pieces=(), where=()) if refuted else replace(law, proved_at=good, except_at=bad)


def _with(runs: Runs, axis: Axis, size: int) -> Axis:
    if size in axis.sizes or runs.alike(runs.moved(axis.dimension, size)) is None:
        return axis
    return replace(axis, sizes=(*axis.sizes, size))


def _by_parts(runs: Runs, axes: Sequence[Axis], shares: Shares) -> Found | None:
    """Return the laws of all totals as sums of those of their parts; None if runs cannot be compared part by part."""
    samples = [runs.alike(sizes) for sizes in product_of(axes)] if all(axis.alike for axis in axes) else [None]
    compared = [sample for sample in samples if sample is not None]
    if len(compared) < len(samples):
        return None
    of_part: dict[Part, Polynomial] = {}
    for values, parts in by_values(compared).items():
        law = law_of_part(axes, values)
        if law is None:
            return None
        of_part |= dict.fromkeys(parts, law)
    return _summed(runs, shares, of_part, product_of(axes))


def _summed(runs: Runs, shares: Shares, of_part: Mapping[Part, Polynomial], sizes: Collection[Sizes]) -> Found:
    laws = [_total(runs, total, parts, of_part) for total, parts in shares.sums.items()]
    same = [(total, value) for total, value in runs.first().totals.items() if total[0] == "params"]
    laws += [Law(total, runs.names, (Polynomial.constant(value),)) for total, value in same]
    return Found((*laws, _peak(runs, shares, of_part)), sizes, of_part)


def _total(runs: Runs, total: Total, parts: Sequence[Part], of_part: Mapping[Part, Polynomial]) -> Law:
    """Return a sum of parts; where some grow beyond their limits, the smallest of the sums with and without these."""
    sure: list[Polynomial] = []
    limited: Counter[tuple[Polynomial, Polynomial]] = Counter()
    for part in parts:
        law, limit = of_part[part], limit_of(part)
        if limit is None or covers(of_part[limit], law):
            sure.append(law)
        elif covers(law, of_part[limit]):
            sure.append(of_part[limit])
        else:
            limited[law, of_part[limit]] += 1
    sums = [_sum(sure)]
    for pair, times in limited.items():
        sums = [one + law.times(times) for one in sums for law in pair]
    pairs = tuple((law.times(times), limit.times(times)) for (law, limit), times in limited.items())
    pieces = tuple(dict.fromkeys(sums))
    return Law(total, runs.names, pieces, smallest=len(sums) > 1, common=_sum(sure), limited=pairs)


def _sum(several: Iterable[Polynomial]) -> Polynomial:
    return Polynomial.of(term for each in several for term in each.terms.items())


def _peak(runs: Runs, shares: Shares, of_part: Mapping[Part, Polynomial]) -> Law:
    """Return a peak as the largest of the polynomials of all moments."""
    live, moments = _Sum(), dict[Polynomial, Where]()
    for changes, where in zip(shares.moments, shares.where, strict=True):
        for part, sign in changes:
            live.add(of_part[part], sign)
        if changes:
            moments.setdefault(live.polynomial(), where)
        elif not moments:
            moments[Polynomial.constant(0)] = where
    pieces = without_smaller(list(moments))
    return Law((shares.peak, ""), runs.names, tuple(pieces), tuple(moments[piece] for piece in pieces))


class _Sum:
    """A sum of polynomials that many are added to, term by term, and taken from again."""

    def __init__(self) -> None:
        self.terms: dict[Monomial, Fraction] = {}

    def add(self, polynomial: Polynomial, sign: int) -> None:
        for monomial, each in polynomial.terms.items():
            self.terms[monomial] = self.terms.get(monomial, Fraction(0)) + sign * each

    def polynomial(self) -> Polynomial:
        return Polynomial({monomial: each for monomial, each in self.terms.items() if each})
