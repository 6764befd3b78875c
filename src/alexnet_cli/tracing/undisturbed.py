"""Restores what a model's code may change: torch's settings, the random state, and where stdout goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch

from alexnet_cli.errors import TargetError, told
from alexnet_cli.torch_insides import default_device_kept
from alexnet_cli.users_code import users_frames


@contextmanager
def undisturbed() -> Iterator[None]:
    """Leave torch as it was, and send what is printed inside to stderr, also by C libraries and child processes.

    A child process that comes out of it ends there.

    Raises:
        TargetError: the model's code raised what is no `Exception`, as `sys.exit()` does, and no interrupt.
    """
    process = os.getpid()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call] # torch leaves it untyped
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices))
        shared = None if sys.stderr is None else _Shared(sys.stderr)
        stack.enter_context(redirect_stdout(shared))
        stack.enter_context(redirect_stderr(shared))
        stack.enter_context(_descriptor_of_stdout_to_stderr())
        stack.enter_context(_settings())
        stack.enter_context(default_device_kept())
        try:
            yield
        except (Exception, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            hint = users_frames(error) or "--traceback shows where"
            raise TargetError(f"the model cannot be inspected: {told(error)}", hint) from error
        finally:
            if os.getpid() != process:  # the model forked and came back twice; one answer is enough
                os._exit(0)


class _Shared:
    """A stream that a model's code may use, and not close."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Leave it open for what this program has to say."""


@contextmanager
def _settings() -> Iterator[None]:
    """Restore the settings that affect how the next model is built or run."""
    dtype, gradients, deterministic = torch.get_default_dtype(), torch.is_grad_enabled(), _deterministic()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        if _deterministic() != deterministic:  # setting it imports the compiler
            mode, only_warns = deterministic
            torch.use_deterministic_algorithms(mode, warn_only=only_warns)


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


@contextmanager
def _descriptor_of_stdout_to_stderr() -> Iterator[None]:
    """Send to stderr what is written to descriptor 1 without Python's `sys.stdout`."""
    try:
        sys.stdout.flush()
        kept = os.dup(1)
    except OSError:  # stdout is closed: the code that writes the answer reports it
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
