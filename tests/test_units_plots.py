"""Units of rates: a number's digits, its prefix, and the unit itself."""

from __future__ import annotations

import pytest

from alexnet_cli import units


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 FLOP/s"),
        (1, "1 FLOP/s"),
        (12.345, "12.3 FLOP/s"),
        (999, "999 FLOP/s"),
        (999.5, "1.00 kFLOP/s"),
        (1000, "1.00 kFLOP/s"),
        (312e9, "312 GFLOP/s"),
        (66.9e12, "66.9 TFLOP/s"),
        (989.4e12, "989 TFLOP/s"),
        (999.5e12, "1.00 PFLOP/s"),
        (1.979e15, "1.98 PFLOP/s"),
    ],
)
def test_flops_per_s(number, text):
    assert units.flops_per_s(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 FLOP/byte"),
        (0.0834, "0.0834 FLOP/byte"),
        (0.25, "0.25 FLOP/byte"),
        (0.5, "0.5 FLOP/byte"),
        (12, "12 FLOP/byte"),
        (12.34, "12.3 FLOP/byte"),
        (139.7, "140 FLOP/byte"),
        (999.4, "999 FLOP/byte"),
        (1234, "1.23 kFLOP/byte"),
    ],
)
def test_intensity(number, text):
    assert units.intensity(number) == text


def test_text_of_rates():
    assert units.text(66.9e12, "flops_per_s") == "66.9 TFLOP/s"
    assert units.text(12.3, "intensity") == "12.3 FLOP/byte"
    assert units.text(None, "intensity") == units.text(None, "flops_per_s") == "unknown"
