"""Tries to break the program: `make torture`, or `python -m torture` in `benchmarks/`; see `__main__.py`."""

from __future__ import annotations

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]
ROOT = BENCHMARKS.parent
for _folder in (ROOT / "tests", BENCHMARKS):  # the tests' own mutations and models are used here too
    if str(_folder) not in sys.path:
        sys.path.append(str(_folder))
