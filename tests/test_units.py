from __future__ import annotations

import pytest

from alexnet_cli import units


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (999, "999"), (1000, "1,000"), (62_378_344, "62,378,344")])
def test_count(number, text):
    assert units.count(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (9_994, "9.99 k"),
        (9_995, "10.0 k"),
        (34_944, "34.9 k"),
        (99_950, "100 k"),
        (614_656, "615 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (62_378_344, "62.4 M"),
        (1_135_256_096, "1.14 G"),
        (10**12, "1.00 T"),
        (10**15, "1.00 P"),
        (10**18, "1.00 E"),
        (-1500, "-1.50 k"),
        (0.5, "0.5"),
    ],
)
def test_si(number, text):
    assert units.si(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (249_513_376, "237.95 MiB"),
        (2**20 - 1, "1.00 MiB"),
        (2**20 - 6, "1,023.99 KiB"),
        (2**30, "1.00 GiB"),
        (2**40, "1.00 TiB"),
        (2**51, "2.00 PiB"),
    ],
)
def test_size(number, text):
    assert units.size(number) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.0, "0.0 %"),
        (1e-9, "<0.1 %"),
        (0.000499, "<0.1 %"),
        (0.0005, "0.1 %"),
        (0.0607, "6.1 %"),
        (0.94, "94.0 %"),
        (0.9994, "99.9 %"),
        (0.9999, ">99.9 %"),
        (1.0, "100.0 %"),
    ],
)
def test_share_never_calls_something_nothing_or_a_part_the_whole(fraction, text):
    assert units.share(fraction) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0 s"),
        (2.5e-9, "2.50 ns"),
        (3.21e-6, "3.21 us"),
        (0.0123, "12.3 ms"),
        (0.4567, "457 ms"),
        (0.9996, "1.00 s"),
        (1.0, "1.00 s"),
        (75.25, "75.2 s"),
        (600.0, "600 s"),
    ],
)
def test_seconds(number, text):
    assert units.seconds(number) == text


def test_shape():
    assert units.shape((1, 3, 227, 227)) == "1×3×227×227"
    assert units.shape((1, 3), "x") == "1x3"
    assert units.shape((7,)) == "7"
    assert units.shape(()) == "()"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "count", "unknown"),
        (None, "text", "unknown"),
        ("a,b", "text", "a,b"),
        ((1, 2), "shape", "1×2"),
        ((), "shape", "()"),
        (((1, 2), ()), "shapes", "1×2, ()"),
        ((), "shapes", ""),
        (1234, "count", "1,234"),
        (1234, "macs", "1,234"),
        (2468, "flops", "2,468"),
        (2048, "bytes", "2.00 KiB"),
        (0.5, "share", "50.0 %"),
        (1, "share", "100.0 %"),
        (0.002, "seconds", "2.00 ms"),
        (2.5, "count", "2.5"),
    ],
)
def test_text(value, unit, text):
    assert units.text(value, unit) == text
