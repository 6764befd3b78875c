"""How torch and Python are set while a run is recorded or timed, so that neither hides work nor adds some."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import torch

from alexnet_cli.torch_insides import compiler_is_loaded, flex_attention_written_out, imports_unwatched
from alexnet_cli.tracing.meta.stand_ins import fused_attention
from alexnet_cli.tracing.options import META

_NESTED_CALLS = 4 if sys.version_info < (3, 12) else 3
"""How much of Python's recursion limit a nested module takes: three calls, before 3.12 also the step through C."""
_CALLS_AT_THE_BOTTOM = 30
"""What the modes add where an operator runs."""


@contextmanager
def recording_conditions(device: torch.device, *, as_on_cpu: bool) -> Iterator[None]:
    """Run operator by operator, on `meta` those that a real device runs: the CPU's if it is `as_on_cpu`."""
    with ExitStack() as stack:
        stack.enter_context(calm_collector())
        stack.enter_context(imports_unwatched())
        stack.enter_context(_room_for_our_calls())
        stack.enter_context(plain_kernels())
        if device.type == META:
            stack.enter_context(fused_attention(dropout=not as_on_cpu))
        if device.type == META and as_on_cpu:
            from alexnet_cli.tracing.cpu.recurrent import recurrent_as_on_cpu  # most runs need none of it

            stack.enter_context(recurrent_as_on_cpu())
        yield


@contextmanager
def calm_collector() -> Iterator[None]:
    """Stop the garbage collector for one run, as it would walk all of torch's objects again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run attention and compiled code operator by operator, instead of in fused kernels that hide the work."""
    stance = torch.compiler.set_stance("force_eager") if compiler_is_loaded() else nullcontext()
    with stance, no_fast_path(), flex_attention_written_out():
        yield


@contextmanager
def no_fast_path() -> Iterator[None]:
    """Run torch's attention and transformer layers as the operators that they are in Python."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def _room_for_our_calls() -> Iterator[None]:
    """Raise the recursion limit to make up for our wrapper, which adds a call per module."""
    limit = sys.getrecursionlimit()
    raised = limit + limit // _NESTED_CALLS + _CALLS_AT_THE_BOTTOM
    sys.setrecursionlimit(raised)
    try:
        yield
    finally:
        if sys.getrecursionlimit() == raised:  # unless the model's own code changed it
            sys.setrecursionlimit(limit)
