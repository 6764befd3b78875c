"""Whether a model fits in the memory of a GPU, and the largest batch, or other size, that does."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from msgspec import Struct

MOST = 2**20
"""Larger batches are not tried."""

PeakOfBatch = Callable[[int], int]


class Room(Struct, frozen=True):
    """A memory size in bytes, and the GPU that has it, None if only a size was given."""

    gpu: str | None
    bytes: int


class Fit(Struct, frozen=True):
    """Whether a model fits, and the largest batch that does.

    `fits` is that of the training step, or of the forward where there is nothing to train. A largest batch is 0 where
    not even a batch of 1 fits, and None if unknown; `largest_batch_tried` is where the search ends.
    """

    gpu: str | None
    capacity_bytes: int
    fits: bool
    fits_inference: bool
    fits_training: bool | None
    largest_batch_inference: int | None
    largest_batch_training: int | None
    largest_batch_tried: int = MOST


def fit(
    room: Room, peaks: tuple[int, int | None], of_batch: tuple[PeakOfBatch, PeakOfBatch] | None, most: int = MOST
) -> Fit:
    """Compare the peaks of a forward and of a training step (None: nothing to train) with a memory size.

    `of_batch` gives the peaks of batch sizes up to `most`, forward first; None where the batch cannot be changed.

    Raises:
        UsageError: the model does not run with a batch that was tried.
    """
    forward, step = peaks
    fits_training = None if step is None else step <= room.bytes
    most = min(most, MOST)
    return Fit(
        gpu=room.gpu,
        capacity_bytes=room.bytes,
        fits=forward <= room.bytes and fits_training is not False,
        fits_inference=forward <= room.bytes,
        fits_training=fits_training,
        largest_batch_inference=largest_batch(of_batch[0], room.bytes, most) if of_batch else None,
        largest_batch_training=largest_batch(of_batch[1], room.bytes, most) if of_batch and step is not None else None,
        largest_batch_tried=most,
    )


_STRAIGHT = 12
"""The first tries follow the line; if memory is far from linear, bisection then ends the search."""


def largest_batch(peak: Callable[[int], int], capacity: int, most: int = MOST) -> int:
    """Return the largest batch size up to `most` whose `peak` in bytes is at most `capacity`; 0 if not even 1 fits.

    `peak` must not decrease with the batch size. It is nearly linear, so the line through the last two tries suggests
    the next; the answer and the size above it are always tried.
    """
    return bracket(peak, capacity, most)[0]


def bracket(
    peak: Callable[[int], int], capacity: int, most: int, first: int = 1, tries: int | None = None
) -> tuple[int, int]:
    """Return the largest size that fits, 0 if none does, and the least that was found not to, by trying sizes.

    The search begins at `first`; if that is the answer, it and the size above it are all that is tried. The two sizes
    follow one on the other unless the `tries` did not suffice.
    """
    tried: dict[int, int] = {}
    fits, too_large = 0, most + 1
    guess = min(max(first, 1), most)
    while too_large - fits > 1 and (tries is None or len(tried) < tries):
        tried[guess] = peak(guess)
        if tried[guess] <= capacity:
            fits = guess
        else:
            too_large = guess
        line = _on_the_line(tried, capacity) if len(tried) < _STRAIGHT else (fits + too_large) // 2
        guess = min(max(line, fits + 1), too_large - 1)
    return fits, too_large


def first_that(numbers: range, holds: Callable[[int], bool]) -> int:
    """Return the first number for which something holds that does for all after it, their stop if it does for none."""
    return numbers.start + bisect_left(numbers, True, key=holds)  # noqa: FBT003 - what is sought


def _on_the_line(tried: dict[int, int], capacity: int) -> int:
    """Return the batch size at which the line through the last two tries reaches the capacity."""
    if len(tried) == 1:
        return 2
    (first, low), (second, high) = list(tried.items())[-2:]
    slope = (high - low) / (second - first)
    return int(second + (capacity - high) / slope) if slope > 0 else MOST
