"""Ticks and places, derived by hand."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alexnet_cli.document import Axis
from alexnet_cli.graphics.scale import Scale, fitting_ticks, spanning, ticks, title_of

KIB, MIB, GIB = 2**10, 2**20, 2**30


def labels(low: float, high: float, unit: str, most: int, *, log: bool = False) -> list[str]:
    return [tick.label for tick in ticks(Scale(low, high, unit, log), most)]


@pytest.mark.parametrize(
    ("low", "high", "unit", "most", "expected"),
    [
        (0, 67, "count", 7, ["0", "10", "20", "30", "40", "50", "60"]),
        (0, 67, "count", 6, ["0", "20", "40", "60"]),
        (0, 67, "count", 3, ["0", "50"]),
        (0, 3, "count", 12, ["0", "1", "2", "3"]),
        (0, 0.3, "count", 4, ["0", "0.1", "0.2", "0.3"]),
        (990, 2_600, "count", 5, ["1,000", "1,500", "2,000", "2,500"]),
        (0, 4e6, "count", 5, ["0", "1 M", "2 M", "3 M", "4 M"]),
        (-10, 10, "count", 5, ["-10", "-5", "0", "5", "10"]),
        (0, 556 * MIB, "bytes", 5, ["0", "128 MiB", "256 MiB", "384 MiB", "512 MiB"]),
        (0, 1.2 * GIB, "bytes", 5, ["0", "0.25 GiB", "0.50 GiB", "0.75 GiB", "1.00 GiB"]),
        (0, 3, "bytes", 9, ["0", "1 B", "2 B", "3 B"]),
        (0, 1, "share", 6, ["0", "20 %", "40 %", "60 %", "80 %", "100 %"]),
        (0, 0.004, "seconds", 5, ["0", "1 ms", "2 ms", "3 ms", "4 ms"]),
        (0, 2.5e12, "flops_per_s", 6, ["0", "0.5 T", "1.0 T", "1.5 T", "2.0 T", "2.5 T"]),
        (1_000_000, 1_000_004, "macs", 3, ["1.000000 M", "1.000002 M", "1.000004 M"]),
    ],
)
def test_ticks_of_a_linear_axis_are_round_with_one_prefix(low, high, unit, most, expected):
    assert labels(low, high, unit, most) == expected


@pytest.mark.parametrize(
    ("low", "high", "unit", "most", "expected"),
    [
        (0.5, 50, "intensity", 12, ["0.5", "1", "2", "5", "10", "20", "50"]),
        (0.05, 500, "intensity", 8, ["0.1", "0.3", "1", "3", "10", "30", "100", "300"]),
        (0.05, 500, "intensity", 5, ["0.1", "1", "10", "100"]),
        (1, 1000, "intensity", 4, ["1", "10", "100", "1 k"]),
        (1e9, 1e15, "flops_per_s", 4, ["10 G", "1 T", "100 T"]),
        (1e9, 1e15, "flops_per_s", 7, ["1 G", "10 G", "100 G", "1 T", "10 T", "100 T", "1 P"]),
        (KIB, GIB, "bytes", 5, ["1 KiB", "32 KiB", "1 MiB", "32 MiB", "1 GiB"]),
        (1, 8, "bytes", 4, ["1 B", "2 B", "4 B", "8 B"]),
        (1e-6, 1e-3, "seconds", 4, ["1 us", "10 us", "100 us", "1 ms"]),
        (0.001, 1, "share", 4, ["0.1 %", "1 %", "10 %", "100 %"]),
        (20, 30, "count", 5, ["20", "25", "30"]),
        (10, 1e9, "count", 2, ["10", "1 M"]),
        (1e-40, 1e40, "count", 5, ["1e-40", "1e-20", "1", "100 E", "1e+40"]),
    ],
)
def test_ticks_of_a_log_axis_are_decades_or_powers_of_two(low, high, unit, most, expected):
    assert labels(low, high, unit, most, log=True) == expected


@given(
    low=st.floats(-1e9, 1e9),
    span=st.floats(1e-3, 1e12),
    most=st.integers(2, 12),
    unit=st.sampled_from(["count", "bytes", "share", "seconds", "flops_per_s", "macs"]),
)
def test_ticks_of_any_linear_axis_stand_on_it_and_differ(low, span, most, unit):
    found = ticks(Scale(low, low + span, unit), most)
    values = [tick.value for tick in found]
    assert len(found) <= most
    assert values == sorted(set(values))
    assert len({tick.label for tick in found}) == len(found)
    assert all(low - span * 1e-5 <= value <= low + span * (1 + 1e-5) for value in values)
    assert len(found) >= 1 or span < 2


@given(
    low=st.floats(-90, 90),
    decades=st.floats(0.01, 100),
    most=st.integers(2, 12),
    unit=st.sampled_from(["intensity", "bytes"]),
)
def test_ticks_of_any_log_axis_stand_on_it(low, decades, most, unit):
    assume(low + decades < 99)
    scale = Scale(10.0**low, 10.0 ** (low + decades), unit, log=True)
    found = ticks(scale, most)
    assert 1 <= len(found) <= most
    assert all(-1e-5 <= scale.place(tick.value) <= 1 + 1e-5 for tick in found)


def test_position_of_numbers_on_a_scale():
    assert [Scale(1, 100, log=True).place(value) for value in (1, 10, 100)] == pytest.approx([0, 0.5, 1])
    assert [Scale(-10, 30).place(value) for value in (-10, 0, 30)] == [0, 0.25, 1]


def test_a_scale_spans_its_values_with_room():
    assert spanning(Axis("x"), [10, 110], below=0.04, above=0.1) == Scale(6, 120)
    assert spanning(Axis("x"), [0, 100], below=0.04, above=0.04) == Scale(0, 104)
    assert spanning(Axis("x"), [-100, 0], below=0.04) == Scale(-104, 0)
    log = spanning(Axis("x", log=True), [1, 100], below=0.5, above=0.5)
    assert [log.low, log.high] == pytest.approx([0.1, 1000])


def test_equal_values_stand_in_the_middle():
    assert spanning(Axis("x"), [4, 4]) == Scale(2, 6)
    assert spanning(Axis("x"), [-4, -4]) == Scale(-6, -2)
    assert spanning(Axis("x"), [0, 0]) == Scale(0, 1)
    log = spanning(Axis("x", log=True), [100, 100])
    assert log.place(100) == pytest.approx(0.5)
    assert log.high / log.low == pytest.approx(10)


def test_tick_labels_never_touch():
    scale = Scale(0, 100)
    assert [tick.label for tick in fitting_ticks(scale, 60, len, 2)] == [str(n) for n in range(0, 101, 10)]
    assert [tick.label for tick in fitting_ticks(scale, 23, len, 2)] == ["0", "20", "40", "60", "80", "100"]
    assert [tick.label for tick in fitting_ticks(scale, 22, len, 2)] == ["0", "50", "100"]
    assert [tick.label for tick in fitting_ticks(scale, 9, len, 2)] == ["0", "50", "100"]
    assert [tick.label for tick in fitting_ticks(scale, 2, len, 2)] == ["0"]


def test_axis_titles_name_units_missing_from_tick_labels():
    assert title_of(Axis("intensity", "intensity")) == "intensity (FLOP/byte)"
    assert title_of(Axis("performance in FLOP/s", "flops_per_s")) == "performance in FLOP/s"
    assert title_of(Axis("", "flops_per_s")) == "FLOP/s"
    assert title_of(Axis("live", "bytes")) == "live"
    assert title_of(Axis("time", "seconds")) == "time"
