"""The errors that a user can cause, each with its exit code."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns; stated in the README."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    TARGET = 3
    FORWARD = 4
    DEVICE = 5
    INTERRUPTED = 130


class AlexnetError(Exception):
    """Something that the user can mend: what was given, what was expected, what to do next.

    `message` says what is wrong in one sentence, `hint` what to do about it, `path` names the layer
    where it happened.
    """

    code = "error"
    exit_code = ExitCode.USAGE

    def __init__(self, message: str, hint: str | None = None, path: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = path


class UsageError(AlexnetError):
    """An option or argument that does not parse, or a name that is not known."""

    code = "usage"
    exit_code = ExitCode.USAGE


class OutputError(AlexnetError):
    """The answer is there but cannot be written where it should go."""

    code = "output_failed"
    exit_code = ExitCode.USAGE


class TargetError(AlexnetError):
    """The target could not be loaded."""

    code = "target_failed"
    exit_code = ExitCode.TARGET


class ForwardError(AlexnetError):
    """The model raised while it ran."""

    code = "forward_failed"
    exit_code = ExitCode.FORWARD


class DeviceError(AlexnetError):
    """The device is not there, or out of memory."""

    code = "device_failed"
    exit_code = ExitCode.DEVICE
