"""What a paged optimiser moves between the host and the GPU, and how fast that goes."""

from __future__ import annotations

from math import prod

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.fitting.halves import Gradients, Update
from alexnet_cli.analyses.fitting.work import StepWork
from alexnet_cli.tape import Tape

LEAST = 100_000
"""How many values a parameter has at least whose moments bitsandbytes pages."""
_LINKS: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("RTX 5060",), 32, "PCIe 5.0 x8: board makers' specifications"),
    (("RTX 4060",), 16, "PCIe 4.0 x8: board makers' specifications"),
    (("B300", "B200", "H200", "H100", "H20"), 64, "PCIe 5.0 x16: NVIDIA Hopper and Blackwell datasheets, 128 GB/s"),
    (("RTX 50",), 64, "PCIe 5.0 x16: NVIDIA RTX Blackwell GPU Architecture whitepaper"),
    (("A100", "A30", "A40", "A10", "L40S", "L40", "L4"), 32, "PCIe 4.0 x16: NVIDIA datasheets, 64 GB/s"),
    (("RTX A6000", "RTX 6000 Ada", "RTX 40", "RTX 30"), 32, "PCIe 4.0 x16: NVIDIA Ada and GA102 whitepapers"),
    (("V100", "P100", "T4", "RTX 20", "GTX 10"), 16, "PCIe 3.0 x16: NVIDIA Volta, Turing and Pascal whitepapers"),
)
"""What GPUs' names begin with, the first that fits: GB per second in one direction, half of what data sheets print."""


def host_link(gpu: str) -> float | None:
    """Return the bytes per second between the host and a GPU in one direction; None if it pages nothing, or unknown.

    GPUs before Pascal cannot page more than their own memory, and those that share the host's gain nothing.
    """
    if not gpu.startswith("NVIDIA") or "Jetson" in gpu:
        return None
    words = gpu.removeprefix("NVIDIA ").removeprefix("GeForce ")
    return next((each * 1e9 for names, each, _ in _LINKS if words.startswith(names)), None)


def pageable_bytes(tape: Tape) -> int:
    """Return what Adam's two moments take of the parameters that are large enough, in float32, by their gradients."""
    roles = [storage.role for storage in tape.storages]
    sizes = {value.storage: prod(value.shape) for value in tape.values if roles[value.storage] == "gradient"}
    return sum(2 * 4 * size for size in sizes.values() if size >= LEAST)


def moved(paged_bytes: int, gradients: Gradients, update: Update, budget: int, roof: Roof) -> StepWork:
    """Return what the update of a state that is not held takes: it is read and written, and may come from the host.

    What has no room beside a step goes to the host and comes back, as if nothing ran meanwhile.
    """
    most = max(gradients.peak_bytes, gradients.end_bytes) + update.held_bytes + paged_bytes
    crosses = 2 * min(paged_bytes, max(most - budget, 0))
    link = host_link(roof.hardware.name)
    seconds = 2 * paged_bytes / roof.hardware.bandwidth_bytes_per_s + (0.0 if link is None else crosses / link)
    return StepWork(0, 2 * paged_bytes + crosses, seconds)
