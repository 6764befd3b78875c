"""How CUDA's caching allocator rounds: c10/cuda/CUDACachingAllocator.cpp and c10/core/AllocatorConfig.h of torch 2.13.

These are its defaults; `roundup_power2_divisions` and expandable segments, which round otherwise, are not assumed.
"""

from __future__ import annotations

_MIB = 2**20
MIN_BLOCK = 512
"""`kMinBlockSize`: all sizes are rounded to at least that."""
SMALL = _MIB
"""`kSmallSize`: the largest allocation of the small pool."""
SMALL_SEGMENT = 2 * _MIB
"""`kSmallBuffer`: what the small pool asks of the device."""
LARGE_SEGMENT = 20 * _MIB
"""`kLargeBuffer`: what the large pool asks of the device for an allocation below `kMinLargeAlloc`."""
MIN_LARGE = 10 * _MIB
ROUND_LARGE = 2 * _MIB
"""`kRoundLarge`: what larger allocations are rounded up to."""


def block_bytes(size: int) -> int:
    """Return what a request of so many bytes takes (`round_size`)."""
    return max(MIN_BLOCK, -(-size // MIN_BLOCK) * MIN_BLOCK)


def is_large(size: int) -> bool:
    """Tell whether a request belongs to the large pool (`get_pool`)."""
    return block_bytes(size) > SMALL


def segment_bytes(size: int) -> int:
    """Return what the device is asked for, if no free block fits the request (`get_allocation_size`)."""
    block = block_bytes(size)
    if block <= SMALL:
        return SMALL_SEGMENT
    if block < MIN_LARGE:
        return LARGE_SEGMENT
    return -(-block // ROUND_LARGE) * ROUND_LARGE
