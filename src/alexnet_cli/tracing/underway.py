"""How far the forward is that is being recorded, for whoever tells the user; free of torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Recording(Protocol):
    """What is under way: `operators` have run so far."""

    @property
    def operators(self) -> int:
        """Return how many operators have run."""


_recordings: list[Recording] = []


@contextmanager
def under_way(recording: Recording) -> Iterator[None]:
    """Let it be known inside that this is being recorded."""
    _recordings.append(recording)
    try:
        yield
    finally:
        _recordings.remove(recording)


def operators_so_far() -> int | None:
    """Return how many operators the recording that is under way has seen, None if there is none."""
    latest = _recordings[-1:]  # at once: another thread may ask
    return latest[0].operators if latest else None
