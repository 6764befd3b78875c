"""How often things are measured: `ALEXNET_BENCH_QUICK=1` measures each once, to see that everything runs."""

from __future__ import annotations

import os

QUICK = bool(os.environ.get("ALEXNET_BENCH_QUICK"))


def runs(wanted: int) -> int:
    """Return how many times to measure what is measured that often."""
    return 1 if QUICK else wanted
