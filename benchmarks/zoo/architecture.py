"""One architecture of the zoo: how to build it, and what its forward is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """A model with random weights, built without a download.

    `make` builds it on torch's default device. `inputs` returns what forward is called with, as `--inputs` takes it; it
    is None where the program is to find the inputs. `plain` builds it so that torch can count all of it, where some of
    its operators are hidden from torch's counter.
    """

    library: str
    name: str
    modality: str
    make: Callable[[], Any]
    inputs: Callable[[], Any] | None = None
    plain: Callable[[], Any] | None = None
