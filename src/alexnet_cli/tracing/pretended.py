"""A CPU that computes nothing, for what `meta` does not have: autocast."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from alexnet_cli.tracing.fused_attention import fused_attention


@contextmanager
def pretended_cpu() -> Iterator[None]:
    """Let tensors made inside say that they are on the CPU, and hold nothing.

    Autocast looks at a tensor's device and has no rules for `meta`.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode  # imports sympy and torch._dynamo

    log = logging.getLogger("torch._subclasses.fake_tensor")
    level = log.level
    log.setLevel(logging.CRITICAL)  # what a model raises is told once, by us
    try:
        with warnings.catch_warnings(), fused_attention("AutogradCPU"), FakeTensorMode(allow_non_fake_inputs=True):
            warnings.filterwarnings("ignore", message="Accessing the data pointer of FakeTensor")  # torch's deepcopy
            yield
    finally:
        log.setLevel(level)
