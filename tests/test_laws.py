"""Polynomials through points, the largest of several, and steps: exact, whatever the numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet_cli.analyses.scale.dimensions import dimensions_of
from alexnet_cli.analyses.scale.edges import Window, unread
from alexnet_cli.analyses.scale.envelope import first_above, largest_of, largest_size, value, without_smaller
from alexnet_cli.analyses.scale.find import find_number
from alexnet_cli.analyses.scale.fit import divisor_of, offsets_of, on_grid, through
from alexnet_cli.analyses.scale.laws import told
from alexnet_cli.analyses.scale.polynomial import Polynomial, Step
from alexnet_cli.errors import UsageError
from alexnet_cli.views.formula import polynomial

whole = st.integers(-1000, 1000)
coefficients = st.lists(whole, min_size=1, max_size=5)


@given(coefficients)
def test_a_polynomial_is_found_from_as_many_points_as_it_has_coefficients(known):
    places = [3 * at + 1 for at in range(len(known))]
    found = through(places, [value([Fraction(each) for each in known], at) for at in places])
    assert found + [0] * (len(known) - len(found)) == known


@given(st.lists(st.lists(whole, min_size=3, max_size=3), min_size=2, max_size=2))
def test_one_in_two_sizes_is_found_from_a_grid(known):
    wanted = Polynomial.of(
        (tuple((Step(name), power) for name, power in (("b", i), ("s", j)) if power), each)
        for i, row in enumerate(known)
        for j, each in enumerate(row)
    )
    grid = {(b, s): wanted.at({"b": b, "s": s}) for b in (2, 5) for s in (3, 8, 11)}
    assert on_grid(("b", "s"), grid) == wanted


@given(st.lists(coefficients, min_size=1, max_size=4), st.integers(1, 5))
def test_the_largest_is_known_at_every_size(several, least):
    known = [[Fraction(each) for each in one] for one in several]
    pieces = largest_of(known, least)
    starts = [start for start, _ in pieces]
    assert starts == sorted(set(starts))
    for at in range(least, least + 60):
        which = [piece for start, piece in pieces if start <= at][-1]
        assert value(known[which], at) == max(value(one, at) for one in known)


@given(coefficients, st.integers(1, 30))
def test_the_first_size_above_zero(known, least):
    one = [Fraction(each) for each in known]
    found = first_above(one, least, least + 200)
    assert found == next((at for at in range(least, least + 201) if value(one, at) > 0), None)


@given(st.lists(coefficients, min_size=2, max_size=5))
def test_what_is_left_out_is_nowhere_larger(several):
    known = [Polynomial.in_step(Step("n"), one) for one in several]
    kept = without_smaller(known)
    for size in (1, 2, 3, 10, 1000):
        assert max(each.at({"n": size}) for each in kept) == max(each.at({"n": size}) for each in known)


@given(st.integers(-40, 40), st.integers(1, 5), st.integers(-3, 3), st.integers(1, 300))
def test_finer_steps_are_not_left_out_beside_coarser_ones(offset, times, more, size):
    """⌊(n + a)/4⌋ beside ⌊(n + b)/8⌋: the slack between them may be anything from zero up."""
    fine, coarse = Step("n", 4, offset), Step("n", 8, offset + more)
    known = [Polynomial.in_step(fine, [0, 0, times]), Polynomial.in_step(coarse, [0, 0, 4 * times])]
    if fine.at(size) >= 1 and coarse.at(size) >= 1:
        kept = without_smaller(known)
        assert max(each.at({"n": size}) for each in kept) == max(each.at({"n": size}) for each in known)


@given(st.integers(2, 32), st.integers(-40, 40), st.integers(50, 400))
def test_the_offset_of_a_step_is_among_those_that_explain_it(divisor, offset, base):
    step, period = Step("n", divisor, offset), 64 * divisor
    sizes = [base, base + period, base + 7, base + 20]
    values = [step.at(size) for size in sizes]
    assert divisor_of(sizes, values, period) == divisor
    assert offset in offsets_of(divisor, sizes, values)


def test_any_number_has_its_law():
    law = find_number(("batch", "context"), (2, 128), lambda sizes: 7 * sizes[0] + 3 * sizes[0] * sizes[1] ** 2 + 100)
    assert law.at((9, 1000)) == 7 * 9 + 3 * 9 * 1000**2 + 100
    assert len(law.proved_at) > 2
    assert all(law.at(sizes) == 7 * sizes[0] + 3 * sizes[0] * sizes[1] ** 2 + 100 for sizes in law.proved_at)


def test_what_is_no_polynomial_has_no_law():
    law = find_number(("n",), (16,), lambda sizes: 2 ** min(sizes[0], 300))
    assert law.pieces == ()
    assert told(law, [range(1, 2**31)]).terms == ()


def test_half_of_a_product():
    """n·(n + 1)/2 pairs: the coefficients are halves."""
    law = find_number(("n",), (10,), lambda sizes: sizes[0] * (sizes[0] + 1) // 2)
    [first, second] = told(law, [range(1, 2**31)]).terms
    assert (first.coefficient, second.coefficient) == ("1/2", "1/2")
    assert polynomial((first, second), {"n": "n"}) == "1/2⋅n² + 1/2⋅n"


def test_a_number_that_is_not_known_everywhere():
    def measure(sizes: tuple[int, ...]) -> int:
        if sizes[0] > 40:
            raise UsageError("too long")
        return 5 * sizes[0] + 1

    law = find_number(("n",), (32,), measure)
    assert law.at((40,)) == 201
    assert all(size <= 40 for (size,) in law.proved_at)


@pytest.mark.parametrize("capacity", [0, 99, 100, 101, 250, 10_000])
def test_the_largest_size_that_fits(capacity):
    found = largest_size(lambda size: 100 + 7 * (size - 1) ** 2, capacity)
    assert found == max((size for size in range(1, 100) if 100 + 7 * (size - 1) ** 2 <= capacity), default=0)


def test_unread_pixels():
    """Of 13 pixels windows of 5, 3 apart, stop after the third, at pixel 10; with one of padding at pixel 9 + 1."""
    assert unread([Window(5, 3, 0)], 13) == 13 - (2 * 3 + 5)
    assert unread([Window(5, 3, 1)], 13) == 13 - (3 * 3 + 5 - 1)
    assert unread([Window(3, 1, 1)], 13) == 0
    assert unread([Window(11, 4, 0), Window(3, 2, 0)], 231) == 231 - (4 * 54 + 11)  # of 56 units pooling reads 55


def test_dimensions_of_an_image(report):
    found = dimensions_of(report)
    assert list(found) == ["batch", "image", "x.1", "x.2", "x.3"]
    assert found["image"].axes == ((0, 2), (0, 3))
