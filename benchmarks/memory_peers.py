"""What other tools say that a forward or a training step takes in memory, in bytes; shapes have the batch first."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
import torchinfo
import torchsummary
import vram_check
from kitsune.predict import predict_memory
from memory_models import OPTIMIZERS
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

_TOTAL = re.compile(r"Estimated Total Size \(MB\): ([\d.]+)")


def by_mem_tracker(
    make: Callable[[], nn.Module], shape: Sequence[int], optimizer: str | None, amp: str | None = None
) -> int:
    """Return the peak by torch's `MemTracker` on fake tensors, of a forward or of a training step after the first."""
    with FakeTensorMode():
        model, given = make(), torch.rand(*shape)
        model.train(optimizer is not None)
        updates = None if optimizer is None else OPTIMIZERS[optimizer](model.parameters())
        tracker = MemTracker()
        tracker.track_external(*(each for each in (model, updates, given) if each is not None))
        with tracker:
            for _ in range(1 if updates is None else 2):
                tracker.reset_mod_stats()
                mixed = nullcontext() if amp is None else torch.autocast("cpu", getattr(torch, amp))
                with mixed, torch.set_grad_enabled(updates is not None):
                    output = model(given)
                if updates is not None:
                    output.sum().backward()
                    updates.step()
                    updates.zero_grad()
                del output
        return int(tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"])


def by_torchinfo(make: Callable[[], nn.Module], shape: Sequence[int]) -> int:
    """Return torchinfo's estimated total size, which it has once for forward and backward."""
    said = torchinfo.summary(make(), tuple(shape), verbose=0, device="cpu")
    return int(said.total_input + said.total_output_bytes + said.total_param_bytes)


def by_torchsummary(make: Callable[[], nn.Module], shape: Sequence[int]) -> int:
    """Return torchsummary's estimated total size, which it has once for forward and backward."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        torchsummary.summary(make(), tuple(shape[1:]), shape[0], device="cpu")
    found = _TOTAL.search(printed.getvalue())
    assert found is not None  # noqa: S101 - it always prints it
    return round(float(found[1]) * 2**20)


def by_kitsune(
    make: Callable[[], nn.Module], shape: Sequence[int], optimizer: str | None, amp: str | None = None
) -> int:
    """Return kitsune's peak of a forward or a step.

    Raises:
        NotSaidError: it has no mixed precision.
    """
    if amp is not None:
        raise NotSaidError
    said = predict_memory(
        make(), tuple(shape[1:]), shape[0], optimizer=optimizer or "none", training=optimizer is not None
    )
    return int(said.total_bytes)


def by_vram_check(
    make: Callable[[], nn.Module], shape: Sequence[int], optimizer: str | None, amp: str | None = None
) -> int:
    """Return vram-check's total for a forward or a step, which it takes from the number of parameters alone.

    Raises:
        NotSaidError: it has no mixed precision.
    """
    if amp is not None:
        raise NotSaidError
    said = vram_check.analyze(make(), shape[0], optimizer=optimizer or "none", training=optimizer is not None)
    return int(said["estimate"].total_bytes)


class NotSaidError(Exception):
    """The tool has no answer."""
