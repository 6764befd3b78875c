"""How fast GPUs send to one another: within a node and between nodes, each number with its source.

Bandwidths are those of one GPU in one direction, in bytes per second. Data sheets print the sum of both directions for
NVLink, Infinity Fabric and PCIe; half of it stands here. Between nodes it is the rate of the network adapter that the
vendor's own server has for each GPU; other clusters differ, so it can be given.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.errors import UsageError

GPUS_PER_NODE = 8
"""Those of the vendors' servers: HGX and DGX since V100, and AMD's platforms."""


class Links(Struct, frozen=True):
    """What connects GPUs, in bytes per second for each GPU and direction; None where no server is the usual one."""

    within_name: str
    within_bytes_per_s: float
    within_source: str
    between_name: str | None = None
    between_bytes_per_s: float | None = None
    between_source: str | None = None
    gpus_per_node: int = GPUS_PER_NODE


def _nvlink(generation: int, both_ways: float, source: str, network: tuple[str, float, str]) -> Links:
    name, gigabits, network_source = network
    return Links(f"NVLink {generation}", both_ways / 2 * 1e9, source, name, gigabits / 8 * 1e9, network_source)


def _pcie(generation: int, both_ways: float, source: str) -> Links:
    return Links(f"PCIe {generation}.0 x16", both_ways / 2 * 1e9, source)


def _fabric(both_ways: float, source: str) -> Links:
    return Links("Infinity Fabric", both_ways / 2 * 1e9, source)


_EDR = ("InfiniBand EDR, one of 100 Gb/s for two GPUs", 50.0, "NVIDIA DGX-1 with V100 System Architecture whitepaper")
_HDR = ("InfiniBand HDR, 200 Gb/s per GPU", 200.0, "NVIDIA DGX A100 datasheet: 8 ConnectX-6 for 8 GPUs")
_NDR = ("InfiniBand NDR, 400 Gb/s per GPU", 400.0, "NVIDIA DGX H100 datasheet: 8 ConnectX-7 of 400 Gb/s for 8 GPUs")
_NDR_B200 = (_NDR[0], 400.0, "NVIDIA DGX B200 datasheet: 8 ConnectX-7 ports of 400 Gb/s for 8 GPUs")
_XDR = ("InfiniBand XDR, 800 Gb/s per GPU", 800.0, "NVIDIA DGX B300 datasheet: 8 ConnectX-8 of 800 Gb/s for 8 GPUs")

_BLACKWELL = _nvlink(5, 1800, "NVIDIA Blackwell datasheet, HGX B200: 1.8 TB/s per GPU", _NDR_B200)
_HOPPER = _nvlink(4, 900, "NVIDIA H100 Tensor Core GPU Architecture whitepaper: 900 GB/s", _NDR)
_AMPERE = _nvlink(3, 600, "NVIDIA A100 Tensor Core GPU Architecture whitepaper: 600 GB/s", _HDR)
_VOLTA = _nvlink(2, 300, "NVIDIA V100 datasheet: 300 GB/s", _EDR)

LINKS: dict[str, Links] = {
    "NVIDIA B300 SXM": _nvlink(5, 1800, "NVIDIA HGX B300 datasheet: 1.8 TB/s per GPU", _XDR),
    "NVIDIA B200 SXM": _BLACKWELL,
    "NVIDIA H200 SXM": _HOPPER,
    "NVIDIA H20": _HOPPER,
    "NVIDIA H100 SXM": _HOPPER,
    "NVIDIA A100 40GB": _AMPERE,
    "NVIDIA A100 80GB SXM": _AMPERE,
    "NVIDIA V100 SXM2 16GB": _VOLTA,
    "NVIDIA V100 SXM2 32GB": _VOLTA,
    "NVIDIA H200 NVL": _pcie(5, 128, "NVIDIA H200 datasheet: PCIe Gen5 128 GB/s; NVLink bridges join up to four"),
    "NVIDIA H100 PCIe": _pcie(5, 128, "NVIDIA H100 datasheet: PCIe Gen5 128 GB/s"),
    "NVIDIA H100 NVL": _pcie(5, 128, "NVIDIA H100 datasheet: PCIe Gen5 128 GB/s; NVLink bridges join two"),
    "NVIDIA A100 80GB PCIe": _pcie(4, 64, "NVIDIA A100 80GB datasheet: PCIe Gen4 64 GB/s"),
    "NVIDIA A30": _pcie(4, 64, "NVIDIA A30 datasheet: PCIe Gen4 64 GB/s"),
    "NVIDIA A40": _pcie(4, 64, "NVIDIA A40 datasheet: PCIe Gen4 x16, 64 GB/s"),
    "NVIDIA A10": _pcie(4, 64, "NVIDIA A10 datasheet: PCIe Gen4 64 GB/s"),
    "NVIDIA L40S": _pcie(4, 64, "NVIDIA L40S datasheet: PCIe Gen4 x16, 64 GB/s"),
    "NVIDIA L40": _pcie(4, 64, "NVIDIA L40 datasheet: PCIe Gen4 x16, 64 GB/s"),
    "NVIDIA L4": _pcie(4, 64, "NVIDIA L4 datasheet: PCIe Gen4 x16, 64 GB/s"),
    "NVIDIA T4": _pcie(3, 32, "NVIDIA T4 datasheet: PCIe Gen3 x16, 32 GB/s"),
    "AMD Instinct MI300X": _fabric(896, "AMD Instinct MI300X data sheet: 896 GB/s over 7 links"),
    "AMD Instinct MI325X": _fabric(896, "AMD Instinct MI325X data sheet: 896 GB/s over 7 links"),
}
"""The links of GPUs by the name that the hardware table gives them."""


def unknown_links(gpu: str) -> UsageError:
    """Return the error that says that nothing is known of how fast GPUs of a name send to one another."""
    return UsageError(
        f"how fast {gpu}s send to one another is not known",
        "give it with --link, as in --link 25GB/s for each GPU and direction",
    )


def links_of(
    name: str | None, within: float | None = None, between: float | None = None, per_node: int | None = None
) -> Links | None:
    """Return the links of a GPU, with what is given in place of the table's; None if nothing is known of them.

    Raises:
        UsageError: only what is between nodes is given for a GPU that is not in the table.
    """
    known = LINKS.get(name or "")
    if known is None and within is None:
        if between is not None or per_node is not None:
            raise UsageError("how fast the GPUs of a node send to one another is not known", "give it with --link")
        return None
    found = known or Links("", 0.0, "")
    if within is not None:
        found = replace(found, within_name="as given", within_bytes_per_s=within, within_source="--link")
    if between is not None:
        found = replace(found, between_name="as given", between_bytes_per_s=between, between_source="--network")
    return replace(found, gpus_per_node=per_node or found.gpus_per_node)
