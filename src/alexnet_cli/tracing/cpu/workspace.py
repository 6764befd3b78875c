"""What a kernel allocates while it runs, beside its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

FLOAT = 4
"""The bytes of a float32."""
PAGE = 4096
PAD = 128
"""What oneDNN adds to each piece of a scratchpad to align it (`default_alignment` in common/memory_tracking.hpp)."""
BATCH_ELEMENT = 40
"""The bytes of brgemm's description of one product (`brgemm_batch_element_t`)."""


class Workspace(NamedTuple):
    """Bytes that live while an operator runs; at least as many as it takes if not `exact`."""

    bytes: int
    exact: bool = True


NOTHING = Workspace(0)


@dataclass(frozen=True)
class Machine:
    """What oneDNN picks its kernels by: threads, and the instructions of the CPU.

    `vector` is how many float32 numbers a register holds, 0 if oneDNN's kernels are not those for x86.
    """

    threads: int
    vector: int
    bf16: bool = False

    @property
    def instructions(self) -> str:
        """The instructions by the name that users know."""
        return {16: "AVX-512", 8: "AVX2"}.get(self.vector, "neither AVX2 nor AVX-512")

    @property
    def known(self) -> bool:
        """Whether the kernels are those whose layouts are derived here: AVX-512."""
        return self.vector == 16  # noqa: PLR2004 - 64 bytes


def rounded(size: int, to: int) -> int:
    """Return the least multiple of `to` that is not below a size."""
    return -(-size // to) * to


def pages(sizes: Sequence[int]) -> int:
    """Return the bytes of pieces that each begin on a page, and of the rest of the last page.

    `set_offsets` in oneDNN's cpu/rnn/rnn_utils.cpp: it ends with a piece that is empty in an LSTM.
    """
    total = 0
    for size in sizes:
        total = rounded(total, PAGE) + size
    return rounded(total, PAGE)
