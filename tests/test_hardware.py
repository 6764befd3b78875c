"""The table of GPUs against what follows from their cores, clocks and memory chips; names and amounts as people type.

Cores and clocks are from NVIDIA's whitepapers and product pages, apart from the figures that they are held to.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from alexnet_cli.analyses.hardware import ALIASES, HARDWARE, find_hardware
from alexnet_cli.answers.cost import given_hardware
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
    "rtx-5070-ti": (70 * 128, 2.452),
    "rtx-5070": (48 * 128, 2.512),
    "rtx-5060-ti-8gb": (36 * 128, 2.572),
    "rtx-5060-ti-16gb": (36 * 128, 2.572),
    "rtx-5060": (30 * 128, 2.497),
    "rtx-4070-ti": (60 * 128, 2.61),
    "rtx-4070": (46 * 128, 2.475),
    "rtx-4060-ti-8gb": (34 * 128, 2.535),
    "rtx-4060-ti-16gb": (34 * 128, 2.535),
    "rtx-4060": (24 * 128, 2.46),
    "rtx-3070-ti": (48 * 128, 1.77),
    "rtx-3070": (46 * 128, 1.725),
    "rtx-3060-ti": (38 * 128, 1.665),
    "rtx-3060": (28 * 128, 1.777),
    "mi300a": (228 * 128, 2.1),
    "mi325x": (304 * 128, 2.1),
    "mi355x": (256 * 128, 2.4),
    "jetson-agx-orin-64gb": (2048, 1.3),
    "jetson-agx-orin-32gb": (1792, 0.93),
    "jetson-orin-nx-16gb": (1024, 0.918),
    "jetson-orin-nx-8gb": (1024, 0.765),
    "jetson-orin-nano-8gb": (1024, 1.02),
}
CLOCK_NOT_STATED = {"h20", "b300", *(name for name in HARDWARE if HARDWARE[name].name.startswith("Apple"))}
STATED_BY_APPLE = {"m1": 2.6, "m1-pro": 5.2, "m1-max": 10.4, "m1-ultra": 21, "m2": 3.6, "m2-ultra": 27.2}  # TFLOP/s
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
    "b300": (8192, 7.8125),
    "h20": (6144, 5.2),
    "rtx-5070-ti": (256, 28),
    "rtx-5070": (192, 28),
    "rtx-5060-ti-8gb": (128, 28),
    "rtx-5060-ti-16gb": (128, 28),
    "rtx-5060": (128, 28),
    "rtx-4070-ti": (192, 21),
    "rtx-4070": (192, 21),
    "rtx-4060-ti-8gb": (128, 18),
    "rtx-4060-ti-16gb": (128, 18),
    "rtx-4060": (128, 17),
    "rtx-3070-ti": (256, 19),
    "rtx-3070": (256, 14),
    "rtx-3060-ti": (256, 14),
    "rtx-3060": (192, 15),
    "mi300a": (8192, 5.2),
    "mi325x": (8192, 5.86),
    "mi355x": (8192, 7.8125),
    "m1": (128, 4.266),
    "m4": (128, 7.5),
    "m4-pro": (256, 8.533),
    "m4-max": (512, 8.533),
    "m3-ultra": (1024, 6.4),
    "jetson-agx-orin-64gb": (256, 6.4),
    "jetson-agx-orin-32gb": (256, 6.4),
    "jetson-orin-nx-16gb": (128, 6.4),
    "jetson-orin-nx-8gb": (128, 6.4),
    "jetson-orin-nano-8gb": (128, 6.4),
}
FLOAT16_TO_FLOAT32 = {  # what tensor cores that add up in float32 do against the plain units, by generation
    16: ("a100-40gb", "a100-80gb", "a100-80gb-pcie", "a30", "mi355x"),
    8: (
        *("v100-16gb", "v100-32gb", "v100-pcie", "t4", "mi300x", "mi300a", "mi325x", "mi210"),
        *(name for name in HARDWARE if name.startswith("jetson")),
    ),
    4: ("a10", "a40", "rtx-a6000", "l40s", "l4", "rtx-6000-ada", "rtx-2080-ti"),
    2: ("l40", "p100", *(name for name in HARDWARE if name.startswith(("rtx-3", "rtx-4", "rtx-5")))),
}


def test_every_gpu_is_checked():
    assert set(CORES) | CLOCK_NOT_STATED == set(HARDWARE)
    assert not set(CORES) & CLOCK_NOT_STATED


@pytest.mark.parametrize("name", CORES)
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
def test_each_gpu_has_plausible_numbers_and_a_source(name):
    gpu = HARDWARE[name]
    peaks = gpu.peak_flops_per_s
    assert gpu.source
    assert gpu.name.split()[0] in {"NVIDIA", "AMD", "Apple"}
    assert gpu.capacity_bytes % 2**30 == 0
    assert all(1e11 < peak < 1e16 for peak in peaks.values())
    assert "float32" in peaks or gpu.name.startswith("Apple")
    assert (5e10 if gpu.name.startswith(("Apple", "NVIDIA Jetson")) else 1e11) < gpu.bandwidth_bytes_per_s < 1e13
    if "bfloat16" in peaks and name != "p100":
        assert peaks["bfloat16"] == peaks["float16"]
    if "tf32" in peaks:
        assert peaks["float16"] == pytest.approx(2 * peaks["tf32"], rel=0.03)


def test_apples_peaks_are_those_that_apple_states():
    apple = {name: gpu for name, gpu in HARDWARE.items() if gpu.name.startswith("Apple")}
    assert len(apple) == 15
    assert {name: gpu.peak_flops_per_s for name, gpu in apple.items() if gpu.peak_flops_per_s} == {
        name: {"float32": teraflops * 1e12} for name, teraflops in STATED_BY_APPLE.items()
    }


def test_float64_of_derived_cards_is_a_64th_of_float32():
    for name in ("rtx-3060", "rtx-4070", "rtx-5060", "rtx-3090", "rtx-4090", "rtx-5090"):
        peaks = HARDWARE[name].peak_flops_per_s
        assert peaks["float64"] == pytest.approx(peaks["float32"] / 64, rel=0.01), name


def test_dtypes_without_units_or_a_stated_peak_are_missing():
    assert set(HARDWARE["gtx-580"].peak_flops_per_s) == {"float64", "float32"}
    assert "bfloat16" not in HARDWARE["v100-16gb"].peak_flops_per_s
    assert "tf32" not in HARDWARE["t4"].peak_flops_per_s
    assert "tf32" not in HARDWARE["mi355x"].peak_flops_per_s


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
        ("rtx 3060", "NVIDIA GeForce RTX 3060 12GB"),
        ("NVIDIA GeForce RTX 4060 Ti", "NVIDIA GeForce RTX 4060 Ti 8GB"),
        ("5060ti", "NVIDIA GeForce RTX 5060 Ti 8GB"),
        ("Apple M2 Ultra", "Apple M2 Ultra"),
        ("M4", "Apple M4"),
        ("Jetson AGX Orin", "NVIDIA Jetson AGX Orin 64GB"),
        ("orin-nano", "NVIDIA Jetson Orin Nano 8GB"),
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
def test_a_nonsense_name_lists_all_gpus(written):
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
def test_hardware_out_of_range_is_refused(peak, bandwidth, named):
    with pytest.raises(UsageError, match=f"--{named}"):
        given_hardware(peak, bandwidth)
