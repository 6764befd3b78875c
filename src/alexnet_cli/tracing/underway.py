"""How far the current recording has come, for progress messages; this file imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Recording(Protocol):
    """A recording in progress."""

    @property
    def operators(self) -> int:
        """Return how many operators have run."""


_recordings: list[Recording] = []


@contextmanager
def under_way(recording: Recording) -> Iterator[None]:
    """Announce a recording while it lasts."""
    _recordings.append(recording)
    try:
        yield
    finally:
        _recordings.remove(recording)


def operators_so_far() -> int | None:
    """Return how many operators the current recording has seen, None if there is none."""
    latest = _recordings[-1:]  # one step: another thread may ask
    return latest[0].operators if latest else None
