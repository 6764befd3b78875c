"""The table of GPUs against what follows from their cores, clocks and memory chips; names and amounts as people type.

Cores and clocks are from NVIDIA's whitepapers and product pages, apart from the figures that they are held to.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from alexnet_cli.analyses.hardware import ALIASES, HARDWARE, find_hardware, given_hardware
from alexnet_cli.errors import UsageError

CORES = {  # float32 units, GHz of the boost clock
    "b200": (148 * 128, 1.965),
    "h200": (132 * 128, 1.98),
    "h200-nvl": (132 * 128, 1.785),
    "h100-sxm": (132 * 128, 1.98),
    "h100-pcie": (114 * 128, 1.755),
    "h100-nvl": (132 * 128, 1.785),
    "a100-40gb": (108 * 64, 1.41),
    "a100-80gb": (108 * 64, 1.41),
    "a100-80gb-pcie": (108 * 64, 1.41),
    "a30": (56 * 64, 1.44),
    "a40": (84 * 128, 1.74),
    "a10": (72 * 128, 1.695),
    "v100-16gb": (80 * 64, 1.53),
    "v100-32gb": (80 * 64, 1.53),
    "v100-pcie": (80 * 64, 1.37),
    "p100": (56 * 64, 1.48),
    "l40s": (142 * 128, 2.52),
    "l40": (142 * 128, 2.49),
    "l4": (58 * 128, 2.04),
    "t4": (40 * 64, 1.59),
    "rtx-a6000": (84 * 128, 1.8),
    "rtx-6000-ada": (142 * 128, 2.505),
    "rtx-5090": (170 * 128, 2.407),
    "rtx-5080": (84 * 128, 2.617),
    "rtx-4090": (128 * 128, 2.52),
    "rtx-4080": (76 * 128, 2.505),
    "rtx-3090": (82 * 128, 1.695),
    "rtx-3080": (68 * 128, 1.71),
    "rtx-2080-ti": (68 * 64, 1.545),
    "gtx-1080-ti": (28 * 128, 1.582),
    "gtx-580": (512, 1.544),
    "mi300x": (304 * 128, 2.1),
    "mi210": (104 * 64, 1.7),
}
MEMORY = {  # bits of the bus, Gbit per second on each
    "h100-sxm": (5120, 5.238),
    "h100-pcie": (5120, 3.186),
    "a100-40gb": (5120, 2.43),
    "a100-80gb": (5120, 3.186),
    "a100-80gb-pcie": (5120, 3.024),
    "a30": (3072, 2.43),
    "a40": (384, 14.5),
    "a10": (384, 12.5),
    "v100-16gb": (4096, 1.755),
    "p100": (4096, 1.43),
    "l40s": (384, 18),
    "l4": (192, 12.5),
    "t4": (256, 10),
    "rtx-a6000": (384, 16),
    "rtx-6000-ada": (384, 20),
    "rtx-5090": (512, 28),
    "rtx-5080": (256, 30),
    "rtx-4090": (384, 21),
    "rtx-4080": (256, 22.4),
    "rtx-3090": (384, 19.5),
    "rtx-3080": (320, 19),
    "rtx-2080-ti": (352, 14),
    "gtx-1080-ti": (352, 11),
    "gtx-580": (384, 4.008),
    "mi300x": (8192, 5.2),
    "mi210": (4096, 3.2),
}
FLOAT16_TO_FLOAT32 = {  # what tensor cores that add up in float32 do against the plain units, by generation
    16: ("a100-40gb", "a100-80gb", "a100-80gb-pcie", "a30"),
    8: ("v100-16gb", "v100-32gb", "v100-pcie", "t4", "mi300x", "mi210"),
    4: ("a10", "a40", "rtx-a6000", "l40s", "l4", "rtx-6000-ada", "rtx-2080-ti"),
    2: ("l40", "p100", "rtx-3090", "rtx-3080", "rtx-4090", "rtx-4080", "rtx-5090", "rtx-5080"),
}


def test_every_gpu_is_checked():
    assert set(CORES) == set(HARDWARE)


@pytest.mark.parametrize("name", HARDWARE)
def test_float32_is_two_operations_a_core_and_clock(name):
    cores, gigahertz = CORES[name]
    assert HARDWARE[name].peak_flops_per_s["float32"] == pytest.approx(2 * cores * gigahertz * 1e9, rel=0.01)


@pytest.mark.parametrize("name", MEMORY)
def test_bandwidth_is_that_of_the_bus(name):
    bits, gigabits = MEMORY[name]
    assert HARDWARE[name].bandwidth_bytes_per_s == pytest.approx(bits * gigabits * 1e9 / 8, rel=0.006)


@pytest.mark.parametrize(("factor", "names"), FLOAT16_TO_FLOAT32.items())
def test_float16_is_dense_and_adds_up_in_float32(factor, names):
    for name in names:
        peaks = HARDWARE[name].peak_flops_per_s
        assert peaks["float16"] / peaks["float32"] == pytest.approx(factor, rel=0.02), name


@pytest.mark.parametrize("name", ["h100-sxm", "h100-pcie", "h200"])
def test_hopper_tensor_cores(name):
    """512 fused multiply-adds in float16 a core and clock, 4 cores a multiprocessor, at a clock of their own."""
    multiprocessors, gigahertz = {"h100-pcie": (114, 1.62)}.get(name, (132, 1.83))
    dense = 2 * multiprocessors * 4 * 512 * gigahertz * 1e9
    assert HARDWARE[name].peak_flops_per_s["float16"] == pytest.approx(dense, rel=0.001)


@pytest.mark.parametrize("name", HARDWARE)
def test_each_gpu_is_whole(name):
    gpu = HARDWARE[name]
    peaks = gpu.peak_flops_per_s
    assert gpu.source
    assert gpu.name.split()[0] in {"NVIDIA", "AMD"}
    assert gpu.capacity_bytes % 2**30 == 0
    assert 1e11 < peaks["float32"] < 1e15
    assert 1e11 < gpu.bandwidth_bytes_per_s < 1e13
    if "bfloat16" in peaks and name != "p100":
        assert peaks["bfloat16"] == peaks["float16"]
    if "tf32" in peaks:
        assert peaks["float16"] == pytest.approx(2 * peaks["tf32"], rel=0.03)


def test_what_a_gpu_has_not_is_not_there():
    assert set(HARDWARE["gtx-580"].peak_flops_per_s) == {"float64", "float32"}
    assert "bfloat16" not in HARDWARE["v100-16gb"].peak_flops_per_s
    assert "tf32" not in HARDWARE["t4"].peak_flops_per_s


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("h100-sxm", "NVIDIA H100 SXM"),
        ("H100 SXM", "NVIDIA H100 SXM"),
        ("h100", "NVIDIA H100 SXM"),
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 SXM"),
        ("NVIDIA H100 PCIe", "NVIDIA H100 PCIe"),
        ("a100", "NVIDIA A100 40GB"),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100 80GB SXM"),
        ("NVIDIA A100 80GB PCIe", "NVIDIA A100 80GB PCIe"),
        ("Tesla V100-SXM2-32GB", "NVIDIA V100 SXM2 32GB"),
        ("Tesla T4", "NVIDIA T4"),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("RTX4090", "NVIDIA GeForce RTX 4090"),
        ("4090", "NVIDIA GeForce RTX 4090"),
        ("gtx580", "NVIDIA GeForce GTX 580 3GB"),
        ("AMD Instinct MI300X", "AMD Instinct MI300X"),
    ],
)
def test_names_as_people_and_drivers_write_them(written, name):
    assert find_hardware(written).name == name


def test_aliases_lead_somewhere_and_hide_nothing():
    assert set(ALIASES.values()) <= set(HARDWARE)
    assert not set(ALIASES) & set(HARDWARE)


@pytest.mark.parametrize(("written", "near"), [("h10", "h100"), ("rtx-4091", "rtx-4090"), ("l40x", "l40")])
def test_an_unknown_name_lists_the_nearest_and_all(written, near):
    with pytest.raises(UsageError, match=f"unknown GPU '{written}'") as raised:
        find_hardware(written)
    assert f"did you mean {near}" in raised.value.hint
    assert all(name in raised.value.hint for name in HARDWARE)


@pytest.mark.parametrize("written", ["", "quantum", "tpu", "../..", "[/x]"])
def test_nonsense_lists_all(written):
    with pytest.raises(UsageError) as raised:
        find_hardware(written)
    assert "did you mean" not in raised.value.hint
    assert "gtx-580" in raised.value.hint


def test_hardware_as_given_holds_for_every_dtype():
    given = given_hardware("312T", "2.0TB")
    assert set(given.peak_flops_per_s.values()) == {float(Decimal("312e12"))}
    assert {"float64", "float32", "float16", "bfloat16"} <= set(given.peak_flops_per_s)
    assert given.bandwidth_bytes_per_s == 2e12
    assert given.capacity_bytes is None


@pytest.mark.parametrize(("peak", "bandwidth", "named"), [("0", "1TB", "peak-flops"), ("1T", "1", "bandwidth")])
def test_hardware_that_makes_no_sense(peak, bandwidth, named):
    with pytest.raises(UsageError, match=f"--{named}"):
        given_hardware(peak, bandwidth)
