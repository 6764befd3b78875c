"""What GPUs can do at most: peak arithmetic by dtype, memory bandwidth and capacity, each with its source.

All peaks are dense, without structured sparsity: data sheets since Ampere print twice as much "with sparsity". float16
and bfloat16 are those of tensor (AMD: matrix) cores that add up in float32, as torch's kernels do; GeForce cards are
twice as fast in float16 only where they add up in float16. float32 and float64 are the plain units', `tf32` is float32
rounded to TF32 on tensor cores. A dtype that a GPU has no such units for is not in its peaks. A peak is that of the
rated boost clock: GeForce cards with a good cooler run some per cent above it. Capacities are the nominal ones,
binary; a driver keeps some of it.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from msgspec import Struct

from alexnet_cli.errors import UsageError
from alexnet_cli.quantities import BANDWIDTH, SPEED

DTYPES = ("float64", "float32", "tf32", "float16", "bfloat16")


class Hardware(Struct, frozen=True):
    """A device's peaks: FLOP per second by dtype, bytes per second from and to its memory, and bytes of it."""

    name: str
    peak_flops_per_s: dict[str, float]
    bandwidth_bytes_per_s: float
    capacity_bytes: int | None
    source: str


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
_MI300X = "AMD Instinct MI300X data sheet"
_FERMI = "NVIDIA GeForce GTX 580 specifications (512 cores, 1.544 GHz); 3 GB as in Krizhevsky et al. 2012"

_TABLE: dict[str, _Row] = {
    # name, GiB, GB per second, TFLOP per second in the order of DTYPES, source
    "b200": ("NVIDIA B200 SXM", 180, 7700, (37, 75, 1100, 2250, 2250), _BLACKWELL),
    "h200": ("NVIDIA H200 SXM", 141, 4800, (33.5, 66.9, 494.7, 989.4, 989.4), f"{_H200}; peaks as H100 SXM"),
    "h200-nvl": ("NVIDIA H200 NVL", 141, 4800, (30, 60, 417.5, 835.5, 835.5), _H200),
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
    "rtx-4090": ("NVIDIA GeForce RTX 4090", 24, 1008, (1.29, 82.6, 82.6, 165.2, 165.2), _ADA),
    "rtx-4080": ("NVIDIA GeForce RTX 4080", 16, 716.8, (0.76, 48.7, 48.7, 97.5, 97.5), _ADA),
    "rtx-3090": ("NVIDIA GeForce RTX 3090", 24, 936, (0.56, 35.6, 35.6, 71, 71), _GA102),
    "rtx-3080": ("NVIDIA GeForce RTX 3080 10GB", 10, 760, (0.47, 29.8, 29.8, 59.5, 59.5), _GA102),
    "rtx-2080-ti": ("NVIDIA GeForce RTX 2080 Ti", 11, 616, (0.42, 13.4, None, 53.8, None), _TURING),
    "gtx-1080-ti": ("NVIDIA GeForce GTX 1080 Ti", 11, 484, (0.35, 11.3, None, None, None), _GTX_1080_TI),
    "gtx-580": ("NVIDIA GeForce GTX 580 3GB", 3, 192.4, (0.198, 1.581, None, None, None), _FERMI),
    "mi300x": ("AMD Instinct MI300X", 192, 5300, (81.7, 163.4, 653.7, 1307.4, 1307.4), _MI300X),
    "mi210": ("AMD Instinct MI210", 64, 1638.4, (22.6, 22.6, None, 181, 181), "AMD Instinct MI210 brochure"),
}


def _hardware(row: _Row) -> Hardware:
    name, gib, gigabytes, teraflops, source = row
    peaks = {dtype: round(peak * 1e12, -8) for dtype, peak in zip(DTYPES, teraflops, strict=True) if peak is not None}
    return Hardware(name, peaks, gigabytes * 1e9, int(gib * 2**30), source)


HARDWARE: dict[str, Hardware] = {key: _hardware(row) for key, row in _TABLE.items()}
"""The GPUs that are known by name."""

ALIASES = {
    "h100": "h100-sxm",
    "h200-sxm": "h200",
    "b200-sxm": "b200",
    "a100": "a100-40gb",
    "a100-sxm-40gb": "a100-40gb",
    "a100-pcie-40gb": "a100-40gb",
    "a100-40": "a100-40gb",
    "a100-80": "a100-80gb",
    "a100-sxm-80gb": "a100-80gb",
    "a100-pcie-80gb": "a100-80gb-pcie",
    "v100": "v100-16gb",
    "v100-sxm2": "v100-16gb",
    "v100-sxm2-16gb": "v100-16gb",
    "v100-sxm2-32gb": "v100-32gb",
    "v100-pcie-16gb": "v100-pcie",
    "a100-sxm4-40gb": "a100-40gb",
    "a100-sxm4-80gb": "a100-80gb",
    "h100-80gb-hbm3": "h100-sxm",
    "a6000": "rtx-a6000",
    "p100-sxm2": "p100",
}
"""Further names, with those that drivers use. A bare family name is its first model; what is shown says which."""

_NOT_IN_NAMES = re.compile(r"nvidia|geforce|tesla|amd|instinct|[^a-z0-9]")


def find_hardware(name: str, otherwise: str = "") -> Hardware:
    """Return a GPU by its name, however it is written: `rtx-4090`, `RTX4090`, `NVIDIA GeForce RTX 4090`, `4090`.

    Raises:
        UsageError: it is not known; the hint names the nearest, all that are, and `otherwise`, what else can be given.
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


def given_hardware(peak_flops: str, bandwidth: str) -> Hardware:
    """Return hardware that is not in the table, from `312T` and `2.0TB`; the peak holds for every dtype.

    Raises:
        UsageError: one of them does not parse or makes no sense.
    """
    peaks = dict.fromkeys(DTYPES, float(SPEED.read(peak_flops, "--peak-flops")))
    bytes_per_s = float(BANDWIDTH.read(bandwidth, "--bandwidth"))
    return Hardware("given hardware", peaks, bytes_per_s, None, "--peak-flops and --bandwidth")


def _plain(name: str) -> str:
    return _NOT_IN_NAMES.sub("", name.lower())
