"""What a model's code changes beside itself, put back: torch's settings, the random state, and where stdout goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout

import torch
from torch._C import _len_torch_function_stack
from torch.overrides import _get_current_function_mode_stack, _pop_mode, _push_mode
from torch.utils import _device


@contextmanager
def undisturbed() -> Iterator[None]:
    """Leave torch as it was, and keep off stdout what is printed inside, by other programs and libraries too."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call] # torch leaves it untyped
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices))
        stack.enter_context(redirect_stdout(sys.stderr))
        stack.enter_context(_descriptor_of_stdout_to_stderr())
        stack.enter_context(_settings())
        stack.enter_context(_default_device())
        yield


@contextmanager
def _settings() -> Iterator[None]:
    """Put back what would change how the next model is built or run."""
    dtype, gradients, deterministic = torch.get_default_dtype(), torch.is_grad_enabled(), _deterministic()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        if _deterministic() != deterministic:  # to set it imports the compiler
            mode, only_warns = deterministic
            torch.use_deterministic_algorithms(mode, warn_only=only_warns)


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


@contextmanager
def _default_device() -> Iterator[None]:
    """Put back the default device.

    To set one inside `with torch.device(…)` and to set it back outside leaves that device behind, so what torch
    keeps of it is put back instead: the global context, the current device and the stack of function modes.
    """
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    device = _device.CURRENT_DEVICE
    modes = _get_current_function_mode_stack()  # type: ignore[no-untyped-call] # torch leaves it untyped
    try:
        yield
    finally:
        torch._GLOBAL_DEVICE_CONTEXT.device_context = context
        _device.CURRENT_DEVICE = device
        while _len_torch_function_stack():
            _pop_mode()  # type: ignore[no-untyped-call] # torch leaves it untyped
        for mode in modes:
            _push_mode(mode)  # type: ignore[no-untyped-call] # torch leaves it untyped


@contextmanager
def _descriptor_of_stdout_to_stderr() -> Iterator[None]:
    """Let what writes to descriptor 1 past Python's `sys.stdout` write to stderr."""
    try:
        sys.stdout.flush()
        kept = os.dup(1)
    except OSError:  # there is nowhere to write to: whoever writes the answer will say so
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
