"""A case that was tried: its outcome, and what was wrong."""

from __future__ import annotations

from typing import NamedTuple


class Tried(NamedTuple):
    """A case: how it ended, the defect if it is one, what was done, and the kind that it is counted under."""

    ended: str
    defect: str | None
    what: str
    kind: str
