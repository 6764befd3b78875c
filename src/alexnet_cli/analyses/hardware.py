"""The peak arithmetic by dtype, the memory bandwidth and the capacity of GPUs, each with its source.

All peaks are dense, without structured sparsity: data sheets since Ampere print twice as much "with sparsity". float16
and bfloat16 peaks are those of tensor (AMD: matrix) cores that accumulate in float32, as torch's kernels do; GeForce
cards are twice as fast only if they accumulate in float16. float32 and float64 peaks are those of the plain units,
`tf32` is float32 rounded to TF32 on tensor cores. A dtype is missing from the peaks if the GPU has no such units or its
vendor states no number. Peaks assume the rated boost clock; GeForce cards with a good cooler run a few per cent above
it. Capacities are nominal and binary; the driver keeps a part. Where CPU and GPU share the memory (Apple, Jetson,
MI300A), the capacity is the whole of it, for Apple that of the largest configuration.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from msgspec import UNSET, Struct, UnsetType

from alexnet_cli.errors import UsageError
from alexnet_cli.timing import Bandwidth, Calibration

DTYPES = ("float64", "float32", "tf32", "float16", "bfloat16")


class Hardware(Struct, frozen=True):
    """A device's peak FLOP per second by dtype, its memory bandwidth and its memory.

    `bandwidths` are there for a machine that was measured: what caches hold moves faster.
    """

    name: str
    peak_flops_per_s: dict[str, float]
    bandwidth_bytes_per_s: float
    capacity_bytes: int | None
    source: str
    bandwidths: tuple[Bandwidth, ...] | UnsetType = UNSET

    def bandwidth(self, moved: int) -> float:
        """Return the bytes per second at which a kernel can move so many bytes at most.

        Where the bandwidth was measured by size, it is the best of that size or a larger one: a small copy is slower
        than the caches, as its call takes longer than its bytes.
        """
        if self.bandwidths is UNSET:
            return self.bandwidth_bytes_per_s
        fit = [each.bytes_per_s for each in self.bandwidths if 2 * each.footprint > moved]
        return max([*fit, self.bandwidth_bytes_per_s])


def measured_hardware(found: Calibration) -> Hardware:
    """Return a machine as it was measured; its memory bandwidth is that of the largest copy."""
    threads = "" if found.threads is None else f", {found.threads} thread{'s' * (found.threads > 1)}"
    bandwidth = found.bandwidths[-1].bytes_per_s
    name = f"{found.device_name}{threads}"
    return Hardware(name, found.flops_per_s, bandwidth, None, "measured here by --calibrate", found.bandwidths)


_Row = tuple[str, float, float, tuple[float | None, ...], str]

_BLACKWELL = "NVIDIA Blackwell datasheet, HGX B200, per GPU, halved where with sparsity"
_HOPPER = "NVIDIA H100 Tensor Core GPU Architecture whitepaper"
_H100_NVL = "NVIDIA H100 datasheet, halved where with sparsity"
_H200 = "NVIDIA H200 datasheet, halved where with sparsity"
_A100 = "NVIDIA A100 80GB datasheet"
_AMPERE = "NVIDIA A100 Tensor Core GPU Architecture whitepaper"
_V100 = "NVIDIA V100 datasheet"
_GA102 = "NVIDIA Ampere GA102 GPU Architecture whitepaper"
_ADA = "NVIDIA Ada GPU Architecture whitepaper"
_RTX_6000_ADA = "NVIDIA RTX 6000 Ada datasheet, tensor cores from float8 with sparsity"
_RTX_BLACKWELL = "NVIDIA RTX Blackwell GPU Architecture whitepaper"
_TURING = "NVIDIA Turing GPU Architecture whitepaper"
_PASCAL = "NVIDIA Tesla P100 whitepaper"
_GTX_1080_TI = "NVIDIA GeForce GTX 1080 Ti specifications"
_DERIVED = "peaks follow from cores and boost clock in the ratios of its generation's whitepaper"
_H20 = "NVIDIA H20 specifications as server vendors publish them; NVIDIA has no public datasheet"
_B300 = "NVIDIA HGX B300 datasheet, per GPU, halved where with sparsity; 288 GB and 8 TB/s from NVIDIA's announcement"
_APPLE = "Apple press release and technical specifications"
_UNSTATED = f"{_APPLE}; Apple states no FLOP per second"
_ORIN = "NVIDIA Jetson {} datasheet, GPU only, halved where with sparsity"
_AGX, _NX, _NANO = (_ORIN.format(name) for name in ("AGX Orin Series", "Orin NX Series", "Orin Nano Series"))
_FERMI = "NVIDIA GeForce GTX 580 specifications (512 cores, 1.544 GHz); 3 GB as in Krizhevsky et al. 2012"


def _geforce(name: str, gib: int, gigabytes: float, cores: int, gigahertz: float) -> _Row:
    """Derive a card's peaks, to three digits, from cores and boost clock: two operations a core and clock in float32.

    The other ratios hold for GeForce cards since Ampere: float64 at 1/64 of float32, TF32 at the same rate, float16
    with float32 accumulation at twice the rate.
    """
    float32 = 2 * cores * gigahertz / 1e3
    peaks = tuple(float(f"{ratio * float32:.3g}") for ratio in (1 / 64, 1, 1, 2, 2))
    source = f"NVIDIA product page ({cores:,} cores, {gigahertz} GHz); {_DERIVED}"
    return f"NVIDIA GeForce {name}", gib, gigabytes, peaks, source


def _amd(name: str, gib: int, gigabytes: float, peaks: tuple[float | None, ...], kind: str = "data sheet") -> _Row:
    return f"AMD Instinct {name}", gib, gigabytes, peaks, f"AMD Instinct {name} {kind}"


def _orin(name: str, gib: int, gigabytes: float, peaks: tuple[float, float], source: str) -> _Row:
    """Take float32 and float16 for the peaks: no others are stated."""
    return f"NVIDIA Jetson {name}", gib, gigabytes, (None, peaks[0], None, peaks[1], None), source


def _apple(name: str, gib: int, gigabytes: float, float32: float | None = None) -> _Row:
    source = _UNSTATED if float32 is None else _APPLE
    return f"Apple {name}", gib, gigabytes, (None, float32, None, None, None), source


_TABLE: dict[str, _Row] = {
    # name, GiB, GB per second, TFLOP per second in the order of DTYPES, source
    "b300": ("NVIDIA B300 SXM", 288, 8000, (1.25, 75, 1125, 2250, 2250), _B300),
    "b200": ("NVIDIA B200 SXM", 180, 7700, (37, 75, 1100, 2250, 2250), _BLACKWELL),
    "h200": ("NVIDIA H200 SXM", 141, 4800, (33.5, 66.9, 494.7, 989.4, 989.4), f"{_H200}; peaks as H100 SXM"),
    "h200-nvl": ("NVIDIA H200 NVL", 141, 4800, (30, 60, 417.5, 835.5, 835.5), _H200),
    "h20": ("NVIDIA H20", 96, 4000, (1, 44, 74, 148, 148), _H20),
    "h100-sxm": ("NVIDIA H100 SXM", 80, 3352, (33.5, 66.9, 494.7, 989.4, 989.4), _HOPPER),
    "h100-pcie": ("NVIDIA H100 PCIe", 80, 2039, (25.6, 51.2, 378, 756, 756), _HOPPER),
    "h100-nvl": ("NVIDIA H100 NVL", 94, 3900, (30, 60, 417.5, 835.5, 835.5), _H100_NVL),
    "a100-40gb": ("NVIDIA A100 40GB", 40, 1555, (9.7, 19.5, 156, 312, 312), _AMPERE),
    "a100-80gb": ("NVIDIA A100 80GB SXM", 80, 2039, (9.7, 19.5, 156, 312, 312), _A100),
    "a100-80gb-pcie": ("NVIDIA A100 80GB PCIe", 80, 1935, (9.7, 19.5, 156, 312, 312), _A100),
    "a30": ("NVIDIA A30", 24, 933, (5.2, 10.3, 82, 165, 165), "NVIDIA A30 datasheet"),
    "a40": ("NVIDIA A40", 48, 696, (None, 37.4, 74.8, 149.7, 149.7), "NVIDIA A40 datasheet"),
    "a10": ("NVIDIA A10", 24, 600, (None, 31.2, 62.5, 125, 125), "NVIDIA A10 datasheet"),
    "v100-16gb": ("NVIDIA V100 SXM2 16GB", 16, 900, (7.8, 15.7, None, 125, None), _V100),
    "v100-32gb": ("NVIDIA V100 SXM2 32GB", 32, 900, (7.8, 15.7, None, 125, None), _V100),
    "v100-pcie": ("NVIDIA V100 PCIe 16GB", 16, 900, (7, 14, None, 112, None), _V100),
    "p100": ("NVIDIA P100 SXM2", 16, 732, (5.3, 10.6, None, 21.2, None), _PASCAL),
    "l40s": ("NVIDIA L40S", 48, 864, (None, 91.6, 183, 362.05, 362.05), "NVIDIA L40S datasheet"),
    "l40": ("NVIDIA L40", 48, 864, (None, 90.5, 90.5, 181.05, 181.05), "NVIDIA L40 datasheet"),
    "l4": ("NVIDIA L4", 24, 300, (None, 30.3, 60, 121, 121), "NVIDIA L4 datasheet, halved where with sparsity"),
    "t4": ("NVIDIA T4", 16, 320, (None, 8.1, None, 65, None), "NVIDIA T4 product brief"),
    "rtx-a6000": ("NVIDIA RTX A6000", 48, 768, (None, 38.7, 77.4, 154.8, 154.8), _GA102),
    "rtx-6000-ada": ("NVIDIA RTX 6000 Ada", 48, 960, (None, 91.1, 182.1, 364.2, 364.2), _RTX_6000_ADA),
    "rtx-5090": ("NVIDIA GeForce RTX 5090", 32, 1792, (1.64, 104.8, 104.8, 209.5, 209.5), _RTX_BLACKWELL),
    "rtx-5080": ("NVIDIA GeForce RTX 5080", 16, 960, (0.88, 56.3, 56.3, 112.6, 112.6), _RTX_BLACKWELL),
    "rtx-5070-ti": _geforce("RTX 5070 Ti", 16, 896, 8960, 2.452),
    "rtx-5070": _geforce("RTX 5070", 12, 672, 6144, 2.512),
    "rtx-5060-ti-8gb": _geforce("RTX 5060 Ti 8GB", 8, 448, 4608, 2.572),
    "rtx-5060-ti-16gb": _geforce("RTX 5060 Ti 16GB", 16, 448, 4608, 2.572),
    "rtx-5060": _geforce("RTX 5060", 8, 448, 3840, 2.497),
    "rtx-4090": ("NVIDIA GeForce RTX 4090", 24, 1008, (1.29, 82.6, 82.6, 165.2, 165.2), _ADA),
    "rtx-4080": ("NVIDIA GeForce RTX 4080", 16, 716.8, (0.76, 48.7, 48.7, 97.5, 97.5), _ADA),
    "rtx-4070-ti": _geforce("RTX 4070 Ti", 12, 504, 7680, 2.61),
    "rtx-4070": _geforce("RTX 4070", 12, 504, 5888, 2.475),
    "rtx-4060-ti-8gb": _geforce("RTX 4060 Ti 8GB", 8, 288, 4352, 2.535),
    "rtx-4060-ti-16gb": _geforce("RTX 4060 Ti 16GB", 16, 288, 4352, 2.535),
    "rtx-4060": _geforce("RTX 4060", 8, 272, 3072, 2.46),
    "rtx-3090": ("NVIDIA GeForce RTX 3090", 24, 936, (0.56, 35.6, 35.6, 71, 71), _GA102),
    "rtx-3080": ("NVIDIA GeForce RTX 3080 10GB", 10, 760, (0.47, 29.8, 29.8, 59.5, 59.5), _GA102),
    "rtx-3070-ti": _geforce("RTX 3070 Ti", 8, 608, 6144, 1.77),
    "rtx-3070": _geforce("RTX 3070", 8, 448, 5888, 1.725),
    "rtx-3060-ti": _geforce("RTX 3060 Ti", 8, 448, 4864, 1.665),
    "rtx-3060": _geforce("RTX 3060 12GB", 12, 360, 3584, 1.777),
    "rtx-2080-ti": ("NVIDIA GeForce RTX 2080 Ti", 11, 616, (0.42, 13.4, None, 53.8, None), _TURING),
    "gtx-1080-ti": ("NVIDIA GeForce GTX 1080 Ti", 11, 484, (0.35, 11.3, None, None, None), _GTX_1080_TI),
    "gtx-580": ("NVIDIA GeForce GTX 580 3GB", 3, 192.4, (0.198, 1.581, None, None, None), _FERMI),
    "mi300x": _amd("MI300X", 192, 5300, (81.7, 163.4, 653.7, 1307.4, 1307.4)),
    "mi300a": _amd("MI300A", 128, 5300, (61.3, 122.6, 490.3, 980.6, 980.6)),
    "mi325x": _amd("MI325X", 256, 6000, (81.7, 163.4, 653.7, 1307.4, 1307.4)),
    "mi355x": _amd("MI355X", 288, 8000, (78.6, 157.3, None, 2516.6, 2516.6)),
    "mi210": _amd("MI210", 64, 1638.4, (22.6, 22.6, None, 181, 181), "brochure"),
    "m1": _apple("M1", 16, 68.25, 2.6),
    "m1-pro": _apple("M1 Pro", 32, 200, 5.2),
    "m1-max": _apple("M1 Max", 64, 400, 10.4),
    "m1-ultra": _apple("M1 Ultra", 128, 800, 21),
    "m2": _apple("M2", 24, 100, 3.6),
    "m2-pro": _apple("M2 Pro", 32, 200),
    "m2-max": _apple("M2 Max", 96, 400),
    "m2-ultra": _apple("M2 Ultra", 192, 800, 27.2),
    "m3": _apple("M3", 24, 100),
    "m3-pro": _apple("M3 Pro", 36, 150),
    "m3-max": _apple("M3 Max", 128, 400),
    "m3-ultra": _apple("M3 Ultra", 512, 819),
    "m4": _apple("M4", 32, 120),
    "m4-pro": _apple("M4 Pro", 64, 273),
    "m4-max": _apple("M4 Max", 128, 546),
    "jetson-agx-orin-64gb": _orin("AGX Orin 64GB", 64, 204.8, (5.3, 42.5), _AGX),
    "jetson-agx-orin-32gb": _orin("AGX Orin 32GB", 32, 204.8, (3.33, 27), _AGX),
    "jetson-orin-nx-16gb": _orin("Orin NX 16GB", 16, 102.4, (1.88, 15), f"{_NX}; 918 MHz"),
    "jetson-orin-nx-8gb": _orin("Orin NX 8GB", 8, 102.4, (1.57, 12.5), f"{_NX}; 765 MHz"),
    "jetson-orin-nano-8gb": _orin("Orin Nano 8GB", 8, 102, (2.09, 16.7), f"{_NANO}; 1.02 GHz"),
}


def _hardware(row: _Row) -> Hardware:
    name, gib, gigabytes, teraflops, source = row
    peaks = {dtype: round(peak * 1e12, -8) for dtype, peak in zip(DTYPES, teraflops, strict=True) if peak is not None}
    return Hardware(name, peaks, gigabytes * 1e9, int(gib * 2**30), source)


HARDWARE: dict[str, Hardware] = {key: _hardware(row) for key, row in _TABLE.items()}
"""The GPUs that are known by name."""

_ALIASES = {
    "h100-sxm": "h100 h100-80gb-hbm3",
    "h200": "h200-sxm",
    "b200": "b200-sxm",
    "a100-40gb": "a100 a100-sxm-40gb a100-pcie-40gb a100-40 a100-sxm4-40gb",
    "a100-80gb": "a100-80 a100-sxm-80gb a100-sxm4-80gb",
    "a100-80gb-pcie": "a100-pcie-80gb",
    "v100-16gb": "v100 v100-sxm2 v100-sxm2-16gb",
    "v100-32gb": "v100-sxm2-32gb",
    "v100-pcie": "v100-pcie-16gb",
    "rtx-a6000": "a6000",
    "p100": "p100-sxm2",
    "b300": "b300-sxm",
    "rtx-4060-ti-8gb": "rtx-4060-ti",
    "rtx-5060-ti-8gb": "rtx-5060-ti",
    "rtx-3060": "rtx-3060-12gb",
    "jetson-agx-orin-64gb": "jetson-agx-orin",
    "jetson-orin-nx-16gb": "jetson-orin-nx",
    "jetson-orin-nano-8gb": "jetson-orin-nano",
}
ALIASES = {alias: key for key, aliases in _ALIASES.items() for alias in aliases.split()}
"""Further names, with those that drivers use. A bare family name is its first model; what is shown says which."""

_NOT_IN_NAMES = re.compile(r"nvidia|geforce|tesla|jetson|amd|instinct|apple|[^a-z0-9]")


def find_hardware(name: str, otherwise: str = "") -> Hardware:
    """Return a GPU by its name, however it is written: `rtx-4090`, `RTX4090`, `NVIDIA GeForce RTX 4090`, `4090`.

    Raises:
        UsageError: it is unknown; the hint suggests the nearest name, lists all, and says what to do `otherwise`.
    """
    names = {_plain(key): key for key in HARDWARE}
    names |= {_plain(alias): key for alias, key in ALIASES.items()}
    names |= {plain.removeprefix(series): key for plain, key in names.items() for series in ("rtx", "gtx")}
    wanted = _plain(name)
    if wanted in names:
        return HARDWARE[names[wanted]]
    near = get_close_matches(wanted, names, n=1)
    guess = f"did you mean {names[near[0]]}? " if near else ""
    other = f"; {otherwise}" if otherwise else ""
    raise UsageError(f"unknown GPU {name!r}", f"{guess}known: {', '.join(HARDWARE)}{other}")


def _plain(name: str) -> str:
    return _NOT_IN_NAMES.sub("", name.lower())
