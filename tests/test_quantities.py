"""Numbers with a unit as people type them: what is read, what is refused, and what the refusal says."""

from __future__ import annotations

from decimal import Decimal

import pytest

from alexnet_cli.errors import UsageError
from alexnet_cli.quantities import BANDWIDTH, COUNT, MEMORY, SIZE, SPEED, Quantity, read_fraction

PARAMS = 62_378_344


def refusal(kind: Quantity, text: str) -> str:
    """Return the message and the hint with which a text is refused, having checked that they name it."""
    with pytest.raises(UsageError, match="--option: ") as raised:
        kind.read(text, "--option")
    assert raised.value.hint
    return f"{raised.value.message}; {raised.value.hint}"


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        (COUNT, "65M", 65 * 10**6),
        (COUNT, "65m", 65 * 10**6),
        (COUNT, "1.2G", 1_200_000_000),
        (COUNT, "7k", 7000),
        (COUNT, "2 T", 2 * 10**12),
        (COUNT, "2 t", 2 * 10**12),
        (COUNT, "62_378_344", PARAMS),
        (SIZE, "240MiB", 240 * 2**20),
        (SIZE, "240MIB", 240 * 2**20),
        (SIZE, "250MB", 250 * 10**6),
        (SIZE, "1.5KiB", 1536),
        (SIZE, "1kB", 1000),
        (SIZE, "1KB", 1000),
        (SIZE, "2 GB", 2 * 10**9),
        (SIZE, "7", 7),
        (SPEED, "312T", 312 * 10**12),
        (SPEED, "312 TFLOPS", 312 * 10**12),
        (SPEED, "312 tflop/s", 312 * 10**12),
        (SPEED, "82.6T", 826 * 10**11),
        (SPEED, "3.12e14", 312 * 10**12),
        (SPEED, "312_000G", 312 * 10**12),
        (SPEED, "1P", 10**15),
        (SPEED, "500 MFLOPS", 5 * 10**8),
        (SPEED, "1000000", 10**6),
        (BANDWIDTH, "2.0TB", 2 * 10**12),
        (BANDWIDTH, "2TB/s", 2 * 10**12),
        (BANDWIDTH, "900 GBps", 9 * 10**11),
        (BANDWIDTH, "900gb", 9 * 10**11),
        (BANDWIDTH, "1TiB", 2**40),
        (BANDWIDTH, "1e9B", 10**9),
        (MEMORY, "24GiB", 24 * 2**30),
        (MEMORY, "24 gib", 24 * 2**30),
        (MEMORY, "24GB", 24 * 10**9),
        (MEMORY, "1.5TiB", 3 * 2**39),
        (MEMORY, "0.5KiB", 512),
        (MEMORY, "80000MB", 80 * 10**9),
        (MEMORY, "1B", 1),
    ],
)
def test_reads_numbers_as_people_write_them(kind, text, number):
    assert kind.read(text, "--option") == number


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (COUNT, ["", "M", "65Q", "-1", "1,5M", "nan", "0x10", "65MiB", "١٢x", "١٢", "1e"]),
        (SIZE, ["240M", "MiB", "1.MiB", "12 parsecs"]),
        (SPEED, ["", "T", "fast", "-1T", "nan", "inf", "1e", "312Tb", "3 1 2T", "312TT", "0x10T"]),
        (BANDWIDTH, ["", "2.0", "2T", "-2TB", "2TB/h", "TB", "two TB"]),
        (MEMORY, ["24", "24G", "", "GiB", "-1GiB", "1,5GiB", "24 GiB/s"]),
    ],
    ids=lambda value: value.name if isinstance(value, Quantity) else "",
)
def test_refuses_what_is_no_such_number_and_tells_how_to_write_one(kind, texts):
    for text in texts:
        assert refusal(kind, text) == f"--option: invalid {kind.name} {text!r}; {kind.expected}"


@pytest.mark.parametrize(
    ("kind", "texts", "bounds"),
    [
        (COUNT, ["9" * 30], "at most 9,223,372,036,854,775,807"),
        (SPEED, ["0", "0T", "312", "999999", "11E", "1e30", "9e99"], "between 1.00 M and 10.0 E FLOP per second"),
        (BANDWIDTH, ["0TB", "1B", "1e20B", "99999TB"], "between 1.00 M and 10.0 P bytes per second"),
        (MEMORY, ["0GiB", "0.1B", "2000000TB"], "between 1 and 1.00 E bytes"),
    ],
    ids=lambda value: value.name if isinstance(value, Quantity) else "",
)
def test_refuses_absurd_numbers_and_tells_the_bounds(kind, texts, bounds):
    for text in texts:
        assert refusal(kind, text) == f"--option: {kind.name} {text!r} out of range; it must be {bounds}"


def test_bandwidth_in_bits_is_refused():
    assert "--option: '600Gb/s' counts bits" in refusal(BANDWIDTH, "600Gb/s")
    assert "with a capital B" in refusal(BANDWIDTH, "600Gb/s")


def test_fractions_are_read_as_decimals_or_percentages():
    assert read_fraction("1%", "tolerance") == read_fraction("0.01", "tolerance") == Decimal("0.01")
    for text in ("-1", "one", "1%%", "inf"):
        with pytest.raises(UsageError, match=f"tolerance: invalid fraction '{text}'"):
            read_fraction(text, "tolerance")
