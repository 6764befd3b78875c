"""Exported programs as targets: `.pt2` files of `torch.export.save`.

The file is read as data: its graph is JSON. torch's own loader would unpickle objects, evaluate expressions and execute
source code that the file brings, and it reads all weights; here neither happens.
"""

from __future__ import annotations

SUFFIX = ".pt2"


def is_exported(target: str) -> bool:
    """Recognise an exported program by its suffix."""
    return target.endswith(SUFFIX)
