"""The errors that a user can cause, each with its exit code."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet_cli.report import Report


class ExitCode(IntEnum):
    """The exit codes of the process, as the README states them."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    TARGET = 3
    FORWARD = 4
    DEVICE = 5
    INTERNAL = 70
    INTERRUPTED = 130


class AlexnetError(Exception):
    """An error that the user can fix: what was given, what was expected, what to do next.

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
    """An option or argument that does not parse, or an unknown name."""

    code = "usage"
    exit_code = ExitCode.USAGE


class NothingToTrainError(UsageError):
    """The model of a training step has nothing to train."""


class NeedsValuesError(UsageError):
    """The model looks at values that tensors on `meta` lack, and was not to be run where there are some."""


class OutputError(AlexnetError):
    """The answer cannot be written."""

    code = "output_failed"
    exit_code = ExitCode.USAGE


class TargetError(AlexnetError):
    """The target could not be loaded."""

    code = "target_failed"
    exit_code = ExitCode.TARGET


class ForwardError(AlexnetError):
    """The model raised while it ran; `report` has the rows up to the layer that failed, if there are any."""

    report: Report | None = None

    code = "forward_failed"
    exit_code = ExitCode.FORWARD


class DeviceError(AlexnetError):
    """The device is not there, or out of memory."""

    code = "device_failed"
    exit_code = ExitCode.DEVICE


class InternalError(AlexnetError):
    """The program itself failed."""

    code = "internal"
    exit_code = ExitCode.INTERNAL


def nearest(given: str, known: Iterable[str], *, most: int = 1) -> str:
    """Return a hint for a name that is not known: up to `most` names that look like it, then all the known ones."""
    from difflib import get_close_matches  # only if a name was misspelt

    names = list(known)
    near = get_close_matches(given, names, n=most)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{guess}known: {', '.join(names)}"


def one_of(given: str, known: Iterable[str], what: str) -> str:
    """Return what was given if it is known.

    Raises:
        UsageError: it is not.
    """
    names = list(known)
    if given not in names:
        raise UsageError(f"unknown {what} {given!r}", f"known: {', '.join(names)}")
    return given


def told(error: BaseException) -> str:
    """Return an exception's type and the first line of what it says, if there is one."""
    said, kind = first_line(error), type(error).__name__
    return f"{kind}: {said}" if said != kind else kind


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type if the message is empty."""
    return next(filter(None, str(error).splitlines()[:1]), type(error).__name__)
